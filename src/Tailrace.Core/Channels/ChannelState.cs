using System.Buffers;
using System.Buffers.Binary;

namespace Tailrace.Core.Channels;

/// <summary>A segment as a snapshot lists it.</summary>
internal readonly record struct SegmentSummary(long Number, long BaseOffset, long EndOffset, long End);

/// <summary>A start of a channel.</summary>
/// <param name="Id">The random id of the run.</param>
/// <param name="FirstOffset">The offset its first event has or would have had.</param>
internal readonly record struct ChannelRun(ulong Id, long FirstOffset)
{
    /// <summary>A random id. From two Guids, each random but for six bits: the generator for keys would load a cryptographic library of 5 MB.</summary>
    public static ulong NewId()
    {
        Span<byte> bytes = stackalloc byte[32];
        Guid.NewGuid().TryWriteBytes(bytes);
        Guid.NewGuid().TryWriteBytes(bytes[16..]);
        return BinaryPrimitives.ReadUInt64LittleEndian(bytes) ^ BinaryPrimitives.ReadUInt64LittleEndian(bytes[24..]);
    }
}

/// <summary>
/// The snapshot of a channel: everything its log says up to a place, so that segments before it can be deleted and need not be read at
/// start. The memory channel keeps its positions in the same form. README.md beside this file documents it byte by byte.
/// </summary>
internal sealed class ChannelState
{
    public const int MaxRuns = 64;
    private const uint Magic = 0x3153_5254; // "TRS1", little-endian
    private const byte Version = 1;
    private const int HeaderSize = 64;

    public Guid Channel { get; init; }

    /// <summary>The offset the next event gets.</summary>
    public long NextOffset { get; init; }

    /// <summary>The number of the segment up to which the snapshot speaks.</summary>
    public long Segment { get; init; }

    /// <summary>The file position in that segment up to which it speaks.</summary>
    public long Position { get; init; }

    public List<ChannelRun> Runs { get; init; } = [];

    public List<SegmentSummary> Segments { get; init; } = [];

    public OriginTable Origins { get; init; } = new();

    public ReadOnlyMemory<byte> Encode()
    {
        var writer = new ArrayBufferWriter<byte>(4096);
        Span<byte> header = writer.GetSpan(HeaderSize)[..HeaderSize];
        header.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(header, Magic);
        header[8] = Version;
        Channel.TryWriteBytes(header[12..], bigEndian: true, out _);
        BinaryPrimitives.WriteInt64LittleEndian(header[28..], NextOffset);
        BinaryPrimitives.WriteInt64LittleEndian(header[36..], Segment);
        BinaryPrimitives.WriteInt64LittleEndian(header[44..], Position);
        BinaryPrimitives.WriteInt32LittleEndian(header[52..], Runs.Count);
        BinaryPrimitives.WriteInt32LittleEndian(header[56..], Segments.Count);
        BinaryPrimitives.WriteInt32LittleEndian(header[60..], Origins.Count);
        writer.Advance(HeaderSize);
        foreach (ChannelRun run in Runs)
        {
            Write(writer, (long)run.Id, run.FirstOffset);
        }

        foreach (SegmentSummary segment in Segments)
        {
            Write(writer, segment.Number, segment.BaseOffset);
            Write(writer, segment.EndOffset, segment.End);
        }

        foreach ((OriginId origin, long position, ReadOnlyMemory<byte> attributes, long lastSeen) in Origins.GetEntries())
        {
            origin.Write(writer.GetSpan(OriginId.Size));
            writer.Advance(OriginId.Size);
            Write(writer, position, lastSeen);
            BinaryPrimitives.WriteInt32LittleEndian(writer.GetSpan(4), attributes.Length);
            writer.Advance(4);
            writer.Write(attributes.Span);
        }

        byte[] bytes = writer.WrittenSpan.ToArray();
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(4), Crc32C.Compute(bytes.AsSpan(8)));
        return bytes;
    }

    /// <summary>Reads a snapshot.</summary>
    /// <exception cref="InvalidDataException">The bytes are no sound snapshot.</exception>
    public static ChannelState Decode(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < HeaderSize || BinaryPrimitives.ReadUInt32LittleEndian(bytes) != Magic || BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]) != Crc32C.Compute(bytes[8..]))
        {
            throw new InvalidDataException("The snapshot is damaged.");
        }

        if (bytes[8] != Version)
        {
            throw new InvalidDataException($"The snapshot has version {bytes[8]}; this Tailrace reads version {Version}.");
        }

        var state = new ChannelState
        {
            Channel = new Guid(bytes.Slice(12, 16), bigEndian: true),
            NextOffset = BinaryPrimitives.ReadInt64LittleEndian(bytes[28..]),
            Segment = BinaryPrimitives.ReadInt64LittleEndian(bytes[36..]),
            Position = BinaryPrimitives.ReadInt64LittleEndian(bytes[44..]),
        };
        int runs = BinaryPrimitives.ReadInt32LittleEndian(bytes[52..]);
        int segments = BinaryPrimitives.ReadInt32LittleEndian(bytes[56..]);
        int origins = BinaryPrimitives.ReadInt32LittleEndian(bytes[60..]);
        ReadOnlySpan<byte> rest = bytes[HeaderSize..];
        for (; runs > 0; runs--)
        {
            state.Runs.Add(new ChannelRun((ulong)ReadLong(ref rest), ReadLong(ref rest)));
        }

        for (; segments > 0; segments--)
        {
            state.Segments.Add(new SegmentSummary(ReadLong(ref rest), ReadLong(ref rest), ReadLong(ref rest), ReadLong(ref rest)));
        }

        for (; origins > 0; origins--)
        {
            OriginId origin = OriginId.Read(ReadBytes(ref rest, OriginId.Size));
            long position = ReadLong(ref rest);
            long lastSeen = ReadLong(ref rest);
            int length = BinaryPrimitives.ReadInt32LittleEndian(ReadBytes(ref rest, 4));
            state.Origins.Set(origin, position, ReadBytes(ref rest, length).ToArray(), lastSeen);
        }

        return state;
    }

    private static void Write(ArrayBufferWriter<byte> writer, long first, long second)
    {
        Span<byte> bytes = writer.GetSpan(16);
        BinaryPrimitives.WriteInt64LittleEndian(bytes, first);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[8..], second);
        writer.Advance(16);
    }

    private static long ReadLong(ref ReadOnlySpan<byte> rest) => BinaryPrimitives.ReadInt64LittleEndian(ReadBytes(ref rest, 8));

    private static ReadOnlySpan<byte> ReadBytes(ref ReadOnlySpan<byte> rest, int length)
    {
        if ((uint)length > (uint)rest.Length)
        {
            throw new InvalidDataException("The snapshot is cut off.");
        }

        ReadOnlySpan<byte> bytes = rest[..length];
        rest = rest[length..];
        return bytes;
    }
}
