namespace Tailrace;

/// <summary>
/// One log event: a timestamp, ordered headers and a body. A view into its <see cref="EventBatch"/>, valid as long as the batch is;
/// walking a batch of events allocates nothing.
/// </summary>
public readonly ref struct LogEvent
{
    internal LogEvent(long timestamp, HeaderList headers, ReadOnlySpan<byte> body)
    {
        Timestamp = timestamp;
        Headers = headers;
        Body = body;
    }

    /// <summary>When it happened, or was taken in where the event does not say: nanoseconds since 1970-01-01T00:00:00Z. Covers the years 1678 to 2262.</summary>
    public long Timestamp { get; }

    /// <summary>The headers, shared ones first.</summary>
    public HeaderList Headers { get; }

    /// <summary>The message itself: bytes, usually a line of text without its line end.</summary>
    public ReadOnlySpan<byte> Body { get; }

    /// <summary>The nanosecond timestamp of a point in time; the nearest there is for one outside the years covered.</summary>
    public static long ToTimestamp(DateTimeOffset time) =>
        Math.Clamp(time.UtcTicks - DateTimeOffset.UnixEpoch.Ticks, long.MinValue / 100, long.MaxValue / 100) * 100;

    /// <summary>The point in time of a nanosecond timestamp, cut to the 100 ns a <see cref="DateTimeOffset"/> can tell.</summary>
    public static DateTimeOffset ToTime(long timestamp) => DateTimeOffset.UnixEpoch.AddTicks(Math.DivRem(timestamp, 100, out long rest) - (rest < 0 ? 1 : 0));
}
