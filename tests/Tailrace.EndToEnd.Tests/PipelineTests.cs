using System.Diagnostics;

namespace Tailrace.EndToEnd.Tests;

/// <summary>The main job with real processes: follow a file, hold it, publish it; exactly once over kills. Long sizes with TAILRACE_LONG=1.</summary>
[Collection("processes")]
public sealed class PipelineTests : IDisposable
{
    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(5);
    private static readonly bool Long = Environment.GetEnvironmentVariable("TAILRACE_LONG") == "1";

    private readonly Workplace _place = new();

    [Theory]
    [InlineData("tail-files.yaml")]
    [InlineData("tail-memory.yaml")]
    public async Task Once_publishes_the_input_byte_for_byte_in_bounded_memory_and_nothing_new_the_second_time(string pipeline)
    {
        int lines = Workplace.WriteNumberedLines(_place.Input, Long ? 2_000_000_000 : 200_000_000);
        using (AgentProcess agent = AgentProcess.Start(["run", Repository.Pipeline(pipeline), "--once"], _place.Variables))
        {
            long peak = 0;
            Task<int> exit = agent.WaitForExitAsync(Deadline);
            while (!exit.IsCompleted)
            {
                peak = Math.Max(peak, agent.PeakMemory());
                using var pause = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
                await pause.WaitForNextTickAsync();
            }

            Assert.True(await exit == 0, agent.Output);
            Assert.Contains($"Everything is delivered: {lines} new events", agent.Output, StringComparison.Ordinal);
            if (OperatingSystem.IsLinux())
            {
                Assert.InRange(peak, 1, 150_000_000);
            }
        }

        _place.AssertPublishedEqualsInput();
        int files = Workplace.PublishedFiles(_place.Output).Count;

        (int code, string output) = await AgentProcess.RunAsync(["run", Repository.Pipeline(pipeline), "--once"], Deadline, _place.Variables);
        Assert.True(code == 0, output);
        Assert.Equal(files, Workplace.PublishedFiles(_place.Output).Count);
        _place.AssertPublishedEqualsInput();

        Workplace.WriteNumberedLines(_place.Input, 100_000, firstNumber: 10_000_000);
        (code, output) = await AgentProcess.RunAsync(["run", Repository.Pipeline(pipeline), "--once"], Deadline, _place.Variables);
        Assert.True(code == 0, output);
        _place.AssertPublishedEqualsInput();
    }

    [Fact]
    public async Task Killed_twenty_times_at_random_moments_it_publishes_every_line_exactly_once()
    {
        Workplace.WriteNumberedLines(_place.Input, Long ? 2_000_000_000 : 300_000_000);
        int seed = Environment.TickCount;
        var random = new Random(seed);
        int kills = 0;
        for (int i = 0; i < 20; i++)
        {
            using AgentProcess agent = AgentProcess.Start(["run", Repository.Pipeline("tail-files.yaml"), "--once"], _place.Variables);
            int wait = random.Next(20, Long ? 2500 : 900);
            using var pause = new CancellationTokenSource(wait);
            try
            {
                await agent.WaitForExitAsync(TimeSpan.FromMilliseconds(wait));
            }
            catch (Xunit.Sdk.FailException)
            {
                kills++; // WaitForExitAsync kills it when the time is up
            }
        }

        (int code, string output) = await AgentProcess.RunAsync(["run", Repository.Pipeline("tail-files.yaml"), "--once"], Deadline, _place.Variables);
        Assert.True(code == 0, $"seed {seed}: {output}");
        Assert.InRange(kills, 1, 20);
        _place.AssertPublishedEqualsInput();
    }

    [Fact]
    public async Task Killed_while_a_writer_appends_and_rotates_it_publishes_every_line_exactly_once_and_in_order()
    {
        string glob = Path.Combine(_place.Root, "in", "app.log*");
        (string Name, string Value)[] variables = [("IN", glob), ("OUT", _place.Output), ("DATA", _place.Data)];
        string whole = Path.Combine(_place.Root, "whole.log");
        int seed = Environment.TickCount;
        var random = new Random(seed);
        int number = 0;
        for (int round = 0; round < 8; round++)
        {
            using AgentProcess agent = AgentProcess.Start(["run", Repository.Pipeline("tail-files.yaml")], variables);
            for (int i = 0; i < 20; i++)
            {
                int next = Workplace.WriteNumberedLines(_place.Input, 50_000, number);
                number = Workplace.WriteNumberedLines(whole, 50_000, number);
                Assert.Equal(next, number);
                if (random.Next(6) == 0)
                {
                    File.Move(_place.Input, $"{_place.Input}.{round:D2}{i:D2}");
                    File.Create(_place.Input).Dispose();
                }
            }

            using var pause = new PeriodicTimer(TimeSpan.FromMilliseconds(random.Next(50, 1500)));
            await pause.WaitForNextTickAsync();
            await agent.KillAsync();
        }

        (int code, string output) = await AgentProcess.RunAsync(["run", Repository.Pipeline("tail-files.yaml"), "--once"], Deadline, variables);
        Assert.True(code == 0, $"seed {seed}: {output}");

        // Several files feed one channel, so only each file's own order is promised: sorted by number, nothing may be lost or repeated.
        string[] expected = File.ReadAllLines(whole);
        string[] published = [.. Workplace.PublishedFiles(_place.Output).SelectMany(File.ReadLines).OrderBy(line => line.Split("seq=")[1][..10], StringComparer.Ordinal)];
        Assert.Equal(expected.Length, published.Length);
        Assert.Equal(expected, published);
    }

    [Fact]
    public async Task Two_subscribers_each_publish_everything()
    {
        Workplace.WriteNumberedLines(_place.Input, 50_000_000);
        (int code, string output) = await AgentProcess.RunAsync(["run", Repository.Pipeline("subscribers.yaml"), "--once"], Deadline, _place.Variables);
        Assert.True(code == 0, output);
        Assert.Equal(Workplace.HashOf([_place.Input]), Workplace.HashOf(Workplace.PublishedFiles(Path.Combine(_place.Output, "plain"))));
        int lines = 0;
        using IEnumerator<string> expected = File.ReadLines(_place.Input).GetEnumerator();
        foreach (string file in Workplace.PublishedFiles(Path.Combine(_place.Output, "packed")))
        {
            using var reader = new StreamReader(new ZstdSharp.DecompressionStream(File.OpenRead(file)));
            while (await reader.ReadLineAsync() is { } line)
            {
                Assert.True(expected.MoveNext());
                using var json = System.Text.Json.JsonDocument.Parse(line);
                Assert.Equal(expected.Current, json.RootElement.GetProperty("body").GetString());
                lines++;
            }
        }

        Assert.False(expected.MoveNext());
        Assert.Equal(File.ReadLines(_place.Input).Count(), lines);
    }

    [Fact]
    public async Task A_stop_by_sigterm_publishes_what_was_read_and_exits_with_0_in_time()
    {
        int number = Workplace.WriteNumberedLines(_place.Input, 5_000_000);
        using AgentProcess agent = AgentProcess.Start(["run", Repository.Pipeline("tail-files.yaml")], _place.Variables);
        await agent.WaitUntilAsync(() => Workplace.PublishedFiles(_place.Output).Count > 0, "a first published file", TimeSpan.FromSeconds(30));
        Workplace.WriteNumberedLines(_place.Input, 5_000_000, number);
        long started = Stopwatch.GetTimestamp();
        agent.Signal("HUP");
        agent.Signal("TERM");
        Assert.Equal(0, await agent.WaitForExitAsync(TimeSpan.FromSeconds(30)));
        Assert.True(Stopwatch.GetElapsedTime(started) < TimeSpan.FromSeconds(30), agent.Output);
        (int code, string output) = await AgentProcess.RunAsync(["run", Repository.Pipeline("tail-files.yaml"), "--once"], Deadline, _place.Variables);
        Assert.True(code == 0, output);
        _place.AssertPublishedEqualsInput();
    }

    [Fact]
    public async Task A_line_written_to_an_idle_agent_is_published_within_the_idle_roll()
    {
        File.WriteAllText(_place.Input, "first\n");
        using AgentProcess agent = AgentProcess.Start(["run", Repository.Pipeline("tail-files.yaml")], _place.Variables);
        await agent.WaitUntilAsync(() => Workplace.PublishedFiles(_place.Output).Count == 1, "the first line", TimeSpan.FromSeconds(30));
        File.AppendAllText(_place.Input, "second\n");
        await agent.WaitUntilAsync(() => Workplace.PublishedFiles(_place.Output).Count == 2, "the second line", TimeSpan.FromSeconds(10));
        agent.Signal();
        Assert.Equal(0, await agent.WaitForExitAsync(TimeSpan.FromSeconds(30)));
        _place.AssertPublishedEqualsInput();
    }

    [Fact]
    public async Task A_failing_sink_takes_nothing_else_down_and_catches_up_when_it_works_again()
    {
        Workplace.WriteNumberedLines(_place.Input, 1_000_000);
        string blocked = Path.Combine(_place.Output, "packed");
        Directory.CreateDirectory(_place.Output);
        File.WriteAllText(blocked, "a file where the directory should be");
        using AgentProcess agent = AgentProcess.Start(["run", Repository.Pipeline("subscribers.yaml")], _place.Variables);
        string plain = Path.Combine(_place.Output, "plain");
        await agent.WaitUntilAsync(() => Workplace.HashOf(Workplace.PublishedFiles(plain)) == Workplace.HashOf([_place.Input]), "everything in plain", TimeSpan.FromSeconds(30));
        await agent.WaitUntilAsync(() => agent.Output.Contains("sinks.packed", StringComparison.Ordinal), "a word about the failing sink", TimeSpan.FromSeconds(30));
        File.Delete(blocked);
        await agent.WaitUntilAsync(() => Workplace.PublishedFiles(blocked).Count > 0, "a file in packed", TimeSpan.FromSeconds(60));
        agent.Signal();
        Assert.Equal(0, await agent.WaitForExitAsync(TimeSpan.FromSeconds(30)));
    }

    public void Dispose() => _place.Dispose();
}
