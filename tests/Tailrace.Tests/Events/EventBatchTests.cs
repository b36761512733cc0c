using System.Text;
using CsCheck;

namespace Tailrace.Tests.Events;

public sealed class EventBatchTests
{
    [Fact]
    public void Any_events_come_back_as_they_were_put_in() =>
        Batches.Any.Sample(
            input =>
            {
                using EventBatch built = Batches.Build(input.Shared, input.Events);
                string expected = Batches.Expect(input.Shared, input.Events);
                Assert.Equal(expected, AfterFirstLine(Batches.Show(built)));
                using EventBatch opened = Batches.Open(built.Block.Span);
                Assert.Equal(expected, AfterFirstLine(Batches.Show(opened)));
                Assert.Equal(input.Events.Length, opened.Count);
                Assert.Equal(input.Events.SelectMany(e => e.Body.Append((byte)'\n')), opened.All.Lines.ToArray());
            },
            iter: 2000,
            threads: 1);

    [Fact]
    public void Skip_and_take_give_the_run_they_say_at_every_edge() =>
        Batches.Events.Sample(
            events =>
            {
                using EventBatch batch = Batches.Build([], events);
                for (int skip = 0; skip <= events.Length; skip++)
                {
                    for (int take = 0; take <= events.Length - skip; take++)
                    {
                        EventRange range = batch.All.Skip(skip).Take(take);
                        AssertRange(events, skip, take, range);
                        AssertRange(events, skip, take, batch.All.Take(skip + take).Skip(skip));
                    }
                }
            },
            iter: 60,
            threads: 1);

    [Fact]
    public void Skip_and_take_refuse_more_than_there_is()
    {
        using EventBatch batch = Batches.Build([], new Event(0, "a"), new Event(0, "b"));
        Assert.Throws<ArgumentOutOfRangeException>(() => batch.All.Skip(3));
        Assert.Throws<ArgumentOutOfRangeException>(() => batch.All.Skip(-1));
        Assert.Throws<ArgumentOutOfRangeException>(() => batch.All.Skip(1).Take(2));
        Assert.Throws<ArgumentOutOfRangeException>(() => batch.All.Take(-1));
    }

    [Fact]
    public void Runs_between_any_two_marks_of_a_walk_are_right() =>
        Batches.Events.Sample(
            events =>
            {
                using EventBatch batch = Batches.Build([], events);
                for (int first = 0; first <= events.Length; first++)
                {
                    EventRange whole = batch.All.Skip(first);
                    EventRange.Enumerator walk = whole.GetEnumerator();
                    EventRange.Mark atStart = walk.Here;
                    AssertRange(events, first, 0, walk.RangeFrom(atStart));
                    AssertRange(events, first, 0, walk.RangeFrom(atStart, includeCurrent: true));
                    var marks = new List<EventRange.Mark>();
                    while (walk.MoveNext())
                    {
                        marks.Add(walk.Here);
                        for (int i = 0; i < marks.Count; i++)
                        {
                            AssertRange(events, first + i, marks.Count - 1 - i, walk.RangeFrom(marks[i]));
                            AssertRange(events, first + i, marks.Count - i, walk.RangeFrom(marks[i], includeCurrent: true));
                        }
                    }

                    Assert.Equal(events.Length - first, marks.Count);
                    AssertRange(events, first, marks.Count, walk.RangeFrom(atStart, includeCurrent: true));
                    Assert.False(walk.MoveNext());
                }
            },
            iter: 60,
            threads: 1);

    [Fact]
    public void A_run_from_a_mark_behind_the_event_at_hand_is_refused()
    {
        using EventBatch batch = Batches.Build([], new Event(0, "a"), new Event(0, "b"));
        EventRange.Enumerator ahead = batch.GetEnumerator();
        ahead.MoveNext();
        ahead.MoveNext();
        EventRange.Mark mark = ahead.Here;
        Assert.Throws<ArgumentOutOfRangeException>(() => batch.GetEnumerator().RangeFrom(mark));
    }

    [Fact]
    public void A_run_of_a_batch_without_events_is_empty()
    {
        var advance = new Advance(OriginId.New(), 3, 9, default);
        using EventBatch batch = EventBatch.PositionsOnly(advance);
        Assert.Equal(0, batch.Count);
        Assert.Equal(0, batch.BlockLength);
        Assert.True(batch.Block.IsEmpty);
        Assert.True(batch.SharedHeaders.IsEmpty);
        Assert.True(batch.All.Lines.IsEmpty);
        Assert.Equal(0, batch.All.Skip(0).Take(0).Count);
        Assert.False(batch.GetEnumerator().MoveNext());
        Assert.Equal([advance], batch.Advances.ToArray());
    }

    [Fact]
    public void A_hundred_thousand_events_survive()
    {
        using var builder = new EventBatchBuilder(1024);
        builder.Start();
        var expected = new StringBuilder();
        for (int i = 0; i < 100_000; i++)
        {
            expected.Append("event ").Append(i).Append('\n');
            builder.Add(i % 7, Encoding.UTF8.GetBytes($"event {i}"));
        }

        using EventBatch built = builder.Build();
        using EventBatch batch = Batches.Open(built.Block.Span);
        Assert.Equal(100_000, batch.Count);
        Assert.Equal((0, 6), (batch.MinTimestamp, batch.MaxTimestamp));
        Assert.Equal(expected.ToString(), Encoding.UTF8.GetString(batch.All.Lines.Span));
        int index = 0;
        foreach (LogEvent one in batch)
        {
            Assert.Equal(index++ % 7, one.Timestamp);
        }

        Assert.Equal("event 99999\n", Encoding.UTF8.GetString(batch.All.Skip(99_999).Lines.Span));
    }

    [Fact]
    public void Encoding_and_walking_10000_events_allocates_no_more_than_10()
    {
        byte[] body = [.. Enumerable.Repeat((byte)'x', 100)];
        byte[] shared = Batches.Encode(("host", "web-01"), ("level", "info"));
        byte[] own = Batches.Encode(("level", 3));
        using var builder = new EventBatchBuilder(8 << 20);
        long sum = 0;
        void Run(int count)
        {
            builder.Start(shared);
            for (int i = 0; i < count; i++)
            {
                builder.Add(i, body, own);
            }

            using EventBatch batch = builder.Build();
            EventBatch.Open(EventBatchCopy(batch), batch.BlockLength).Dispose();
            foreach (LogEvent one in batch)
            {
                foreach (EventHeader header in one.Headers)
                {
                    sum += header.Name.Length + one.Body.Length;
                }

                sum += one.Headers.TryGet("level"u8, out EventHeader level) ? level.Integer : 0;
            }

            sum += batch.All.Skip(count / 2).Lines.Length;
        }

        // The least of several runs: the pool makes a new buffer where another test happens to hold the one at hand.
        long Measure(int count) => Enumerable.Range(0, 20).Min(_ =>
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            Run(count);
            return GC.GetAllocatedBytesForCurrentThread() - before;
        });

        Run(10_000);
        Run(10);
        long few = Measure(10);
        Assert.InRange(few, 1, 2000);
        Assert.Equal(few, Measure(10_000));
        Assert.NotEqual(0, sum);

        static byte[] EventBatchCopy(EventBatch batch)
        {
            byte[] copy = EventBatch.Pool.Rent(8 << 20);
            batch.Block.Span.CopyTo(copy);
            return copy;
        }
    }

    [Fact]
    public void The_last_dispose_gives_the_buffer_back_and_ends_all_use()
    {
        EventBatch batch = Batches.Build([("host", "a")], new Event(0, "a"));
        EventBatch share = batch.Share();
        batch.Dispose();
        Assert.Equal("a\n"u8.ToArray(), share.All.Lines.ToArray());
        share.Dispose();
        for (int i = 0; i < 3; i++)
        {
            Assert.Throws<ObjectDisposedException>(() => batch.Share());
            Assert.Throws<ObjectDisposedException>(() => batch.Block);
            Assert.Throws<ObjectDisposedException>(() => batch.All.Lines);
            Assert.Throws<ObjectDisposedException>(() => batch.SharedHeaders.IsEmpty);
            Assert.Throws<ObjectDisposedException>(() => batch.GetEnumerator());
            batch.Dispose(); // one too many changes nothing
        }
    }

    [Fact]
    public async Task Shares_taken_and_disposed_by_many_threads_keep_the_batch_alive_until_the_last()
    {
        for (int round = 0; round < 50; round++)
        {
            EventBatch batch = Batches.Build([], new Event(0, "a"));
            for (int i = 0; i < 8; i++)
            {
                batch.Share();
            }

            Task[] holders = [.. Enumerable.Range(0, 8).Select(_ => Task.Run(() =>
            {
                for (int i = 0; i < 500; i++)
                {
                    EventBatch share = batch.Share();
                    Assert.Equal(66 + 1, share.Block.Length);
                    share.Dispose();
                }

                batch.Dispose();
            }))];
            await Task.WhenAll(holders);
            Assert.Equal(67, batch.Block.Length);
            batch.Dispose();
            Assert.Throws<ObjectDisposedException>(() => batch.Block);
        }
    }

    [Fact]
    public async Task A_share_taken_while_the_last_is_disposed_either_holds_or_is_refused()
    {
        for (int round = 0; round < 2000; round++)
        {
            EventBatch batch = Batches.Build([], new Event(0, "a"));
            Task<bool> sharing = Task.Run(() =>
            {
                try
                {
                    EventBatch share = batch.Share();
                    bool alive = share.Block.Length == 67;
                    share.Dispose();
                    return alive;
                }
                catch (ObjectDisposedException exception)
                {
                    // Share itself must have refused, not the use of what it gave.
                    return exception.StackTrace!.Contains(nameof(EventBatch.Share), StringComparison.Ordinal);
                }
            });
            batch.Dispose();
            Assert.True(await sharing);
            Assert.Throws<ObjectDisposedException>(() => batch.Block);
        }
    }

    private static void AssertRange(Event[] events, int first, int count, EventRange range)
    {
        Assert.Equal((first, count), (range.First, range.Count));
        Event[] expected = [.. events.Skip(first).Take(count)];
        Assert.Equal(expected.SelectMany(e => e.Body.Append((byte)'\n')), range.Lines.ToArray());
        int index = 0;
        foreach (LogEvent one in range)
        {
            Assert.Equal(expected[index].Timestamp, one.Timestamp);
            Assert.True(one.Body.SequenceEqual(expected[index++].Body));
        }

        Assert.Equal(count, index);
    }

    private static string AfterFirstLine(string text) => text[(text.IndexOf('\n', StringComparison.Ordinal) + 1)..];
}
