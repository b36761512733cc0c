using System.ComponentModel;

namespace Tailrace.Core.Storage;

/// <summary>How a published file is compressed.</summary>
public enum FileCompression
{
    /// <summary>Not at all.</summary>
    None,

    /// <summary>gzip (RFC 1952); extension <c>.gz</c>.</summary>
    Gzip,

    /// <summary>Zstandard (RFC 8878); extension <c>.zst</c>.</summary>
    Zstd,
}

/// <summary>The options every storage sink has, whatever its store. <c>format</c> stands beside them.</summary>
public sealed record StorageSinkOptions : IValidatedOptions
{
    private const int MostOpenFiles = 100_000;
    private const long SmallestRoll = 1024;
    private static readonly TimeSpan ShortestRoll = TimeSpan.FromMilliseconds(100);

    /// <summary>Where files go: the store's root, then a template.</summary>
    [Description("Where files go. May hold %{header} and strftime letters (%Y-%m-%d/%H), filled in from the event; everything before the first of them is the root, which files never leave.")]
    public required string Path { get; init; }

    /// <summary>How whole files are compressed.</summary>
    [Description("How whole files are compressed: none, gzip or zstd.")]
    public FileCompression Compression { get; init; }

    /// <summary>When a file is closed and published.</summary>
    [Description("When a file is closed and published: at the first of size, age and idle.")]
    public RollOptions Roll { get; init; } = new();

    /// <summary>The time zone of the path's strftime letters, an IANA name.</summary>
    [Description("The time zone of the path's time letters, as an IANA name such as Europe/Berlin. Default: UTC.")]
    public string TimeZone { get; init; } = "UTC";

    /// <summary>How many files may be open at once; the longest idle one is published to make room. 1 to 100,000.</summary>
    [Description("How many buckets may be open at once; the one that has been idle longest is published to make room. From 1 to 100000.")]
    public int MaxOpenFiles { get; init; } = 500;

    /// <inheritdoc/>
    public IEnumerable<OptionProblem> Validate()
    {
        if (Path.Length == 0)
        {
            yield return new OptionProblem("path", "It must not be empty.");
        }

        if (!TimeZoneInfo.TryFindSystemTimeZoneById(TimeZone, out _))
        {
            yield return new OptionProblem("time_zone", $"There is no time zone '{TimeZone}' on this machine. Write an IANA name such as Europe/Berlin.");
        }

        if (MaxOpenFiles is < 1 or > MostOpenFiles)
        {
            yield return new OptionProblem("max_open_files", "It must be from 1 to 100000.");
        }

        if (Roll.Size.Bytes < SmallestRoll)
        {
            yield return new OptionProblem("roll.size", "It must be at least 1KiB.");
        }

        if (Roll.Age < ShortestRoll)
        {
            yield return new OptionProblem("roll.age", "It must be at least 100ms.");
        }

        if (Roll.Idle < ShortestRoll)
        {
            yield return new OptionProblem("roll.idle", "It must be at least 100ms.");
        }

        if (Roll.Count < 0)
        {
            yield return new OptionProblem("roll.count", "It must not be negative; 0 means no limit.");
        }
    }
}

/// <summary>When a storage sink closes and publishes a file: at the first of these.</summary>
public sealed record RollOptions
{
    /// <summary>Bytes written, after compression; at least 1 KiB.</summary>
    [Description("When this much has been written to it, after compression. At least 1KiB.")]
    public ByteSize Size { get; init; } = new(128 << 20);

    /// <summary>Time since its first event; at least 100 ms.</summary>
    [Description("When it is this old, counted from its first event. At least 100ms.")]
    public TimeSpan Age { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>Time since its last event; at least 100 ms.</summary>
    [Description("When nothing was written to it for this long. At least 100ms.")]
    public TimeSpan Idle { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Events; 0: no limit.</summary>
    [Description("When it holds this many events. 0: no limit.")]
    public long Count { get; init; }
}
