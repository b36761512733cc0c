using System.Globalization;
using System.Text;
using CsCheck;
using Microsoft.Extensions.Time.Testing;
using Tailrace.Files;

namespace Tailrace.Tests.Tail;

public sealed partial class TailCases
{
    private const string Day = "2026-11-23T10:00:00";

    private static string Docker(string text, string stream = "stdout", int second = 0) =>
        $"{{\"log\":{System.Text.Json.JsonSerializer.Serialize(text)},\"stream\":\"{stream}\",\"attrs\":{{\"a\":\"b\"}},\"time\":\"2026-11-23T10:00:0{second}.123456789Z\"}}\n";

    [Fact]
    public async Task Case_30_Pieces_of_a_docker_line_are_joined_per_stream()
    {
        Options = Options with { Container = ContainerFormat.Docker };
        Write("a.log", Docker("one\n") + Docker("lo", second: 1) + Docker("err\n", "stderr", 2) + Docker("n", second: 3) + Docker("g\r\n", second: 4) + Docker("tab\t\u00fc \"x\"\n"));
        await OnceAsync();
        Assert.Equal(["one", "err", "long", Encoding.Latin1.GetString(Encoding.UTF8.GetBytes("tab\t\u00fc \"x\""))], Context.Bodies);
        Assert.Equal(["stream=stdout", "stream=stderr", "stream=stdout", "stream=stdout"], Context.Headers);
        long start = LogEvent.ToTimestamp(DateTimeOffset.Parse(Day + "Z", CultureInfo.InvariantCulture)) + 123456789;
        Assert.Equal([start, start + 2_000_000_000, start + 1_000_000_000, start], Context.Timestamps);
    }

    [Fact]
    public async Task Case_30_A_json_line_that_a_crash_has_torn_is_kept_as_it_is()
    {
        Options = Options with { Container = ContainerFormat.Docker };
        Write("a.log", Docker("one\n") + "{\"log\":\"ha" + Docker("two\n") + Docker("three\n"));
        await OnceAsync();
        Assert.Equal(["one", "{\"log\":\"ha" + Docker("two\n").TrimEnd('\n'), "three"], Context.Bodies);
        Assert.Equal("tailrace.unparsed=true", Context.Headers[1]);
    }

    [Fact]
    public async Task Case_31_Pieces_of_a_cri_line_are_joined_per_stream()
    {
        Options = Options with { Container = ContainerFormat.Cri, AddOffsetHeader = true };
        string[] lines =
        [
            $"{Day}.000000001Z stdout P a",
            $"{Day}.000000002+00:00 stderr F err",
            $"{Day}.000000003Z stdout P b",
            $"{Day}.000000004Z stdout F:x c d",
            $"{Day}.000000005Z stderr F ",
            "not cri",
        ];
        Write("a.log", string.Join('\n', lines) + "\n");
        await OnceAsync();
        Assert.Equal(["err", "abc d", "", "not cri"], Context.Bodies);
        int second = lines[0].Length + 1;
        int fifth = lines[..4].Sum(line => line.Length + 1);
        Assert.Equal([$"offset={second} stream=stderr", "offset=0 stream=stdout", $"offset={fifth} stream=stderr", $"offset={fifth + lines[4].Length + 1} tailrace.unparsed=true"], Context.Headers);
        long start = LogEvent.ToTimestamp(DateTimeOffset.Parse(Day + "Z", CultureInfo.InvariantCulture));
        Assert.Equal([start + 2, start + 1, start + 5], Context.Timestamps[..3]);
    }

    [Fact]
    public async Task Case_31_An_unfinished_line_of_one_stream_neither_repeats_nor_loses_the_other_over_restarts() =>
        await Gen.Select(Gen.Int[0, 3], Gen.Int[1, 12]).Array[1, 40].SampleAsync(async (parts) =>
        {
            Context = new TailContext();
            Options = Options with { Container = ContainerFormat.Cri, PollInterval = TimeSpan.FromMilliseconds(10) };
            File.Delete(At("a.log"));
            var expected = new Dictionary<string, List<string>> { ["stdout"] = [], ["stderr"] = [] };
            var unfinished = new Dictionary<string, string> { ["stdout"] = "", ["stderr"] = "" };
            int number = 0;
            foreach ((int kind, int restart) in parts.Append((1, 1)).Append((3, 1)))
            {
                string stream = kind < 2 ? "stdout" : "stderr";
                unfinished[stream] += $"{number};";
                Append("a.log", $"{Day}Z {stream} {(kind % 2 == 0 ? 'P' : 'F')} {number++};\n");
                if (kind % 2 == 1)
                {
                    expected[stream].Add(unfinished[stream]);
                    unfinished[stream] = "";
                }

                if (restart < 4)
                {
                    await StopAsync();
                    Start();
                }
            }

            int count = expected.Values.Sum(list => list.Count);
            await WaitForAsync(() => Context.Bodies.Length >= count, $"{count} events");
            await StopAsync();
            foreach ((string stream, List<string> bodies) in expected)
            {
                Assert.Equal(bodies, Context.Bodies.Where((_, i) => Context.Headers[i] == $"stream={stream}"));
            }
        }, iter: 30, threads: 1);

    [Theory]
    [InlineData(MultilinePreset.Java, "a\nException in thread \"main\" java.lang.X: y\n\tat a.b.C.d(E.java:1)\n\t... 2 more\nCaused by: java.lang.Z: q\n\tat f\n\tSuppressed: s\nb\n", "0|1-6|7")]
    [InlineData(MultilinePreset.Dotnet, "a\nUnhandled exception. System.X: y\n ---> System.Z: q\n   at A.B()\n   --- End of inner exception stack trace ---\n   at C.D() in e.cs:line 3\nb\n", "0|1-5|6")]
    [InlineData(MultilinePreset.Python, "a\nTraceback (most recent call last):\n  File \"x.py\", line 1\n    f()\nKeyError: 1\n\nDuring handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n  File \"x.py\"\nValueError: 2\nb\nc\n", "0|1-10|11|12")]
    [InlineData(MultilinePreset.Go, "a\npanic: runtime error: x\n\ngoroutine 1 [running]:\nmain.(*T).f(0x1)\n\t/tmp/x.go:5 +0x1d\nmain.main()\n\t/tmp/x.go:9 +0x20\nexit status 2\nb\nc d\n", "0|1-8|9|10")]
    public async Task Case_32_Stack_traces_are_one_event(MultilinePreset preset, string text, string events)
    {
        Options = Options with { Multiline = new MultilineOptions { Preset = preset } };
        Write("a.log", text);
        await OnceAsync();
        string[] lines = text.TrimEnd('\n').Split('\n');
        Assert.Equal(events.Split('|').Select(range => range.Split('-')).Select(range => string.Join('\n', lines[int.Parse(range[0], null)..(int.Parse(range[^1], null) + 1)])), Context.Bodies);
    }

    [Theory]
    [InlineData(@"^\d{4}-", null, false)]
    [InlineData(null, @"^[^\d]", false)]
    [InlineData(null, null, true)]
    [InlineData(@"^(?=\d)\d{4}-", null, false)]
    public async Task Case_32_An_event_waits_for_its_lines_only_at_the_end_of_the_file_and_a_restart_reads_it_whole(string? start, string? continuation, bool indentation)
    {
        var time = new FakeTimeProvider(DateTimeOffset.UtcNow);
        Context = new TailContext { Time = time };
        Options = Options with { Multiline = new MultilineOptions { Start = start, Continuation = continuation, Indentation = indentation, Timeout = TimeSpan.FromSeconds(20) }, PollInterval = TimeSpan.FromSeconds(1) };
        Write("a.log", "2026-1\n  x\n2026-2\n");
        Start();
        await WaitForAsync(() => Advance(time) && Context.Bodies.Length == 1, "the first event");
        Assert.Equal(11, Context.GetOrigins()[0].Position);
        await StopAsync();
        Append("a.log", "  y\n  z\n");
        Start();
        DateTimeOffset begin = time.GetUtcNow();
        await WaitForAsync(() => Advance(time) && Context.Bodies.Length == 2, "the second event");
        Assert.Equal(["2026-1\n  x", "2026-2\n  y\n  z"], Context.Bodies);
        Assert.True(time.GetUtcNow() - begin >= TimeSpan.FromSeconds(20));
    }

    [Fact]
    public async Task Case_32_Memory_and_lines_of_an_event_are_bounded()
    {
        Options = Options with { MaxEventSize = new ByteSize(1024), BatchSize = new ByteSize(4096), Multiline = new MultilineOptions { Indentation = true, MaxLines = 100 } };
        string trace = "start\n" + string.Concat(Enumerable.Range(0, 500).Select(i => $" {i}\n")) + string.Concat(Enumerable.Range(0, 50).Select(i => $" {new string('x', 300)}\n"));
        Write("a.log", trace + "next\n");
        await OnceAsync();
        Assert.Equal(trace + "next\n", string.Concat(Context.Bodies.Select(body => body + "\n")));
        Assert.All(Context.Bodies, body => Assert.InRange(body.Length, 1, 1024));
        Assert.All(Context.Bodies, body => Assert.InRange(body.Count(c => c == '\n'), 0, 99));
        Assert.Equal(["", ""], Context.Headers[^2..]);
        Assert.All(Context.Headers[..^2], headers => Assert.Equal("tailrace.split=true", headers));
    }

    [Fact]
    public async Task Case_32_A_trace_is_joined_from_the_lines_of_its_own_stream()
    {
        Options = Options with { Container = ContainerFormat.Docker, Multiline = new MultilineOptions { Preset = MultilinePreset.Java } };
        Write("a.log", Docker("X: y\n", "stderr") + Docker("out 1\n") + Docker("\tat a\n", "stderr") + Docker("out 2\n") + Docker("\tat b\n", "stderr"));
        await OnceAsync();
        Assert.Equal(["out 1", "X: y\n\tat a\n\tat b", "out 2"], Context.Bodies);
    }
}
