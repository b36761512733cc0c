using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace Tailrace;

/// <summary>The type of a header's value. The numbers are part of the batch format.</summary>
public enum HeaderType : byte
{
    /// <summary>UTF-8 text.</summary>
    String = 0,

    /// <summary>A signed 64-bit integer.</summary>
    Integer = 1,

    /// <summary>An IEEE 754 double.</summary>
    Double = 2,

    /// <summary>True or false.</summary>
    Boolean = 3,
}

/// <summary>One header of an event: a UTF-8 name and a typed value. A view into the batch; valid as long as the batch is.</summary>
public readonly ref struct EventHeader
{
    private readonly long _bits;

    internal EventHeader(ReadOnlySpan<byte> name, HeaderType type, ReadOnlySpan<byte> text, long bits)
    {
        Name = name;
        Type = type;
        Text = text;
        _bits = bits;
    }

    /// <summary>The name, UTF-8.</summary>
    public ReadOnlySpan<byte> Name { get; }

    /// <summary>Which of the values below is meant.</summary>
    public HeaderType Type { get; }

    /// <summary>The value of a <see cref="HeaderType.String"/> header, UTF-8; empty for other types.</summary>
    public ReadOnlySpan<byte> Text { get; }

    /// <summary>The value of an <see cref="HeaderType.Integer"/> header.</summary>
    public long Integer => _bits;

    /// <summary>The value of a <see cref="HeaderType.Double"/> header.</summary>
    public double Double => BitConverter.Int64BitsToDouble(_bits);

    /// <summary>The value of a <see cref="HeaderType.Boolean"/> header.</summary>
    public bool Boolean => _bits != 0;

    /// <summary>The value as text in invariant culture, whatever its type. Allocates: not for the hot path.</summary>
    public override string ToString() => Type switch
    {
        HeaderType.String => Encoding.UTF8.GetString(Text),
        HeaderType.Integer => Integer.ToString(CultureInfo.InvariantCulture),
        HeaderType.Double => Double.ToString("R", CultureInfo.InvariantCulture),
        _ => Boolean ? "true" : "false",
    };

    /// <summary>Reads all of an encoded run of headers once.</summary>
    /// <exception cref="InvalidDataException">The bytes are no headers.</exception>
    internal static void Check(ReadOnlySpan<byte> encoded)
    {
        int offset = 0;
        while (offset < encoded.Length)
        {
            _ = Read(encoded, ref offset);
        }
    }

    /// <summary>Reads the header at <paramref name="offset"/> of an encoded run of headers and moves the offset behind it.</summary>
    /// <exception cref="InvalidDataException">The bytes are no header.</exception>
    internal static EventHeader Read(ReadOnlySpan<byte> encoded, scoped ref int offset)
    {
        int length = VarInt.ReadLength(encoded, ref offset);
        ReadOnlySpan<byte> name = encoded.Slice(offset, length);
        offset += length;
        if (offset >= encoded.Length)
        {
            throw new InvalidDataException("A header ends before its value.");
        }

        var type = (HeaderType)encoded[offset++];
        switch (type)
        {
            case HeaderType.String:
                length = VarInt.ReadLength(encoded, ref offset);
                ReadOnlySpan<byte> text = encoded.Slice(offset, length);
                offset += length;
                return new EventHeader(name, type, text, 0);
            case HeaderType.Integer:
                return new EventHeader(name, type, default, VarInt.UnZigZag(VarInt.Read(encoded, ref offset)));
            case HeaderType.Double when encoded.Length - offset >= 8:
                long bits = BinaryPrimitives.ReadInt64LittleEndian(encoded[offset..]);
                offset += 8;
                return new EventHeader(name, type, default, bits);
            case HeaderType.Boolean when offset < encoded.Length && encoded[offset] <= 1:
                return new EventHeader(name, type, default, encoded[offset++]);
            default:
                throw new InvalidDataException($"Header type {(byte)type} is unknown, or its value is malformed or cut off.");
        }
    }
}
