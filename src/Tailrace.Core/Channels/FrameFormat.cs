using System.Buffers.Binary;

namespace Tailrace.Core.Channels;

/// <summary>What a frame holds. The numbers are part of the format.</summary>
internal enum FrameType : byte
{
    /// <summary>A batch: an event block, advances of origins, or both.</summary>
    Batch = 1,

    /// <summary>A start of the channel: a run id.</summary>
    Run = 2,
}

/// <summary>A frame's header as read or to be written, with where it stands. README.md beside this file documents it byte by byte.</summary>
/// <param name="Type">What it holds.</param>
/// <param name="Position">The file position of its first byte.</param>
/// <param name="HeaderLength">Bytes of the header with its advances; a multiple of 8.</param>
/// <param name="BlockLength">Bytes of the event block behind it.</param>
/// <param name="BaseOffset">The channel offset of its first event, or of the next one where it has none.</param>
/// <param name="Count">How many events it holds.</param>
/// <param name="BlockChecksum">The block's checksum as it stands in the block: ties the two together.</param>
/// <param name="Time">When it was appended, in nanoseconds since 1970.</param>
/// <param name="Durable">How far the segment was synced when the frame was written: damage below it is no torn write.</param>
/// <param name="Advances">How many advances the header holds.</param>
internal readonly record struct Frame(FrameType Type, long Position, int HeaderLength, int BlockLength, long BaseOffset, int Count, uint BlockChecksum, long Time, long Durable, int Advances)
{
    public long EndOffset => BaseOffset + Count;

    public int Length => FrameFormat.Align(HeaderLength + BlockLength);

    public long End => Position + Length;
}

/// <summary>Reads and writes frame headers.</summary>
internal static class FrameFormat
{
    public const byte Version = 1;
    public const int HeaderSize = 64;
    public const int RunHeaderSize = HeaderSize + 8;
    public const int MaxHeaderLength = 1 << 20;
    public const int Alignment = 8;
    private const int AdvanceSize = OriginId.Size + 24;

    private const int LengthOffset = 4;
    private const int TypeOffset = 8;
    private const int VersionOffset = 9;
    private const int FlagsOffset = 10;
    private const int BlockLengthOffset = 12;
    private const int BaseOffsetOffset = 16;
    private const int CountOffset = 24;
    private const int BlockChecksumOffset = 28;
    private const int TimeOffset = 32;
    private const int DurableOffset = 40;
    private const int AdvancesOffset = 48;

    public static int Align(int length) => (length + Alignment - 1) & -Alignment;

    /// <summary>The seed of all checksums in a segment: bytes of another channel or another (recycled) segment never fit.</summary>
    public static uint Seed(Guid channel, long segment)
    {
        Span<byte> bytes = stackalloc byte[24];
        channel.TryWriteBytes(bytes, bigEndian: true, out _);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[16..], segment);
        return Crc32C.Compute(bytes);
    }

    public static long HeaderLength(ReadOnlySpan<Advance> advances)
    {
        long length = HeaderSize;
        foreach (ref readonly Advance advance in advances)
        {
            length += AdvanceSize + advance.Attributes.Length;
        }

        return (length + Alignment - 1) & -Alignment;
    }

    public static void Write(Span<byte> header, in Frame frame, ReadOnlySpan<Advance> advances, uint seed)
    {
        WriteFixed(header, frame);
        int at = HeaderSize;
        foreach (ref readonly Advance advance in advances)
        {
            advance.Origin.Write(header[at..]);
            BinaryPrimitives.WriteInt64LittleEndian(header[(at + 16)..], advance.From);
            BinaryPrimitives.WriteInt64LittleEndian(header[(at + 24)..], advance.To);
            BinaryPrimitives.WriteInt32LittleEndian(header[(at + 36)..], advance.Attributes.Length);
            advance.Attributes.Span.CopyTo(header[(at + AdvanceSize)..]);
            at += AdvanceSize + advance.Attributes.Length;
        }

        Seal(header, frame, seed);
    }

    public static void WriteRun(Span<byte> header, in Frame frame, ulong run, uint seed)
    {
        WriteFixed(header, frame);
        BinaryPrimitives.WriteUInt64LittleEndian(header[HeaderSize..], run);
        Seal(header, frame, seed);
    }

    /// <summary>The length a header claims at the start of <paramref name="bytes"/>; 0 if it cannot be one.</summary>
    public static int PeekLength(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < HeaderSize)
        {
            return 0;
        }

        uint length = BinaryPrimitives.ReadUInt32LittleEndian(bytes[LengthOffset..]);
        return length is >= HeaderSize and <= MaxHeaderLength && length % Alignment == 0 && bytes[VersionOffset] == Version ? (int)length : 0;
    }

    /// <summary>Reads a whole header; false unless its checksum fits its place.</summary>
    public static bool TryRead(ReadOnlySpan<byte> header, long position, uint seed, out Frame frame)
    {
        frame = default;
        if (BinaryPrimitives.ReadUInt32LittleEndian(header) != Checksum(header, position, seed))
        {
            return false;
        }

        frame = new Frame(
            (FrameType)header[TypeOffset],
            position,
            header.Length,
            BinaryPrimitives.ReadInt32LittleEndian(header[BlockLengthOffset..]),
            BinaryPrimitives.ReadInt64LittleEndian(header[BaseOffsetOffset..]),
            BinaryPrimitives.ReadInt32LittleEndian(header[CountOffset..]),
            BinaryPrimitives.ReadUInt32LittleEndian(header[BlockChecksumOffset..]),
            BinaryPrimitives.ReadInt64LittleEndian(header[TimeOffset..]),
            BinaryPrimitives.ReadInt64LittleEndian(header[DurableOffset..]),
            BinaryPrimitives.ReadInt32LittleEndian(header[AdvancesOffset..]));
        return frame.BlockLength is >= 0 and <= EventBatch.MaxBlockLength
            && frame.BaseOffset >= 0
            && frame.Count >= 0
            && frame.Count <= long.MaxValue - frame.BaseOffset
            && frame.Advances >= 0
            && (frame.Type != FrameType.Run || header.Length >= RunHeaderSize);
    }

    public static ulong ReadRun(ReadOnlySpan<byte> header) => BinaryPrimitives.ReadUInt64LittleEndian(header[HeaderSize..]);

    /// <summary>Reads the advances of a header.</summary>
    /// <exception cref="InvalidDataException">They do not fit the header.</exception>
    public static Advance[] ReadAdvances(ReadOnlySpan<byte> header, int count)
    {
        if (count > (header.Length - HeaderSize) / AdvanceSize)
        {
            throw new InvalidDataException("The frame's header claims more advances than it has room for.");
        }

        var advances = new Advance[count];
        int at = HeaderSize;
        for (int i = 0; i < count; i++)
        {
            int length = header.Length - at < AdvanceSize ? -1 : BinaryPrimitives.ReadInt32LittleEndian(header[(at + 36)..]);
            if (length < 0 || length > header.Length - at - AdvanceSize)
            {
                throw new InvalidDataException("An advance points past the end of the frame's header.");
            }

            advances[i] = new Advance(
                OriginId.Read(header[at..]),
                BinaryPrimitives.ReadInt64LittleEndian(header[(at + 16)..]),
                BinaryPrimitives.ReadInt64LittleEndian(header[(at + 24)..]),
                header.Slice(at + AdvanceSize, length).ToArray());
            at += AdvanceSize + length;
        }

        return advances;
    }

    private static void WriteFixed(Span<byte> header, in Frame frame)
    {
        header.Clear();
        BinaryPrimitives.WriteInt32LittleEndian(header[LengthOffset..], header.Length);
        header[TypeOffset] = (byte)frame.Type;
        header[VersionOffset] = Version;
        BinaryPrimitives.WriteUInt16LittleEndian(header[FlagsOffset..], 0);
        BinaryPrimitives.WriteInt32LittleEndian(header[BlockLengthOffset..], frame.BlockLength);
        BinaryPrimitives.WriteInt64LittleEndian(header[BaseOffsetOffset..], frame.BaseOffset);
        BinaryPrimitives.WriteInt32LittleEndian(header[CountOffset..], frame.Count);
        BinaryPrimitives.WriteUInt32LittleEndian(header[BlockChecksumOffset..], frame.BlockChecksum);
        BinaryPrimitives.WriteInt64LittleEndian(header[TimeOffset..], frame.Time);
        BinaryPrimitives.WriteInt64LittleEndian(header[DurableOffset..], frame.Durable);
        BinaryPrimitives.WriteInt32LittleEndian(header[AdvancesOffset..], frame.Advances);
    }

    private static void Seal(Span<byte> header, in Frame frame, uint seed) =>
        BinaryPrimitives.WriteUInt32LittleEndian(header, Checksum(header, frame.Position, seed));

    private static uint Checksum(ReadOnlySpan<byte> header, long position, uint seed)
    {
        Span<byte> place = stackalloc byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(place, position);
        return Crc32C.Append(Crc32C.Append(seed, place), header[LengthOffset..]);
    }
}
