using Xunit.Abstractions;

namespace Tailrace.Tests.Channels.Simulation;

/// <summary>The simulation must fail where the channel, or its disk, is made to break a rule.</summary>
public sealed class PlantedBugTests(ITestOutputHelper output)
{
    private static readonly Dictionary<string, Action<SimulatedDisk>> Bugs = new(StringComparer.Ordinal)
    {
        ["acknowledged without a sync"] = disk => disk.Ignores = (operation, path) => operation == "sync" && IsSegment(path),
        ["the cursor is durable before the events"] = disk =>
        {
            disk.Ignores = (operation, path) => operation == "sync" && IsSegment(path);
            disk.WritesThrough = IsCursor;
        },
        ["no directory sync after a segment is made"] = disk => disk.Ignores = (operation, path) => operation == "directory" && path.EndsWith("segments", StringComparison.Ordinal),
        ["a segment is deleted before the cursor is durable"] = disk => disk.Ignores = (operation, path) => (operation == "sync" && IsCursor(path)) || (operation == "delete" && IsSegment(path)),
        ["positions are stored without their events"] = disk =>
        {
            disk.Ignores = (operation, path) => operation == "sync" && IsSegment(path);
            disk.WritesThrough = path => path.EndsWith("state.tmp", StringComparison.Ordinal);
        },
        ["the snapshot is renamed before it is synced"] = disk => disk.Ignores = (operation, path) => operation == "sync" && path.EndsWith("state.tmp", StringComparison.Ordinal),
    };

    [Theory]
    [InlineData("acknowledged without a sync", "lost: the log ends at")]
    [InlineData("the cursor is durable before the events", "cursor:")]
    [InlineData("no directory sync after a segment is made", "lost:")]
    [InlineData("a segment is deleted before the cursor is durable", "skipped:")]
    [InlineData("positions are stored without their events", "can be read")]
    [InlineData("the snapshot is renamed before it is synced", "position:")]
    public void A_planted_bug_is_found(string bug, string expected)
    {
        for (int seed = 1; seed <= 20_000; seed++)
        {
            IReadOnlyList<string> violations = FileChannelSimulationTests.RunPlanted(seed, simulation =>
            {
                simulation.How = Crash.PowerCut;
                Bugs[bug](simulation.Disk);
            });
            if (violations.Any(violation => violation.Contains(expected, StringComparison.Ordinal)))
            {
                output.WriteLine($"{bug}: found by run {seed}: {violations[0]}");
                return;
            }
        }

        Assert.Fail($"{bug}: not found in 20,000 runs");
    }

    private static bool IsSegment(string path) => path.EndsWith(".trl", StringComparison.Ordinal);

    private static bool IsCursor(string path) => path.EndsWith("cursor", StringComparison.Ordinal);
}
