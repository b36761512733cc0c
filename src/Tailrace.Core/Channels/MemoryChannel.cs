using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.Logging;

namespace Tailrace.Core.Channels;

/// <summary>
/// A channel in memory, bounded by bytes. What it tells sources, and writes down, is what every subscriber has delivered: after a crash a
/// source that can goes back there and reads again, so that events may repeat but none is lost.
/// </summary>
internal sealed partial class MemoryChannel : IChannel
{
    internal const string PositionsFile = "positions";
    private static readonly TimeSpan SaveInterval = TimeSpan.FromSeconds(1);

    private readonly object _gate = new();
    private readonly object _saveGate = new();
    private readonly IChannelContext _context;
    private readonly SegmentFiles _files;
    private readonly string _path;
    private readonly long _capacity;
    private readonly OriginTable _origins;
    private readonly ChannelRun _run;
    private readonly Dictionary<string, MemorySubscriber> _subscribers = new(StringComparer.Ordinal);
    private readonly RecentBatches _batches = new();
    private readonly LinkedList<PendingAppend> _queue = new();
    private readonly ITimer _timer;
    private long _first;
    private long _end;
    private bool _isSaveDue;
    private bool _isBlocked;
    private bool _pressed;
    private bool _isCompleted;
    private bool _isStopped;

    /// <summary>Opens the channel; what was delivered before is read from its directory.</summary>
    /// <exception cref="ChannelException">The directory cannot be used.</exception>
    public MemoryChannel(MemoryChannelOptions options, IChannelContext context, SegmentFiles? files = null)
    {
        _context = context;
        _files = files ?? new SegmentFiles();
        _capacity = options.Capacity.Bytes;
        _path = Path.Combine(context.Directory, PositionsFile);
        ChannelState saved = Load();
        _origins = saved.Origins;
        _first = _end = saved.NextOffset;
        _run = new ChannelRun(ChannelRun.NewId(), _end);
        _timer = context.Time.CreateTimer(_ => OnSaveDue(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    public string Name => _context.Name;

    public bool Durable => false;

    public long End => Volatile.Read(ref _end);

    public long Delivered
    {
        get
        {
            lock (_gate)
            {
                return GetLow();
            }
        }
    }

    public ulong Run => _run.Id;

    /// <summary>The oldest offset held.</summary>
    public long First => Volatile.Read(ref _first);

    /// <summary>Bytes held.</summary>
    public long UsedBytes
    {
        get
        {
            lock (_gate)
            {
                return _batches.Bytes;
            }
        }
    }

    internal bool IsComplete => _isCompleted && _queue.Count == 0;

    public ValueTask<AppendResult> AppendAsync(EventBatch batch, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(batch);
        OriginTable.Check(batch);
        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled<AppendResult>(cancellationToken);
        }

        lock (_gate)
        {
            ThrowIfDisposed();
            if (_isCompleted)
            {
                throw new InvalidOperationException($"Channel {Name} was completed; nothing can be appended any more.");
            }

            if (_queue.Count == 0 && TryStore(batch, out AppendResult result))
            {
                Deliver();
                return new ValueTask<AppendResult>(result);
            }

            var append = new PendingAppend(batch, cancellationToken);
            append.Node = _queue.AddLast(append);
            append.Register(Cancel);
            Block();
            return new ValueTask<AppendResult>(append.Task);
        }
    }

    public IReadOnlyList<OriginState> GetOrigins()
    {
        lock (_gate)
        {
            return _origins.GetStates();
        }
    }

    public ISubscriber Subscribe(string name, SubscriberStart start)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        lock (_gate)
        {
            ThrowIfDisposed();
            long cursor;
            if (_subscribers.TryGetValue(name, out MemorySubscriber? old))
            {
                if (!old.IsClosed)
                {
                    throw new InvalidOperationException($"Subscriber {name} of channel {Name} is open already.");
                }

                cursor = old.Cursor;
            }
            else
            {
                cursor = start.Kind switch
                {
                    SubscriberStartKind.Beginning => _first,
                    SubscriberStartKind.End => _end,
                    _ => _batches.FindTime(start.Timestamp, _end),
                };
            }

            var subscriber = new MemorySubscriber(this, name, _gate, cursor);
            _subscribers[name] = subscriber;
            OnCommitted();
            return subscriber;
        }
    }

    public void Complete()
    {
        lock (_gate)
        {
            _isCompleted = true;
            WakeSubscribers();
        }
    }

    public ValueTask DisposeAsync()
    {
        List<PendingAppend> left;
        lock (_gate)
        {
            if (_isStopped)
            {
                return ValueTask.CompletedTask;
            }

            _isStopped = true;
            left = [.. _queue];
            _queue.Clear();
            left.ForEach(append => append.Node = null);
            WakeSubscribers();
        }

        foreach (PendingAppend append in left)
        {
            append.Fail(new ChannelException($"Channel {Name} was stopped before the batch could be stored."));
        }

        _timer.Dispose();
        Save();
        lock (_gate)
        {
            _batches.Clear();
        }

        return ValueTask.CompletedTask;
    }

    internal void ThrowIfDisposed()
    {
        if (_isStopped)
        {
            throw new ObjectDisposedException(nameof(MemoryChannel), $"Channel {Name} is stopped.");
        }
    }

    internal bool TryGet(long position, [NotNullWhen(true)] out EventBatch? batch, out long offset)
    {
        bool isFound = _batches.TryFind(position, out RecentBatches.Entry entry);
        batch = isFound ? entry.Batch.Share() : null;
        offset = entry.Offset;
        return isFound;
    }

    /// <summary>A subscriber has read everything. Under the gate.</summary>
    internal void OnCaughtUp(MemorySubscriber subscriber)
    {
        if (_isBlocked && subscriber.Cursor == GetLow())
        {
            subscriber.PressAgain();
        }
    }

    /// <summary>A cursor has moved, or one was added: what all have passed is delivered, and what waits may come in. Under the gate.</summary>
    internal void OnCommitted()
    {
        _pressed = false;
        Deliver();
        while (_queue.First is { } node && TryStore(node.Value.Batch, out AppendResult result))
        {
            _queue.RemoveFirst();
            node.Value.Node = null;
            node.Value.Result = result;
            node.Value.Complete();
            Deliver();
        }

        Block();
        if (IsComplete)
        {
            WakeSubscribers();
        }
    }

    /// <summary>Stores a batch if there is space for it; false if it has to wait. Under the gate.</summary>
    private bool TryStore(EventBatch batch, out AppendResult result)
    {
        result = _origins.Compare(batch.Advances);
        if (result.Status != AppendStatus.Stored)
        {
            return true;
        }

        long bytes = batch.HeldBytes + FrameFormat.HeaderLength(batch.Advances);
        if (_batches.Bytes + bytes > _capacity && _batches.Count > 0)
        {
            return false;
        }

        _origins.Append(batch.Advances);
        result = result with { Offset = _end };
        _batches.Add(batch.Share(), _end, bytes, LogEvent.ToTimestamp(_context.Time.GetUtcNow()));
        if (batch.Count > 0)
        {
            Volatile.Write(ref _end, _end + batch.Count);
            WakeSubscribers();
        }

        _pressed = false;
        return true;
    }

    /// <summary>Takes what every subscriber has passed for delivered. Under the gate.</summary>
    private void Deliver()
    {
        long low = GetLow();
        Volatile.Write(ref _first, low);
        while (_batches.Count > 0 && _batches.First.EndOffset <= low && _subscribers.Count > 0)
        {
            RecentBatches.Entry entry = _batches.First;
            _origins.Confirm(entry.Batch.Advances, entry.Time);
            _batches.RemoveFirst();
            if (!_isSaveDue)
            {
                _isSaveDue = true;
                _timer.Change(SaveInterval, Timeout.InfiniteTimeSpan);
            }
        }
    }

    private void Block()
    {
        _isBlocked = _queue.Count > 0;
        if (!_isBlocked || _pressed)
        {
            return;
        }

        _pressed = true;
        long low = GetLow();
        foreach (MemorySubscriber subscriber in _subscribers.Values)
        {
            if (subscriber.Cursor == low)
            {
                subscriber.Press();
            }
        }
    }

    private long GetLow()
    {
        long low = long.MaxValue;
        foreach (MemorySubscriber subscriber in _subscribers.Values)
        {
            low = Math.Min(low, subscriber.Cursor);
        }

        return low == long.MaxValue ? _first : low;
    }

    private void WakeSubscribers()
    {
        foreach (MemorySubscriber subscriber in _subscribers.Values)
        {
            subscriber.Wake();
        }
    }

    private void Cancel(PendingAppend append, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (append.Node is null)
            {
                return;
            }

            _queue.Remove(append.Node);
            append.Node = null;
            OnCommitted(); // one that waited behind it may fit
        }

        append.Cancel(cancellationToken);
    }

    private void OnSaveDue()
    {
        lock (_gate)
        {
            if (_isStopped)
            {
                return;
            }
        }

        Save();
    }

    private void Save()
    {
        lock (_saveGate)
        {
            ReadOnlyMemory<byte> content;
            lock (_gate)
            {
                _isSaveDue = false;
                content = new ChannelState { NextOffset = _first, Runs = [_run], Origins = _origins }.Encode();
            }

            try
            {
                _files.Replace(_path, content.Span);
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                Log.SaveFailed(_context.Logger, exception, Name, _path);
                lock (_gate)
                {
                    if (!_isStopped && !_isSaveDue)
                    {
                        _isSaveDue = true;
                        _timer.Change(SaveInterval, Timeout.InfiniteTimeSpan);
                    }
                }
            }
        }
    }

    private ChannelState Load()
    {
        try
        {
            _files.CreateDirectory(_context.Directory);
            return File.Exists(_path) ? ChannelState.Decode(File.ReadAllBytes(_path)) : new ChannelState();
        }
        catch (InvalidDataException exception)
        {
            Log.PositionsDamaged(_context.Logger, _path, exception.Message);
            return new ChannelState();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new ChannelException($"Channel {Name} in {_context.Directory} cannot be opened. {exception.Message}", exception);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Error, Message = "{File} cannot be used: {Reason} Sources start as if nothing had been delivered, so events may repeat.")]
        public static partial void PositionsDamaged(ILogger logger, string file, string reason);

        [LoggerMessage(Level = LogLevel.Warning, Message = "Channel {Channel} could not write {File}; it tries again. After a crash events delivered since may repeat.")]
        public static partial void SaveFailed(ILogger logger, Exception exception, string channel, string file);
    }
}
