using CsCheck;

namespace Tailrace.Tests.Events;

public sealed class Crc32CTests
{
    private static readonly uint[] Table = [.. Enumerable.Range(0, 256).Select(i =>
    {
        uint crc = (uint)i;
        for (int bit = 0; bit < 8; bit++)
        {
            crc = (crc & 1) != 0 ? (crc >> 1) ^ 0x82F63B78 : crc >> 1;
        }

        return crc;
    })];

    public static TheoryData<string, byte[], uint> Vectors { get; } = new()
    {
        { "check", "123456789"u8.ToArray(), 0xE3069283 },
        { "nothing", [], 0 },
        { "RFC 3720 B.4: zeros", new byte[32], 0x8A9136AA },
        { "RFC 3720 B.4: ones", [.. Enumerable.Repeat((byte)0xFF, 32)], 0x62A8AB43 },
        { "RFC 3720 B.4: up", [.. Enumerable.Range(0, 32).Select(i => (byte)i)], 0x46DD794E },
        { "RFC 3720 B.4: down", [.. Enumerable.Range(0, 32).Select(i => (byte)(31 - i))], 0x113FDB5C },
        {
            "RFC 3720 B.4: SCSI read", Convert.FromHexString("01C00000000000000000000000000000140000000000040000000014000000182800000000000000020000000000000000"[..96]),
            0xD9963A56
        },
    };

    [Theory]
    [MemberData(nameof(Vectors))]
    public void Known_answers(string name, byte[] data, uint expected) => Assert.True(expected == Crc32C.Compute(data), name);

    [Fact]
    public void Every_length_and_alignment_equals_the_definition()
    {
        byte[] data = new byte[3 * 3 * 4096 + 100];
        new Random(1).NextBytes(data);
        foreach (int around in (int[])[0, 3 * 4096, 2 * 3 * 4096, 3 * 3 * 4096])
        {
            for (int length = Math.Max(0, around - 40); length < around + 80; length++)
            {
                for (int start = 0; start < Math.Min(9, data.Length - length); start++)
                {
                    Assert.Equal(Simple(0, data.AsSpan(start, length)), Crc32C.Compute(data.AsSpan(start, length)));
                }
            }
        }
    }

    [Fact]
    public void Any_data_seed_and_split_equals_the_definition() =>
        Gen.Select(Gen.UInt, Gen.Int[0, 100_000], Gen.Int[0, 15], Gen.Double.Unit, Gen.Int).Sample(
            (seed, length, start, where, random) =>
            {
                byte[] bytes = new byte[start + length];
                new Random(random).NextBytes(bytes);
                ReadOnlySpan<byte> data = bytes.AsSpan(start);
                int split = (int)(where * length);
                uint expected = Simple(seed, data);
                Assert.Equal(expected, Crc32C.Append(seed, data));
                Assert.Equal(expected, Crc32C.Append(Crc32C.Append(seed, data[..split]), data[split..]));
            },
            iter: 300);

    private static uint Simple(uint crc, ReadOnlySpan<byte> data)
    {
        crc = ~crc;
        foreach (byte value in data)
        {
            crc = Table[(byte)(crc ^ value)] ^ (crc >> 8);
        }

        return ~crc;
    }
}
