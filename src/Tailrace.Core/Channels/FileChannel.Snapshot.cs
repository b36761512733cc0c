namespace Tailrace.Core.Channels;

/// <summary>The snapshot, the segments it lets go of, and the end.</summary>
internal sealed partial class FileChannel
{
    private const int SmallestReserve = 64 << 10;

    private readonly List<Segment> _condemned = []; // off the list, their files still there
    private ITimer? _deleteTimer;
    private bool _isDeleteDelayed;
    private int _snapshotLength;

    private string ReservePath => Path.Combine(_context.Directory, "reserve");

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

    /// <summary>Writes the snapshot: what the segments up to here say. Never ahead of what is synced; without the segments to be deleted only where the cursors behind them are.</summary>
    private bool TrySnapshot(bool areCursorsDurable = false)
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
            foreach (Segment each in areCursorsDurable ? _log.Segments : _condemned.Concat(_log.Segments))
            {
                state.Segments.Add(new SegmentSummary(each.Number, each.BaseOffset, each.EndOffset, each.End));
            }

            snapshot = state.Encode();
            _snapshotLength = snapshot.Length;
        }

        _log.HasRolled = false; // where it fails it is tried with the next segment; until then a start reads more, and nothing is deleted
        try
        {
            try
            {
                _files.Replace(StatePath(_context), snapshot.Span);
            }
            catch (IOException exception) when (SegmentFiles.IsDiskFull(exception) && _files.Exists(ReservePath))
            {
                _files.Delete(ReservePath);
                _files.Replace(StatePath(_context), snapshot.Span);
            }

            return true;
        }
        catch (Exception exception) when (IsFileError(exception))
        {
            Log.SnapshotFailed(_context.Logger, exception, Name);
            return false;
        }
    }

    /// <summary>Keeps room for a snapshot: on a full disk it is what lets delivered segments be deleted.</summary>
    private void Reserve()
    {
        try
        {
            if (!_files.Exists(ReservePath))
            {
                _files.Replace(ReservePath, new byte[Math.Max(SmallestReserve, 4 * _snapshotLength)]);
            }
        }
        catch (Exception exception) when (IsFileError(exception))
        {
            Log.NoReserve(_context.Logger, exception, Name);
        }
    }

    /// <summary>Deletes the segments every cursor has passed: cursors durable first, then the snapshot, then the files, then the directory.</summary>
    private void DeletePassed()
    {
        List<Pin> pins;
        lock (_gate)
        {
            long low = GetLow();
            List<Segment> removed = _log.RemoveBelow(low, _retention, Now);
            if (_isSpaceShort && removed.Count == 0)
            {
                removed = _log.RemoveBelow(low, default, Now, most: 1);
                removed.ForEach(segment => Log.RetentionCut(_context.Logger, Name, segment.Path));
            }

            _isSpaceShort = false;
            _condemned.AddRange(removed);
            _first = Math.Max(_first, _log.FirstOffset ?? _first);
            pins = [.. _pins.Values];
        }

        try
        {
            foreach (Pin pin in pins)
            {
                pin.File.Sync();
            }

            if (TrySnapshot(areCursorsDurable: true))
            {
                foreach (Segment segment in _condemned)
                {
                    _log.Delete(segment);
                }

                _condemned.Clear();
                _log.SyncDirectory();
                Reserve();
                lock (_gate)
                {
                    EndBackOff(); // there is space again
                }

                return;
            }
        }
        catch (Exception exception) when (IsFileError(exception))
        {
            Log.DeleteFailed(_context.Logger, exception, Name);
        }

        lock (_gate)
        {
            _isDeleteDelayed = true;
            StartTimer(ref _deleteTimer, LongestBackOff, () => _isDeleteDelayed = false);
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

        try
        {
            if (!_isAbandoned)
            {
                Finish();
            }
        }
        finally
        {
            Release();
            _stopped.TrySetResult();
        }
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
        catch (Exception exception)
        {
            Log.StopFailed(_context.Logger, exception, Name);
        }
    }

    private void Release()
    {
        _timer?.Dispose();
        _retainTimer?.Dispose();
        _lagTimer?.Dispose();
        _backOffTimer?.Dispose();
        _deleteTimer?.Dispose();
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
