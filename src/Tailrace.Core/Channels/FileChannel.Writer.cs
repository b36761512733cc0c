namespace Tailrace.Core.Channels;

/// <summary>The thread that writes.</summary>
internal sealed partial class FileChannel
{
    private const long GroupBytes = 4 << 20;

    private ITimer? _timer;
    private ITimer? _retainTimer;
    private bool _isSpaceShort;     // the disk is full: what is only retained goes
    private bool _isBackingOff;
    private bool _isSyncDue;
    private bool _isBlocked;        // the first append of the queue waits for space
    private bool _pressed;          // and the subscribers that hold it up were told since anything changed
    private bool _isRunStaged;
    private bool _isRunStored;

    /// <summary>One turn of the writer: it takes what waits, writes it, deletes what has been read; false if there was nothing to do.</summary>
    internal bool Turn()
    {
        Work work;
        lock (_gate)
        {
            work = TakeWork();
        }

        Do(work);
        return work != Work.None;
    }

    /// <summary>Turn after turn until the channel stops, then its end.</summary>
    internal void Write()
    {
        try
        {
            while (WaitForWork() is var work && work != Work.None)
            {
                Do(work);
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

    private Work WaitForWork()
    {
        lock (_gate)
        {
            while (!_isAbandoned)
            {
                Work work = TakeWork();
                if (work != Work.None || _isStopping)
                {
                    return work;
                }

                Monitor.Wait(_gate);
            }

            return Work.None;
        }
    }

    /// <summary>Finds out what there is to do, and takes the group to be written. Under the gate.</summary>
    private Work TakeWork()
    {
        ApplyLag();
        TakeGroup();
        Work work = _group.Count > 0 ? Work.Write : Work.None;
        if (_isSyncDue)
        {
            work |= Work.Sync;
            _isSyncDue = false;
        }

        return !_isDeleteDelayed && (_condemned.Count > 0 || CanDelete()) ? work | Work.Delete : work;
    }

    private void Do(Work work)
    {
        if (work.HasFlag(Work.Write))
        {
            WriteGroup();
        }

        if (work.HasFlag(Work.Sync))
        {
            TrySync();
        }

        if (work.HasFlag(Work.Delete))
        {
            DeletePassed();
        }
        else if (_log.HasRolled)
        {
            TrySnapshot();
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
        long used = _queue.Count > 0 ? _log.BytesFrom(GetHeld()) : 0;
        while (bytes < GroupBytes && _queue.First is { } node)
        {
            PendingAppend append = node.Value;
            AppendResult result = _origins.Compare(append.Batch.Advances);
            if (result.Status == AppendStatus.Stored)
            {
                while (used + bytes + append.FrameLength > _capacity && used + bytes > 0 && GiveWay())
                {
                    used = _log.BytesFrom(GetHeld());
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
        long low = GetHeld();
        foreach (Pin pin in _pins.Values)
        {
            if (pin.Held == low)
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

        long low = GetHeld();
        bool hasChanged = false;
        foreach ((string name, Pin pin) in _pins)
        {
            if (!pin.HasGivenWay && pin.Open is null && pin.Held == low && !_configured.ContainsKey(name))
            {
                pin.HasGivenWay = true;
                hasChanged = true;
                Log.GaveWay(_context.Logger, name, pin.Position, _end);
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

    private void OnRetentionDue()
    {
        lock (_gate)
        {
            Monitor.Pulse(_gate);
        }
    }

    private bool CanDelete()
    {
        long low = GetLow();
        return _log.CanDelete(low, _retention, Now) || (_isSpaceShort && _log.CanDelete(low, default, Now));
    }

    private void OnSyncDue()
    {
        lock (_gate)
        {
            _isSyncDue = true;
            Monitor.Pulse(_gate);
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

    [Flags]
    private enum Work
    {
        None = 0,
        Write = 1,
        Sync = 2,
        Delete = 4,
    }
}
