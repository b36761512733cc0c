using System.Diagnostics;
using System.Text;
using Tailrace.Files;

namespace Tailrace.Tests.Tail;

public sealed partial class TailCases : TailTest
{
    [Theory]
    [InlineData("a\r\nb\r\n", "a|b")]
    [InlineData("a\r\nb\nc\r\n\r\n\nd\r\r\n", "a|b|c|||d\r")]
    [InlineData("a\rb\n", "a\rb")]
    [InlineData("\r\n", "")]
    [InlineData("\n\n", "|")]
    [InlineData("a\r", "a\r")]
    [InlineData("\u00EF\u00BB\u00BFa\nb\u00EF\u00BB\u00BF\n", "a|b\u00EF\u00BB\u00BF")]
    [InlineData("\u00EF\u00BB\u00BF\n", "")]
    [InlineData("a\0b\n\0\n\u0080\u00FF\u00FE\n", "a\0b|\0|\u0080\u00FF\u00FE")]
    [InlineData("\u00EF\u00BB", "\u00EF\u00BB")]
    public async Task Case_21_A_line_loses_its_end_and_a_file_its_mark_and_nothing_else_changes(string text, string bodies)
    {
        Write("a.log", text);
        await OnceAsync();
        Assert.Equal(bodies.Split('|'), Context.Bodies);
        Assert.Equal(text.Length, Assert.Single(Context.GetOrigins()).Position);
    }

    [Fact]
    public async Task Case_21_A_return_at_the_end_of_what_is_there_waits_for_its_line_feed()
    {
        Write("a.log", "one\r");
        Start();
        await SettleAsync();
        Append("a.log", "\ntwo\r");
        await WaitForAsync(() => Context.Bodies.Contains("one"), "the line");
        Append("a.log", "x\r\n");
        await WaitForAsync(() => Context.Bodies.Contains("two\rx"), "the next line");
        Assert.Equal(3, Context.Bodies.Length);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Case_23_Utf16_is_told_by_its_mark_and_becomes_Utf8_also_after_a_restart(bool bigEndian)
    {
        var encoding = new UnicodeEncoding(bigEndian, byteOrderMark: true);
        byte[] start = [.. encoding.GetPreamble(), .. encoding.GetBytes("Grüße 日本 😀\r\n\u0A0A\u0D0A\nhalf")];
        WriteBytes("a.log", start[..^1]); // ends in the middle of a character
        Start();
        await ExpectUtf8Async("Grüße 日本 😀", "\u0A0A\u0D0A");
        await StopAsync();
        OriginId origin = Context.GetOrigins()[0].Origin;
        Assert.Equal(bigEndian ? "utf-16be" : "utf-16le", Context.Attribute(origin, "encoding"));
        Assert.Equal(0, Context.GetOrigins()[0].Position % 2);
        Start();
        byte[] rest = encoding.GetBytes(" done\nlast");
        await AppendBytesAsync("a.log", [start[^1], .. rest[..3]]);
        await SettleAsync();
        await AppendBytesAsync("a.log", rest[3..]);
        await WaitForAsync(() => Context.Bodies.Contains("half done"), "the line");
        await StopAsync();
        await OnceAsync();
        Assert.Equal(["half done", "last"], Context.Bodies[2..].Where(body => !body.StartsWith("marker", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData(1024, 1)]
    [InlineData(1025, 2)]
    [InlineData(2048, 2)]
    [InlineData(2049, 3)]
    [InlineData(50_000, 49)]
    public async Task Case_20_A_line_longer_than_an_event_becomes_several_in_order(int length, int parts)
    {
        Options = Options with { MaxEventSize = new ByteSize(1024), BatchSize = new ByteSize(4096) };
        foreach (string end in (string[])["\n", "\r\n", ""])
        {
            Context = new TailContext();
            string line = string.Create(length, 0, (span, _) =>
            {
                for (int i = 0; i < span.Length; i++)
                {
                    span[i] = (char)('a' + (i % 23));
                }
            });
            Write("a.log", "before\n" + line + (end.Length == 0 ? "" : end + "after\n"));
            await OnceAsync();
            string[] bodies = end.Length == 0 ? Context.Bodies[1..] : Context.Bodies[1..^1];
            Assert.Equal(parts, bodies.Length);
            Assert.All(bodies[..^1], body => Assert.Equal(1024, body.Length));
            Assert.Equal(line, string.Concat(bodies));
            Assert.Equal("before", Context.Bodies[0]);
            Assert.Equal(end.Length == 0 ? bodies[^1] : "after", Context.Bodies[^1]);
        }
    }

    [Fact]
    public async Task Case_20_A_line_longer_than_a_batch_but_not_than_an_event_comes_whole()
    {
        Options = Options with { MaxEventSize = new ByteSize(1 << 20), BatchSize = new ByteSize(4096) };
        string line = new('x', 300_000);
        Write("a.log", $"a\n{line}\nb\n{line}\r\n");
        await OnceAsync();
        Assert.Equal(["a", line, "b", line], Context.Bodies);
    }

    [Fact]
    public async Task Case_20_An_overlong_line_of_Utf16_is_split_between_characters()
    {
        Options = Options with { MaxEventSize = new ByteSize(1025) };
        string text = "x" + string.Concat(Enumerable.Repeat("😀", 1000));
        WriteBytes("a.log", [.. Encoding.Unicode.GetPreamble(), .. Encoding.Unicode.GetBytes(text + "\n")]);
        await OnceAsync();
        Assert.Equal(4, Context.Bodies.Length);
        Assert.Equal(text, string.Concat(Context.Bodies.Select(Utf8)));
    }

    [Fact]
    public async Task Case_20_An_overlong_line_that_grows_is_split_as_it_grows_and_a_kill_changes_nothing()
    {
        Options = Options with { MaxEventSize = new ByteSize(1024), BatchSize = new ByteSize(4096) };
        string line = string.Concat(Enumerable.Range(0, 2000).Select(i => $"{i:D5}"));
        Write("a.log", line[..1500]);
        Start();
        await ExpectAsync(line[..1024]);
        await StopAsync();
        Append("a.log", line[1500..3000]);
        Start();
        await ExpectAsync(line[..1024], line[1024..2048]);
        Append("a.log", line[3000..] + "\nafter\n");
        await WaitForAsync(() => Context.Bodies.Contains("after"), "the line behind");
        Assert.Equal(line, string.Concat(Context.Bodies[..^1]));
        Assert.All(Context.Bodies[..^2], body => Assert.Equal(1024, body.Length));
    }

    [Fact]
    public async Task Batches_fit_their_size_whatever_the_lines_are()
    {
        var random = new Random(3);
        var text = new StringBuilder();
        while (text.Length < 600_000)
        {
            text.Append('x', random.Next(10) switch { 0 => 5000, 1 => 0, _ => random.Next(300) }).Append(random.Next(4) == 0 ? "\r\n" : "\n");
        }

        Write("a.log", text.ToString());
        Options = Options with { BatchSize = new ByteSize(64 << 10), MaxEventSize = new ByteSize(4096) };
        await OnceAsync();
        Assert.Equal(text.Replace("\r\n", "\n").ToString().Replace("\n", "", StringComparison.Ordinal), string.Concat(Context.Bodies));
        Assert.All(Context.Advances, advance => Assert.InRange(advance.To - advance.From, 0, 64 << 10));
    }

    [Fact]
    public void Reading_lines_allocates_nothing_per_line()
    {
        Write("few.log", string.Concat(Enumerable.Repeat(new string('x', 9_999) + "\n", 80)));
        Write("many.log", string.Concat(Enumerable.Repeat(new string('x', 9) + "\n", 80_000)));
        using var reader = new LineReader("logs", Options, TimeProvider.System);
        ReadAll(reader, "many.log");
        ReadAll(reader, "few.log");
        Assert.InRange(ReadAll(reader, "many.log"), 0, 50_000); // about what a batch takes, for 80,000 lines
        Assert.InRange(ReadAll(reader, "few.log"), 0, 50_000);
    }

    [Fact]
    public async Task Case_35_Directories_pipes_and_loops_are_told_once_and_stop_nothing()
    {
        if (OperatingSystem.IsWindows())
        {
            Console.WriteLine("Skipped: there are no named pipes in directories on Windows.");
            return;
        }

        Directory.CreateDirectory(At("dir.log"));
        using var make = Process.Start("mkfifo", [At("pipe.log")]);
        await make.WaitForExitAsync();
        File.CreateSymbolicLink(At("loop.log"), At("loop.log"));
        Write("a.log", "one\n");
        Options = Options with { Paths = [At("*.log"), At("dir.log")] };
        Start();
        await ExpectAsync("one");
        await SettleAsync();
        await WaitForAsync(() => Context.Reports.Count > 0, "a report");
        Assert.Equal(ComponentStatus.Degraded, Context.Reports[^1].Status);
        Assert.Contains("(and 2 more)", Context.Reports[^1].Reason, StringComparison.Ordinal);
        Assert.Equal(3, Context.Messages.Count(message => message.StartsWith("Warning", StringComparison.Ordinal)));
        File.Delete(At("pipe.log"));
        File.Delete(At("loop.log"));
        Directory.Delete(At("dir.log"));
        Write("pipe.log", "two\n");
        await WaitForAsync(() => Context.Reports[^1].Status == ComponentStatus.Running, "the all-clear");
        await WaitForAsync(() => Context.Bodies.Contains("two"), "the file in the pipe's place");
    }

    [Fact]
    public async Task Case_35_A_file_that_may_not_be_read_is_told_and_read_as_soon_as_it_may()
    {
        if (OperatingSystem.IsWindows() || Environment.IsPrivilegedProcess)
        {
            Console.WriteLine("Skipped: permissions do not bind this user.");
            return;
        }

        Write("a.log", "one\n");
        File.SetUnixFileMode(At("a.log"), UnixFileMode.None);
        Start();
        await WaitForLogAsync("cannot be read");
        File.SetUnixFileMode(At("a.log"), UnixFileMode.UserRead);
        await ExpectAsync("one");
    }

    [Fact]
    public async Task Once_fails_after_delivering_the_rest_if_something_cannot_be_read()
    {
        if (OperatingSystem.IsWindows())
        {
            Console.WriteLine("Skipped: making symbolic links needs a privilege on Windows.");
            return;
        }

        Write("a.log", "one\n");
        File.CreateSymbolicLink(At("loop.log"), At("loop.log"));
        IOException failure = await Assert.ThrowsAsync<IOException>(OnceAsync);
        Assert.Contains("loop.log", failure.Message, StringComparison.Ordinal);
        Assert.Equal(["one"], Context.Bodies);
    }

    private static string Utf8(string latin1) => Encoding.UTF8.GetString(Encoding.Latin1.GetBytes(latin1));

    private Task ExpectUtf8Async(params string[] bodies) => ExpectAsync([.. bodies.Select(body => Encoding.Latin1.GetString(Encoding.UTF8.GetBytes(body)))]);

    private async Task AppendBytesAsync(string name, byte[] bytes)
    {
        await using var file = new FileStream(At(name), FileMode.Append, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete);
        await file.WriteAsync(bytes);
    }

    private long ReadAll(LineReader reader, string name)
    {
        using LogFile handle = LogFile.TryOpen(At(name), out _)!;
        var file = new TailedFile(new RememberedFile(OriginId.New(), 0, [], FileMarks.New(At(name), handle.Identity, 0)), At(name), handle, stored: false);
        long before = GC.GetAllocatedBytesForCurrentThread();
        using EventBatch? batch = reader.Read(file, handle.Length, final: false, out _);
        long after = GC.GetAllocatedBytesForCurrentThread();
        Assert.Equal(handle.Length, file.Position);
        return after - before;
    }
}
