using Tailrace.Core.Channels;
using Tailrace.Core.Configuration;
using static Tailrace.Tests.Channels.TestBatch;

namespace Tailrace.Tests.Channels;

/// <summary>What stays when it is delivered, and what a subscriber that falls behind may cost.</summary>
public sealed class RetentionTests : IDisposable
{
    private const int PerBatch = 10;
    private const int Padding = 30_000; // so that a segment of 1 MiB holds three batches
    private static readonly OriginId A = Origin(1);
    private readonly TestContext _context = new();
    private readonly TestFiles _files = new();
    private long _next;

    public void Dispose() => _context.Dispose();

    [Fact]
    public async Task Delivered_segments_stay_up_to_a_size_and_what_is_read_of_them_again_makes_no_append_wait()
    {
        await using FileChannel channel = Open(new RetainOptions { Size = new ByteSize(5 << 20) }, capacity: 2 << 20);
        ISubscriber first = channel.Subscribe("first", SubscriberStart.Beginning);
        await FillAsync(channel, first, batches: 40);
        await UntilAsync(() => channel.First > 0, "the oldest segments to go");
        Assert.InRange(_context.Segments.Sum(file => new FileInfo(file).Length), 4 << 20, 7 << 20);

        ISubscriber late = channel.Subscribe("late", SubscriberStart.Beginning);
        long start = channel.First;
        Assert.Equal(start, late.Cursor);
        Assert.True(channel.UsedBytes < 100_000);
        await FillAsync(channel, first, batches: 5); // 1.5 MB of a capacity of 2 MiB, with 4 MiB waiting for "late"
        Assert.Equal(start, channel.First);
        Assert.Equal(Range(start, _next), await late.ReadAsync((int)(_next - start)));
        await late.CommitAsync(_next, CancellationToken.None);
        await UntilAsync(() => channel.First > start, "what it pinned to go");
    }

    [Fact]
    public async Task What_a_subscriber_that_was_added_late_need_not_hold_is_known_after_a_restart()
    {
        var retain = new RetainOptions { Size = new ByteSize(20 << 20) };
        FileChannel channel = Open(retain, capacity: 2 << 20);
        await FillAsync(channel, channel.Subscribe("first", SubscriberStart.Beginning), batches: 20);
        channel.Subscribe("late", SubscriberStart.Beginning);
        await channel.AbandonAsync();
        await using FileChannel again = Open(retain, capacity: 2 << 20);
        ISubscriber first = again.Subscribe("first", SubscriberStart.Beginning);
        await FillAsync(again, first, batches: 5);
        Assert.Equal(0, again.Subscribe("late", SubscriberStart.End).Cursor);
    }

    [Fact]
    public async Task Delivered_segments_go_when_they_are_old_enough_even_if_nothing_happens()
    {
        await using FileChannel channel = Open(new RetainOptions { Time = TimeSpan.FromHours(1) }, capacity: 2 << 20);
        ISubscriber subscriber = channel.Subscribe("out", SubscriberStart.Beginning);
        await FillAsync(channel, subscriber, batches: 12);
        _context.Clock.Advance(TimeSpan.FromMinutes(50));
        await FillAsync(channel, subscriber, batches: 3);
        Assert.Equal(0, channel.First);
        _context.Clock.Advance(TimeSpan.FromMinutes(11));
        await UntilAsync(() => channel.First > 0, "the old segments to go");
        await UntilAsync(() => _context.Segments.Length == 2, "their files to be deleted");
    }

    [Fact]
    public async Task On_a_full_disk_what_is_only_retained_goes_first()
    {
        await using FileChannel channel = Open(new RetainOptions { Time = TimeSpan.FromDays(7) }, capacity: 64 << 20);
        ISubscriber subscriber = channel.Subscribe("out", SubscriberStart.Beginning);
        await FillAsync(channel, subscriber, batches: 20);
        int before = _context.Segments.Length;
        _files.Fault = (operation, path) => operation is "write" or "flush" && path.EndsWith(".trl", StringComparison.Ordinal) && _context.Segments.Length > before - 3 ? TestFiles.Full : null;
        await FillAsync(channel, subscriber, batches: 1);
        Assert.True(channel.First > 0);
        Assert.Equal(before - 3, _context.Segments.Length);
        Assert.Contains(_context.Lines, line => line.Contains("was to be retained for longer", StringComparison.Ordinal));
        Assert.Equal(Range(channel.First, _next), await ReadAgainAsync(channel));
    }

    [Fact]
    public async Task A_subscriber_that_may_be_parked_holds_nobody_up_and_goes_on_with_what_is_left()
    {
        await using FileChannel channel = Open(new RetainOptions(), capacity: 8 << 20);
        ISubscriber slow = channel.Subscribe("slow", SubscriberStart.Beginning);
        ISubscriber fast = channel.Subscribe("fast", SubscriberStart.Beginning);
        channel.SetConfiguredSubscribers(new Dictionary<string, LagOptions> { ["fast"] = new(), ["slow"] = new() { Policy = LagPolicy.Park, Bytes = new ByteSize(3 << 20) } });
        await FillAsync(channel, fast, batches: 60);
        await UntilAsync(() => channel.First > 0, "the space of the slow one to be freed");
        Assert.Contains(_context.Lines, line => line.Contains("slow", StringComparison.Ordinal) && line.Contains("is parked at 0", StringComparison.Ordinal));
        Assert.Contains(ComponentStatus.Degraded, _context.Reports);
        Assert.Equal(0, slow.Cursor);

        List<long> read = await slow.DrainAsync(channel);
        Assert.Equal(Range(_next - read.Count, _next), read);
        Assert.Equal(_next - read.Count, channel.Skipped);
        await slow.CommitAsync(channel.End, CancellationToken.None);
        await FillAsync(channel, fast, batches: 1);
        await UntilAsync(() => _context.Lines.Any(line => line.Contains("has caught up", StringComparison.Ordinal)), "its return");
        Assert.Equal(ComponentStatus.Running, _context.Reports.Last());
    }

    [Fact]
    public async Task A_subscriber_that_may_be_dropped_is_moved_on_to_its_limit_and_what_it_misses_is_counted()
    {
        await using FileChannel channel = Open(new RetainOptions(), capacity: 8 << 20);
        ISubscriber slow = channel.Subscribe("slow", SubscriberStart.Beginning);
        ISubscriber fast = channel.Subscribe("fast", SubscriberStart.Beginning);
        channel.SetConfiguredSubscribers(new Dictionary<string, LagOptions> { ["fast"] = new(), ["slow"] = new() { Policy = LagPolicy.Drop, Bytes = new ByteSize(3 << 20) } });
        await FillAsync(channel, fast, batches: 60);
        Assert.Equal(slow.Cursor, channel.Dropped);
        Assert.InRange(slow.Cursor, 1, _next - 1);
        Assert.Equal(Range(slow.Cursor, _next), await slow.ReadAsync((int)(_next - slow.Cursor)));
        Assert.Equal(ComponentStatus.Degraded, _context.Reports.Last());
        Assert.Equal(0, channel.Skipped);
    }

    [Fact]
    public async Task A_subscriber_that_lags_by_age_is_moved_on_by_the_clock()
    {
        await using FileChannel channel = Open(new RetainOptions(), capacity: 64 << 20);
        ISubscriber slow = channel.Subscribe("slow", SubscriberStart.Beginning);
        channel.SetConfiguredSubscribers(new Dictionary<string, LagOptions> { ["slow"] = new() { Policy = LagPolicy.Drop, Age = TimeSpan.FromMinutes(10) } });
        await FillAsync(channel, null, batches: 8);
        _context.Clock.Advance(TimeSpan.FromMinutes(9));
        Assert.Equal(0, slow.Cursor);
        _context.Clock.Advance(TimeSpan.FromMinutes(2));
        await UntilAsync(() => slow.Cursor > 0, "the cursor to move on");
        Assert.Equal(slow.Cursor, channel.Dropped);
    }

    private FileChannel Open(RetainOptions retain, long capacity) =>
        FileChannel.Open(new FileChannelOptions { Capacity = new ByteSize(capacity), SegmentSize = new ByteSize(1 << 20), Cache = new ByteSize(0), Retain = retain }, _context, _files);

    /// <summary>Appends batches; each is delivered before the next comes.</summary>
    private async Task FillAsync(FileChannel channel, ISubscriber? subscriber, int batches)
    {
        for (int i = 0; i < batches; i++)
        {
            await channel.PutAsync(Numbers(A, _next, _next + PerBatch, Padding));
            _next += PerBatch;
            if (subscriber is not null)
            {
                await subscriber.CommitAsync(_next, CancellationToken.None);
            }
        }
    }

    private async Task<List<long>> ReadAgainAsync(FileChannel channel)
    {
        await using ISubscriber again = channel.Subscribe("again", SubscriberStart.Beginning);
        return await again.ReadAsync((int)(_next - channel.First));
    }
}
