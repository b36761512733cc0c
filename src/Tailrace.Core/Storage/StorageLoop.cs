using Microsoft.Extensions.Logging;

namespace Tailrace.Core.Storage;

/// <summary>
/// Takes events from the channel, writes each to the file of its bucket, rolls files, has them published beside it and commits what is
/// done. One run under one configuration; README.md beside this file explains the protocol. Everything but publishing happens on one
/// logical thread, so nothing here is locked.
/// </summary>
internal sealed partial class StorageLoop : IAsyncDisposable
{
    private const int MaxUnpublishedPerBucket = 4;

    private readonly Destination _destination;
    private readonly StorageJournal _journal;
    private readonly ISubscriber _subscriber;
    private readonly StoreRetry _retry;
    private readonly IComponentContext _context;
    private readonly TimeProvider _time;
    private readonly long _until;
    private readonly RollRules _rules;
    private readonly StoragePublisher _publisher;
    private readonly BucketSet _buckets;
    private readonly WakeUp _wake;
    private readonly CancellationTokenSource _leaving = new();

    private ChannelTransaction? _transaction;
    private EventRange _rest;           // what is left of the transaction
    private long _committed;
    private long _syncing;
    private Task? _sync;
    private Task _pressure = Task.CompletedTask;
    private long _now;
    private long _nextDue = long.MaxValue;
    private (Bucket Bucket, BucketRange? Range)? _needed;
    private bool _isBlocked;
    private bool _isDrained;
    private bool _mustRewind;
    private bool _isDone;

    public StorageLoop(Destination destination, StorageJournal journal, ISubscriber subscriber, ulong run, StoreRetry retry, IComponentContext context, long until)
    {
        _destination = destination;
        _journal = journal;
        _subscriber = subscriber;
        _retry = retry;
        _context = context;
        _time = context.Time;
        _until = until;
        _wake = new WakeUp(_time);
        _rules = new RollRules(destination.Options, _time);
        _publisher = new StoragePublisher(destination, journal, retry, context.Logger, _wake, _leaving.Token);
        _buckets = new BucketSet(destination, journal, _publisher, run, context.Logger);
    }

    /// <summary>
    /// Runs until the channel is drained, <paramref name="stopping"/> or the offset given at construction is reached, and everything held is
    /// published. False if it was stopped.
    /// </summary>
    /// <exception cref="OperationCanceledException"><paramref name="abort"/> was cancelled: left as it stood.</exception>
    public async Task<bool> RunAsync(IEnumerable<Bucket> recovered, CancellationToken stopping, CancellationToken abort)
    {
        using CancellationTokenRegistration onAbort = abort.Register(_leaving.Cancel);
        using CancellationTokenRegistration onStop = stopping.Register(_wake.Set);
        using CancellationTokenRegistration onLeave = _leaving.Token.Register(_wake.Set);
        using var interrupt = CancellationTokenSource.CreateLinkedTokenSource(stopping, _leaving.Token);
        long low = _journal.State.Low;
        _subscriber.Seek(low);
        _committed = _subscriber.Cursor;
        _buckets.Adopt(recovered, low, _subscriber.Position, _committed);
        FollowPressure();
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
                    await _retry.RunAsync(_ => PassAsync(stopping), interrupt.Token);
                }
            }
            catch (Exception exception) when (exception is StoreFailedException or OperationCanceledException && stopping.IsCancellationRequested && !abort.IsCancellationRequested)
            {
                Log.GivenUp(_context.Logger, exception.Message);
                _mustRewind = true;
            }
        }

        return !stopping.IsCancellationRequested;
    }

    /// <summary>Lets go of all files. What is being published is waited for; a store's calls end when they are cancelled.</summary>
    public async ValueTask DisposeAsync()
    {
        EndTransaction();
        await _leaving.CancelAsync();
        while (_publisher.Busy > 0 || _sync is { IsCompleted: false })
        {
            _wake.Reset();
            while (_publisher.TryTake(out _))
            {
                // what became of it is found out at the next start
            }

            if (_publisher.Busy > 0 || _sync is { IsCompleted: false })
            {
                await _wake.WaitAsync(long.MaxValue);
            }
        }

        foreach (Bucket bucket in _buckets.Router.Buckets)
        {
            foreach (BucketFile? file in bucket.Ranges.Select(range => range.File).Append(bucket.Tail))
            {
                await CloseAsync(file);
            }
        }

        _leaving.Dispose();
        _wake.Dispose();
    }

    /// <summary>Works until a file was published (so that the back-off starts over) or everything is done.</summary>
    private async ValueTask PassAsync(CancellationToken stopping)
    {
        _buckets.HasPublished = false;
        if (_mustRewind)
        {
            await RewindAsync();
        }

        while (!_isDone && !_buckets.HasPublished)
        {
            _leaving.Token.ThrowIfCancellationRequested();
            _wake.Reset();
            _now = _time.GetTimestamp();
            if (!_buckets.Collect())
            {
                _mustRewind = true;
                throw new StoreFailedException("A file could not be completed and is written again.", new IOException("The file was lost."));
            }

            bool isEnding = stopping.IsCancellationRequested || _isDrained || _buckets.Position >= _until;
            Roll(isEnding);
            _buckets.SettleLost(_isDrained);
            _publisher.Start();
            _buckets.RecordLow();
            await CommitAsync();
            if (isEnding)
            {
                _isDone = _publisher.IsIdle && _sync is null && !_buckets.IsUnsynced;
                if (!_isDone && !_buckets.HasPublished)
                {
                    await _wake.WaitAsync(_nextDue);
                }
            }
            else if (_isBlocked)
            {
                _isBlocked = false;
                if (_publisher.Busy > 0)
                {
                    await _wake.WaitAsync(_nextDue);
                }
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
        ValueTask<ChannelTransaction?> take = _subscriber.TakeAsync(_wake.Token);
        using ITimer? timer = take.IsCompleted ? null : _wake.At(_nextDue);
        try
        {
            _transaction = await take;
        }
        catch (OperationCanceledException) when (_wake.IsSet)
        {
            return;
        }

        long position = _buckets.Position;
        if (_transaction is null)
        {
            _isDrained = true;
            _buckets.Position = Math.Max(position, _subscriber.Position);
            return;
        }

        _buckets.HasPassedOver |= _transaction.Start > position; // a gap in the log
        _rest = _transaction.Events.Skip((int)Math.Clamp(position - _transaction.Start, 0, _transaction.Events.Count));
        _buckets.Position = position = Math.Max(position, _transaction.Start);
        _rest = _rest.Take((int)Math.Clamp(_until - position, 0, _rest.Count));
    }

    private void EndTransaction()
    {
        _transaction?.Dispose();
        _transaction = null;
        _rest = default;
    }

    /// <summary>Writes what was taken to files, until that has to wait or something else wants to be looked at.</summary>
    private async ValueTask RouteAsync()
    {
        bool isOpened = false; // a new file gets its first event before anything else happens to it
        while (_rest.Count > 0 && !_isBlocked && (isOpened || !_wake.IsSet))
        {
            long start = _buckets.Position;
            try
            {
                Route(_rest);
            }
            catch (StoreFailedException)
            {
                _mustRewind = true;
                throw;
            }

            _rest = _rest.Skip((int)(_buckets.Position - start));
            isOpened = _needed is { } needed && await OpenAsync(needed.Bucket, needed.Range);
        }
    }

    /// <summary>Writes as many of the events as can be without waiting, and moves the position behind them.</summary>
    private void Route(EventRange events)
    {
        EventRange.Enumerator walk = events.GetEnumerator();
        walk.MoveNext();
        Bucket bucket = _buckets.Router.Find(walk.Current);
        if (_buckets.Router.IsUniform(events.Batch))
        {
            TryWrite(bucket, events);
            return;
        }

        EventRange.Mark start = walk.Here;
        while (walk.MoveNext())
        {
            Bucket next = _buckets.Router.Find(walk.Current);
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
        bool isWanted = bucket.Wants(_buckets.Position, out BucketRange? range, out long same);
        int count = (int)Math.Min(events.Count, same - _buckets.Position);
        if (!isWanted)
        {
            _buckets.HasPassedOver = true;
            _buckets.Position += count;
            return count == events.Count;
        }

        BucketFile? file = range is null ? bucket.Tail : range.File;
        if (file is null)
        {
            _needed = (bucket, range);
            return false;
        }

        EventRange piece = count < events.Count ? events.Take(count) : events;
        piece = range is null ? _rules.Cut(piece, file) : piece;
        file.Write(piece, _now);
        _buckets.Position += piece.Count;
        if (range is null && _rules.IsFull(file))
        {
            _buckets.Roll(bucket);
        }

        return piece.Count == events.Count;
    }

    /// <summary>Opens a file for a bucket's tail or a lost range. False if that has to wait until something is published.</summary>
    private async ValueTask<bool> OpenAsync(Bucket bucket, BucketRange? range)
    {
        _needed = null;
        _isBlocked = range is null && !HasRoom(bucket);
        if (_isBlocked)
        {
            return false;
        }

        BucketFile file = await BucketFile.CreateAsync(_destination, bucket.Path, _buckets.Position, _now, _leaving.Token);
        if (range is not null)
        {
            range.File = file;
            return true;
        }

        _buckets.Open(bucket, file);
        _nextDue = Math.Min(_nextDue, _rules.DueAt(file));
        return true;
    }

    /// <summary>Whether a file may be opened now. Never no while nothing is being published: then waiting would not help.</summary>
    private bool HasRoom(Bucket bucket)
    {
        int max = _destination.Options.MaxOpenFiles;
        if (_buckets.Tails >= max)
        {
            _buckets.RollIdlest();
        }

        _publisher.Start();
        return _publisher.Busy == 0 || (bucket.Ranges.Count < MaxUnpublishedPerBucket && _buckets.Tails + _buckets.Unpublished < max + StoragePublisher.MaxBusy);
    }

    /// <summary>Rolls what is due, or everything; under pressure the older half of what is held: enough for the append that waits, without a tiny file per bucket.</summary>
    private void Roll(bool all)
    {
        bool isPressed = _pressure.IsCompleted;
        if (isPressed)
        {
            FollowPressure();
        }

        isPressed |= _buckets.IsCrowded();
        if (!all && !isPressed && _now < _nextDue)
        {
            return;
        }

        // While what holds the lowest offset is on its way out already, nothing would be gained; the channel presses again if that is not enough.
        long low = _buckets.FindLow();
        long oldest = isPressed && !_buckets.IsRolled(low) ? low + ((_buckets.Position - low) / 2) : -1;
        _nextDue = long.MaxValue;
        foreach (Bucket bucket in _buckets.Router.Buckets)
        {
            if (bucket.Tail is { } tail)
            {
                long due = _rules.DueAt(tail);
                if (all || due <= _now || tail.First <= oldest)
                {
                    _buckets.Roll(bucket);
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
        _pressure = _subscriber.Pressure;
        if (!_pressure.IsCompleted)
        {
            _wake.After(_pressure);
        }
    }

    /// <summary>The cursor follows what the journal has made durable; syncing runs beside the loop.</summary>
    private async ValueTask CommitAsync()
    {
        if (_sync is { IsCompleted: true })
        {
            await _sync;
            _sync = null;
            if (_syncing > _committed)
            {
                _committed = _syncing;
                await _subscriber.CommitAsync(_committed, _leaving.Token);
            }
        }

        if (_sync is null && _buckets.IsUnsynced)
        {
            _syncing = _buckets.TakeUnsynced();
            _sync = Task.Run(() => _journal.SyncAsync(_leaving.Token));
            _wake.After(_sync);
        }
    }

    private async ValueTask RewindAsync()
    {
        EndTransaction();
        _mustRewind = false;
        _isDrained = false;
        _isBlocked = false;
        _needed = null;
        (long low, List<BucketFile> dropped) = _buckets.Rewind();
        foreach (BucketFile file in dropped)
        {
            await CloseAsync(file);
        }

        _subscriber.Seek(low);
        _buckets.Position = _subscriber.Position;
        foreach (BucketFile file in dropped)
        {
            await _publisher.DeleteAsync(file);
        }
    }

    private async ValueTask CloseAsync(BucketFile? file)
    {
        if (file is not null && await file.CloseAsync() is { } exception)
        {
            Log.NotClosed(_context.Logger, file.TemporaryPath, exception.Message);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "Stopping; what cannot be published now is published after the next start: {Reason}")]
        public static partial void GivenUp(ILogger logger, string reason);

        [LoggerMessage(2, LogLevel.Warning, "The temporary file {Path} could not be closed: {Reason}")]
        public static partial void NotClosed(ILogger logger, string path, string reason);
    }
}
