using System.Buffers.Binary;
using K4os.Compression.LZ4;
using ZstdSharp;

namespace Tailrace.Core.Channels;

/// <summary>How a file channel compresses batches. The numbers are the codecs of the batch format.</summary>
internal enum BatchCompression : byte
{
    /// <summary>Not at all.</summary>
    None = 0,

    /// <summary>LZ4.</summary>
    Lz4 = 1,

    /// <summary>Zstandard, level 1.</summary>
    Zstd = 2,
}

/// <summary>
/// Compresses the block of a batch: everything behind its header. The header says by what, and keeps the length there was; its checksum
/// is that of the compressed bytes, so that damage is found before anything is decompressed. Only disks see such blocks.
/// </summary>
internal static class BatchCodec
{
    private const int LengthOffset = 4;
    private const int ChecksumOffset = 8;
    private const int CheckedOffset = 12;
    private const int CodecOffset = 13;
    private const int RawLengthOffset = 48;
    private const int SmallestBlock = 512; // less is not worth a call
    private const int Level = 1;

    [ThreadStatic]
    private static Compressor? _compressor;

    [ThreadStatic]
    private static Decompressor? _decompressor;

    /// <summary>Compresses a block into a buffer rented from <see cref="EventBatch.Pool"/>; false where that does not make it smaller by an eighth.</summary>
    public static bool TryCompress(ReadOnlySpan<byte> block, BatchCompression compression, out byte[] buffer, out int length)
    {
        buffer = [];
        length = 0;
        if (compression == BatchCompression.None || block.Length < SmallestBlock)
        {
            return false;
        }

        ReadOnlySpan<byte> raw = block[EventBatch.BlockOverhead..];
        buffer = EventBatch.Pool.Rent(block.Length);
        Span<byte> target = buffer.AsSpan(EventBatch.BlockOverhead, raw.Length - (raw.Length / 8));
        int count = compression == BatchCompression.Lz4 ? LZ4Codec.Encode(raw, target)
            : (_compressor ??= new Compressor(Level)).TryWrap(raw, target, out int written) ? written : 0;
        if (count <= 0)
        {
            EventBatch.Pool.Return(buffer);
            buffer = [];
            return false;
        }

        length = EventBatch.BlockOverhead + count;
        block[..EventBatch.BlockOverhead].CopyTo(buffer);
        Seal(buffer.AsSpan(0, length), (byte)compression);
        return true;
    }

    /// <summary>Whether a stored block is compressed.</summary>
    public static bool IsCompressed(ReadOnlySpan<byte> block) => block.Length > EventBatch.BlockOverhead && block[CodecOffset] != 0;

    /// <summary>Opens a stored block that is compressed. The caller keeps its bytes.</summary>
    /// <exception cref="InvalidDataException">The bytes are damaged or by a codec that is not known.</exception>
    public static EventBatch Open(ReadOnlySpan<byte> stored, Advance[] advances)
    {
        if (BinaryPrimitives.ReadUInt32LittleEndian(stored[ChecksumOffset..]) != Crc32C.Compute(stored[CheckedOffset..]))
        {
            throw new InvalidDataException("The block's checksum does not agree with its bytes.");
        }

        int length = BinaryPrimitives.ReadInt32LittleEndian(stored[RawLengthOffset..]);
        if (length <= 0 || length > EventBatch.MaxBlockLength - EventBatch.BlockOverhead)
        {
            throw new InvalidDataException($"The block claims to hold {length} bytes.");
        }

        byte[] buffer = EventBatch.Pool.Rent(EventBatch.BlockOverhead + length);
        try
        {
            Decompress(stored[EventBatch.BlockOverhead..], buffer.AsSpan(EventBatch.BlockOverhead, length), (BatchCompression)stored[CodecOffset]);
            stored[..EventBatch.BlockOverhead].CopyTo(buffer);
            Seal(buffer.AsSpan(0, EventBatch.BlockOverhead + length), 0);
            return EventBatch.Open(buffer, EventBatch.BlockOverhead + length, advances);
        }
        catch
        {
            EventBatch.Pool.Return(buffer);
            throw;
        }
    }

    private static void Decompress(ReadOnlySpan<byte> source, Span<byte> target, BatchCompression compression)
    {
        int count = compression switch
        {
            BatchCompression.Lz4 => LZ4Codec.Decode(source, target),
            BatchCompression.Zstd => (_decompressor ??= new Decompressor()).TryUnwrap(source, target, out int written) ? written : -1,
            _ => throw new InvalidDataException($"The block is compressed by codec {(byte)compression}, which this Tailrace does not know. It was written by a newer one."),
        };
        if (count != target.Length)
        {
            throw new InvalidDataException("The block does not hold what it claims.");
        }
    }

    private static void Seal(Span<byte> block, byte codec)
    {
        BinaryPrimitives.WriteInt32LittleEndian(block[LengthOffset..], block.Length);
        block[CodecOffset] = codec;
        BinaryPrimitives.WriteUInt32LittleEndian(block[ChecksumOffset..], Crc32C.Compute(block[CheckedOffset..]));
    }
}
