using CsCheck;

namespace Tailrace.Tests.Components;

public sealed class ByteSizeTests
{
    [Theory]
    [InlineData("0B", 0)]
    [InlineData("512B", 512)]
    [InlineData("1.5KiB", 1536)]
    [InlineData("64 MiB", 64L << 20)]
    [InlineData("5kB", 5000)]
    [InlineData("8388607TiB", 8388607L << 40)]
    [InlineData("9223372036854775807B", long.MaxValue)]
    public void A_size_is_read(string text, long bytes)
    {
        Assert.True(ByteSize.TryParse(text, out ByteSize size));
        Assert.Equal(bytes, size.Bytes);
    }

    [Theory]
    [InlineData("")]
    [InlineData("B")]
    [InlineData("KiB")]
    [InlineData("12")]
    [InlineData("-1B")]
    [InlineData("1e3B")]
    [InlineData("1,000B")]
    [InlineData("5kib")]
    [InlineData("8388608TiB")]
    [InlineData("9223372036854775808B")]
    [InlineData("79228162514264337593543950335TiB")]
    public void What_is_no_size_is_refused(string text) => Assert.False(ByteSize.TryParse(text, out _));

    [Fact]
    public void Any_size_written_is_read_again() =>
        Gen.OneOf(Gen.Long[0, long.MaxValue], Gen.Int[0, 62].Select(bits => 1L << bits)).Sample(bytes =>
            Assert.True(ByteSize.TryParse(new ByteSize(bytes).ToString(), out ByteSize size) && size.Bytes == bytes));
}
