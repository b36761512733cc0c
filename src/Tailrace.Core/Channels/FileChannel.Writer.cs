using System.Security.Cryptography;

namespace Tailrace.Core.Channels;

/// <summary>The thread that writes.</summary>
internal sealed partial class FileChannel
{
    private const long GroupBytes = 4 << 20;
    private static readonly TimeSpan ShortestBackOff = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan LongestBackOff = TimeSpan.FromSeconds(15);

    private readonly List<Segment> _condemned = []; // off the list, their files still there
    private ITimer? _timer;
    private ITimer? _backOffTimer;
    private TimeSpan _backOff;
    private bool _isBackingOff;
    private bool _isSyncDue;
    private bool _isBlocked;        // the first append of the queue waits for space
    private bool _pressed;          // and the subscribers that hold it up were told since anything changed
    private bool _isRunStaged;
    private bool _isRunStored;
    private bool _isDegraded;
    private int _failures;

    private void Write()
    {
        try
        {
            while (true)
            {
                bool canDelete;
                bool isSyncDue;
                lock (_gate)
                {
                    while (true)
                    {
                        if (_isAbandoned)
                        {
                            return;
                        }

                        TakeGroup();
                        canDelete = !_isBackingOff && (_condemned.Count > 0 || _log.CanDelete(GetLow()));
                        isSyncDue = _isSyncDue;
                        _isSyncDue = false;
                        if (_group.Count > 0 || canDelete || isSyncDue)
                        {
                            break;
                        }

                        if (_isStopping)
                        {
                            return;
                        }

                        Monitor.Wait(_gate);
                    }
                }

                if (_group.Count > 0)
                {
                    WriteGroup();
                }

                if (isSyncDue)
                {
                    TrySync();
                }

                if (canDelete)
                {
                    DeletePassed();
                }
                else if (_log.HasRolled)
                {
                    TrySnapshot();
                }
            }
        }
        catch (Exception exception)
        {
            // Nothing above it could: the channel stops, readers and appenders are told, the process lives.
            Log.WriterFailed(_context.Logger, exception, Name);
            _context.Report(ComponentStatus.Degraded, $"The channel has stopped: {exception.Message}");
            _isAbandoned = true;
        }
        finally
        {
            Stop();
        }
    }

    private static bool IsFileError(Exception exception) => exception is IOException or UnauthorizedAccessException;

    /// <summary>Takes from the queue what fits, deciding on each append. Under the gate.</summary>
    private void TakeGroup()
    {
        _isBlocked = false;
        if (_isBackingOff)
        {
            return;
        }

        long bytes = 0;
        long offset = _end;
        long used = _queue.Count > 0 ? _log.BytesFrom(GetLow()) : 0;
        while (bytes < GroupBytes && _queue.First is { } node)
        {
            PendingAppend append = node.Value;
            AppendResult result = _origins.Compare(append.Batch.Advances);
            if (result.Status == AppendStatus.Stored)
            {
                while (used + bytes + append.FrameLength > _capacity && used + bytes > 0 && GiveWay())
                {
                    used = _log.BytesFrom(GetLow());
                }

                if (used + bytes + append.FrameLength > _capacity && used + bytes > 0)
                {
                    // With a group in hand it is looked at again once that is stored.
                    if (_group.Count == 0)
                    {
                        Block();
                    }

                    return;
                }

                _pressed = false;
                _origins.Append(append.Batch.Advances);
                result = result with { Offset = offset };
                offset += append.Batch.Count;
                bytes += append.FrameLength;
            }

            append.Result = result;
            append.Node = null;
            _queue.RemoveFirst();
            _group.Add(append);
        }
    }

    /// <summary>The queue waits for space: tell the subscribers that hold the lowest cursor, once for each change.</summary>
    private void Block()
    {
        _isBlocked = true;
        if (_pressed)
        {
            return;
        }

        _pressed = true;
        long low = GetLow();
        foreach (Pin pin in _pins.Values)
        {
            if (pin.Position == low)
            {
                pin.Open?.Press();
            }
        }
    }

    /// <summary>Lets the subscribers that the configuration has dropped, and that hold the lowest cursor, give up their data.</summary>
    private bool GiveWay()
    {
        if (_configured is null)
        {
            return false;
        }

        long low = GetLow();
        bool hasChanged = false;
        foreach ((string name, Pin pin) in _pins)
        {
            if (!pin.HasGivenWay && pin.Open is null && pin.Position == low && !_configured.Contains(name))
            {
                pin.HasGivenWay = true;
                hasChanged = true;
                Log.GaveWay(_context.Logger, name, low, _end);
            }
        }

        return hasChanged;
    }

    private void WriteGroup()
    {
        bool isStored = false;
        try
        {
            foreach (PendingAppend append in _group)
            {
                if (append.Result.Status == AppendStatus.Stored)
                {
                    isStored = true;
                    append.Time = Now;
                    StageRunOnce(append.Result.Offset, append.Time);
                    _log.Stage(append);
                }
            }

            if (isStored)
            {
                _log.Flush();
                if (_sync.EveryBatch)
                {
                    _log.Sync();
                }
            }
        }
        catch (Exception exception) when (IsFileError(exception))
        {
            OnWriteFailed(exception);
            return;
        }

        if (isStored)
        {
            _isRunStored = true;
            Recover();
        }

        List<PendingAppend> done = [.. _group];
        lock (_gate)
        {
            if (isStored)
            {
                Publish();
            }

            _group.Clear();
            if (isStored || _isCompleted)
            {
                WakeSubscribers();
            }
        }

        foreach (PendingAppend append in done)
        {
            append.Complete();
        }
    }

    private void Publish()
    {
        long end = _end;
        foreach (PendingAppend append in _group)
        {
            if (append.Result.Status == AppendStatus.Stored)
            {
                EventBatch batch = append.Batch;
                _origins.Confirm(batch.Advances, append.Time);
                end = append.Result.Offset + batch.Count;
                if (batch.Count > 0)
                {
                    _recent.Add(batch.Share(), append.Result.Offset, batch.BlockLength, append.Time);
                }
            }
        }

        _log.Publish(_group, end);
        Volatile.Write(ref _end, end);
        TrimRecent();
    }

    private void OnWriteFailed(Exception exception)
    {
        bool isFull = SegmentFiles.IsDiskFull(exception) && !_log.IsSyncing;
        _log.Abort(cut: isFull);
        _isRunStaged &= _isRunStored;
        List<PendingAppend> failed = [.. _group];
        lock (_gate)
        {
            foreach (PendingAppend append in failed)
            {
                _origins.Revert(append.Batch.Advances);
            }

            _group.Clear();
            if (isFull)
            {
                // Nothing is broken: they go back to where they were, in order, and can be cancelled again.
                for (int i = failed.Count - 1; i >= 0; i--)
                {
                    failed[i].Segment = null;
                    failed[i].Node = _queue.AddFirst(failed[i]);
                }

                BackOff();
            }
        }

        if (isFull)
        {
            if (!_isDegraded)
            {
                Log.DiskFull(_context.Logger, Name, exception.Message);
            }

            Degrade($"The disk is full: {exception.Message}");
            foreach (PendingAppend append in failed)
            {
                append.CancelIfAsked(Cancel);
            }

            return;
        }

        _failures++;
        string next = _failures == 1 ? "The next append goes to a new segment." : "The channel takes no appends until one can be stored in a new segment; readers go on.";
        Log.WriteFailed(_context.Logger, exception, Name, failed.Count, next);
        Degrade($"Writing failed: {exception.Message}");
        if (_failures == 1 && _log.Verify() is { } sound && sound < _log.NewestEnd)
        {
            OnDamage(_log.NewestPath!, sound, _log.NewestEnd, Name);
        }

        foreach (PendingAppend append in failed)
        {
            append.Fail(new ChannelException($"Channel {Name} could not store a batch in {_context.Directory}. {exception.Message} {next}", exception));
        }
    }

    private void Degrade(string reason)
    {
        _isDegraded = true;
        _context.Report(ComponentStatus.Degraded, reason);
    }

    private void Recover()
    {
        _failures = 0;
        _backOff = TimeSpan.Zero;
        if (_isDegraded)
        {
            _isDegraded = false;
            Log.Recovered(_context.Logger, Name);
            _context.Report(ComponentStatus.Running);
        }
    }

    /// <summary>Lets the writer rest before it tries again what the disk refused. Under the gate.</summary>
    private void BackOff()
    {
        _backOff = _backOff == TimeSpan.Zero ? ShortestBackOff : TimeSpan.FromTicks(Math.Min(_backOff.Ticks * 2, LongestBackOff.Ticks));
        _isBackingOff = true;
        _backOffTimer?.Dispose();
        _backOffTimer = _context.Time.CreateTimer(_ => OnBackOffEnded(), null, _backOff, Timeout.InfiniteTimeSpan);
    }

    private void OnBackOffEnded()
    {
        lock (_gate)
        {
            _isBackingOff = false;
            Monitor.Pulse(_gate);
        }
    }

    private void OnSyncDue()
    {
        lock (_gate)
        {
            _isSyncDue = true;
            Monitor.Pulse(_gate);
        }
    }

    private void StartRun()
    {
        _runs.Add(new ChannelRun(BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(8)), _end));
        if (_runs.Count > ChannelState.MaxRuns)
        {
            _runs.RemoveRange(0, _runs.Count - ChannelState.MaxRuns);
        }

        try
        {
            StageRunOnce(_end, Now);
            _log.Flush();
            _log.Sync();
            lock (_gate)
            {
                _log.Publish([], _end);
            }

            _isRunStored = true;
        }
        catch (Exception exception) when (IsFileError(exception))
        {
            // A full disk must not keep the channel from being drained.
            Log.RunNotStored(_context.Logger, exception, Name);
            _log.Abort(SegmentFiles.IsDiskFull(exception));
            _isRunStaged = false;
        }
    }

    /// <summary>Each run tells itself in the log before its first batch does.</summary>
    private void StageRunOnce(long offset, long time)
    {
        if (!_isRunStaged)
        {
            _log.StageRun(Run, offset, time);
            _isRunStaged = true;
        }
    }

    /// <summary>Makes everything written so far durable; false if that failed.</summary>
    private bool TrySync()
    {
        try
        {
            if (_log.IsDirty)
            {
                _log.Sync();
            }

            return true;
        }
        catch (Exception exception) when (IsFileError(exception))
        {
            _log.Abort(cut: false);
            Log.SyncFailed(_context.Logger, exception, Name);
            Degrade($"A sync failed: {exception.Message}");
            return false;
        }
    }

    /// <summary>Writes the snapshot: what the segments up to here say. Never ahead of what is synced.</summary>
    private bool TrySnapshot()
    {
        if (!TrySync())
        {
            return false;
        }

        (long segment, long position) = _log.GetDurableEnd();
        ReadOnlyMemory<byte> snapshot;
        lock (_gate)
        {
            var state = new ChannelState { Channel = _id, NextOffset = _end, Segment = segment, Position = position, Runs = _runs, Origins = _origins };
            foreach (Segment each in _log.Segments)
            {
                state.Segments.Add(new SegmentSummary(each.Number, each.BaseOffset, each.EndOffset, each.End));
            }

            snapshot = state.Encode();
        }

        try
        {
            _files.Replace(StatePath(_context), snapshot.Span);
            _log.HasRolled = false;
            return true;
        }
        catch (Exception exception) when (IsFileError(exception))
        {
            _log.HasRolled = false; // tried again with the next segment; until then more is read at a start, and nothing is deleted
            Log.SnapshotFailed(_context.Logger, exception, Name);
            return false;
        }
    }

    /// <summary>Deletes the segments every cursor has passed: cursors durable first, then the snapshot, then the files, then the directory.</summary>
    private void DeletePassed()
    {
        List<Pin> pins;
        lock (_gate)
        {
            long low = GetLow();
            _condemned.AddRange(_log.RemoveBelow(low));
            _first = Math.Max(_first, _log.FirstOffset ?? _first);
            pins = [.. _pins.Values];
        }

        try
        {
            foreach (Pin pin in pins)
            {
                pin.File.Sync();
            }

            if (TrySnapshot())
            {
                foreach (Segment segment in _condemned)
                {
                    _log.Delete(segment);
                }

                _condemned.Clear();
                _log.SyncDirectory();
                return;
            }
        }
        catch (Exception exception) when (IsFileError(exception))
        {
            Log.DeleteFailed(_context.Logger, exception, Name);
        }

        lock (_gate)
        {
            BackOff();
        }
    }

    /// <summary>Ends the thread: nothing waits any more, and what there is stands on disk.</summary>
    private void Stop()
    {
        List<PendingAppend> left;
        lock (_gate)
        {
            _isStopping = true;
            left = [.. _group, .. _queue];
            _group.Clear();
            _queue.Clear();
            left.ForEach(append => append.Node = null);
            WakeSubscribers();
        }

        foreach (PendingAppend append in left)
        {
            append.Fail(new ChannelException($"Channel {Name} was stopped before the batch could be stored."));
        }

        if (!_isAbandoned)
        {
            Finish();
        }

        Release();
        _stopped.TrySetResult();
    }

    private void Finish()
    {
        try
        {
            if (TrySync())
            {
                _log.Complete();
            }

            foreach (Pin pin in _pins.Values)
            {
                pin.File.Sync();
            }

            TrySnapshot();
        }
        catch (Exception exception) when (IsFileError(exception))
        {
            Log.StopFailed(_context.Logger, exception, Name);
        }
    }

    private void Release()
    {
        _timer?.Dispose();
        _backOffTimer?.Dispose();
        _log.Dispose();
        lock (_gate)
        {
            _recent.Clear();
            foreach (Pin pin in _pins.Values)
            {
                pin.File.Dispose();
            }
        }

        _lock.Dispose();
    }
}
