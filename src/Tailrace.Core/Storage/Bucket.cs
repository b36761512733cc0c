namespace Tailrace.Core.Storage;

/// <summary>What has become of a range that was decided upon.</summary>
internal enum RangeState
{
    /// <summary>Its events have to be read from the log again.</summary>
    Lost,

    /// <summary>All its events are in a file.</summary>
    Filled,

    /// <summary>The file is being completed and published.</summary>
    Publishing,

    /// <summary>It is published, or has turned out to hold no event; the ranges before it come first.</summary>
    Published,
}

/// <summary>A range of a bucket that stands in the journal as an intent and not yet as a commit.</summary>
internal sealed class BucketRange(JournalIntent intent, long first)
{
    public JournalIntent Intent { get; set; } = intent;

    /// <summary>An offset at or below that of its first event.</summary>
    public long First { get; } = first;

    public RangeState State { get; set; }

    /// <summary>What its events are written to; null before the first of them is read (again) and once it is published.</summary>
    public BucketFile? File { get; set; }

    /// <summary>An attempt to publish it was made whose outcome nobody knows: if the name exists, it is ours.</summary>
    public bool IsAttempted { get; set; }
}

/// <summary>
/// A directory of published files and where it stands. Ranges that were decided upon come first, in order; behind them the tail, which
/// grows as events are read. Used by the loop alone, apart from a range that is being published.
/// </summary>
internal sealed class Bucket(string path, long start)
{
    /// <summary>How paths are told apart: where the system takes <c>A</c> and <c>a</c> for one directory, they are one bucket.</summary>
    public static StringComparer Comparer { get; } = OperatingSystem.IsWindows() ? StringComparer.OrdinalIgnoreCase : StringComparer.Ordinal;

    /// <summary>The directory below the store's root; empty for the root itself.</summary>
    public string Path { get; } = path;

    /// <summary>Everything below is published.</summary>
    public long End { get; set; } = start;

    /// <summary>What was decided upon and is not committed, in order.</summary>
    public List<BucketRange> Ranges { get; } = [];

    /// <summary>Where the tail starts: the start of the next range.</summary>
    public long TailStart { get; set; } = start;

    /// <summary>Events below are taken care of, apart from those of lost ranges. At least <see cref="TailStart"/>; further behind a rewind.</summary>
    public long Horizon { get; set; } = start;

    /// <summary>What the tail is written to; null while it has no event.</summary>
    public BucketFile? Tail { get; set; }

    /// <summary>Whether the first range waits to be published by a free publisher.</summary>
    public bool IsQueued { get; set; }

    /// <summary>The lowest offset of an event that is not published for good; null if there is none.</summary>
    public long? Unfinished => Ranges.Count > 0 ? Ranges[0].First : Tail?.First;

    public bool HasLost
    {
        get
        {
            foreach (BucketRange range in Ranges)
            {
                if (range.State == RangeState.Lost)
                {
                    return true;
                }
            }

            return false;
        }
    }

    /// <summary>Where an event of this bucket belongs.</summary>
    /// <param name="offset">Its offset.</param>
    /// <param name="range">The lost range it belongs to; null: the tail, or nowhere.</param>
    /// <param name="until">Up to where the answer stays the same.</param>
    /// <returns>False if the event is taken care of already.</returns>
    public bool Wants(long offset, out BucketRange? range, out long until)
    {
        range = null;
        until = long.MaxValue;
        if (offset >= Horizon)
        {
            return true;
        }

        until = Horizon;
        foreach (BucketRange candidate in Ranges)
        {
            if (candidate.State != RangeState.Lost || offset >= candidate.Intent.Limit)
            {
                continue;
            }

            if (offset < candidate.Intent.Start)
            {
                until = candidate.Intent.Start;
                return false;
            }

            until = candidate.Intent.Limit;
            range = candidate;
            return true;
        }

        return false;
    }
}
