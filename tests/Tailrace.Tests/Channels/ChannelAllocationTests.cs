using Tailrace.Core.Channels;
using static Tailrace.Tests.Channels.TestBatch;

namespace Tailrace.Tests.Channels;

/// <summary>Tests that measure the whole process, so nothing runs beside them.</summary>
[CollectionDefinition("Alone", DisableParallelization = true)]
public sealed class Alone;

[Collection("Alone")]
public sealed class ChannelAllocationTests : IDisposable
{
    private readonly TestContext _context = new();

    public void Dispose() => _context.Dispose();

    [Theory]
    [InlineData(8 << 20)]
    [InlineData(0)]
    public async Task Appending_and_reading_allocate_nothing_per_event(long cache)
    {
        await using FileChannel channel = FileChannel.Open(new FileChannelOptions { Cache = new ByteSize(cache) }, _context, new TestFiles());
        await MeasureAsync(channel);
    }

    [Fact]
    public async Task The_memory_channel_allocates_nothing_per_event_either()
    {
        await using var channel = new MemoryChannel(new MemoryChannelOptions(), _context);
        await MeasureAsync(channel);
    }

    private static async Task MeasureAsync(IChannel channel)
    {
        ISubscriber subscriber = channel.Subscribe("out", SubscriberStart.Beginning);
        long position = 0;
        async Task<long> MeasureBatchesAsync(int events)
        {
            long lowest = long.MaxValue;
            for (int i = 0; i < 20; i++)
            {
                using EventBatch batch = Numbers(Origin(1), position, position + events);
                position += events;
                long before = GC.GetTotalAllocatedBytes(precise: true);
                await channel.AppendAsync(batch, CancellationToken.None);
                using ChannelTransaction? transaction = await subscriber.TakeAsync(CancellationToken.None);
                await transaction!.CommitAsync(CancellationToken.None);
                lowest = Math.Min(lowest, GC.GetTotalAllocatedBytes(precise: true) - before);
            }

            return lowest;
        }

        await MeasureBatchesAsync(10_000);
        long few = await MeasureBatchesAsync(10);
        long many = await MeasureBatchesAsync(10_000);
        Assert.InRange(few, 0, 4096);
        Assert.InRange(many - few, -4096, 4096);
    }
}
