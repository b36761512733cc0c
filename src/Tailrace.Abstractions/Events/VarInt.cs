namespace Tailrace;

/// <summary>Base-128 integers, least significant group first (as in Protocol Buffers), and the zigzag mapping for signed ones.</summary>
public static class VarInt
{
    /// <summary>The longest encoding of a 64-bit value, in bytes.</summary>
    public const int MaxLength = 10;

    /// <summary>Writes <paramref name="value"/> at the start of <paramref name="destination"/> and returns how many bytes it took.</summary>
    public static int Write(Span<byte> destination, ulong value)
    {
        int length = 0;
        while (value >= 0x80)
        {
            destination[length++] = (byte)(value | 0x80);
            value >>= 7;
        }

        destination[length++] = (byte)value;
        return length;
    }

    /// <summary>Reads a value at <paramref name="offset"/> and moves the offset behind it.</summary>
    /// <exception cref="InvalidDataException">The value is cut off or longer than 64 bits.</exception>
    public static ulong Read(ReadOnlySpan<byte> source, scoped ref int offset)
    {
        if ((uint)offset < (uint)source.Length && source[offset] < 0x80)
        {
            return source[offset++];
        }

        ulong value = 0;
        for (int shift = 0; shift < 70 && (uint)offset < (uint)source.Length; shift += 7)
        {
            byte next = source[offset++];
            if (shift == 63 && next > 1)
            {
                break;
            }

            value |= (ulong)(next & 0x7F) << shift;
            if (next < 0x80)
            {
                return value;
            }
        }

        throw new InvalidDataException("A variable-length integer is cut off or too long.");
    }

    /// <summary>Reads a length: a value that must not exceed what is left of <paramref name="source"/> behind it.</summary>
    /// <exception cref="InvalidDataException">The length is malformed or points past the end.</exception>
    public static int ReadLength(ReadOnlySpan<byte> source, scoped ref int offset)
    {
        ulong value = Read(source, ref offset);
        return value <= (ulong)(source.Length - offset)
            ? (int)value
            : throw new InvalidDataException("A length points past the end of its block.");
    }

    /// <summary>Maps small negative and positive numbers to small unsigned ones.</summary>
    public static ulong ZigZag(long value) => (ulong)((value << 1) ^ (value >> 63));

    /// <summary>The inverse of <see cref="ZigZag"/>.</summary>
    public static long UnZigZag(ulong value) => (long)(value >> 1) ^ -(long)(value & 1);
}
