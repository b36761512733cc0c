using Tailrace.Core.Storage;

namespace Tailrace.Tests.Storage;

public sealed class StorageSinkTests : IDisposable
{
    private readonly SinkBench _bench = new();

    [Fact]
    public async Task One_bucket_is_published_under_the_documented_name_with_exactly_the_lines()
    {
        _bench.Log.Append(0, "first", "", "third \u00e9");
        _bench.Log.Append(0, "fourth");

        await _bench.DrainAsync();

        Assert.Equal([("edge-main-out-00000000000000000000-00000000000000000004-0123456789abcdef.log", "first\n\nthird \u00e9\nfourth\n")], _bench.Published());
        Assert.Equal(4, _bench.Log.Cursor);
        Assert.Equal(["out"], Directory.EnumerateFileSystemEntries(_bench.Directory).Select(Path.GetFileName).Where(name => name != "journal"));
        Assert.False(Directory.Exists(Path.Combine(_bench.Out, "_tailrace")));
    }

    [Fact]
    public async Task A_roll_by_size_cuts_a_batch_behind_the_event_that_reaches_the_size()
    {
        _bench.Options = _bench.Options with { Roll = new RollOptions { Size = new ByteSize(1024) } };
        string line = new('x', 99);
        _bench.Log.Append(0, [.. Enumerable.Repeat(line, 25)]);

        await _bench.DrainAsync();

        Assert.Equal([11 * 100, 11 * 100, 3 * 100], _bench.Published().Select(file => file.Content.Length));
        Assert.Equal(
            ["edge-main-out-00000000000000000000-00000000000000000011-0123456789abcdef.log", "edge-main-out-00000000000000000011-00000000000000000022-0123456789abcdef.log", "edge-main-out-00000000000000000022-00000000000000000025-0123456789abcdef.log"],
            _bench.Published().Select(file => file.Name));
    }

    [Fact]
    public async Task A_second_start_publishes_nothing_again_and_goes_on_behind()
    {
        _bench.Log.Append(0, "a", "b");
        await _bench.DrainAsync();
        _bench.Log.Append(0, "c");
        _bench.Log.Run = 0xfedcba9876543210;
        await _bench.DrainAsync();

        Assert.Equal(
            [
                ("edge-main-out-00000000000000000000-00000000000000000002-0123456789abcdef.log", "a\nb\n"),
                ("edge-main-out-00000000000000000002-00000000000000000003-fedcba9876543210.log", "c\n"),
            ],
            _bench.Published());
    }

    [Fact]
    public async Task Stopping_publishes_what_is_held_and_aborting_leaves_it_for_the_next_start()
    {
        using var stopping = new CancellationTokenSource();
        _bench.Log.Append(0, "a");
        TestSubscriber subscriber = _bench.Log.Open();
        Task run = _bench.Sink(subscriber).RunAsync(stopping.Token, CancellationToken.None);
        await SinkBench.UntilAsync(() => subscriber.Position == 1);
        await stopping.CancelAsync();
        await run.WaitAsync(TimeSpan.FromSeconds(20));
        Assert.Equal("a\n", Assert.Single(_bench.Published()).Content);
        Assert.Equal(1, _bench.Log.Cursor);

        using var abort = new CancellationTokenSource();
        _bench.Log.Append(0, "b");
        subscriber = _bench.Log.Open();
        run = _bench.Sink(subscriber).RunAsync(CancellationToken.None, abort.Token);
        await SinkBench.UntilAsync(() => subscriber.Position == 2);
        await abort.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => run.WaitAsync(TimeSpan.FromSeconds(20)));
        Assert.Equal(1, _bench.Log.Cursor);

        await _bench.DrainAsync();
        Assert.Equal(["a\n", "b\n"], _bench.Published().Select(file => file.Content));
    }

    public void Dispose() => _bench.Dispose();
}
