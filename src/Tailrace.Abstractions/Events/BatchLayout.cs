namespace Tailrace;

/// <summary>Where things stand in the header of an encoded block. README.md beside this file documents the format byte by byte.</summary>
internal static class BatchLayout
{
    public const uint Magic = 0x3142_5254; // "TRB1", little-endian
    public const byte Version = 1;

    public const int LengthOffset = 4;
    public const int CrcOffset = 8;
    public const int VersionOffset = 12;
    public const int CodecOffset = 13;
    public const int FlagsOffset = 14;
    public const int CountOffset = 16;
    public const int HeadersLengthOffset = 20;
    public const int BodiesLengthOffset = 24;
    public const int TableLengthOffset = 28;
    public const int MinTimestampOffset = 32;
    public const int MaxTimestampOffset = 40;
    public const int RawLengthOffset = 48;
    public const int ReservedOffset = 52;
    public const int HeaderSize = 64;

    /// <summary>The table holds a timestamp per event; without it all events carry the batch's.</summary>
    public const ushort TimestampsFlag = 1;

    /// <summary>The table holds headers per event; without it events have only the shared ones.</summary>
    public const ushort HeadersFlag = 2;

    public const ushort KnownFlags = TimestampsFlag | HeadersFlag;
}
