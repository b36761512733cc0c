using System.Diagnostics;
using System.IO.Compression;
using Microsoft.Extensions.Time.Testing;
using Tailrace.Files;

namespace Tailrace.Tests.Tail;

public sealed partial class TailCases
{
    private static readonly string[] NoExclusions = [];

    private static DateTime Now => TimeProvider.System.GetUtcNow().UtcDateTime;

    [Fact]
    public async Task Case_03_Files_rotated_several_times_between_two_looks_are_all_read_where_their_names_match()
    {
        Options = Options with { Paths = [At("app.log*")] };
        Write("app.log", "1\n");
        await OnceAsync();
        for (int i = 2; i <= 6; i++)
        {
            File.Move(At("app.log"), At($"app.log.{i - 1}"));
            Write("app.log", $"{i}\n");
            File.SetLastWriteTimeUtc(At("app.log"), Now.AddMinutes(i - 10));
        }

        await OnceAsync();
        Assert.Equal(["1", "2", "3", "4", "5", "6"], Context.Bodies);
    }

    [Theory]
    [InlineData("time,host,message\n", "time,host,message\n")]
    [InlineData("x", "x")]
    public async Task Case_06_A_truncated_file_that_begins_as_before_is_told_by_its_size_and_its_anchor(string line, string again)
    {
        string head = string.Concat(Enumerable.Repeat(line, 4096 / line.Length)) + "\n";
        Write("a.log", head + "old 1\nold 2\n");
        Start();
        await WaitForAsync(() => Context.Bodies.LastOrDefault() == "old 2", "the first generation");
        int first = Context.Bodies.Length;
        string headAgain = string.Concat(Enumerable.Repeat(again, 4096 / again.Length)) + "\n";
        Overwrite("a.log", headAgain + "new 1\nnew 2\nnew 3\n");
        await WaitForAsync(() => Context.Bodies.LastOrDefault() == "new 3", "the second generation");
        Assert.Equal([.. Context.Bodies[..(first - 2)], "new 1", "new 2", "new 3"], Context.Bodies[first..]);
    }

    [Fact]
    public async Task Case_11_A_file_of_one_short_line_is_read_at_once()
    {
        Start();
        Write("a.log", "x\n");
        await ExpectAsync("x");
        await StopAsync();
        Start();
        Append("a.log", "y\n");
        await ExpectAsync("x", "y");
        Assert.Single(Context.GetOrigins());
    }

    [Fact]
    public async Task Case_12_Empty_files_are_told_apart_by_their_inodes_and_make_no_events()
    {
        Write("a.log", "");
        Write("b.log", "");
        await OnceAsync();
        Assert.Empty(Context.Bodies);
        Assert.Equal(2, Context.GetOrigins().Count);
        Append("b.log", "b\n");
        await OnceAsync();
        Append("a.log", "a\n");
        await OnceAsync();
        Assert.Equal(["b", "a"], Context.Bodies);
        Assert.Equal(2, Context.GetOrigins().Count);
    }

    [LinuxFact]
    public async Task Case_16_A_chain_of_links_is_followed_and_the_file_is_called_by_the_name_that_matched()
    {
        Directory.CreateDirectory(At("containers"));
        Directory.CreateDirectory(At("pods"));
        Directory.CreateDirectory(At("docker"));
        Write("docker/1-json.log", "one\n");
        File.CreateSymbolicLink(At("pods/0.log"), At("docker/1-json.log"));
        File.CreateSymbolicLink(At("containers/web.log"), At("pods/0.log"));
        Options = Options with { Paths = [At("containers/*.log"), At("pods/*.log")], AddFileHeader = true, PollInterval = TimeSpan.FromMinutes(30) };
        Start();
        await ExpectAsync("one");
        Append("docker/1-json.log", "two\n"); // told by the directory of the last target
        await ExpectAsync("one", "two");
        Assert.All(Context.Headers, headers => Assert.Equal($"file={At("containers/web.log")}", headers));
        Assert.Single(Context.GetOrigins());
    }

    [Fact]
    public async Task Case_18_A_last_line_without_an_end_is_held_while_its_writer_may_go_on()
    {
        Write("a.log", "one\nlast");
        Start();
        await ExpectAsync("one");
        await SettleAsync();
        Assert.DoesNotContain("last", Context.Bodies);
        await StopAsync();
        await OnceAsync(); // nothing more is waited for
        Assert.Equal("last", Context.Bodies[^1]);
    }

    [Theory]
    [InlineData(false, 1)]
    [InlineData(true, 1)]
    [InlineData(true, 3)]
    public async Task Case_25_A_gzip_copy_goes_on_where_the_plain_file_was_left(bool running, int members)
    {
        Options = Options with { Paths = [At("app.log*")], Exclude = NoExclusions, RotateWait = TimeSpan.FromMilliseconds(100) };
        string text = string.Concat(Enumerable.Range(0, 300_000).Select(i => $"line {i}\n"));
        int cut = text.IndexOf("line 1000\n", StringComparison.Ordinal);
        Write("app.log", text[..cut]);
        Start();
        await WaitForAsync(() => Context.Bodies.Length == 1000, "what was there");
        if (!running)
        {
            await StopAsync();
        }

        Append("app.log", text[cut..]);
        File.Move(At("app.log"), At("app.log.1"));
        await PackAsync("app.log.1", "app.log.1.gz", members);
        File.Delete(At("app.log.1"));
        Write("app.log", "next\n");
        if (!running)
        {
            Start();
        }

        await WaitForAsync(() => Context.Bodies.Length >= 300_001, "the rest");
        await SettleAsync("app.log");
        string[] bodies = [.. Context.Bodies.Where(body => body.StartsWith("line", StringComparison.Ordinal))];
        Assert.Equal(text.TrimEnd('\n').Split('\n'), bodies);
        await StopAsync();
        await OnceAsync();
        Assert.Equal(300_002, Context.Bodies.Length);
        Assert.Equal(2, Context.GetOrigins().Count);
    }

    [Fact]
    public async Task Case_25_A_gzip_file_that_is_still_being_written_waits_for_its_end()
    {
        Options = Options with { Paths = [At("*.gz")], Exclude = NoExclusions };
        Write("plain", string.Concat(Enumerable.Range(0, 20_000).Select(i => $"line {i}\n")));
        await PackAsync("plain", "whole", 1);
        byte[] whole = await File.ReadAllBytesAsync(At("whole"));
        WriteBytes("a.log.gz", whole[..^4]);
        Start();
        await WaitForAsync(() => Context.Reports.Count > 0, "that it is not whole");
        Assert.Contains("a.log.gz", Context.Reports[^1].Reason, StringComparison.Ordinal);
        Assert.Empty(Context.Bodies);
        WriteBytes("a.log.gz", whole);
        await WaitForAsync(() => Context.Bodies.Length == 20_000, "its lines");
        Assert.Equal("line 19999", Context.Bodies[^1]);
        await WaitForAsync(() => Context.Reports[^1].Status == ComponentStatus.Running, "the all-clear");
    }

    [LinuxFact]
    public async Task Case_27_A_change_that_the_system_gives_no_hint_of_is_found_by_polling()
    {
        Directory.CreateDirectory(At("elsewhere"));
        Write("elsewhere/a", "one\n");
        using var link = Process.Start("ln", [At("elsewhere/a"), At("a.log")]);
        await link.WaitForExitAsync();
        Start();
        await ExpectAsync("one");
        Append("elsewhere/a", "two\n"); // told to those who watch that directory
        await ExpectAsync("one", "two");
    }

    [Fact(Skip = "needs Windows: there a deleted file's name stays taken while the file is open, so it is closed as soon as it is read")]
    public void Case_29_A_deleted_file_is_closed_at_its_end_so_that_its_name_is_free()
    {
    }

    [Fact]
    public async Task Case_28_A_device_number_that_changed_with_a_remount_does_not_make_a_file_new()
    {
        Write("a.log", "one\n");
        await OnceAsync();
        Context.SetAttribute(Context.GetOrigins()[0].Origin, "device", 12345L);
        Append("a.log", "two\n");
        await OnceAsync();
        Assert.Equal(["one", "two"], Context.Bodies);
        Assert.Single(Context.GetOrigins());
    }

    [Fact]
    public async Task Case_29_Files_that_are_closed_after_each_look_are_read_and_followed_through_rotation()
    {
        Options = Options with { Paths = [At("app.log")], MaxOpenFiles = 0, PollInterval = TimeSpan.FromMilliseconds(10) };
        Write("app.log", "one\n");
        Start();
        await ExpectAsync("one");
        await SettleAsync("app.log");
        if (OperatingSystem.IsLinux())
        {
            await WaitForAsync(() => !Directory.GetFiles("/proc/self/fd").Any(fd => (new FileInfo(fd).LinkTarget ?? "").StartsWith(At("app"), StringComparison.Ordinal)), "its closing");
        }

        File.Move(At("app.log"), At("app.log.1"));
        Append("app.log.1", "two\n");
        Write("app.log", "three\n");
        await WaitForAsync(() => Context.Bodies.Length == 4, "both files");
        Assert.Equal(["three", "two"], Context.Bodies[2..].Order());
    }

    [Theory]
    [InlineData(-40, false)]
    [InlineData(-1, true)]
    [InlineData(400, true)]
    public async Task Case_33_Times_of_writing_decide_nothing_but_whether_a_new_file_is_too_old(int days, bool read)
    {
        Options = Options with { IgnoreOlder = TimeSpan.FromDays(30) };
        Write("a.log", "one\n");
        File.SetLastWriteTimeUtc(At("a.log"), Now.AddDays(days));
        Start();
        await WaitForAsync(() => Context.GetOrigins().Count == 1, "its first position");
        Append("a.log", "two\n");
        await WaitForAsync(() => Context.Bodies.Contains("two"), "the new line");
        File.SetLastWriteTimeUtc(At("a.log"), Now.AddDays(-400));
        await StopAsync();
        Append("a.log", "three\n");
        File.SetLastWriteTimeUtc(At("a.log"), Now.AddDays(-400));
        await OnceAsync();
        Assert.Equal(read ? ["one", "two", "three"] : ["two", "three"], Context.Bodies);
    }

    [Fact]
    public async Task Case_34_Deleted_files_hold_no_more_space_than_they_may()
    {
        Options = Options with { MaxPinnedBytes = new ByteSize(15_000), BatchSize = new ByteSize(4096), RotateWait = TimeSpan.Zero };
        using var gate = new SemaphoreSlim(0);
        Context.BeforeAppend = async (_, token) => await gate.WaitAsync(token);
        Write("hold.log", string.Concat(Enumerable.Repeat(new string('h', 999) + "\n", 100)));
        Start();
        await WaitForAsync(() => Context.Appending > 0, "an append that waits");
        foreach (char name in "abc")
        {
            Write($"{name}.log", string.Concat(Enumerable.Repeat($"{name}" + new string('x', 998) + "\n", 10)));
            File.SetLastWriteTimeUtc(At($"{name}.log"), Now.AddMinutes(name - 'z'));
            await WaitForLogAsync($"Following {At($"{name}.log")}");
            File.Delete(At($"{name}.log"));
            await WaitForLogAsync($"{At($"{name}.log")} was renamed or deleted");
        }

        await WaitForLogAsync($"{At("b.log")} was deleted and is given up");
        gate.Release(1000);
        await WaitForAsync(() => Context.Bodies.Count(body => body[0] == 'c') == 10, "the newest");
        Assert.Equal(2, Context.Messages.Count(message => message.Contains("given up", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Case_36_A_file_written_anew_by_an_editor_is_read_anew()
    {
        Write("a.log", "one\ntwo\nthree\n");
        Start();
        await ExpectAsync("one", "two", "three");
        Write("a.tmp", "ONE\ntwo\nthree\n"); // sed -i
        File.Move(At("a.tmp"), At("a.log"), overwrite: true);
        await ExpectAsync("one", "two", "three", "ONE", "two", "three");
    }

    [Fact]
    public async Task Case_04_A_copy_shorter_than_what_was_read_is_known_also_after_a_restart()
    {
        Options = Options with { Paths = [At("app.log*")] };
        string[] old = [.. Enumerable.Range(0, 200).Select(i => $"old line {i}")];
        Write("app.log", string.Concat(old.Select(line => line + "\n")));
        await OnceAsync();
        File.Copy(At("app.log"), At("app.log.1"));
        Append("app.log", "written after the copy\n");
        await OnceAsync();
        Truncate("app.log");
        Append("app.log", "new\n");
        await OnceAsync();
        await OnceAsync();
        Assert.Equal([.. old, "written after the copy", "new"], Context.Bodies);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Case_38_A_copy_that_somebody_made_is_read_only_when_asked_for(bool readCopies)
    {
        var time = new FakeTimeProvider(DateTimeOffset.UtcNow);
        Context = new TailContext { Time = time };
        Options = Options with { Paths = [At("app*")], ReadCopies = readCopies, PollInterval = TimeSpan.FromSeconds(1) };
        Write("app.log", "one\ntwo\n");
        Start();
        await WaitForAsync(() => Advance(time) && Context.Bodies.Length == 2, "the original");
        File.Copy(At("app.log"), At("app.log.restored"));
        Write("app.log.other", "one\ndifferent\n");
        await WaitForAsync(() => Advance(time) && Context.GetOrigins().Count == 3, "all three");
        Append("app.log.restored", "three\n");
        await WaitForAsync(() => Advance(time) && Context.Bodies.Contains("three"), "what was added to the copy");
        string[] expected = readCopies ? ["different", "one", "one", "one", "three", "two", "two"] : ["different", "one", "one", "three", "two"];
        Assert.Equal(expected, Context.Bodies.Order());
        Assert.Equal(readCopies ? 0 : 1, Context.Messages.Count(message => message.Contains("is a copy of", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Case_39_Where_the_channel_remembers_nothing_the_configuration_says_where_to_start()
    {
        Write("a.log", "one\n");
        await OnceAsync();
        Context = new TailContext(); // the data directory is gone
        await OnceAsync();
        Assert.Equal(["one"], Context.Bodies);
        Context = new TailContext();
        Options = Options with { From = TailFrom.End };
        await OnceAsync();
        Append("a.log", "two\n");
        await OnceAsync();
        Assert.Equal(["two"], Context.Bodies);
    }

    [LinuxFact]
    public async Task Case_40_Following_a_file_locks_it_for_nobody()
    {
        Write("a.log", "one\n");
        Start();
        await ExpectAsync("one");
        Assert.Contains(Directory.GetFiles("/proc/self/fd"), fd => new FileInfo(fd).LinkTarget == At("a.log"));
        using var other = Process.Start("flock", ["--nonblock", "--exclusive", At("a.log"), "true"]);
        await other.WaitForExitAsync();
        Assert.Equal(0, other.ExitCode);
    }

    private async Task PackAsync(string from, string to, int members)
    {
        byte[] text = await File.ReadAllBytesAsync(At(from));
        await using var file = new FileStream(At(to), FileMode.Create, FileAccess.Write, FileShare.ReadWrite);
        for (int i = 0; i < members; i++)
        {
            await using var member = new GZipStream(file, CompressionLevel.Fastest, leaveOpen: true);
            await member.WriteAsync(text.AsMemory(text.Length / members * i, i == members - 1 ? text.Length - (text.Length / members * i) : text.Length / members));
        }
    }
}
