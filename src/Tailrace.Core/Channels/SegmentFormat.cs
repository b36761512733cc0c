using System.Buffers.Binary;
using System.Globalization;

namespace Tailrace.Core.Channels;

/// <summary>The header of a segment file.</summary>
/// <param name="Channel">The channel's id.</param>
/// <param name="Number">The segment's number; grows by at least one per segment.</param>
/// <param name="BaseOffset">The offset of its first event.</param>
/// <param name="Created">When it was made, in nanoseconds since 1970.</param>
/// <param name="Previous">The number of the segment before it; 0: none.</param>
/// <param name="PreviousEnd">Where the frames of the segment before end. What stands behind was never acknowledged.</param>
internal readonly record struct SegmentHeader(Guid Channel, long Number, long BaseOffset, long Created, long Previous, long PreviousEnd);

/// <summary>Reads and writes segment headers and names.</summary>
internal static class SegmentFormat
{
    public const int HeaderSize = 4096;
    public const string Extension = ".trl";
    private const uint Magic = 0x3147_5254; // "TRG1", little-endian
    private const byte Version = 1;
    private const int ContentLength = 72;

    public static string FileName(long baseOffset) => baseOffset.ToString("D20", CultureInfo.InvariantCulture) + Extension;

    /// <summary>The name where a segment without events has the same base offset: the number tells them apart.</summary>
    public static string FileName(long baseOffset, long number) => string.Create(CultureInfo.InvariantCulture, $"{baseOffset:D20}-{number}{Extension}");

    /// <summary>The base offset a file name tells; -1 if it is no segment's name.</summary>
    public static long BaseOffset(string path)
    {
        string name = Path.GetFileNameWithoutExtension(path);
        return name.Length >= 20 && (name.Length == 20 || name[20] == '-') && long.TryParse(name.AsSpan(0, 20), NumberStyles.None, CultureInfo.InvariantCulture, out long offset) ? offset : -1;
    }

    public static void Write(Span<byte> destination, in SegmentHeader header)
    {
        destination[..HeaderSize].Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(destination, Magic);
        destination[8] = Version;
        BinaryPrimitives.WriteInt32LittleEndian(destination[12..], HeaderSize);
        header.Channel.TryWriteBytes(destination[16..], bigEndian: true, out _);
        BinaryPrimitives.WriteInt64LittleEndian(destination[32..], header.Number);
        BinaryPrimitives.WriteInt64LittleEndian(destination[40..], header.BaseOffset);
        BinaryPrimitives.WriteInt64LittleEndian(destination[48..], header.Created);
        BinaryPrimitives.WriteInt64LittleEndian(destination[56..], header.Previous);
        BinaryPrimitives.WriteInt64LittleEndian(destination[64..], header.PreviousEnd);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[4..], Crc32C.Compute(destination[8..ContentLength]));
    }

    public static bool TryRead(ReadOnlySpan<byte> source, out SegmentHeader header)
    {
        header = default;
        if (source.Length < HeaderSize
            || BinaryPrimitives.ReadUInt32LittleEndian(source) != Magic
            || BinaryPrimitives.ReadUInt32LittleEndian(source[4..]) != Crc32C.Compute(source[8..ContentLength])
            || source[8] != Version
            || BinaryPrimitives.ReadInt32LittleEndian(source[12..]) != HeaderSize)
        {
            return false;
        }

        header = new SegmentHeader(
            new Guid(source.Slice(16, 16), bigEndian: true),
            BinaryPrimitives.ReadInt64LittleEndian(source[32..]),
            BinaryPrimitives.ReadInt64LittleEndian(source[40..]),
            BinaryPrimitives.ReadInt64LittleEndian(source[48..]),
            BinaryPrimitives.ReadInt64LittleEndian(source[56..]),
            BinaryPrimitives.ReadInt64LittleEndian(source[64..]));
        return true;
    }
}
