namespace Tailrace.Core.Channels;

/// <summary>What happens when the disk refuses.</summary>
internal sealed partial class FileChannel
{
    private static readonly TimeSpan ShortestBackOff = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan LongestBackOff = TimeSpan.FromSeconds(15);

    private ITimer? _backOffTimer;
    private TimeSpan _backOff;
    private bool _isDegraded;
    private int _failures;

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

                _isSpaceShort = true;
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
        long sound = _log.Verify();
        if (sound < _log.NewestEnd)
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
        StartTimer(ref _backOffTimer, _backOff, EndBackOff);
    }

    /// <summary>Calls <paramref name="act"/> under the gate after a time, and wakes the writer.</summary>
    private void StartTimer(ref ITimer? timer, TimeSpan delay, Action act)
    {
        timer?.Dispose();
        timer = _context.Time.CreateTimer(
            _ =>
            {
                lock (_gate)
                {
                    act();
                    Monitor.Pulse(_gate);
                }
            },
            null,
            delay,
            Timeout.InfiniteTimeSpan);
    }

    private void EndBackOff() => _isBackingOff = false;
}
