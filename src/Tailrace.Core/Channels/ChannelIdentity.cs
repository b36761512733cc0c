using System.Buffers.Binary;

namespace Tailrace.Core.Channels;

/// <summary>The file <c>channel</c>: who a channel is. README.md beside this file documents it byte by byte.</summary>
internal static class ChannelIdentity
{
    public const string FileName = "channel";
    public const byte Version = 1;
    private const uint Magic = 0x3143_5254; // "TRC1", little-endian
    private const int Size = 64;

    /// <summary>Reads the id; false if the bytes are damaged. The version must be looked at too.</summary>
    public static bool TryRead(ReadOnlySpan<byte> bytes, out Guid id, out byte version)
    {
        bool isSound = bytes.Length >= Size
            && BinaryPrimitives.ReadUInt32LittleEndian(bytes) == Magic
            && BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]) == Crc32C.Compute(bytes[8..Size]);
        id = isSound ? new Guid(bytes.Slice(16, 16), bigEndian: true) : default;
        version = isSound ? bytes[8] : default;
        return isSound;
    }

    public static byte[] Encode(Guid id, long created)
    {
        var identity = new byte[Size];
        BinaryPrimitives.WriteUInt32LittleEndian(identity, Magic);
        identity[8] = Version;
        id.TryWriteBytes(identity.AsSpan(16), bigEndian: true, out _);
        BinaryPrimitives.WriteInt64LittleEndian(identity.AsSpan(32), created);
        BinaryPrimitives.WriteUInt32LittleEndian(identity.AsSpan(4), Crc32C.Compute(identity.AsSpan(8)));
        return identity;
    }

    /// <summary>The id that the newest segment with a sound header tells; null if none does.</summary>
    public static Guid? FindInSegments(SegmentFiles files, string directory)
    {
        foreach (string segment in files.ListSegments(directory).OrderDescending(StringComparer.Ordinal))
        {
            if (Recovery.ReadHeader(files, segment) is { } header)
            {
                return header.Channel;
            }
        }

        return null;
    }
}
