using CsCheck;

namespace Tailrace.Tests.Events;

public sealed class LogEventTests
{
    [Fact]
    public void Any_timestamp_becomes_the_time_at_or_just_before_it() =>
        Gen.OneOf(Gen.Long, Gen.Long[-1000, 1000], Gen.OneOf(long.MinValue, long.MaxValue)).Sample(timestamp =>
        {
            Int128 nanoseconds = (Int128)(LogEvent.ToTime(timestamp) - DateTimeOffset.UnixEpoch).Ticks * 100;
            Assert.InRange(timestamp - nanoseconds, 0, 99);
        });

    [Fact]
    public void Times_that_can_be_told_come_back_and_others_become_the_nearest()
    {
        foreach (string text in (string[])["1969-12-31T23:59:59.9999999Z", "1970-01-01T00:00:00Z", "2262-04-11T23:47:16.8547758Z", "1677-09-21T00:12:43.1452242Z"])
        {
            var time = DateTimeOffset.Parse(text, System.Globalization.CultureInfo.InvariantCulture);
            Assert.Equal(time, LogEvent.ToTime(LogEvent.ToTimestamp(time)));
        }

        Assert.Equal(long.MaxValue / 100 * 100, LogEvent.ToTimestamp(DateTimeOffset.MaxValue));
        Assert.Equal(long.MinValue / 100 * 100, LogEvent.ToTimestamp(DateTimeOffset.MinValue));
    }
}
