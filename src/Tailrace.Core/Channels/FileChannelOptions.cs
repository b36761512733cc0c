using System.ComponentModel;

namespace Tailrace.Core.Channels;

/// <summary>The options of the <c>file</c> channel.</summary>
internal sealed record FileChannelOptions : IValidatedOptions
{
    private static readonly ByteSize SmallestSegment = new(1 << 20);
    private static readonly ByteSize LargestSegment = new(1 << 30);
    private static readonly TimeSpan ShortestRetention = TimeSpan.FromSeconds(1);

    [Description("How much may wait in the channel for its slowest subscriber; when it is full, sources wait. At least 4KiB.")]
    public ByteSize Capacity { get; init; } = new(1L << 30);

    [Description("When an append is acknowledged: batch (on disk, survives a power cut; appends made at once share one sync), a duration such as 1s (synced that often; a power cut may repeat or lose what came since), or os (when the system likes; survives the process only).")]
    public string Sync { get; init; } = "batch";

    [Description("How large a segment file gets before the next is begun. From 1MiB to 1GiB; never more than a quarter of the capacity, where that is above 1MiB.")]
    public ByteSize SegmentSize { get; init; } = new(64 << 20);

    [Description("How much of the newest batches is kept in memory, so that sinks that keep up never read the disk. 0B: none.")]
    public ByteSize Cache { get; init; } = new(8 << 20);

    [Description("How long delivered events stay, to be read again by a subscriber that is added or moved back. Default: not at all. Never makes an append wait: on a full disk they go first.")]
    public RetainOptions Retain { get; init; } = new();

    [Description("How batches are compressed on disk: none, lz4 or zstd. A channel holds batches of each side by side.")]
    public BatchCompression Compression { get; init; }

    public IEnumerable<OptionProblem> Validate()
    {
        if (Capacity.Bytes < 4096)
        {
            yield return new OptionProblem("capacity", $"{Capacity} is too small; at least 4KiB.");
        }

        if (!SyncPolicy.TryParse(Sync, out _))
        {
            yield return new OptionProblem("sync", $"\"{Sync}\" is neither batch nor os nor a duration from 1ms to 1h such as 100ms, 1s or 1m.");
        }

        if (SegmentSize.Bytes < SmallestSegment.Bytes || SegmentSize.Bytes > LargestSegment.Bytes)
        {
            yield return new OptionProblem("segment_size", $"{SegmentSize} is outside {SmallestSegment} to {LargestSegment}.");
        }

        if (Cache.Bytes < 0)
        {
            yield return new OptionProblem("cache", "A cache cannot be negative.");
        }

        if (Retain.Time is { } time && time < ShortestRetention)
        {
            yield return new OptionProblem("retain.time", "It must be at least 1s.");
        }
    }
}

/// <summary>How long delivered segments stay: until the first of the two says that they go. Where neither is given they go at once.</summary>
internal sealed record RetainOptions
{
    [Description("Until they were appended this long ago. At least 1s; default: no limit, where size is given.")]
    public TimeSpan? Time { get; init; }

    [Description("Until there is more than this of what is delivered. It comes on top of the capacity. Default: no limit, where time is given.")]
    public ByteSize? Size { get; init; }
}

/// <summary>The rule of <see cref="RetainOptions"/> in the channel's units.</summary>
/// <param name="Time">Nanoseconds since a segment's last append.</param>
/// <param name="Size">Frame bytes of delivered segments.</param>
internal readonly record struct Retention(long Time, long Size)
{
    private const long NanosecondsPerTick = 100;

    public static Retention Of(RetainOptions options) => options.Time is null && options.Size is null
        ? default
        : new Retention(options.Time is { } time && time.Ticks < long.MaxValue / NanosecondsPerTick ? time.Ticks * NanosecondsPerTick : long.MaxValue, options.Size?.Bytes ?? long.MaxValue);

    public bool Keeps(long age, long bytes) => age < Time && bytes <= Size;
}

/// <summary>When a file channel syncs.</summary>
/// <param name="EveryBatch">Before each acknowledgement.</param>
/// <param name="Interval">That often; zero where it does not apply.</param>
internal readonly record struct SyncPolicy(bool EveryBatch, TimeSpan Interval)
{
    private static readonly (string Unit, double Milliseconds)[] Units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

    /// <exception cref="ArgumentException">The text was not validated.</exception>
    public static SyncPolicy Parse(string text) => TryParse(text, out SyncPolicy policy) ? policy : throw new ArgumentException($"\"{text}\" is no way to sync.", nameof(text));

    public static bool TryParse(string text, out SyncPolicy policy)
    {
        policy = text == "batch" ? new SyncPolicy(true, default) : default;
        if (text is "batch" or "os")
        {
            return true;
        }

        foreach ((string unit, double milliseconds) in Units)
        {
            if (text.EndsWith(unit, StringComparison.Ordinal)
                && double.TryParse(text.AsSpan(0, text.Length - unit.Length), System.Globalization.NumberStyles.AllowDecimalPoint, System.Globalization.CultureInfo.InvariantCulture, out double number))
            {
                double interval = number * milliseconds;
                policy = new SyncPolicy(false, TimeSpan.FromMilliseconds(Math.Min(interval, 3_600_001)));
                return interval is >= 1 and <= 3_600_000;
            }
        }

        return false;
    }
}
