using Microsoft.Extensions.Logging;

namespace Tailrace.Core.Storage;

/// <summary>
/// All buckets and what is decided about them: rolls, commits, and how far nothing is left to publish. Every decision goes into the
/// journal as it is made. Used by the loop alone.
/// </summary>
internal sealed partial class BucketSet(Destination destination, StorageJournal journal, StoragePublisher publisher, ulong run, ILogger logger)
{
    private int _lost;
    private int _pruneAbove = 1024;

    public BucketRouter Router { get; } = new(destination.Template);

    /// <summary>Every event below is routed; what is read next.</summary>
    public long Position { get; set; }

    /// <summary>Below it nothing is left to publish, as last recorded.</summary>
    public long Low { get; private set; }

    /// <summary>Something was recorded since <see cref="TakeUnsynced"/>.</summary>
    public bool IsUnsynced { get; private set; }

    /// <summary>Something was published since the loop last cleared this.</summary>
    public bool HasPublished { get; set; }

    /// <summary>Events were met that need no publishing, so that low may have risen by itself.</summary>
    public bool HasPassedOver { get; set; }

    /// <summary>Files being written that no roll was decided for.</summary>
    public int Tails { get; private set; }

    /// <summary>Rolled files that are not published.</summary>
    public int Unpublished { get; private set; }

    /// <summary>Takes over what a run before left.</summary>
    public void Adopt(IEnumerable<Bucket> buckets, long low, long position, long cursor)
    {
        Low = low;
        Position = position;
        HasPassedOver = position > low;
        IsUnsynced = low > cursor; // a crash came between the journal and the cursor
        foreach (Bucket bucket in buckets)
        {
            Router.Add(bucket);
            _lost += bucket.Ranges.Count(range => range.State == RangeState.Lost);
        }

        CommitPublished(Router.Buckets);
    }

    /// <summary>Gives a bucket the file its tail is written to.</summary>
    public void Open(Bucket bucket, BucketFile file)
    {
        if (bucket.Ranges.Count == 0)
        {
            // New, or back after its end was forgotten: below low nothing is left of it.
            bucket.TailStart = Math.Max(bucket.TailStart, Low);
            bucket.Horizon = Math.Max(bucket.Horizon, bucket.TailStart);
        }

        bucket.Tail = file;
        Tails++;
    }

    /// <summary>Rolls a bucket: everything of it below the read position is in its file.</summary>
    public void Roll(Bucket bucket)
    {
        BucketFile file = bucket.Tail!;
        long end = Math.Max(Position, bucket.Horizon);
        var intent = new JournalIntent(bucket.TailStart, end, end, destination.NameOf(bucket.TailStart, end, run), Foreign: false);
        journal.Intend(bucket.Path, intent);
        bucket.Ranges.Add(new BucketRange(intent, file.First) { File = file, State = RangeState.Filled });
        bucket.Tail = null;
        bucket.TailStart = bucket.Horizon = end;
        Tails--;
        Unpublished++;
        publisher.Enqueue(bucket);
    }

    /// <summary>Rolls what has been idle longest.</summary>
    public void RollIdlest() => Roll(Router.Buckets.Where(bucket => bucket.Tail is not null).MinBy(bucket => bucket.Tail!.WrittenAt)!);

    /// <summary>Forgets buckets that are done with; true if too many remain, since what holds the lowest offset keeps them.</summary>
    public bool IsCrowded()
    {
        if (Router.Count <= _pruneAbove)
        {
            return false;
        }

        Router.Prune(Low);
        _pruneAbove = Math.Max(1024, Router.Count + (Router.Count / 2));
        return Router.Count > Math.Max(4096, 16L * destination.Options.MaxOpenFiles);
    }

    /// <summary>Lost ranges that the read position has passed are filled again.</summary>
    public void SettleLost(bool isDrained)
    {
        if (_lost == 0)
        {
            return;
        }

        foreach (Bucket bucket in Router.Buckets)
        {
            foreach (BucketRange range in bucket.Ranges)
            {
                if (range.State == RangeState.Lost && (isDrained || range.Intent.Limit <= Position))
                {
                    Settle(range);
                }
            }
        }

        CommitPublished(Router.Buckets);
    }

    /// <summary>Takes what the publisher has finished; false if a file was lost, so that its range has to be read again.</summary>
    public bool Collect()
    {
        bool isSound = true;
        List<Bucket>? published = null;
        while (publisher.TryTake(out Publication publication))
        {
            Unpublished--;
            if (publication.Error is not null)
            {
                System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(publication.Error);
            }

            publication.Range.File = null;
            publication.Range.State = publication.IsPublished ? RangeState.Published : RangeState.Lost;
            _lost += publication.IsPublished ? 0 : 1;
            isSound &= publication.IsPublished;
            (published ??= []).Add(publication.Bucket);
        }

        if (published is not null)
        {
            CommitPublished(published);
        }

        return isSound;
    }

    /// <summary>Records that low has risen where nothing was published; commits record it themselves.</summary>
    public void RecordLow()
    {
        if (HasPassedOver)
        {
            HasPassedOver = false;
            long low = FindLow();
            if (low > Low)
            {
                journal.Advance(low);
                Low = low;
                IsUnsynced = true;
            }
        }
    }

    /// <summary>What low will be durable once the journal has been synced.</summary>
    public long TakeUnsynced()
    {
        IsUnsynced = false;
        return Low;
    }

    /// <summary>The lowest offset of an event that is not published for good.</summary>
    public long FindLow()
    {
        long low = Position;
        foreach (Bucket bucket in Router.Buckets)
        {
            low = Math.Min(low, bucket.Unfinished ?? low);
        }

        return low;
    }

    /// <summary>Whether the event that holds low has been rolled.</summary>
    public bool IsRolled(long low) => Router.Buckets.Any(bucket => bucket.Ranges.Count > 0 && bucket.Ranges[0].First == low);

    /// <summary>
    /// Gets ready for reading on from where everything below is published. Files that are sound are kept: their buckets pass over what
    /// they hold. The others are taken out, for the caller to close.
    /// </summary>
    public (long Low, List<BucketFile> Dropped) Rewind()
    {
        long low = FindLow();
        var dropped = new List<BucketFile>();
        foreach (Bucket bucket in Router.Buckets)
        {
            bucket.Horizon = Math.Max(bucket.Horizon, Position);
            if (bucket.Tail is { IsFailed: true } failed)
            {
                dropped.Add(failed);
                bucket.Tail = null;
                bucket.Horizon = bucket.TailStart;
                Tails--;
            }

            foreach (BucketRange range in bucket.Ranges)
            {
                if (range is { State: RangeState.Lost, File: { } partial })
                {
                    dropped.Add(partial);
                    range.File = null;
                }
            }
        }

        return (low, dropped);
    }

    private void Settle(BucketRange range)
    {
        _lost--;
        if (range.File is null)
        {
            Log.Gone(logger, range.Intent.Name);
            range.State = RangeState.Published;
        }
        else
        {
            range.State = RangeState.Filled;
            Unpublished++;
        }
    }

    /// <summary>Records the published ranges that stand first in their buckets, and how far nothing is left to publish.</summary>
    private void CommitPublished(IEnumerable<Bucket> buckets)
    {
        List<(string Path, long End)>? commits = null;
        foreach (Bucket bucket in buckets)
        {
            while (bucket.Ranges.Count > 0 && bucket.Ranges[0].State == RangeState.Published)
            {
                bucket.End = bucket.Ranges[0].Intent.Limit;
                bucket.Ranges.RemoveAt(0);
                (commits ??= []).Add((bucket.Path, bucket.End));
            }

            publisher.Enqueue(bucket);
        }

        if (commits is null)
        {
            return;
        }

        long low = FindLow();
        for (int i = 0; i < commits.Count; i++)
        {
            bool isLast = i == commits.Count - 1; // before it, not all that low stands for is recorded
            journal.Commit(commits[i].Path, commits[i].End, isLast ? low : Low);
        }

        Low = low;
        IsUnsynced = HasPublished = true;
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "The log holds no event of {Name} any more; the file is not published.")]
        public static partial void Gone(ILogger logger, string name);
    }
}
