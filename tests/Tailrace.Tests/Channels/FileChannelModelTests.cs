using CsCheck;
using Tailrace.Core.Channels;
using static Tailrace.Tests.Channels.TestBatch;

namespace Tailrace.Tests.Channels;

/// <summary>Random histories of a file channel against a model that is a list.</summary>
public sealed class FileChannelModelTests
{
    private static readonly Gen<(int Kind, int Who, int Size)> Step = Gen.Select(Gen.Int[0, 11], Gen.Int[0, 2], Gen.Int[0, 30]);

    [Fact]
    public async Task Any_history_of_appends_reads_commits_seeks_kills_and_stops_loses_and_repeats_nothing() =>
        await Step.Array[1, 60].SampleAsync(RunAsync, iter: 50, threads: 1);

    private static async Task RunAsync((int Kind, int Who, int Size)[] steps)
    {
        using var context = new TestContext();
        var log = new List<long>();                 // the number of each event, by offset
        var positions = new long[3];
        var cursors = new long[2];
        var subscribers = new ISubscriber[2];
        FileChannel channel = Open(context, subscribers);
        try
        {
            foreach ((int kind, int who, int size) in steps)
            {
                ISubscriber subscriber = subscribers[who % 2];
                switch (kind)
                {
                    case <= 3:
                        AppendResult stored = await channel.PutAsync(Batch(who, positions[who], positions[who] + size));
                        Assert.Equal(new AppendResult(AppendStatus.Stored, log.Count, 0), stored);
                        log.AddRange(Range(positions[who], positions[who] + size).Select(number => (who * 1_000_000) + number));
                        positions[who] += size;
                        break;
                    case 4:
                        if (size > 0 && positions[who] >= size)
                        {
                            AppendResult old = await channel.PutAsync(Batch(who, positions[who] - size, positions[who] + (size % 2)));
                            Assert.Equal(size % 2 == 0 ? new AppendResult(AppendStatus.Duplicate, 0, 0) : new AppendResult(AppendStatus.Mismatch, 0, positions[who]), old);
                        }

                        break;
                    case <= 7 when subscriber.Position < log.Count:
                        using (ChannelTransaction? transaction = await subscriber.TakeAsync(CancellationToken.None).AsTask().WaitAsync(Deadline))
                        {
                            Assert.Equal(log[(int)transaction!.Start..(int)transaction.End], transaction.Numbers());
                            if (size % 3 == 0)
                            {
                                transaction.RollBack();
                            }
                        }

                        break;
                    case 8:
                        cursors[who % 2] = Math.Max(cursors[who % 2], Math.Min(log.Count, cursors[who % 2] + size));
                        await subscriber.CommitAsync(cursors[who % 2], CancellationToken.None);
                        break;
                    case 9:
                        subscriber.Seek(Math.Max(channel.First, log.Count - size));
                        break;
                    case 10:
                        await channel.AbandonAsync();
                        channel = Open(context, subscribers);
                        break;
                    case 11:
                        bool isWhole = channel.First == 0; // else only the snapshot knows what deleted segments said
                        await channel.DisposeAsync();
                        if (size < 10 && isWhole)
                        {
                            File.Delete(Path.Combine(context.Directory, "state"));
                        }

                        channel = Open(context, subscribers);
                        break;
                    default:
                        break;
                }

                Assert.Equal(log.Count, channel.End);
                Assert.Equal(cursors, subscribers.Select(each => each.Cursor));
                Assert.Equal(0, channel.Skipped + channel.Damaged);
            }

            Assert.Equal(
                positions.Select((position, who) => (Origin((byte)who), position)).Where(each => each.position > 0),
                channel.GetOrigins().Where(each => each.Position > 0).OrderBy(each => each.Origin.Value).Select(each => (each.Origin, each.Position)));
            foreach (ISubscriber subscriber in subscribers)
            {
                subscriber.Seek(subscriber.Cursor);
                Assert.Equal(log[(int)subscriber.Cursor..], await subscriber.ReadAsync((int)(log.Count - subscriber.Cursor)));
            }
        }
        finally
        {
            await channel.AbandonAsync();
        }
    }

    // Large events, so that a history goes through several segments.
    private static EventBatch Batch(int who, long from, long to)
    {
        if (from == to)
        {
            return EventBatch.PositionsOnly(new Advance(Origin((byte)who), from, to, default));
        }

        EventBatch numbers = Numbers((who * 1_000_000) + from, (who * 1_000_000) + to, 10_000);
        byte[] buffer = EventBatch.Pool.Rent(numbers.BlockLength);
        numbers.Block.CopyTo(buffer);
        using (numbers)
        {
            return EventBatch.Open(buffer, numbers.BlockLength, new Advance(Origin((byte)who), from, to, default));
        }
    }

    private static FileChannel Open(TestContext context, ISubscriber[] subscribers)
    {
        FileChannel channel = context.OpenFile(cache: 200_000);
        subscribers[0] = channel.Subscribe("one", SubscriberStart.Beginning);
        subscribers[1] = channel.Subscribe("two", SubscriberStart.Beginning);
        return channel;
    }
}
