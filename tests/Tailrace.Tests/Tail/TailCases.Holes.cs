using System.Text;
using Tailrace.Files;

namespace Tailrace.Tests.Tail;

public sealed partial class TailCases
{
    private static string Nuls(int count) => new('\0', count);

    [Theory]
    [InlineData(100)]
    [InlineData(5_000)]
    [InlineData(3_000_000)]
    public async Task Case_07_A_hole_that_a_writer_leaves_who_did_not_notice_a_truncation_is_passed_over_and_counted(int size)
    {
        Options = Options with { BatchSize = new ByteSize(64 << 10), MaxEventSize = new ByteSize(4096) };
        await using var writer = new FileStream(At("a.log"), FileMode.Create, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete, 1);
        await writer.WriteAsync(Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat("123456789\n", size / 10))));
        Start();
        await WaitForAsync(() => Context.Bodies.Length == size / 10, "the lines before");
        Truncate("a.log");
        await writer.WriteAsync("behind\nmore\n"u8.ToArray());
        await WaitForAsync(() => Context.Bodies.Length == (size / 10) + 2, "the lines behind the hole");
        Assert.Equal(["behind", "more"], Context.Bodies[^2..]);
        Assert.Equal([$"tailrace.nul_bytes={size}", ""], Context.Headers[^2..]);
        Assert.Equal(size + 12, Context.GetOrigins()[^1].Position);
    }

    [Fact]
    public async Task Case_07_A_sparse_gibibyte_is_passed_over_at_once()
    {
        await using (var writer = new FileStream(At("a.log"), FileMode.Create, FileAccess.Write, FileShare.ReadWrite, 1))
        {
            writer.Position = 1L << 30;
            await writer.WriteAsync("behind\n"u8.ToArray());
        }

        await OnceAsync();
        Assert.Equal(["behind"], Context.Bodies);
        Assert.Equal([$"tailrace.nul_bytes={1L << 30}"], Context.Headers);
        if (OperatingSystem.IsLinux())
        {
            Assert.InRange(Context.Advances.Count, 1, 10);
        }
    }

    [Fact]
    public async Task Case_08_A_block_of_zeros_that_a_power_cut_left_waits_for_what_comes_behind_it()
    {
        Write("a.log", $"one\nhalf{Nuls(4096)}");
        Start();
        await ExpectAsync("one");
        await SettleAsync();
        Assert.Equal(2, Context.Bodies.Length);
        await StopAsync();
        Start();
        Append("a.log", "two\nthree\n");
        await WaitForAsync(() => Context.Bodies.Length == 5, "the lines");
        Assert.Equal(["half", "two", "three"], Context.Bodies[2..]);
        Assert.Equal(["", "tailrace.nul_bytes=4096", ""], Context.Headers[2..]);
    }

    [Fact]
    public async Task Case_08_Zeros_that_become_text_are_read_as_text()
    {
        Write("a.log", $"one\n{Nuls(40)}");
        Start();
        await ExpectAsync("one");
        await SettleAsync();
        using (var file = new FileStream(At("a.log"), FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
        {
            file.Position = 4;
            file.Write(Encoding.ASCII.GetBytes(new string('x', 40) + "\n"));
        }

        await WaitForAsync(() => Context.Bodies.Contains(new string('x', 40)), "the line in the place of the zeros");
        Assert.DoesNotContain(Context.Headers, headers => headers.Contains("nul_bytes", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("a\n{8}b\n", "a|b", "|tailrace.nul_bytes=8")]
    [InlineData("a\n{7}b\n", "a|{7}b", "|")]
    [InlineData("a{5000}b\n", "a|b", "|tailrace.nul_bytes=5000")]
    [InlineData("a{9}", "a", "")]
    [InlineData("{9}", null, null)]
    [InlineData("a\n{20}", "a", "")]
    [InlineData("{9}\nb{9}c{9}d\r\n{9}", "|b|c|d", "tailrace.nul_bytes=9||tailrace.nul_bytes=9|tailrace.nul_bytes=9")]
    public async Task Case_08_Eight_zeros_in_a_row_are_a_hole_and_fewer_are_data(string text, string? bodies, string? headers)
    {
        static string Fill(string text) => System.Text.RegularExpressions.Regex.Replace(text, @"\{(\d+)\}", match => Nuls(int.Parse(match.Groups[1].Value, null)));

        Options = Options with { BatchSize = new ByteSize(4096), MaxEventSize = new ByteSize(1024) };
        Write("a.log", Fill(text));
        await OnceAsync();
        Assert.Equal(bodies is null ? [] : Fill(bodies).Split('|'), Context.Bodies);
        Assert.Equal(headers is null ? [] : headers.Split('|'), Context.Headers);
        Assert.Equal(Fill(text).Length, Assert.Single(Context.GetOrigins()).Position);
    }

    [Fact]
    public async Task Case_08_A_hole_in_Utf16_is_passed_over_too()
    {
        WriteBytes("a.log", [.. Encoding.Unicode.GetPreamble(), .. Encoding.Unicode.GetBytes($"a{Nuls(100)}b\nc\n")]);
        await OnceAsync();
        Assert.Equal(["a", "b", "c"], Context.Bodies);
    }

    [Theory]
    [InlineData("\n")]
    [InlineData("\r\n")]
    [InlineData("")]
    public async Task Case_20_An_overlong_line_is_truncated_and_the_next_is_whole(string end)
    {
        Options = Options with { MaxEventSize = new ByteSize(1024), BatchSize = new ByteSize(4096), LongLines = LongLines.Truncate };
        foreach (int length in (int[])[1024, 1025, 3000, 4096, 50_000])
        {
            Context = new TailContext();
            Write("a.log", $"before\n{new string('x', length)}{end}{(end.Length > 0 ? "after\n" : "")}");
            await OnceAsync();
            string[] after = end.Length > 0 ? ["after"] : [];
            Assert.Equal(["before", new string('x', 1024), .. after], Context.Bodies);
            Assert.Equal(length > 1024 ? "tailrace.truncated=true" : "", Context.Headers[1], ignoreCase: true);
            Assert.Equal(new FileInfo(At("a.log")).Length, Assert.Single(Context.GetOrigins()).Position);
        }
    }

    [Fact]
    public async Task Case_20_Parts_of_a_split_line_are_numbered_also_over_a_restart()
    {
        Options = Options with { MaxEventSize = new ByteSize(1024), BatchSize = new ByteSize(4096) };
        Write("a.log", new string('x', 6000));
        Start();
        await WaitForAsync(() => Context.Bodies.Length == 5, "five parts");
        await StopAsync();
        Append("a.log", "y\nnext\n");
        Start();
        await WaitForAsync(() => Context.Bodies.Length == 7, "the rest");
        Assert.Equal(["tailrace.part=1", "tailrace.part=2", "tailrace.part=3", "tailrace.part=4", "tailrace.part=5", "tailrace.part=6", ""], Context.Headers);
        Assert.Equal([new string('x', 880) + "y", "next"], Context.Bodies[5..]);
    }

    [Fact]
    public async Task Case_22_A_byte_order_mark_is_dropped_at_the_start_only_also_after_a_truncation()
    {
        Write("a.log", "\u00EF\u00BB\u00BFone\n\u00EF\u00BB\u00BFtwo\n");
        Start();
        await ExpectAsync("one", "\u00EF\u00BB\u00BFtwo");
        Truncate("a.log");
        Append("a.log", "\u00EF\u00BB\u00BFthree\n");
        await ExpectAsync("one", "\u00EF\u00BB\u00BFtwo", "three");
    }

    [Fact]
    public async Task Case_24_Any_bytes_come_out_as_they_are()
    {
        byte[] bytes = new byte[200_000];
        new Random(5).NextBytes(bytes);
        WriteBytes("a.log", [(byte)'x', .. bytes, (byte)'y', (byte)'\n']);
        Options = Options with { BatchSize = new ByteSize(16 << 10) };
        await OnceAsync();
        string text = Encoding.Latin1.GetString([(byte)'x', .. bytes, (byte)'y']);
        Assert.Equal(text.Replace("\r\n", "\n", StringComparison.Ordinal).Split('\n'), Context.Bodies);
    }
}
