using System.Text.Json;
using CsCheck;
using Tailrace.Core.Configuration;

namespace Tailrace.Tests.Configuration;

public sealed class OptionConvertersTests
{
    [Theory]
    [InlineData("500ms", 500)]
    [InlineData("10s", 10_000)]
    [InlineData("1.5s", 1_500)]
    [InlineData("10m", 600_000)]
    [InlineData("1h", 3_600_000)]
    [InlineData("7d", 604_800_000)]
    [InlineData("0s", 0)]
    public void Durations_have_a_unit(string text, long milliseconds) => Assert.Equal(TimeSpan.FromMilliseconds(milliseconds), Read<TimeSpan>(text));

    [Theory]
    [InlineData("")]
    [InlineData("s")]
    [InlineData("10")]
    [InlineData("-1s")]
    [InlineData("1 s")]
    [InlineData("1S")]
    [InlineData("1,000s")]
    [InlineData("1e3s")]
    [InlineData("10675200d")]
    [InlineData("79228162514264337593543950335d")]
    [InlineData("00:00:10")]
    public void Other_texts_are_no_durations(string text) => Assert.Throws<JsonException>(() => Read<TimeSpan>(text));

    [Theory]
    [InlineData("79228162514264337593543950335TiB")]
    [InlineData("8388608TiB")]
    [InlineData("-1B")]
    [InlineData("1")]
    [InlineData("KiB")]
    public void Sizes_out_of_range_or_without_a_unit_are_none(string text) => Assert.Throws<JsonException>(() => Read<ByteSize>(text));

    [Theory]
    [InlineData("1970-01-01T00:00:00Z", 0)]
    [InlineData("1970-01-01T01:00:00.0000001+01:00", 100)]
    [InlineData("2026-11-22T10:00:00.123-05:30", 1795361400_123_000_000)]
    public void A_start_may_be_a_moment(string text, long nanoseconds) => Assert.Equal(new SubscriberStart(SubscriberStartKind.Timestamp, nanoseconds), Read<SubscriberStart>(text));

    [Theory]
    [InlineData("now")]
    [InlineData("2026-11-22")]
    [InlineData("2026-11-22T10:00:00")]
    [InlineData("2026-11-22 10:00:00Z")]
    [InlineData("9999-12-31T00:00:00Z")]
    [InlineData("0001-01-01T00:00:00Z")]
    public void Other_texts_are_no_start(string text) => Assert.Throws<JsonException>(() => Read<SubscriberStart>(text));

    [Fact]
    public void What_is_written_is_read_back()
    {
        Gen.Long[0, TimeSpan.MaxValue.Ticks].Sample(ticks => Assert.Equal(new TimeSpan(ticks), Read<TimeSpan>(Write(new TimeSpan(ticks)))));
        Gen.Long[0, long.MaxValue].Sample(bytes => Assert.Equal(new ByteSize(bytes), Read<ByteSize>(Write(new ByteSize(bytes)))));
        Gen.Long[-1_000_000, 90_000_000_000].Sample(ticks => Assert.Equal(new(SubscriberStartKind.Timestamp, ticks * 100), Read<SubscriberStart>(Write(new SubscriberStart(SubscriberStartKind.Timestamp, ticks * 100)))));
        Assert.Equal("1h", Write(TimeSpan.FromHours(1)));
        Assert.Equal("90m", Write(TimeSpan.FromMinutes(90)));
        Assert.Equal("0s", Write(TimeSpan.Zero));
        Assert.Equal("end", Write(SubscriberStart.End));
    }

    private static T Read<T>(string text) => JsonSerializer.Deserialize<T>(JsonSerializer.Serialize(text), OptionTypes.Json)!;

    private static string Write<T>(T value) => JsonSerializer.SerializeToNode(value, OptionTypes.Json)!.GetValue<string>();
}
