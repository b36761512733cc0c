using static Tailrace.Tests.Channels.TestBatch;

namespace Tailrace.Tests.Channels;

/// <summary>What every channel promises, whatever it is made of.</summary>
public abstract class ChannelContract : IAsyncLifetime, IDisposable
{
    private static readonly OriginId A = Origin(1);
    private static readonly OriginId B = Origin(2);
    private readonly TestContext _context = new();
    private IChannel _channel = null!;

    /// <summary>Whether what was appended, and not only what was delivered, is there after a reopening.</summary>
    protected abstract bool IsDurable { get; }

    private protected abstract IChannel Open(TestContext context, long capacity);

    public Task InitializeAsync()
    {
        _channel = Open(_context, 1 << 20);
        return Task.CompletedTask;
    }

    public async Task DisposeAsync() => await _channel.DisposeAsync();

    public void Dispose()
    {
        _context.Dispose();
        GC.SuppressFinalize(this);
    }

    [Fact]
    public async Task Events_come_out_in_the_order_they_went_in_with_dense_offsets()
    {
        ISubscriber subscriber = _channel.Subscribe("out", SubscriberStart.Beginning);
        long from = 0;
        foreach (int size in new[] { 1, 7, 100, 3, 50 })
        {
            AppendResult result = await _channel.PutAsync(Numbers(A, from, from + size));
            Assert.Equal(new AppendResult(AppendStatus.Stored, from, 0), result);
            from += size;
            Assert.Equal(from, _channel.End);
        }

        Assert.Equal(Range(0, 161), await subscriber.ReadAsync(161));
    }

    [Fact]
    public async Task A_batch_that_comes_twice_is_acknowledged_and_stored_once()
    {
        ISubscriber subscriber = _channel.Subscribe("out", SubscriberStart.Beginning);
        await _channel.PutAsync(Numbers(A, 0, 10));
        Assert.Equal(AppendStatus.Duplicate, (await _channel.PutAsync(Numbers(A, 0, 10))).Status);
        Assert.Equal(AppendStatus.Duplicate, (await _channel.PutAsync(Numbers(A, 2, 5))).Status);
        Assert.Equal(AppendStatus.Stored, (await _channel.PutAsync(Numbers(A, 10, 12))).Status);
        Assert.Equal(Range(0, 12), await subscriber.ReadAsync(12));
        Assert.Equal(12, _channel.End);
    }

    [Fact]
    public async Task A_batch_that_starts_elsewhere_is_told_where_the_channel_stands()
    {
        Assert.Equal(new AppendResult(AppendStatus.Mismatch, 0, 0), await _channel.PutAsync(Numbers(A, 5, 10)));
        await _channel.PutAsync(Numbers(A, 0, 10));
        Assert.Equal(new AppendResult(AppendStatus.Mismatch, 0, 10), await _channel.PutAsync(Numbers(A, 11, 12)));
        Assert.Equal(new AppendResult(AppendStatus.Mismatch, 0, 10), await _channel.PutAsync(Numbers(A, 5, 12)));
        Assert.Equal(10, _channel.End);
    }

    [Fact]
    public async Task Several_advances_are_stored_together_or_not_at_all()
    {
        EventBatch Joined(long a, long b, long to)
        {
            using var builder = new EventBatchBuilder();
            builder.Start();
            builder.Add(1, "1"u8);
            return builder.Build(new Advance(A, a, to, default), new Advance(B, b, to, default));
        }

        await _channel.PutAsync(Numbers(A, 0, 3));
        Assert.Equal(new AppendResult(AppendStatus.Mismatch, 0, 0), await _channel.PutAsync(Joined(3, 3, 7)));
        Assert.Equal(AppendStatus.Stored, (await _channel.PutAsync(Joined(3, 0, 7))).Status);
        Assert.Equal(AppendStatus.Duplicate, (await _channel.PutAsync(Joined(3, 0, 7))).Status);
        await _channel.PutAsync(Numbers(B, 7, 9));
        Assert.Equal(new AppendResult(AppendStatus.Mismatch, 0, 9), await _channel.PutAsync(Joined(7, 7, 10)));
        Assert.Equal(AppendStatus.Duplicate, (await _channel.PutAsync(Joined(3, 0, 7))).Status);
        Assert.Equal(6, _channel.End);
    }

    [Fact]
    public async Task Positions_alone_and_attributes_are_remembered_and_nobody_reads_them_as_events()
    {
        ISubscriber subscriber = _channel.Subscribe("out", SubscriberStart.Beginning);
        byte[] first = new HeaderBuilder().Add("path", "/a").Add("inode", 7).Encoded.ToArray();
        byte[] second = new HeaderBuilder().Add("path", "/b").Encoded.ToArray();
        await _channel.PutAsync(EventBatch.PositionsOnly(new Advance(A, 0, 40, first)));
        await _channel.PutAsync(EventBatch.PositionsOnly(new Advance(A, 40, 40, second)));
        await _channel.PutAsync(Numbers(A, 40, 42));
        Assert.Equal(Range(40, 42), await subscriber.ReadAsync(2));
        await subscriber.CommitAsync(2, CancellationToken.None);

        OriginState state = Assert.Single(_channel.GetOrigins());
        Assert.Equal((A, 42L), (state.Origin, state.Position));
        var attributes = new HeaderList(state.Attributes.Span);
        Assert.True(attributes.TryGet("path"u8, out EventHeader path));
        Assert.Equal("/b"u8, path.Text);
        Assert.True(attributes.TryGet("inode"u8, out EventHeader inode));
        Assert.Equal(7, inode.Integer);
        Assert.Equal(_context.Clock.GetUtcNow(), state.LastSeen);
    }

    [Fact]
    public async Task A_source_may_have_many_in_flight_each_going_on_where_the_one_before_ends()
    {
        ISubscriber subscriber = _channel.Subscribe("out", SubscriberStart.Beginning);
        var tasks = new List<Task<AppendResult>>();
        for (int i = 0; i < 200; i++)
        {
            using EventBatch batch = Numbers(A, i * 3, (i * 3) + 3);
            tasks.Add(_channel.AppendAsync(batch, CancellationToken.None).AsTask());
            if (i % 10 == 5)
            {
                tasks.Add(_channel.AppendAsync(batch, CancellationToken.None).AsTask());
            }
        }

        AppendResult[] results = await Task.WhenAll(tasks).WaitAsync(Deadline);
        Assert.Equal(200, results.Count(result => result.Status == AppendStatus.Stored));
        Assert.Equal(20, results.Count(result => result.Status == AppendStatus.Duplicate));
        Assert.Equal(Range(0, 200).Select(i => i * 3), results.Where(result => result.Status == AppendStatus.Stored).Select(result => result.Offset));
        Assert.Equal(Range(0, 600), await subscriber.ReadAsync(600));
    }

    [Fact]
    public async Task A_full_channel_makes_appends_wait_in_order_until_a_commit_frees_space()
    {
        await using IChannel small = await ReopenAsync(8 << 10);
        ISubscriber subscriber = small.Subscribe("out", SubscriberStart.Beginning);
        var tasks = new List<Task<AppendResult>>();
        for (int i = 0; i < 20; i++)
        {
            using EventBatch batch = Numbers(A, i, i + 1, 1000);
            tasks.Add(small.AppendAsync(batch, CancellationToken.None).AsTask());
        }

        await Task.WhenAll(tasks.Take(5)).WaitAsync(Deadline);
        Assert.False(tasks[^1].IsCompleted);
        long stored = 0;
        for (int i = 0; i < 20; i++)
        {
            Assert.Equal([i], await subscriber.ReadAsync(1));
            Assert.InRange(small.End - i, 1, 8);
            stored = Math.Max(stored, small.End);
            await subscriber.CommitAsync(i + 1, CancellationToken.None);
        }

        Assert.Equal(Range(0, 20), (await Task.WhenAll(tasks).WaitAsync(Deadline)).Select(result => result.Offset));
    }

    [Fact]
    public async Task Waiting_for_space_presses_who_holds_the_lowest_cursor_again_after_a_commit_that_freed_too_little_and_nobody_else()
    {
        await using IChannel small = await ReopenAsync(8 << 10);
        ISubscriber slow = small.Subscribe("slow", SubscriberStart.Beginning);
        ISubscriber fast = small.Subscribe("fast", SubscriberStart.Beginning);
        for (int i = 0; i < 6; i++)
        {
            await small.PutAsync(Numbers(A, i, i + 1, 1000));
        }

        Assert.False(slow.Pressure.IsCompleted);
        await fast.ReadAsync(6);
        await fast.CommitAsync(6, CancellationToken.None);
        await slow.ReadAsync(1);
        Task pressure = slow.Pressure;
        using EventBatch large = Numbers(A, 6, 7, 6000);
        Task<AppendResult> waiting = small.AppendAsync(large, CancellationToken.None).AsTask();
        await pressure.WaitAsync(Deadline);

        Task again = slow.Pressure;
        Assert.False(again.IsCompleted);
        await slow.CommitAsync(1, CancellationToken.None);
        await again.WaitAsync(Deadline);
        Assert.False(waiting.IsCompleted);

        // Having taken more since, it is pressed again as it comes to the end: it may not have held anything before.
        again = slow.Pressure;
        await slow.ReadAsync(5);
        ValueTask<ChannelTransaction?> take = slow.TakeAsync(CancellationToken.None);
        await again.WaitAsync(Deadline);
        await slow.CommitAsync(6, CancellationToken.None);
        Assert.Equal(6, (await waiting.WaitAsync(Deadline)).Offset);
        using ChannelTransaction? last = await take.AsTask().WaitAsync(Deadline);
        Assert.Equal(6, last!.Start);
        Assert.False(fast.Pressure.IsCompleted);
    }

    [Fact]
    public async Task A_batch_larger_than_the_whole_channel_goes_through_it_when_it_is_empty()
    {
        await using IChannel small = await ReopenAsync(4 << 10);
        ISubscriber subscriber = small.Subscribe("out", SubscriberStart.Beginning);
        await small.PutAsync(Numbers(A, 0, 1));
        using EventBatch large = Numbers(A, 1, 3, 20_000);
        Task<AppendResult> waiting = small.AppendAsync(large, CancellationToken.None).AsTask();
        await subscriber.ReadAsync(1);
        await subscriber.CommitAsync(1, CancellationToken.None);
        Assert.Equal(1, (await waiting.WaitAsync(Deadline)).Offset);
        Assert.Equal([1, 2], await subscriber.ReadAsync(2));
    }

    [Fact]
    public async Task Without_any_subscriber_a_channel_fills_up_and_waits_for_one()
    {
        await using IChannel small = await ReopenAsync(8 << 10);
        var tasks = new List<Task<AppendResult>>();
        for (int i = 0; i < 12; i++)
        {
            using EventBatch batch = Numbers(A, i, i + 1, 1000);
            tasks.Add(small.AppendAsync(batch, CancellationToken.None).AsTask());
        }

        await Task.WhenAll(tasks.Take(6)).WaitAsync(Deadline);
        Assert.False(tasks[^1].IsCompleted);
        ISubscriber subscriber = small.Subscribe("out", SubscriberStart.Beginning);
        for (int i = 0; i < 12; i++)
        {
            Assert.Equal([i], await subscriber.ReadAsync(1));
            await subscriber.CommitAsync(i + 1, CancellationToken.None);
        }

        await Task.WhenAll(tasks).WaitAsync(Deadline);
    }

    [Fact]
    public async Task An_append_cancelled_while_it_waits_for_space_is_not_stored_and_those_behind_it_go_on()
    {
        await using IChannel small = await ReopenAsync(8 << 10);
        ISubscriber subscriber = small.Subscribe("out", SubscriberStart.Beginning);
        await small.PutAsync(Numbers(A, 0, 1, 6000));
        using var cancellation = new CancellationTokenSource();
        using EventBatch large = Numbers(A, 1, 2, 6000);
        using EventBatch behind = Numbers(A, 2, 3);
        using EventBatch other = Numbers(B, 0, 1);
        Task<AppendResult> cancelled = small.AppendAsync(large, cancellation.Token).AsTask();
        Task<AppendResult> mismatching = small.AppendAsync(behind, CancellationToken.None).AsTask();
        Task<AppendResult> fitting = small.AppendAsync(other, CancellationToken.None).AsTask();
        await Task.Yield();
        Assert.False(cancelled.IsCompleted);
        Assert.False(fitting.IsCompleted);
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await cancelled.WaitAsync(Deadline));
        Assert.Equal(new AppendResult(AppendStatus.Mismatch, 0, 1), await mismatching.WaitAsync(Deadline));
        Assert.Equal(new AppendResult(AppendStatus.Stored, 1, 0), await fitting.WaitAsync(Deadline));
        Assert.Equal([0, 0], await subscriber.ReadAsync(2));
        using EventBatch late = Numbers(A, 1, 2);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await small.AppendAsync(late, cancellation.Token));
        Assert.Equal(2, small.End);
    }

    [Fact]
    public async Task Subscribers_neither_see_nor_slow_each_other()
    {
        ISubscriber one = _channel.Subscribe("one", SubscriberStart.Beginning);
        ISubscriber two = _channel.Subscribe("two", SubscriberStart.Beginning);
        await _channel.PutAsync(Numbers(A, 0, 10));
        Assert.Equal(Range(0, 10), await one.ReadAsync(10));
        await one.CommitAsync(10, CancellationToken.None);
        await _channel.PutAsync(Numbers(A, 10, 20));
        Assert.Equal(Range(0, 20), await two.ReadAsync(20));
        Assert.Equal(Range(10, 20), await one.ReadAsync(10));
        Assert.Equal((10, 0), (one.Cursor, two.Cursor));
        Assert.Throws<InvalidOperationException>(() => _channel.Subscribe("one", SubscriberStart.Beginning));
    }

    [Fact]
    public async Task A_new_subscriber_starts_at_the_oldest_event_retained_or_behind_the_newest_or_at_a_time()
    {
        ISubscriber holder = _channel.Subscribe("holder", SubscriberStart.Beginning);
        await _channel.PutAsync(Numbers(A, 0, 10));
        _context.Clock.Advance(TimeSpan.FromMinutes(1));
        long time = LogEvent.ToTimestamp(_context.Clock.GetUtcNow());
        await _channel.PutAsync(Numbers(A, 10, 20));
        Assert.Equal(0, _channel.Subscribe("beginning", SubscriberStart.Beginning).Position);
        Assert.Equal(20, _channel.Subscribe("end", SubscriberStart.End).Position);
        Assert.Equal(10, _channel.Subscribe("then", new SubscriberStart(SubscriberStartKind.Timestamp, time)).Position);
        Assert.Equal(20, _channel.Subscribe("later", new SubscriberStart(SubscriberStartKind.Timestamp, time + 1)).Position);
        Assert.Equal(0, holder.Cursor);
    }

    [Fact]
    public async Task Rolling_back_and_seeking_give_the_same_events_again_cut_where_asked()
    {
        ISubscriber subscriber = _channel.Subscribe("out", SubscriberStart.Beginning);
        await _channel.PutAsync(Numbers(A, 0, 10));
        await _channel.PutAsync(Numbers(A, 10, 20));
        using (ChannelTransaction? first = await subscriber.TakeAsync(CancellationToken.None))
        {
            Assert.Equal(Range(0, 10), first!.Numbers());
            first!.RollBack();
        }

        Assert.Equal(Range(0, 20), await subscriber.ReadAsync(20));
        subscriber.Seek(13);
        Assert.Equal(Range(13, 20), await subscriber.ReadAsync(7));
        subscriber.Seek(99);
        Assert.Equal(20, subscriber.Position);
        subscriber.Seek(-1);
        Assert.Equal(0, subscriber.Position);
        await subscriber.CommitAsync(5, CancellationToken.None);
        Assert.Equal((5, 5), (subscriber.Cursor, subscriber.Position));
        await subscriber.CommitAsync(3, CancellationToken.None);
        Assert.Equal(5, subscriber.Cursor);
        Assert.Equal(Range(5, 20), await subscriber.ReadAsync(15));
    }

    [Fact]
    public async Task A_take_waits_for_the_next_batch_and_cancelling_it_leaves_the_position()
    {
        ISubscriber subscriber = _channel.Subscribe("out", SubscriberStart.Beginning);
        using var cancellation = new CancellationTokenSource();
        ValueTask<ChannelTransaction?> cancelled = subscriber.TakeAsync(cancellation.Token);
        Assert.False(cancelled.IsCompleted);
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await cancelled);
        Task<ChannelTransaction?> take = subscriber.TakeAsync(CancellationToken.None).AsTask();
        Assert.False(take.IsCompleted);
        await _channel.PutAsync(Numbers(A, 0, 3));
        using ChannelTransaction? transaction = await take.WaitAsync(Deadline);
        Assert.Equal(Range(0, 3), transaction!.Numbers());
    }

    [Fact]
    public async Task A_complete_channel_ends_for_those_who_have_taken_everything()
    {
        ISubscriber early = _channel.Subscribe("early", SubscriberStart.Beginning);
        ISubscriber late = _channel.Subscribe("late", SubscriberStart.Beginning);
        await _channel.PutAsync(Numbers(A, 0, 3));
        await early.ReadAsync(3);
        Task<ChannelTransaction?> waiting = early.TakeAsync(CancellationToken.None).AsTask();
        Assert.False(waiting.IsCompleted);
        _channel.Complete();
        Assert.Null(await waiting.WaitAsync(Deadline));
        Assert.Equal(Range(0, 3), await late.ReadAsync(3));
        Assert.Null(await late.TakeAsync(CancellationToken.None).AsTask().WaitAsync(Deadline));
        using EventBatch batch = Numbers(A, 3, 4);
        await Assert.ThrowsAsync<InvalidOperationException>(async () => await _channel.AppendAsync(batch, CancellationToken.None));
    }

    [Fact]
    public async Task Sixty_four_producers_at_once_lose_and_repeat_nothing()
    {
        const int batches = 25;
        const int size = 4;
        ISubscriber subscriber = _channel.Subscribe("out", SubscriberStart.Beginning);
        Task[] producers = [.. Enumerable.Range(0, 64).Select(producer => Task.Run(async () =>
        {
            OriginId origin = Origin((byte)producer);
            for (int i = 0; i < batches; i++)
            {
                AppendResult result = await _channel.PutAsync(Numbers(origin, i * size, (i + 1) * size, producer));
                Assert.Equal(AppendStatus.Stored, result.Status);
            }
        }))];
        var read = new List<(int Producer, long Number)>();
        while (read.Count < 64 * batches * size)
        {
            using ChannelTransaction? transaction = await subscriber.TakeAsync(CancellationToken.None).AsTask().WaitAsync(Deadline);
            foreach (LogEvent each in transaction!.Events)
            {
                string text = System.Text.Encoding.ASCII.GetString(each.Body);
                read.Add((text.Contains(' ', StringComparison.Ordinal) ? text.Length - text.IndexOf(' ', StringComparison.Ordinal) - 1 : 0, long.Parse(text.Split(' ')[0], System.Globalization.CultureInfo.InvariantCulture)));
            }

            await transaction.CommitAsync(CancellationToken.None);
        }

        await Task.WhenAll(producers).WaitAsync(Deadline);
        foreach (IGrouping<int, (int Producer, long Number)> producer in read.GroupBy(each => each.Producer))
        {
            Assert.Equal(Range(0, batches * size), producer.Select(each => each.Number));
        }

        Assert.Equal(64, read.Select(each => each.Producer).Distinct().Count());
        Assert.Equal(64 * batches * size, _channel.End);
        await UntilAsync(() => _channel.GetOrigins().Count == 64 && _channel.GetOrigins().All(origin => origin.Position == batches * size), "positions");
    }

    [Fact]
    public async Task Reopening_goes_on_where_the_promise_says()
    {
        ISubscriber subscriber = _channel.Subscribe("out", SubscriberStart.Beginning);
        await _channel.PutAsync(Numbers(A, 0, 10, attribute: "/a"));
        await _channel.PutAsync(Numbers(A, 10, 30));
        await subscriber.ReadAsync(30);
        await subscriber.CommitAsync(10, CancellationToken.None);
        ulong run = _channel.Run;
        await using IChannel again = await ReopenAsync(1 << 20);

        Assert.NotEqual(run, again.Run);
        OriginState state = Assert.Single(again.GetOrigins());
        Assert.Equal(IsDurable ? 30 : 10, state.Position);
        Assert.True(new HeaderList(state.Attributes.Span).TryGet("path"u8, out _));
        Assert.Equal(state.Position, again.End);
        ISubscriber resumed = again.Subscribe("out", SubscriberStart.Beginning);
        Assert.Equal(10, resumed.Cursor);
        if (!IsDurable)
        {
            Assert.Equal(new AppendResult(AppendStatus.Mismatch, 0, 10), await again.PutAsync(Numbers(A, 30, 31)));
            await again.PutAsync(Numbers(A, 10, 30));
        }

        Assert.Equal(AppendStatus.Duplicate, (await again.PutAsync(Numbers(A, 0, 10))).Status);
        Assert.Equal(new AppendResult(AppendStatus.Stored, 30, 0), await again.PutAsync(Numbers(A, 30, 35)));
        Assert.Equal(Range(10, 35), await resumed.ReadAsync(25));
    }

    [Fact]
    public async Task A_stopped_channel_fails_what_waits_and_refuses_what_comes()
    {
        IChannel small = await ReopenAsync(8 << 10);
        ISubscriber subscriber = small.Subscribe("out", SubscriberStart.Beginning);
        await small.PutAsync(Numbers(A, 0, 1, 6000));
        using EventBatch batch = Numbers(A, 1, 2, 6000);
        Task<AppendResult> waiting = small.AppendAsync(batch, CancellationToken.None).AsTask();
        await subscriber.ReadAsync(1);
        Task<ChannelTransaction?> take = subscriber.TakeAsync(CancellationToken.None).AsTask();
        await small.DisposeAsync();
        await Assert.ThrowsAsync<ChannelException>(() => waiting.WaitAsync(Deadline));
        await Assert.ThrowsAsync<ObjectDisposedException>(() => take.WaitAsync(Deadline));
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await small.AppendAsync(batch, CancellationToken.None));
        await small.DisposeAsync();
    }

    [Fact]
    public async Task What_runs_backwards_or_cannot_be_read_is_refused()
    {
        using EventBatch backwards = EventBatch.PositionsOnly(new Advance(A, 5, 3, default));
        using EventBatch garbled = EventBatch.PositionsOnly(new Advance(A, 0, 3, new byte[] { 200, 1 }));
        await Assert.ThrowsAsync<ArgumentException>(async () => await _channel.AppendAsync(backwards, CancellationToken.None));
        await Assert.ThrowsAsync<ArgumentException>(async () => await _channel.AppendAsync(garbled, CancellationToken.None));
        Assert.Empty(_channel.GetOrigins());
    }

    private async Task<IChannel> ReopenAsync(long capacity)
    {
        await _channel.DisposeAsync();
        return _channel = Open(_context, capacity);
    }
}
