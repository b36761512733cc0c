using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace Tailrace.Core.Storage;

/// <summary>
/// Takes events from the channel, writes each to the file of its bucket, rolls files, has them published beside it and commits what is
/// done. One run under one configuration; README.md beside this file explains the protocol. Everything but publishing happens on one
/// logical thread, so nothing here is locked.
/// </summary>
internal sealed partial class StorageLoop(
    Destination destination, StorageJournal journal, ISubscriber subscriber, ulong run, StoreRetry retry, IComponentContext context, long until) : IAsyncDisposable
{
    private const int MaxPublishing = 4;
    private const int MaxUnpublishedPerBucket = 4;
    private const int FirstPiece = 64 << 10; // bytes of bodies handed to a new file before its inflation is known

    private readonly StorageSinkOptions _options = destination.Options;
    private readonly BucketRouter _router = new(destination.Template);
    private readonly StoragePublisher _publisher = new(destination, journal, retry, context.Logger);
    private readonly Queue<Bucket> _publishable = new();
    private readonly ConcurrentQueue<Publication> _publications = new();
    private readonly WakeUp _wake = new();
    private readonly CancellationTokenSource _leaving = new();
    private readonly TimeProvider _time = context.Time;

    private ChannelTransaction? _transaction;
    private EventRange _rest;           // what is left of the transaction
    private long _position;             // every event below is routed
    private long _low;                  // as last recorded
    private long _committedLow;
    private Task? _sync;
    private long _syncing;
    private Task _pressure = Task.CompletedTask;
    private long _now;
    private long _nextDue = long.MaxValue;
    private int _tails;
    private int _unpublished;           // rolled files that are not published
    private int _publishing;
    private int _lost;
    private int _pruneAbove = 1024;
    private (Bucket Bucket, BucketRange? Range)? _needed;
    private bool _hasPassedOver;        // events were met that need no publishing: low may have risen by itself
    private bool _isUnsynced;
    private bool _isBlocked;
    private bool _isDrained;
    private bool _mustRewind;
    private bool _hasPublished;
    private bool _isDone;

    /// <summary>
    /// Runs until the channel is drained, <paramref name="stopping"/> or the offset given at construction is reached, and everything held is published.
    /// True unless it was stopped.
    /// </summary>
    /// <exception cref="OperationCanceledException"><paramref name="abort"/> was cancelled: left as it stood.</exception>
    public async Task<bool> RunAsync(IEnumerable<Bucket> buckets, CancellationToken stopping, CancellationToken abort)
    {
        using CancellationTokenRegistration onAbort = abort.Register(_leaving.Cancel);
        using CancellationTokenRegistration onStop = stopping.Register(_wake.Set);
        using CancellationTokenRegistration onLeave = _leaving.Token.Register(_wake.Set);
        using var interrupt = CancellationTokenSource.CreateLinkedTokenSource(stopping, _leaving.Token);
        Adopt(buckets);
        while (!_isDone)
        {
            try
            {
                if (stopping.IsCancellationRequested)
                {
                    await PassAsync(stopping);
                }
                else
                {
                    await retry.RunAsync(_ => PassAsync(stopping), interrupt.Token);
                }
            }
            catch (Exception exception) when (exception is StoreFailedException or OperationCanceledException && stopping.IsCancellationRequested && !abort.IsCancellationRequested)
            {
                Log.GivenUp(context.Logger, exception.Message);
                _mustRewind = true;
            }
        }

        return !stopping.IsCancellationRequested;
    }

    private void Adopt(IEnumerable<Bucket> buckets)
    {
        _low = journal.State.Low;
        _committedLow = subscriber.Cursor;
        _isUnsynced = _low > _committedLow; // a crash came between the journal and the cursor
        subscriber.Seek(_low);
        _position = subscriber.Position;
        _hasPassedOver = _position > _low;
        foreach (Bucket bucket in buckets)
        {
            _router.Add(bucket);
            _lost += bucket.Ranges.Count(range => range.State == RangeState.Lost);
        }

        CommitPublished(_router.Buckets);
        FollowPressure();
    }

    /// <summary>Works until a file was published (so that the back-off starts over) or everything is done.</summary>
    private async ValueTask PassAsync(CancellationToken stopping)
    {
        _hasPublished = false;
        if (_mustRewind)
        {
            await RewindAsync();
        }

        while (!_isDone && !_hasPublished)
        {
            _leaving.Token.ThrowIfCancellationRequested();
            _wake.Reset();
            _now = _time.GetTimestamp();
            CollectPublications();
            bool isEnding = stopping.IsCancellationRequested || _isDrained || _position >= until;
            Roll(isEnding);
            SettleLost();
            StartPublishing();
            RecordLow();
            await CommitAsync();
            if (isEnding)
            {
                _isDone = _publishing == 0 && _publishable.Count == 0 && _sync is null && !_isUnsynced;
                await WaitAsync(!_isDone && !_hasPublished);
            }
            else if (_isBlocked)
            {
                _isBlocked = false;
                await WaitAsync(_publishing > 0);
            }
            else if (_rest.Count > 0)
            {
                await RouteAsync();
            }
            else
            {
                await TakeAsync();
            }
        }
    }

    private async ValueTask TakeAsync()
    {
        EndTransaction();
        ValueTask<ChannelTransaction?> take = subscriber.TakeAsync(_wake.Token);
        using ITimer? timer = take.IsCompleted ? null : StartTimer();
        try
        {
            _transaction = await take;
        }
        catch (OperationCanceledException) when (_wake.Token.IsCancellationRequested)
        {
            return;
        }

        if (_transaction is null)
        {
            _isDrained = true;
            _position = Math.Max(_position, subscriber.Position);
            return;
        }

        _hasPassedOver |= _transaction.Start > _position; // a gap in the log
        _rest = _transaction.Events.Skip((int)Math.Clamp(_position - _transaction.Start, 0, _transaction.Events.Count));
        _position = Math.Max(_position, _transaction.Start);
        _rest = _rest.Take((int)Math.Clamp(until - _position, 0, _rest.Count));
    }

    private void EndTransaction()
    {
        _transaction?.Dispose();
        _transaction = null;
        _rest = default;
    }

    private async ValueTask RouteAsync()
    {
        bool isOpened = false; // a new file gets its first event before anything else happens to it
        while (_rest.Count > 0 && !_isBlocked && (isOpened || !_wake.IsSet))
        {
            isOpened = false;
            long start = _position;
            try
            {
                Route(_rest);
            }
            catch (StoreFailedException)
            {
                _mustRewind = true;
                throw;
            }

            _rest = _rest.Skip((int)(_position - start));
            if (_needed is { } needed)
            {
                _needed = null;
                _isBlocked = needed.Range is null && !HasRoom(needed.Bucket);
                if (!_isBlocked)
                {
                    await OpenAsync(needed.Bucket, needed.Range);
                    isOpened = true;
                }
            }
        }
    }

    /// <summary>Writes as many of the events as can be without waiting, and moves the position behind them.</summary>
    private void Route(EventRange events)
    {
        EventRange.Enumerator walk = events.GetEnumerator();
        walk.MoveNext();
        Bucket bucket = _router.Find(walk.Current, _low);
        if (_router.IsUniform(events.Batch))
        {
            TryWrite(bucket, events);
            return;
        }

        EventRange.Mark start = walk.Here;
        while (walk.MoveNext())
        {
            Bucket next = _router.Find(walk.Current, _low);
            if (next != bucket)
            {
                if (!TryWrite(bucket, walk.RangeFrom(start)))
                {
                    return;
                }

                bucket = next;
                start = walk.Here;
            }
        }

        TryWrite(bucket, walk.RangeFrom(start, includeCurrent: true));
    }

    /// <summary>Writes a run of one bucket's events, or the first part of it. False if something is left of it.</summary>
    private bool TryWrite(Bucket bucket, EventRange events)
    {
        bool isWanted = bucket.Wants(_position, out BucketRange? range, out long same);
        int count = (int)Math.Min(events.Count, same - _position);
        if (!isWanted)
        {
            _hasPassedOver = true;
            _position += count;
            return count == events.Count;
        }

        BucketFile? file = range is null ? bucket.Tail : range.File;
        if (file is null)
        {
            _needed = (bucket, range);
            return false;
        }

        EventRange piece = count < events.Count ? events.Take(count) : events;
        piece = range is null ? CutAtRoll(piece, file) : piece;
        file.Write(piece, _now);
        _position += piece.Count;
        if (range is null && (file.Length >= _options.Roll.Size.Bytes || file.Count == _options.Roll.Count))
        {
            Roll(bucket);
        }

        return piece.Count == events.Count;
    }

    /// <summary>As many events as the file may take until it is rolled by size (about) or count (exactly); at least one.</summary>
    private EventRange CutAtRoll(EventRange events, BucketFile file)
    {
        long count = _options.Roll.Count == 0 ? long.MaxValue : _options.Roll.Count - file.Count;
        long room = (long)((_options.Roll.Size.Bytes - file.Length) / file.Inflation);
        if (_options.Compression != FileCompression.None)
        {
            room = Math.Max(room, FirstPiece / 4); // compressed it is less
        }
        else if (file.Count == 0)
        {
            room = Math.Min(room, FirstPiece);
        }

        if (events.Count <= count && events.Lines.Length <= room)
        {
            return events;
        }

        EventRange.Enumerator walk = events.GetEnumerator();
        walk.MoveNext();
        EventRange.Mark start = walk.Here;
        long length = walk.Current.Body.Length + 1;
        while (length < room && walk.Index - events.First + 1 < count && walk.MoveNext())
        {
            length += walk.Current.Body.Length + 1;
        }

        return walk.RangeFrom(start, includeCurrent: true);
    }

    private async ValueTask OpenAsync(Bucket bucket, BucketRange? range)
    {
        BucketFile file = await BucketFile.CreateAsync(destination, bucket.Path, _position, _now, _leaving.Token);
        if (range is not null)
        {
            range.File = file;
            return;
        }

        if (bucket.Ranges.Count == 0)
        {
            bucket.TailStart = Math.Max(bucket.TailStart, _low);
            bucket.Horizon = Math.Max(bucket.Horizon, bucket.TailStart);
        }

        bucket.Tail = file;
        _tails++;
        _nextDue = Math.Min(_nextDue, DueAt(file));
    }

    /// <summary>Whether a file may be opened now; makes room by rolling the one that has been idle longest. Never no while nothing is being published: then waiting would not help.</summary>
    private bool HasRoom(Bucket bucket)
    {
        if (_tails >= _options.MaxOpenFiles)
        {
            Roll(_router.Buckets.Where(other => other.Tail is not null).MinBy(other => other.Tail!.WrittenAt)!);
        }

        StartPublishing();
        return _publishing == 0 || (bucket.Ranges.Count < MaxUnpublishedPerBucket && _tails + _unpublished < _options.MaxOpenFiles + MaxPublishing);
    }

    private void Roll(bool all)
    {
        bool isPressed = _pressure.IsCompleted;
        if (isPressed)
        {
            FollowPressure();
        }

        if (_router.Count > _pruneAbove)
        {
            _router.Prune(_low);
            _pruneAbove = Math.Max(1024, _router.Count + (_router.Count / 2));
            isPressed |= _router.Count > Math.Max(4096, 16L * _options.MaxOpenFiles); // ends above a low that does not rise
        }

        if (!all && _now < _nextDue && !isPressed)
        {
            return;
        }

        // Under pressure the older half of what is held goes: enough for the append that waits, without a tiny file per bucket.
        long low = Low();
        long oldest = isPressed ? low + ((_position - low) / 2) : -1;
        _nextDue = long.MaxValue;
        foreach (Bucket bucket in _router.Buckets)
        {
            if (bucket.Tail is { } tail)
            {
                long due = DueAt(tail);
                if (all || due <= _now || tail.First <= oldest)
                {
                    Roll(bucket);
                }
                else
                {
                    _nextDue = Math.Min(_nextDue, due);
                }
            }
        }
    }

    private void FollowPressure()
    {
        _pressure = subscriber.Pressure;
        if (!_pressure.IsCompleted)
        {
            WakeAfter(_pressure);
        }
    }

    private void WakeAfter(Task task) => _ = task.ContinueWith(_ => _wake.Set(), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);

    /// <summary>Ends a bucket's tail at the read position: everything of the bucket below it is in the file.</summary>
    private void Roll(Bucket bucket)
    {
        BucketFile file = bucket.Tail!;
        long end = Math.Max(_position, bucket.Horizon);
        var intent = new JournalIntent(bucket.TailStart, end, end, destination.NameOf(bucket.TailStart, end, run), Foreign: false);
        journal.Intend(bucket.Path, intent);
        bucket.Ranges.Add(new BucketRange(intent, file.First) { File = file, State = RangeState.Filled });
        bucket.Tail = null;
        bucket.TailStart = bucket.Horizon = end;
        _tails--;
        _unpublished++;
        Enqueue(bucket);
    }

    /// <summary>Lost ranges that the read position has passed are filled again.</summary>
    private void SettleLost()
    {
        if (_lost == 0)
        {
            return;
        }

        foreach (Bucket bucket in _router.Buckets)
        {
            foreach (BucketRange range in bucket.Ranges)
            {
                if (range.State == RangeState.Lost && (range.Intent.Limit <= _position || _isDrained))
                {
                    _lost--;
                    if (range.File is null)
                    {
                        Log.Gone(context.Logger, range.Intent.Name);
                        range.State = RangeState.Published;
                    }
                    else
                    {
                        range.State = RangeState.Filled;
                        _unpublished++;
                    }
                }
            }
        }

        CommitPublished(_router.Buckets);
    }

    private void Enqueue(Bucket bucket)
    {
        if (!bucket.IsQueued && bucket.Ranges.Count > 0 && bucket.Ranges[0].State == RangeState.Filled)
        {
            bucket.IsQueued = true;
            _publishable.Enqueue(bucket);
        }
    }

    private void StartPublishing()
    {
        while (_publishing < MaxPublishing && _publishable.TryDequeue(out Bucket? bucket))
        {
            bucket.IsQueued = false;
            BucketRange range = bucket.Ranges[0];
            range.State = RangeState.Publishing;
            _publishing++;
            _ = Task.Run(() => PublishAsync(bucket, range, range.File!));
        }
    }

    private async Task PublishAsync(Bucket bucket, BucketRange range, BucketFile file)
    {
        Publication result;
        try
        {
            bool published = await _publisher.PublishAsync(bucket, range, file, _leaving.Token);
            result = new Publication(bucket, range, published, null);
        }
        catch (Exception exception)
        {
            result = new Publication(bucket, range, false, exception); // the loop throws it
        }

        _publications.Enqueue(result);
        _wake.Set();
    }

    private void CollectPublications()
    {
        bool isLost = false;
        List<Bucket>? published = null;
        while (_publications.TryDequeue(out Publication result))
        {
            _publishing--;
            _unpublished--;
            if (result.Error is not null)
            {
                System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(result.Error);
            }

            result.Range.File = null;
            result.Range.State = result.IsPublished ? RangeState.Published : RangeState.Lost;
            isLost |= !result.IsPublished;
            _lost += result.IsPublished ? 0 : 1;
            (published ??= []).Add(result.Bucket);
        }

        if (published is not null)
        {
            CommitPublished(published);
        }

        if (isLost)
        {
            _mustRewind = true;
            throw new StoreFailedException("A file could not be completed and is written again.", new IOException("The file was lost."));
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

            Enqueue(bucket);
        }

        if (commits is null)
        {
            return;
        }

        long low = Low();
        for (int i = 0; i < commits.Count; i++)
        {
            journal.Commit(commits[i].Path, commits[i].End, i == commits.Count - 1 ? low : _low);
        }

        _low = low;
        _isUnsynced = _hasPublished = true;
    }

    private void RecordLow()
    {
        if (_hasPassedOver)
        {
            _hasPassedOver = false;
            long low = Low();
            if (low > _low)
            {
                journal.Advance(low);
                _low = low;
                _isUnsynced = true;
            }
        }
    }

    /// <summary>The cursor follows what the journal has made durable; syncing runs beside the loop.</summary>
    private async ValueTask CommitAsync()
    {
        if (_sync is { IsCompleted: true })
        {
            await _sync;
            _sync = null;
            if (_syncing > _committedLow)
            {
                _committedLow = _syncing;
                await subscriber.CommitAsync(_committedLow, _leaving.Token);
            }
        }

        if (_sync is null && _isUnsynced)
        {
            _isUnsynced = false;
            _syncing = _low;
            _sync = Task.Run(() => journal.SyncAsync(_leaving.Token));
            WakeAfter(_sync);
        }
    }

    /// <summary>The lowest offset of an event that is not published for good.</summary>
    private long Low()
    {
        long low = _position;
        foreach (Bucket bucket in _router.Buckets)
        {
            low = Math.Min(low, bucket.Unfinished ?? low);
        }

        return low;
    }

    /// <summary>Goes back to what is to be read again. Files that are sound are kept: their buckets pass over what they hold.</summary>
    private async ValueTask RewindAsync()
    {
        EndTransaction();
        long low = Low();
        foreach (Bucket bucket in _router.Buckets)
        {
            bucket.Horizon = Math.Max(bucket.Horizon, _position);
            if (bucket.Tail is { IsFailed: true } failed)
            {
                bucket.Tail = null;
                bucket.Horizon = bucket.TailStart;
                _tails--;
                await AbandonAsync(failed);
            }

            foreach (BucketRange range in bucket.Ranges)
            {
                if (range is { State: RangeState.Lost, File: { } partial })
                {
                    range.File = null;
                    await AbandonAsync(partial);
                }
            }
        }

        _mustRewind = false;
        _isDrained = false;
        _isBlocked = false;
        _needed = null;
        subscriber.Seek(low);
        _position = subscriber.Position;
    }

    private async ValueTask AbandonAsync(BucketFile file)
    {
        if (await file.CloseAsync() is { } exception)
        {
            Log.NotClosed(context.Logger, file.TemporaryPath, exception.Message);
        }

        await _publisher.DeleteAsync(file, _leaving.Token);
    }

    private async ValueTask WaitAsync(bool isNeeded)
    {
        if (isNeeded)
        {
            using ITimer? timer = StartTimer();
            await Task.Delay(Timeout.InfiniteTimeSpan, _wake.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private ITimer? StartTimer()
    {
        if (_nextDue == long.MaxValue)
        {
            return null;
        }

        TimeSpan wait = _time.GetElapsedTime(_time.GetTimestamp(), _nextDue);
        return _time.CreateTimer(_ => _wake.Set(), null, wait > TimeSpan.Zero ? wait : TimeSpan.Zero, Timeout.InfiniteTimeSpan);
    }

    private long DueAt(BucketFile file)
    {
        long age = file.OpenedAt + ToTicks(_options.Roll.Age);
        return Math.Min(age, file.WrittenAt + ToTicks(_options.Roll.Idle));
    }

    private long ToTicks(TimeSpan span) => (long)(span.TotalSeconds * _time.TimestampFrequency);

    /// <summary>Lets go of all files. What is being published is waited for; a store's calls end when they are cancelled.</summary>
    public async ValueTask DisposeAsync()
    {
        EndTransaction();
        await _leaving.CancelAsync();
        while (_publishing > 0)
        {
            _wake.Reset();
            while (_publications.TryDequeue(out _))
            {
                _publishing--;
            }

            await WaitAsync(_publishing > 0);
        }

        foreach (Bucket bucket in _router.Buckets)
        {
            foreach (BucketFile? file in bucket.Ranges.Select(range => range.File).Append(bucket.Tail))
            {
                if (file is not null && await file.CloseAsync() is { } exception)
                {
                    Log.NotClosed(context.Logger, file.TemporaryPath, exception.Message);
                }
            }
        }

        if (_sync is not null)
        {
            await _sync.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        _leaving.Dispose();
        _wake.Dispose();
    }

    private readonly record struct Publication(Bucket Bucket, BucketRange Range, bool IsPublished, Exception? Error);

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "The log holds no event of {Name} any more; the file is not published.")]
        public static partial void Gone(ILogger logger, string name);

        [LoggerMessage(3, LogLevel.Warning, "Stopping; what cannot be published now is published after the next start: {Reason}")]
        public static partial void GivenUp(ILogger logger, string reason);

        [LoggerMessage(2, LogLevel.Warning, "The temporary file {Path} could not be closed: {Reason}")]
        public static partial void NotClosed(ILogger logger, string path, string reason);
    }
}
