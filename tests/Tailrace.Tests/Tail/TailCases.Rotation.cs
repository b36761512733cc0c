using Microsoft.Extensions.Time.Testing;

namespace Tailrace.Tests.Tail;

public sealed partial class TailCases : TailTest
{
    [Theory]
    [InlineData("app.log")]
    [InlineData("app.log*")]
    public async Task Case_01_A_file_renamed_while_running_is_read_to_its_end_and_its_successor_from_the_start(string pattern)
    {
        Options = Options with { Paths = [At(pattern)] };
        Write("app.log", "one\n");
        Start();
        await ExpectAsync("one");
        File.Move(At("app.log"), At("app.log.1"));
        Append("app.log.1", "two\n");
        Write("app.log", "three\n");
        Append("app.log.1", "four\n");
        await WaitForAsync(() => Context.Bodies.Length >= 4, "four events");
        Assert.Equal(["four", "one", "three", "two"], Context.Bodies.Order());
        Append("app.log.1", "late\n");
        await WaitForAsync(() => Context.Bodies.Length >= 5, "a late line of the renamed file");
        await StopAsync();
        Start();
        await SettleAsync("app.log");
        Assert.Equal(6, Context.Bodies.Length);
        Assert.Equal(2, Context.GetOrigins().Count);
    }

    [Theory]
    [InlineData("app.log", "app.log.1")]
    [InlineData("app.log*", "app.log.1")]
    [InlineData("app.log", "app.log-20261122")]
    [InlineData("app.log", "app-2026-11-22.log")]
    public async Task Case_02_A_file_renamed_while_down_is_found_again_by_its_identity(string pattern, string rotated)
    {
        Options = Options with { Paths = [At(pattern)] };
        Write("app.log", "one\n");
        await OnceAsync();
        Append("app.log", "two\n");
        File.Move(At("app.log"), At(rotated));
        Append(rotated, "three\n");
        Write("app.log", "four\n");
        Start();
        await WaitForAsync(() => Context.Bodies.Length >= 4, "four events");
        await StopAsync();
        await OnceAsync();
        Assert.Equal(["one", "two", "three"], Context.Bodies.Where(body => body != "four"));
        Assert.Equal(4, Context.Bodies.Length);
    }

    [Fact]
    public async Task Case_02_A_file_renamed_while_down_to_any_name_a_pattern_matches_is_not_read_again()
    {
        Write("a.log", "one\n");
        await OnceAsync();
        File.Move(At("a.log"), At("other.log"));
        Append("other.log", "two\n");
        await OnceAsync();
        Assert.Equal(["one", "two"], Context.Bodies);
    }

    [Fact]
    public async Task Case_34_Files_are_found_and_held_while_the_channel_takes_nothing()
    {
        Write("a.log", "one\n");
        using var gate = new SemaphoreSlim(0);
        Context.BeforeAppend = async (_, token) => await gate.WaitAsync(token);
        Options = Options with { BatchSize = new ByteSize(8 << 20) };
        Start();
        await WaitForAsync(() => Context.Appending == 1, "the first append");
        for (int i = 0; i < 5; i++)
        {
            Write("b.log", $"{i}\n");
            await WaitForAsync(() => Context.Messages.Count(message => message.Contains("Following", StringComparison.Ordinal)) == i + 2, "the file found");
            File.Delete(At("b.log"));
            await WaitForAsync(() => Context.Messages.Count(message => message.Contains("was renamed or deleted", StringComparison.Ordinal)) == i + 1, "its deletion seen");
        }

        gate.Release(100);
        await WaitForAsync(() => Context.Bodies.Length == 6, "all that was written");
        Assert.Equal(["0", "1", "2", "3", "4", "one"], Context.Bodies.Order());
    }

    [Fact]
    public async Task Case_09_A_deleted_file_is_read_to_its_end_and_its_last_line_comes_after_the_wait()
    {
        var time = new FakeTimeProvider();
        Context = new TailContext { Time = time };
        Options = Options with { RotateWait = TimeSpan.FromSeconds(30), PollInterval = TimeSpan.FromSeconds(1) };
        await using var writer = new FileStream(At("a.log"), FileMode.Create, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete, 1);
        await writer.WriteAsync("one\n"u8.ToArray());
        Start();
        await WaitForAsync(() => Advance(time) && Context.Bodies.Length == 1, "the first line");
        File.Delete(At("a.log"));
        await writer.WriteAsync("two\nlast"u8.ToArray());
        await WaitForAsync(() => Advance(time) && Context.Bodies.Length == 2, "the line written after the delete");
        DateTimeOffset end = time.GetUtcNow();
        await WaitForAsync(() => Advance(time) && Context.Bodies.Length == 3, "the last line");
        Assert.Equal(["one", "two", "last"], Context.Bodies);
        Assert.InRange(time.GetUtcNow() - end, TimeSpan.FromSeconds(28), TimeSpan.FromHours(1));
        await WaitForAsync(() => Advance(time) && Context.Messages.Any(message => message.Contains("is closed", StringComparison.Ordinal)), "its closing");
    }

    [Fact]
    public async Task Case_36_A_truncated_file_is_read_again_from_its_start_as_a_new_generation()
    {
        Write("a.log", "one\ntwo\n");
        Start();
        await ExpectAsync("one", "two");
        Truncate("a.log");
        Append("a.log", "new\n");
        await ExpectAsync("one", "two", "new");
        await WaitForLogAsync("was truncated or rewritten");
        Assert.Equal([4, 8], Context.GetOrigins().Select(origin => origin.Position).Order());
        await StopAsync();
        Append("a.log", "more\n");
        Start();
        await ExpectAsync("one", "two", "new", "more");
    }

    [Theory]
    [InlineData("one\ntwo\nthree\n", "ONE\nTWO\nTHREE\nFOUR\n")]
    [InlineData("header\none\n", "header\nONE\nTWO\n")]
    [InlineData("header\none\n", "header\nONE\n")]
    public async Task Case_05_A_file_truncated_and_grown_again_beyond_the_old_end_is_known_by_its_anchor(string before, string after)
    {
        Write("a.log", before);
        Start();
        string[] first = before.TrimEnd('\n').Split('\n');
        await ExpectAsync(first);
        Overwrite("a.log", after);
        await ExpectAsync([.. first, .. after.TrimEnd('\n').Split('\n')]);
    }

    [Fact]
    public async Task Case_05_A_file_truncated_and_grown_again_while_down_is_read_from_its_start()
    {
        Write("a.log", "one\ntwo\n");
        await OnceAsync();
        Truncate("a.log");
        Append("a.log", "three\nfour\nfive\n");
        await OnceAsync();
        Assert.Equal(["one", "two", "three", "four", "five"], Context.Bodies);
        await OnceAsync();
        Assert.Equal(5, Context.Bodies.Length);
    }

    [Fact]
    public async Task Case_10_An_inode_used_again_is_a_new_file()
    {
        Write("a.log", "one\ntwo\n");
        await OnceAsync();
        for (int i = 0; i < 20; i++)
        {
            File.Delete(At("a.log"));
            Write("a.log", $"other {i}\nlonger than before\n");
            await OnceAsync();
        }

        Assert.Equal(42, Context.Bodies.Length);
        Assert.Equal(["one", "two", "other 0", "longer than before"], Context.Bodies[..4]);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Case_04_A_copy_made_before_a_truncation_is_a_continuation(bool running)
    {
        Options = Options with { Paths = [At("app.log*")] };
        Write("app.log", "one\ntwo\n");
        Start();
        await ExpectAsync("one", "two");
        if (!running)
        {
            await StopAsync();
            Append("app.log", "three\n");
        }

        File.Copy(At("app.log"), At("app.log.1"));
        Truncate("app.log");
        Append("app.log", "four\n");
        if (!running)
        {
            Start();
        }

        string[] all = running ? ["one", "two", "four"] : ["four", "one", "three", "two"];
        await WaitForAsync(() => Context.Bodies.Length >= all.Length, "all events");
        await SettleAsync("app.log");
        Assert.Equal(all.Order(), Context.Bodies.Where(body => !body.StartsWith("marker", StringComparison.Ordinal)).Order());
    }

    [Fact]
    public async Task Case_04_What_was_not_read_before_a_truncation_is_read_from_a_copy_that_no_pattern_matches()
    {
        Options = Options with { Paths = [At("app.log")] };
        Write("app.log", "one\n");
        await OnceAsync();
        Append("app.log", "two\n");
        File.Copy(At("app.log"), At("app.log.1"));
        Truncate("app.log");
        Append("app.log", "three\n");
        await OnceAsync();
        Assert.Equal(["one", "three", "two"], Context.Bodies.Order());
        await OnceAsync();
        Assert.Equal(3, Context.Bodies.Length);
    }

    [Fact]
    public async Task Case_04_A_shorter_copy_of_what_was_read_before_a_truncation_is_not_read_again()
    {
        Options = Options with { Paths = [At("app.log*")] };
        Write("app.log", "one\ntwo\n");
        Start();
        await ExpectAsync("one", "two");
        File.Copy(At("app.log"), At("app.log.1"));
        Append("app.log", "three\n");
        await ExpectAsync("one", "two", "three");
        Truncate("app.log");
        Append("app.log", "four\n");
        await ExpectAsync("one", "two", "three", "four");
        await WaitForLogAsync("is a copy of what was read");
        await SettleAsync("app.log");
        Assert.Equal(5, Context.Bodies.Length);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Case_37_A_file_replaced_by_one_with_the_same_lines_and_more_goes_on(bool running)
    {
        Write("a.log", "one\ntwo\n");
        Start();
        await ExpectAsync("one", "two");
        if (!running)
        {
            await StopAsync();
        }

        Write("a.tmp", "one\ntwo\nthree\n");
        File.Move(At("a.tmp"), At("a.log"), overwrite: true);
        if (!running)
        {
            Start();
        }

        await ExpectAsync("one", "two", "three");
        Append("a.log", "four\n");
        await ExpectAsync("one", "two", "three", "four");
        Assert.Single(Context.GetOrigins());
    }

    [Fact]
    public async Task Case_13_Two_files_with_the_same_content_are_both_read_whatever_happens_to_one()
    {
        Write("a.log", "same\n");
        Write("b.log", "same\n");
        await OnceAsync();
        Assert.Equal(["same", "same"], Context.Bodies);
        File.Delete(At("a.log"));
        Write("c.log", "same\n");
        await OnceAsync();
        Assert.Equal(["same", "same", "same"], Context.Bodies);
    }

    [Fact]
    public async Task Case_14_A_hard_link_and_a_symbolic_link_are_read_once()
    {
        if (OperatingSystem.IsWindows())
        {
            Console.WriteLine("Skipped: making symbolic links needs a privilege on Windows.");
            return;
        }

        Write("a.log", "one\n");
        File.CreateSymbolicLink(At("b.log"), At("a.log"));
        using var link = System.Diagnostics.Process.Start("ln", [At("a.log"), At("c.log")]);
        await link.WaitForExitAsync();
        Start();
        await ExpectAsync("one");
        Append("c.log", "two\n");
        await ExpectAsync("one", "two");
        Assert.Single(Context.GetOrigins());
    }

    [Fact]
    public async Task Case_15_A_link_that_is_switched_leaves_the_old_target_to_be_read_to_its_end()
    {
        if (OperatingSystem.IsWindows())
        {
            Console.WriteLine("Skipped: making symbolic links needs a privilege on Windows.");
            return;
        }

        Options = Options with { Paths = [At("current.log")], PollInterval = TimeSpan.FromMilliseconds(100) };
        Write("first", "one\n");
        File.CreateSymbolicLink(At("current.log"), At("first"));
        Start();
        await ExpectAsync("one");
        Write("second", "three\n");
        File.Delete(At("current.log"));
        File.CreateSymbolicLink(At("current.log"), At("second"));
        Append("first", "two\n");
        await WaitForAsync(() => Context.Bodies.Length == 3, "both");
        Assert.Equal(["one", "three", "two"], Context.Bodies.Order());
    }

    private static bool Advance(FakeTimeProvider time)
    {
        time.Advance(TimeSpan.FromSeconds(1));
        return true;
    }
}
