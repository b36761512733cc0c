using Tailrace.Files;

namespace Tailrace.Tests.Tail;

public sealed class SpoolTests : TailTest
{
    private SpoolOptions _spool = new() { Path = "" };

    [Fact]
    public async Task A_dropped_file_is_read_whole_and_renamed_when_it_is_delivered()
    {
        StartSpool();
        Write("a.csv", "one\ntwo");
        await ExpectAsync("one", "two");
        await SettleSpoolAsync();
        Assert.True(File.Exists(At("a.csv")));
        Context.IsDelivered = true;
        await WaitForAsync(() => File.Exists(At("a.csv.completed")), "the renaming");
        Assert.False(File.Exists(At("a.csv")));
        Assert.Equal("one\ntwo", await File.ReadAllTextAsync(At("a.csv.completed")));
    }

    [Fact]
    public async Task A_name_used_twice_is_reported_and_both_are_read_and_kept()
    {
        Context.IsDelivered = true;
        StartSpool();
        Write("a.csv", "one\n");
        await WaitForAsync(() => File.Exists(At("a.csv.completed")), "the first");
        Write("a.csv", "two\n");
        await WaitForAsync(() => File.Exists(At("a.csv.completed.1")), "the second");
        Assert.Equal(["one", "two"], Context.Bodies);
        await WaitForLogAsync("its name was used twice");
    }

    [Fact]
    public async Task A_file_changed_after_its_end_is_reported_and_read_on()
    {
        StartSpool();
        Write("a.csv", "one\n");
        await ExpectAsync("one");
        await SettleSpoolAsync();
        Append("a.csv", "two\n");
        await WaitForAsync(() => Context.Bodies.Contains("two"), "what was added");
        await WaitForLogAsync("was changed after");
        Context.IsDelivered = true;
        await WaitForAsync(() => File.Exists(At("a.csv.completed")), "the renaming");
    }

    [Fact]
    public async Task A_file_that_was_read_before_a_restart_is_only_put_away()
    {
        StartSpool();
        Write("a.csv", "one\ntwo\n");
        await ExpectAsync("one", "two");
        await StopAsync();
        Directory.CreateDirectory(At("done"));
        _spool = _spool with { Done = DoneAction.Move, DoneDirectory = At("done") };
        Context.IsDelivered = true;
        StartSpool();
        await WaitForAsync(() => File.Exists(At("done/a.csv")), "the move");
        Assert.Equal(["one", "two"], Context.Bodies);
    }

    [Fact]
    public async Task Tail_deletes_a_file_only_when_it_is_delivered_and_has_not_changed()
    {
        Write("a.log", "one\nhalf");
        Start(Options, new DoneFiles(DoneAction.Delete, "", null, TimeSpan.FromMilliseconds(50), wholeFiles: false, Context));
        await ExpectAsync("one");
        Context.IsDelivered = true;
        await SettleSpoolAsync();
        Assert.True(File.Exists(At("a.log"))); // half a line is left
        Context.IsDelivered = false;
        Append("a.log", " a line\n");
        await WaitForAsync(() => Context.Bodies.Contains("half a line"), "the line");
        await SettleSpoolAsync();
        Assert.True(File.Exists(At("a.log")));
        Context.IsDelivered = true;
        await WaitForAsync(() => !File.Exists(At("a.log")), "its deletion");
    }

    private static Task SettleSpoolAsync() => Task.Delay(300); // what must not happen has had its time

    private void StartSpool()
    {
        _spool = _spool with { Path = Folder, Settle = TimeSpan.FromMilliseconds(50), PollInterval = TimeSpan.FromMilliseconds(10) };
        Start(_spool.ToTail(), new DoneFiles(_spool.Done, _spool.Suffix, _spool.DoneDirectory, _spool.Settle, wholeFiles: true, Context));
    }
}
