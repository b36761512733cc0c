using System.Text;

using Tailrace.Files;

namespace Tailrace.Tests.Tail;

/// <summary>The hard cases of following files, by their numbers in docs/tail.md: exact bytes and order.</summary>
public sealed partial class TailCases
{
    [Fact]
    public async Task Case_19_Lines_come_as_they_are_written_and_a_partial_line_waits_for_its_end()
    {
        Write("a.log", "one\ntw");
        Start();
        await ExpectAsync("one");
        Append("a.log", "o\nthree");
        await ExpectAsync("one", "two");
        Append("a.log", "\n");
        await ExpectAsync("one", "two", "three");
    }

    [Fact]
    public async Task Case_19_A_line_that_grows_for_a_long_time_comes_whole()
    {
        Options = Options with { MaxEventSize = new ByteSize(1 << 20) };
        Write("a.log", "");
        Start();
        var line = new StringBuilder();
        for (int i = 0; i < 100; i++)
        {
            string part = new((char)('a' + (i % 26)), 3_000);
            line.Append(part);
            Append("a.log", part);
            if (i % 10 == 0)
            {
                await SettleAsync();
            }
        }

        Append("a.log", "\nnext\n");
        await WaitForAsync(() => Context.Bodies.Contains("next"), "the line behind");
        Assert.Equal([line.ToString(), "next"], Context.Bodies.Where(body => !body.StartsWith("marker", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Case_17_With_from_end_only_lines_that_begin_later_come_and_a_restart_knows_where()
    {
        Options = Options with { From = TailFrom.End };
        Write("a.log", "old\nhalf");
        Write("empty.log", "");
        Start();
        await WaitForAsync(() => Context.GetOrigins().Count == 2, "a position at first sight");
        Assert.Equal([0, 8], Context.GetOrigins().Select(origin => origin.Position).Order());
        await StopAsync();
        Append("a.log", " a line\nnew\n");
        Append("empty.log", "not empty\n");
        Write("later.log", "from its start\n");
        Start();
        await WaitForAsync(() => Context.Bodies.Length >= 3, "three events");
        Assert.Equal(["from its start", "new", "not empty"], Context.Bodies.Order());
    }

    [Fact]
    public async Task Case_26_More_files_than_may_be_open_are_all_read()
    {
        Options = Options with { MaxOpenFiles = 3 };
        for (int i = 0; i < 20; i++)
        {
            Write($"{i:D2}.log", $"first {i:D2}\n");
        }

        Start();
        await WaitForAsync(() => Context.Bodies.Length == 20, "the first lines");
        for (int i = 0; i < 20; i++)
        {
            Append($"{i:D2}.log", $"second {i:D2}\n");
        }

        await WaitForAsync(() => Context.Bodies.Length >= 40, "the second lines");
        File.Move(At("19.log"), At("19.log.1"));
        Append("19.log.1", "third 19\n");
        await WaitForAsync(() => Context.Bodies.Contains("third 19"), "a line of one that was renamed while closed");
        Assert.Equal(41, Context.Bodies.Distinct().Count());
        Assert.Equal(41, Context.Bodies.Length);
        if (OperatingSystem.IsLinux())
        {
            Assert.InRange(Directory.GetFiles("/proc/self/fd").Count(fd => (new FileInfo(fd).LinkTarget ?? "").StartsWith(Folder, StringComparison.Ordinal)), 0, 5);
        }
    }
}
