using Tailrace.Core.Channels;
using Tailrace.Core.Configuration;
using static Tailrace.Tests.Channels.TestBatch;

namespace Tailrace.Tests.Channels;

public sealed class FileChannelTests : IDisposable
{
    private static readonly OriginId A = Origin(1);
    private static readonly OriginId B = Origin(2);
    private readonly TestContext _context = new();
    private readonly TestFiles _files = new();

    public void Dispose() => _context.Dispose();

    [Fact]
    public async Task A_second_opener_is_refused_until_the_first_has_closed()
    {
        FileChannel channel = _context.OpenFile();
        ChannelException refused = Assert.Throws<ChannelException>(() => _context.OpenFile());
        Assert.Contains(_context.Directory, refused.Message, StringComparison.Ordinal);
        Assert.Contains("in use by another process", refused.Message, StringComparison.Ordinal);
        await channel.DisposeAsync();
        await _context.OpenFile().DisposeAsync();
    }

    [Fact]
    public void A_directory_that_cannot_be_made_is_a_clear_error()
    {
        Directory.CreateDirectory(_context.Directory);
        File.WriteAllText(Path.Combine(_context.Directory, "segments"), "");
        ChannelException error = Assert.Throws<ChannelException>(() => _context.OpenFile());
        Assert.Contains("Channel main", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Nothing_is_seen_told_or_acknowledged_before_its_sync_and_those_that_wait_share_the_next_one()
    {
        await using FileChannel channel = _context.OpenFile(_files);
        ISubscriber subscriber = channel.Subscribe("out", SubscriberStart.Beginning);
        using var held = new ManualResetEventSlim();
        _files.Fault = (operation, _) =>
        {
            if (operation == "sync")
            {
                held.Wait(Deadline);
            }

            return null;
        };
        int before = _files.Count("sync");
        using EventBatch first = Numbers(A, 0, 10);
        Task<AppendResult> stored = channel.AppendAsync(first, CancellationToken.None).AsTask();
        Task<AppendResult> duplicate = channel.AppendAsync(first, CancellationToken.None).AsTask();
        ValueTask<ChannelTransaction?> take = subscriber.TakeAsync(CancellationToken.None);
        await UntilAsync(() => _files.Count("sync") == before + 1, "the sync");
        Task<AppendResult> late = channel.AppendAsync(first, CancellationToken.None).AsTask();
        var others = new List<Task<AppendResult>>();
        for (int i = 0; i < 50; i++)
        {
            using EventBatch batch = Numbers(Origin((byte)(10 + i)), 0, 1);
            others.Add(channel.AppendAsync(batch, CancellationToken.None).AsTask());
        }

        Assert.False(stored.IsCompleted || duplicate.IsCompleted || late.IsCompleted || take.IsCompleted);
        Assert.Equal(0, channel.End);
        Assert.Empty(channel.GetOrigins());
        held.Set();
        Assert.Equal(AppendStatus.Stored, (await stored.WaitAsync(Deadline)).Status);
        Assert.Equal(AppendStatus.Duplicate, (await duplicate.WaitAsync(Deadline)).Status);
        Assert.Equal(AppendStatus.Duplicate, (await late.WaitAsync(Deadline)).Status);
        await Task.WhenAll(others).WaitAsync(Deadline);
        using ChannelTransaction? transaction = await take.AsTask().WaitAsync(Deadline);
        Assert.Equal(10, transaction!.Events.Count);
        Assert.Equal(before + 2, _files.Count("sync"));
    }

    [Fact]
    public async Task A_failed_sync_fails_its_appends_and_those_that_go_on_from_them_and_the_next_goes_to_a_new_segment()
    {
        FileChannel channel = _context.OpenFile(_files);
        ISubscriber subscriber = channel.Subscribe("out", SubscriberStart.Beginning);
        await channel.PutAsync(Numbers(A, 0, 5));
        using var held = new ManualResetEventSlim();
        int failures = 0;
        _files.Fault = (operation, _) =>
        {
            if (operation == "sync" && failures == 0)
            {
                held.Wait(Deadline);
                failures++;
                return TestFiles.Broken;
            }

            return null;
        };
        using EventBatch failing = Numbers(A, 5, 10);
        using EventBatch behind = Numbers(A, 10, 15);
        int before = _files.Count("sync");
        Task<AppendResult> failed = channel.AppendAsync(failing, CancellationToken.None).AsTask();
        await UntilAsync(() => _files.Count("sync") > before, "the sync");
        Task<AppendResult> mismatching = channel.AppendAsync(behind, CancellationToken.None).AsTask();
        held.Set();
        ChannelException exception = await Assert.ThrowsAsync<ChannelException>(() => failed.WaitAsync(Deadline));
        Assert.Contains("Input/output error", exception.Message, StringComparison.Ordinal);
        Assert.Equal(new AppendResult(AppendStatus.Mismatch, 0, 5), await mismatching.WaitAsync(Deadline));
        Assert.Equal(5, channel.End);
        Assert.Equal([ComponentStatus.Degraded], _context.Reports);

        Assert.Equal(5, (await channel.PutAsync(Numbers(B, 0, 7))).Offset);
        Assert.Equal(2, _context.Segments.Length);
        Assert.Equal([ComponentStatus.Degraded, ComponentStatus.Running], _context.Reports);
        Assert.Equal([.. Range(0, 5), .. Range(0, 7)], await subscriber.ReadAsync(12));

        // What the failed sync left in the old segment stays unseen: after a kill, and if all but the segments is lost.
        await channel.AbandonAsync();
        File.Delete(Path.Combine(_context.Directory, "state"));
        await using FileChannel again = _context.OpenFile(cache: 0);
        Assert.Equal(12, again.End);
        Assert.Equal([(A, 5L), (B, 7L)], again.GetOrigins().Select(origin => (origin.Origin, origin.Position)));
        Assert.Equal([.. Range(0, 5), .. Range(0, 7)], await again.Subscribe("out", SubscriberStart.Beginning).ReadAsync(12));
    }

    [Theory]
    [InlineData("sync")]
    [InlineData("write")]
    [InlineData("flush")]
    [InlineData("create")]
    public async Task A_disk_that_stays_broken_refuses_appends_but_can_be_read_and_heals(string operation)
    {
        await using FileChannel channel = _context.OpenFile(_files, cache: 0);
        ISubscriber subscriber = channel.Subscribe("out", SubscriberStart.Beginning);
        await channel.PutAsync(Numbers(A, 0, 5));
        string[] operations = operation == "create" ? ["sync", "create"] : [operation];
        _files.Fault = (each, _) => operations.Contains(each) ? TestFiles.Broken : null;
        for (int i = 0; i < 4; i++)
        {
            ChannelException exception = await Assert.ThrowsAsync<ChannelException>(() => channel.PutAsync(Numbers(A, 5, 6)));
            Assert.Contains(i == 0 ? "The next append goes" : "takes no appends until", exception.Message, StringComparison.Ordinal);
        }

        Assert.Equal(Range(0, 5), await subscriber.ReadAsync(5));
        await subscriber.CommitAsync(5, CancellationToken.None);
        _files.Fault = null;
        Assert.Equal(5, (await channel.PutAsync(Numbers(A, 5, 9))).Offset);
        Assert.Equal(Range(5, 9), await subscriber.ReadAsync(4));
        Assert.Equal(ComponentStatus.Running, _context.Reports.Last());
    }

    [Fact]
    public async Task A_full_disk_makes_appends_wait_and_go_through_in_order_once_there_is_space()
    {
        FileChannel channel = _context.OpenFile(_files);
        await channel.PutAsync(Numbers(A, 0, 5));
        _files.Fault = (operation, path) => operation is "flush" && path.EndsWith(".trl", StringComparison.Ordinal) ? TestFiles.Full : null;
        using var cancellation = new CancellationTokenSource();
        using EventBatch first = Numbers(A, 5, 10);
        using EventBatch second = Numbers(A, 10, 15);
        using EventBatch other = Numbers(B, 0, 3);
        int before = _files.Count("flush");
        Task<AppendResult> one = channel.AppendAsync(first, CancellationToken.None).AsTask();
        Task<AppendResult> two = channel.AppendAsync(second, CancellationToken.None).AsTask();
        Task<AppendResult> cancelled = channel.AppendAsync(other, cancellation.Token).AsTask();
        for (int i = 1; i < 6; i++)
        {
            await UntilAsync(
                () =>
                {
                    _context.Clock.Advance(TimeSpan.FromMinutes(1));
                    return _files.Count("flush") >= before + i;
                },
                $"attempt {i}");
        }

        Assert.False(one.IsCompleted || two.IsCompleted);
        Assert.Equal(5, channel.End);
        Assert.Single(_context.Lines, line => line.Contains("disk is full", StringComparison.Ordinal));
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled.WaitAsync(Deadline));
        _files.Fault = null;
        await UntilAsync(
            () =>
            {
                _context.Clock.Advance(TimeSpan.FromMinutes(1));
                return two.IsCompleted;
            },
            "the retry");
        Assert.Equal([5, 10], (await Task.WhenAll(one, two).WaitAsync(Deadline)).Select(result => result.Offset));
        Assert.Single(_context.Segments);
        Assert.Equal(ComponentStatus.Running, _context.Reports.Last());
        await channel.AbandonAsync();
        await using FileChannel again = _context.OpenFile();
        Assert.Equal([(A, 15L)], again.GetOrigins().Select(origin => (origin.Origin, origin.Position)));
        Assert.Equal(Range(0, 15), await again.Subscribe("out", SubscriberStart.Beginning).ReadAsync(15));
    }

    [Fact]
    public async Task A_full_disk_can_be_drained()
    {
        await using FileChannel channel = _context.OpenFile(_files);
        ISubscriber subscriber = channel.Subscribe("out", SubscriberStart.Beginning);
        for (int i = 0; i < 20; i++)
        {
            await channel.PutAsync(Numbers(A, i, i + 1, 400_000));
        }

        string reserve = Path.Combine(_context.Directory, "reserve");
        _files.Fault = (operation, path) => operation is "flush" or "create" or "replace" && File.Exists(reserve) && _context.Segments.Length > 3 ? TestFiles.Full : null;
        using EventBatch batch = Numbers(A, 20, 21, 400_000);
        Task<AppendResult> waiting = channel.AppendAsync(batch, CancellationToken.None).AsTask();
        await UntilAsync(() => _context.Reports.Contains(ComponentStatus.Degraded), "the disk to be full");
        Assert.True(File.Exists(reserve));
        await subscriber.ReadAsync(20);
        await subscriber.CommitAsync(20, CancellationToken.None);
        await waiting.WaitAsync(Deadline);
        Assert.InRange(_context.Segments.Length, 1, 2);
    }

    [Fact]
    public async Task A_full_disk_at_the_start_does_not_keep_the_channel_from_being_drained()
    {
        FileChannel channel = _context.OpenFile();
        await channel.PutAsync(Numbers(A, 0, 5));
        await channel.AbandonAsync();
        _files.Fault = (operation, _) => operation is "flush" or "create" or "replace" or "write" ? TestFiles.Full : null;
        await using FileChannel again = _context.OpenFile(_files);
        ISubscriber subscriber = again.Subscribe("out", SubscriberStart.Beginning);
        Assert.Equal(Range(0, 5), await subscriber.ReadAsync(5));
        await subscriber.CommitAsync(5, CancellationToken.None);
        _files.Fault = null;
        Assert.Equal(5, (await again.PutAsync(Numbers(A, 5, 6))).Offset);
        await again.AbandonAsync();
        await using FileChannel third = _context.OpenFile();
        Assert.Equal([0, 5, 6], third.Runs.Select(run => run.FirstOffset));
        Assert.Equal(again.Run, third.Runs[1].Id);
    }

    [Fact]
    public async Task A_disk_that_cannot_be_read_for_a_moment_loses_nothing()
    {
        await using FileChannel channel = _context.OpenFile(_files, cache: 0);
        ISubscriber subscriber = channel.Subscribe("out", SubscriberStart.Beginning);
        await channel.PutAsync(Numbers(A, 0, 5));
        _files.Fault = (operation, _) => operation == "read" ? TestFiles.Broken : null;
        ChannelException exception = await Assert.ThrowsAsync<ChannelException>(async () => await subscriber.TakeAsync(CancellationToken.None));
        Assert.Contains(_context.Segments[0], exception.Message, StringComparison.Ordinal);
        _files.Fault = null;
        Assert.Equal(Range(0, 5), await subscriber.ReadAsync(5));
        Assert.Equal(0, channel.Skipped);
    }

    [Fact]
    public async Task With_an_interval_syncs_come_from_the_clock_and_with_os_only_at_the_end_of_a_segment()
    {
        await using (FileChannel channel = _context.OpenFile(_files, sync: "1s"))
        {
            int before = _files.Count("sync");
            ISubscriber subscriber = channel.Subscribe("out", SubscriberStart.Beginning);
            await channel.PutAsync(Numbers(A, 0, 5));
            await channel.PutAsync(Numbers(A, 5, 10));
            Assert.Equal(Range(0, 10), await subscriber.ReadAsync(10));
            Assert.Equal(before, _files.Count("sync"));
            _context.Clock.Advance(TimeSpan.FromSeconds(1));
            await UntilAsync(() => _files.Count("sync") == before + 1, "the clock's sync");
            await channel.PutAsync(Numbers(A, 10, 11));
            Assert.Equal(before + 1, _files.Count("sync"));
        }

        await using FileChannel lazy = _context.OpenFile(_files, sync: "os", cache: 0);
        int start = _files.Count("sync");
        await lazy.PutAsync(Numbers(A, 11, 15));
        _context.Clock.Advance(TimeSpan.FromDays(1));
        Assert.Equal(Range(0, 15), await lazy.Subscribe("again", SubscriberStart.Beginning).ReadAsync(15));
        Assert.Equal(start, _files.Count("sync"));
    }

    [Fact]
    public async Task Segments_are_deleted_behind_the_slowest_subscriber_and_what_they_knew_is_kept()
    {
        FileChannel channel = _context.OpenFile();
        ISubscriber fast = channel.Subscribe("fast", SubscriberStart.Beginning);
        ISubscriber slow = channel.Subscribe("slow", SubscriberStart.Beginning);
        await channel.PutAsync(Numbers(B, 0, 1, attribute: "/b"));
        for (int i = 0; i < 30; i++)
        {
            await channel.PutAsync(Numbers(A, i, i + 1, 300_000));
        }

        int all = _context.Segments.Length;
        Assert.True(all >= 8);
        await fast.CommitAsync(31, CancellationToken.None);
        await slow.CommitAsync(16, CancellationToken.None);
        await UntilAsync(() => _context.Segments.Length is var left && left < all && left <= (all / 2) + 1, "half of them to go");
        Assert.InRange(_context.Segments.Length, all / 2 - 1, (all / 2) + 1);
        Assert.Equal(Range(15, 30), await slow.ReadAsync(15));
        await slow.CommitAsync(31, CancellationToken.None);
        await UntilAsync(() => _context.Segments.Length == 1, "all but the newest to go");
        Assert.Equal(0, channel.UsedBytes);
        await channel.AbandonAsync();

        await using FileChannel again = _context.OpenFile();
        Assert.DoesNotContain(_context.Lines, line => line.StartsWith("Error", StringComparison.Ordinal));
        Assert.Equal([(A, 30L), (B, 1L)], again.GetOrigins().OrderBy(origin => origin.Origin.Value).Select(origin => (origin.Origin, origin.Position)));
        Assert.Equal(31, again.Subscribe("slow", SubscriberStart.Beginning).Cursor);
        ISubscriber late = again.Subscribe("late", SubscriberStart.Beginning);
        Assert.Equal(SegmentFormat.BaseOffset(_context.Segments[0]), late.Cursor);
    }

    [Fact]
    public async Task A_subscriber_that_is_not_open_holds_its_data_unless_it_is_configured_no_more_and_the_space_is_needed()
    {
        FileChannel channel = _context.OpenFile();
        await channel.Subscribe("old", SubscriberStart.Beginning).DisposeAsync();
        await channel.DisposeAsync();
        await using FileChannel again = _context.OpenFile(capacity: 4 << 20);
        ISubscriber subscriber = again.Subscribe("new", SubscriberStart.Beginning);
        var tasks = new List<Task<AppendResult>>();
        for (int i = 0; i < 12; i++)
        {
            using EventBatch batch = Numbers(A, i, i + 1, 500_000);
            tasks.Add(again.AppendAsync(batch, CancellationToken.None).AsTask());
        }

        await Task.WhenAll(tasks.Take(8)).WaitAsync(Deadline);
        await subscriber.CommitAsync(8, CancellationToken.None);
        Assert.False(tasks[8].IsCompleted);
        Assert.True(_context.Segments.Length >= 4);
        again.SetConfiguredSubscribers(new Dictionary<string, LagOptions> { ["new"] = new() });
        await Task.WhenAll(tasks).WaitAsync(Deadline);
        Assert.Contains(_context.Lines, line => line.Contains("Subscriber old is configured no more", StringComparison.Ordinal));
        await UntilAsync(() => _context.Segments.Length <= 3, "its segments to go");
        ISubscriber returned = again.Subscribe("old", SubscriberStart.Beginning);
        Assert.True(returned.Cursor > 0);
        Assert.Equal(again.Skipped, returned.Cursor);
    }

    [Fact]
    public async Task A_batch_larger_than_a_segment_gets_one_of_its_own()
    {
        await using FileChannel channel = _context.OpenFile(cache: 0);
        ISubscriber subscriber = channel.Subscribe("out", SubscriberStart.Beginning);
        await channel.PutAsync(Numbers(A, 0, 1));
        await channel.PutAsync(Numbers(A, 1, 4, 1 << 20));
        await channel.PutAsync(Numbers(A, 4, 5));
        Assert.Equal(3, _context.Segments.Length);
        Assert.Equal(Range(0, 5), await subscriber.ReadAsync(5));
    }

    [Fact]
    public async Task Positions_alone_may_fill_whole_segments()
    {
        byte[] attributes = new HeaderBuilder().Add("path", new string('p', 300_000)).Encoded.ToArray();
        FileChannel channel = _context.OpenFile();
        ISubscriber subscriber = channel.Subscribe("out", SubscriberStart.Beginning);
        for (int i = 0; i < 10; i++)
        {
            await channel.PutAsync(EventBatch.PositionsOnly(new Advance(A, i, i + 1, attributes)));
        }

        await UntilAsync(() => _context.Segments.Length == 1, "segments without events to go");
        await channel.PutAsync(Numbers(B, 0, 2));
        Assert.Equal([0, 1], await subscriber.ReadAsync(2));
        await channel.AbandonAsync();
        await using FileChannel again = _context.OpenFile();
        Assert.Equal([(A, 10L), (B, 2L)], again.GetOrigins().OrderBy(origin => origin.Origin.Value).Select(origin => (origin.Origin, origin.Position)));
    }

    [Fact]
    public async Task Readers_at_the_tail_are_served_from_memory_within_the_limit_set_and_others_from_disk()
    {
        await using FileChannel channel = _context.OpenFile(_files, cache: 1 << 20);
        ISubscriber tail = channel.Subscribe("tail", SubscriberStart.Beginning);
        int before = _files.Count("read");
        for (int i = 0; i < 20; i++)
        {
            await channel.PutAsync(Numbers(A, i, i + 1, 100_000));
            Assert.Equal([i], await tail.ReadAsync(1));
        }

        Assert.Equal(before, _files.Count("read"));
        ISubscriber slow = channel.Subscribe("slow", SubscriberStart.Beginning);
        Assert.Equal(Range(0, 20), await slow.ReadAsync(20));
        Assert.True(_files.Count("read") > before);
        int again = _files.Count("read");
        for (int i = 20; i < 26; i++)
        {
            await channel.PutAsync(Numbers(A, i, i + 1, 100_000));
        }

        Assert.Equal(Range(20, 26), await slow.ReadAsync(6));
        Assert.Equal(again, _files.Count("read"));
        for (int i = 26; i < 46; i++)
        {
            await channel.PutAsync(Numbers(A, i, i + 1, 100_000));
        }

        Assert.Equal(Range(20, 46), await tail.ReadAsync(26));
        Assert.True(_files.Count("read") > again);
    }

    [Theory]
    [InlineData("batch", true)]
    [InlineData("os", true)]
    [InlineData("100ms", true)]
    [InlineData("1.5s", true)]
    [InlineData("5m", true)]
    [InlineData("2h", false)]
    [InlineData("0s", false)]
    [InlineData("1", false)]
    [InlineData("-1s", false)]
    [InlineData("never", false)]
    public void Sync_is_batch_os_or_a_duration(string sync, bool isValid) =>
        Assert.Equal(isValid, !new FileChannelOptions { Sync = sync }.Validate().Any());

    [Fact]
    public void Sizes_out_of_range_are_named()
    {
        var options = new FileChannelOptions { Capacity = new ByteSize(1), SegmentSize = new ByteSize(1 << 19), Cache = new ByteSize(-1) };
        Assert.Equal(["capacity", "segment_size", "cache"], options.Validate().Select(problem => problem.Key));
        Assert.Equal(["segment_size"], new FileChannelOptions { SegmentSize = new ByteSize(2L << 30) }.Validate().Select(problem => problem.Key));
        Assert.Empty(new FileChannelOptions().Validate());
        Assert.Equal(["capacity"], new MemoryChannelOptions { Capacity = new ByteSize(1) }.Validate().Select(problem => problem.Key));
        Assert.Empty(new MemoryChannelOptions().Validate());
    }
}
