using Tailrace.Core.Channels;
using static Tailrace.Tests.Channels.TestBatch;

namespace Tailrace.Tests.Channels;

/// <summary>Batches that are compressed on disk.</summary>
public sealed class CompressionTests : IDisposable
{
    private static readonly OriginId A = Origin(1);
    private readonly TestContext _context = new();

    public void Dispose() => _context.Dispose();

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task What_is_compressed_takes_less_and_comes_back_as_it_was(byte codec)
    {
        FileChannel channel = Open((BatchCompression)codec);
        using EventBatch sent = Numbers(A, 0, 1000, 200);
        byte[] block = sent.Block.ToArray();
        await channel.AppendAsync(sent, CancellationToken.None);
        await channel.PutAsync(Numbers(A, 1000, 1001)); // too small to be compressed
        Assert.InRange(channel.UsedBytes, 1, sent.BlockLength / 2);
        await channel.AbandonAsync();

        await using FileChannel again = Open(BatchCompression.None); // codecs may change
        ISubscriber subscriber = again.Subscribe("out", SubscriberStart.Beginning);
        using (ChannelTransaction? first = await subscriber.TakeAsync(CancellationToken.None))
        {
            Assert.Equal(block, first!.Events.Batch.Block.ToArray());
            Assert.Equal(new Advance(A, 0, 1000, default), first.Events.Batch.Advances[0] with { Attributes = default });
        }

        await again.PutAsync(Numbers(A, 1001, 1500, 200));
        Assert.Equal(Range(1000, 1500), await subscriber.ReadAsync(500));
        Assert.Equal(1500, ChannelTools.Verify(_context.Directory).Events);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Damage_to_a_compressed_block_is_found_at_every_byte(byte codec)
    {
        using EventBatch batch = Numbers(A, 0, 100, 40);
        Assert.True(BatchCodec.TryCompress(batch.Block.Span, (BatchCompression)codec, out byte[] buffer, out int length));
        using (EventBatch back = BatchCodec.Open(buffer.AsSpan(0, length), []))
        {
            Assert.Equal(batch.Block.ToArray(), back.Block.ToArray());
        }

        for (int i = 8; i < length; i++)
        {
            buffer[i] ^= 4;
            Assert.Throws<InvalidDataException>(() => BatchCodec.Open(buffer.AsSpan(0, length), []));
            buffer[i] ^= 4;
        }

        EventBatch.Pool.Return(buffer);
    }

    [Fact]
    public void What_does_not_get_smaller_is_stored_as_it_is()
    {
        var noise = new byte[5000];
        new Random(1).NextBytes(noise);
        using var builder = new EventBatchBuilder();
        builder.Start();
        builder.Add(1, noise.Where(value => value != 10).ToArray());
        using EventBatch batch = builder.Build();
        Assert.False(BatchCodec.TryCompress(batch.Block.Span, BatchCompression.Lz4, out _, out _));
        Assert.False(BatchCodec.TryCompress(batch.Block.Span, BatchCompression.Zstd, out _, out _));
    }

    private FileChannel Open(BatchCompression compression) =>
        FileChannel.Open(new FileChannelOptions { Compression = compression, Cache = new ByteSize(0), SegmentSize = new ByteSize(1 << 20) }, _context, new TestFiles());
}
