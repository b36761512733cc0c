using CsCheck;

namespace Tailrace.Tests.Events;

public sealed class VarIntTests
{
    [Fact]
    public void Any_value_comes_back_and_moves_the_offset_behind_it() =>
        Gen.Select(Gen.OneOf(Gen.ULong, Gen.Int[0, 63].Select(bits => 1UL << bits), Gen.Int[0, 63].Select(bits => (1UL << bits) - 1)), Gen.Int[0, 5]).Sample(
            (value, lead) =>
            {
                byte[] buffer = new byte[lead + VarInt.MaxLength];
                int length = VarInt.Write(buffer.AsSpan(lead), value);
                int offset = lead;
                Assert.Equal(value, VarInt.Read(buffer.AsSpan(0, lead + length), ref offset));
                Assert.Equal(lead + length, offset);
                for (int cut = lead; cut < lead + length; cut++)
                {
                    Assert.Throws<InvalidDataException>(() =>
                    {
                        int at = lead;
                        VarInt.Read(buffer.AsSpan(0, cut), ref at);
                    });
                }

                Assert.Equal((long)value, VarInt.UnZigZag(VarInt.ZigZag((long)value)));
            });

    [Theory]
    [InlineData("FFFFFFFFFFFFFFFFFF01", ulong.MaxValue)]
    [InlineData("80808080808080808001", 1UL << 63)]
    [InlineData("8000", 0UL)]
    [InlineData("FFFFFFFFFFFFFFFFFF02", null)] // a 65th bit
    [InlineData("FFFFFFFFFFFFFFFFFF8100", null)] // eleven bytes
    [InlineData("8080808080808080808000", null)]
    [InlineData("", null)]
    public void The_longest_values_are_read_and_longer_ones_refused(string hex, ulong? expected)
    {
        byte[] bytes = Convert.FromHexString(hex);
        int offset = 0;
        if (expected is null)
        {
            Assert.Throws<InvalidDataException>(() => VarInt.Read(bytes, ref offset));
        }
        else
        {
            Assert.Equal(expected, VarInt.Read(bytes, ref offset));
            Assert.Equal(bytes.Length, offset);
        }
    }

    [Fact]
    public void A_length_may_reach_the_end_and_not_past_it()
    {
        byte[] bytes = [2, 0, 0, 0];
        int offset = 0;
        Assert.Equal(2, VarInt.ReadLength(bytes.AsSpan(0, 3), ref offset));
        Assert.Throws<InvalidDataException>(() =>
        {
            int at = 0;
            VarInt.ReadLength(bytes.AsSpan(0, 2), ref at);
        });
    }
}
