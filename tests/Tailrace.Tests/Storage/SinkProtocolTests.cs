using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Tailrace.Core.Storage;
using Xunit.Abstractions;

namespace Tailrace.Tests.Storage;

/// <summary>
/// The real storage sink and journal under random faults: every event must end up in exactly one published file. The faults are those of
/// the model the protocol was designed with: a crash before, during and after every step, lost answers, renames of dead processes that
/// are applied later, uploads cut short that look complete.
/// </summary>
public sealed partial class SinkProtocolTests(ITestOutputHelper output)
{
    private static int Runs => int.TryParse(Environment.GetEnvironmentVariable("TAILRACE_SINK_RUNS"), CultureInfo.InvariantCulture, out int runs) ? runs : 700;

    [Theory]
    [InlineData("crashes", 0, 0.04)]
    [InlineData("failures", 0.04, 0)]
    [InlineData("both", 0.03, 0.03)]
    public async Task Every_event_is_published_exactly_once_whatever_happens(string what, double failures, double crashes)
    {
        int first = int.TryParse(Environment.GetEnvironmentVariable("TAILRACE_SINK_SEED"), CultureInfo.InvariantCulture, out int fixedSeed) ? fixedSeed : Environment.TickCount & 0xFFFFFF;
        int runs = fixedSeed != 0 ? 1 : Runs;
        output.WriteLine($"{what}: seeds {first} to {first + runs - 1}");
        await Parallel.ForAsync(first, first + runs, new ParallelOptions { MaxDegreeOfParallelism = 4 }, async (seed, token) =>
        {
            try
            {
                await RunAsync(seed, failures, crashes).WaitAsync(TimeSpan.FromSeconds(60), token);
            }
            catch (Exception exception)
            {
                throw new InvalidOperationException($"seed {seed} ({what}): {exception.Message}", exception);
            }
        });
    }

    private static async Task RunAsync(int seed, double failures, double crashes)
    {
        var world = new FaultyWorld(seed, failures, crashes);
        Client client = new(() => { });
        using var bench = new SinkBench(_ => new FaultyStore(world, client), isFast: true) { Time = new HurriedTime() };
        var feed = new Feed(world, bench.Log);
        bench.Options = new StorageSinkOptions
        {
            Path = "root/%{p}",
            MaxOpenFiles = world.Next(1, 5),
            Roll = new RollOptions
            {
                Count = world.Next(0, 6),
                Size = new ByteSize(world.Next(6, 60)),
                Age = TimeSpan.FromMilliseconds(world.Next(1, 40)),
                Idle = TimeSpan.FromMilliseconds(world.Next(1, 40)),
            },
        };

        world.BeforePublish = path => Assert.Contains(Path.GetFileName(path), Encoding.ASCII.GetString(File.ReadAllBytes(Path.Combine(bench.JournalDirectory, "journal"))));
        bool isDone = false;
        for (int attempt = 0; !isDone; attempt++)
        {
            Assert.True(attempt < 200, "does not come to an end");
            using var abort = new CancellationTokenSource();
            using var stopping = new CancellationTokenSource();
            client = new Client(abort.Cancel);
            Client current = client;
            bench.Log.Run = (ulong)(attempt + 1);
            if (attempt > 0 && world.Chance(0.15))
            {
                bench.Options = bench.Options with { Path = bench.Options.Path == "root/%{p}" ? "root/x%{p}" : "root/%{p}" };
            }

            TestSubscriber subscriber = bench.Log.Open();
            subscriber.OnCall = () =>
            {
                world.MaybeCrash(current);
                feed.Grow(subscriber);
                if (world.Chance(0.02))
                {
                    subscriber.Press();
                }

                if (crashes > 0 && world.Chance(0.01))
                {
                    stopping.Cancel();
                }
            };
            subscriber.OnCommit = offset =>
            {
                using var journal = StorageJournal.Open(bench.JournalDirectory, bench.Logger);
                Assert.True(journal.State.Low >= offset, "the cursor is ahead of the journal");
            };
            try
            {
                await bench.Sink(subscriber).RunAsync(stopping.Token, abort.Token);
                Assert.False(current.IsDead, "a dead process came to an end as if nothing had happened");
                isDone = !stopping.IsCancellationRequested;
                Assert.True(!isDone || bench.Log.Cursor == bench.Log.End, "the cursor did not reach the end");
            }
            catch (Exception exception) when (current.IsDead && exception is IOException or OperationCanceledException)
            {
                // crashed
            }
        }

        Assert.Equal(0, world.Open);
        Assert.True(world.MaxOpen <= bench.Options.MaxOpenFiles + 10, $"{world.MaxOpen} files open at once");
        world.ApplyZombies(all: true);
        Check(world, feed);
    }

    private static void Check(FaultyWorld world, Feed feed)
    {
        var seen = new int[feed.Buckets.Count];
        var names = new List<Match>();
        foreach ((string path, byte[] content) in world.Files.Where(file => !file.Key.StartsWith('_')))
        {
            Match name = FileName().Match(path);
            Assert.True(name.Success, path);
            names.Add(name);
            long start = long.Parse(name.Groups["start"].Value, CultureInfo.InvariantCulture);
            long end = long.Parse(name.Groups["end"].Value, CultureInfo.InvariantCulture);
            long last = -1;
            string text = Encoding.ASCII.GetString(content);
            Assert.EndsWith("\n", text);
            foreach (string line in text.TrimEnd('\n').Split('\n'))
            {
                int offset = int.Parse(line, CultureInfo.InvariantCulture);
                Assert.True(offset > last && offset >= start && offset < end, $"{path} holds {offset} behind {last}");
                Assert.Equal(feed.Buckets[offset], name.Groups["bucket"].Value);
                last = offset;
                seen[offset]++;
            }
        }

        foreach (IGrouping<string, Match> directory in names.GroupBy(name => name.Groups["directory"].Value))
        {
            string end = "";
            foreach (Match name in directory.OrderBy(name => name.Value, StringComparer.Ordinal))
            {
                Assert.True(string.CompareOrdinal(name.Groups["start"].Value, end) >= 0, $"{name.Value} starts before {end}");
                end = name.Groups["end"].Value;
            }
        }

        for (int i = 0; i < seen.Length; i++)
        {
            Assert.True(seen[i] == 1, $"event {i} of {seen.Length} is in {seen[i]} files:\n{string.Join('\n', world.Files.Keys.Order())}");
        }
    }

    [GeneratedRegex("^(?<directory>x?(?<bucket>p[0-9]))/edge-main-out-(?<start>[0-9]{20})-(?<end>[0-9]{20})-[0-9a-f]{16}\\.log$")]
    private static partial Regex FileName();

    /// <summary>Appends events as the sink asks for them; which bucket each is in is known beforehand.</summary>
    private sealed class Feed
    {
        private readonly FaultyWorld _world;
        private readonly TestLog _log;
        private int _appended;

        public Feed(FaultyWorld world, TestLog log)
        {
            (_world, _log) = (world, log);
            int buckets = world.Next(1, 5);
            Buckets = [.. Enumerable.Range(0, world.Next(5, 60)).Select(_ => $"p{world.Next(0, buckets)}")];
            log.MaxTake = world.Next(1, 12);
        }

        public List<string> Buckets { get; }

        public void Grow(TestSubscriber subscriber)
        {
            if (_appended == Buckets.Count)
            {
                _log.Complete();
            }
            else if (subscriber.Position >= _log.End || _world.Chance(0.3))
            {
                using var builder = new EventBatchBuilder();
                builder.Start();
                int end = Math.Min(Buckets.Count, _appended + _world.Next(1, 12));
                for (; _appended < end; _appended++)
                {
                    var headers = new HeaderBuilder();
                    headers.Add("p", Buckets[_appended]);
                    builder.Add(0, Encoding.ASCII.GetBytes(_appended.ToString(CultureInfo.InvariantCulture)), headers.Encoded);
                }

                _log.Append(builder.Build());
            }
        }
    }

    /// <summary>A clock whose timers are in a hurry, so that back-offs take no time.</summary>
    internal sealed class HurriedTime : TimeProvider
    {
        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
            base.CreateTimer(callback, state, dueTime > TimeSpan.FromMilliseconds(1) ? TimeSpan.FromMilliseconds(1) : dueTime, period);
    }
}
