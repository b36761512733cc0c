using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.InteropServices;

namespace Tailrace;

/// <summary>CRC-32C (Castagnoli, RFC 3720 appendix B.4), the checksum of every Tailrace format. Uses the processor's instruction where there is one.</summary>
public static class Crc32C
{
    /// <summary>
    /// The instruction takes three cycles but one may start in each, so three lanes of this many bytes are walked side by side and joined
    /// at the end. Measured over 64 KiB and 1 MiB: 9.9 GB/s in one lane, 20 GB/s in three of 4 KiB, 18 GB/s in three of 2 KiB.
    /// </summary>
    private const int Lane = 4096;

    private const uint Polynomial = 0x82F6_3B78;

    private static readonly uint PastOneLane = PowerOfX(8 * Lane);
    private static readonly uint PastTwoLanes = PowerOfX(16 * Lane);

    /// <summary>The checksum of <paramref name="data"/>; the check value of "123456789" is E3069283.</summary>
    public static uint Compute(ReadOnlySpan<byte> data) => Append(0, data);

    /// <summary>Continues a checksum: <c>Append(Compute(a), b)</c> equals <c>Compute(a + b)</c>. Starting from another value than 0 seeds the checksum.</summary>
    public static uint Append(uint crc, ReadOnlySpan<byte> data)
    {
        crc = ~crc;
        while (data.Length >= 3 * Lane && BitConverter.IsLittleEndian)
        {
            crc = AppendThreeLanes(crc, data);
            data = data[(3 * Lane)..];
        }

        while (data.Length >= sizeof(ulong))
        {
            crc = BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt64LittleEndian(data));
            data = data[sizeof(ulong)..];
        }

        foreach (byte value in data)
        {
            crc = BitOperations.Crc32C(crc, value);
        }

        return ~crc;
    }

    private static uint AppendThreeLanes(uint crc, ReadOnlySpan<byte> data)
    {
        ReadOnlySpan<ulong> first = MemoryMarshal.Cast<byte, ulong>(data[..Lane]);
        ReadOnlySpan<ulong> second = MemoryMarshal.Cast<byte, ulong>(data.Slice(Lane, Lane));
        ReadOnlySpan<ulong> third = MemoryMarshal.Cast<byte, ulong>(data.Slice(2 * Lane, Lane));
        uint crc2 = 0;
        uint crc3 = 0;
        for (int i = 0; i < first.Length && i < second.Length && i < third.Length; i++)
        {
            crc = BitOperations.Crc32C(crc, first[i]);
            crc2 = BitOperations.Crc32C(crc2, second[i]);
            crc3 = BitOperations.Crc32C(crc3, third[i]);
        }

        // A checksum is a remainder of polynomials: n more bytes multiply it by x to the 8n, and sums of data have sums of remainders.
        return Multiply(crc, PastTwoLanes) ^ Multiply(crc2, PastOneLane) ^ crc3;
    }

    /// <summary>The product of two polynomials modulo the CRC's; the highest bit is the coefficient of x to the 0.</summary>
    private static uint Multiply(uint a, uint b)
    {
        uint product = 0;
        for (int bit = 31; bit >= 0; bit--)
        {
            product ^= b & (0 - ((a >> bit) & 1));
            b = (b >> 1) ^ (Polynomial & (0 - (b & 1)));
        }

        return product;
    }

    private static uint PowerOfX(int exponent)
    {
        uint power = 1u << 31;
        for (uint factor = 1u << 30; exponent > 0; exponent >>= 1)
        {
            power = (exponent & 1) != 0 ? Multiply(power, factor) : power;
            factor = Multiply(factor, factor);
        }

        return power;
    }
}
