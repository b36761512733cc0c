using System.Diagnostics.CodeAnalysis;

namespace Tailrace.Core.Channels;

/// <summary>
/// A channel on disk. One thread of its own does all writing: it takes every append that waits, writes them as one group, syncs once and
/// only then shows them to readers and acknowledges them. README.md beside this file documents the format and why it is as it is.
/// </summary>
internal sealed partial class FileChannel : IChannel
{
    private readonly object _gate = new();
    private readonly IChannelContext _context;
    private readonly SegmentFiles _files;
    private readonly long _capacity;
    private readonly long _cache;
    private readonly SyncPolicy _sync;
    private readonly Retention _retention;
    private readonly BatchCompression _compression;
    private readonly Guid _id;
    private readonly IDisposable _lock;
    private readonly SegmentLog _log;
    private readonly OriginTable _origins;
    private readonly List<ChannelRun> _runs;
    private readonly Dictionary<string, Pin> _pins = new(StringComparer.Ordinal);
    private readonly RecentBatches _recent = new();
    private readonly LinkedList<PendingAppend> _queue = new();
    private readonly List<PendingAppend> _group = [];
    private readonly TaskCompletionSource _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _first;            // the oldest offset retained
    private long _end;
    private bool _isCompleted;
    private bool _isStopping;
    private bool _isAbandoned;

    private FileChannel(FileChannelOptions options, IChannelContext context, SegmentFiles files, Guid id, IDisposable @lock, Recovered recovered)
    {
        _context = context;
        _files = files;
        _id = id;
        _lock = @lock;
        _capacity = options.Capacity.Bytes;
        _cache = options.Cache.Bytes;
        _sync = SyncPolicy.Parse(options.Sync);
        _retention = Retention.Of(options.Retain);
        _compression = options.Compression;
        _log = new SegmentLog(files, SegmentDirectory(context), id, SegmentSize(options), IndexStep(options), recovered.Segments, recovered.LastNumber);
        _origins = recovered.Origins;
        _runs = recovered.Runs;
        _end = recovered.NextOffset;
        _first = _log.FirstOffset ?? _end;
    }

    public string Name => _context.Name;

    public bool Durable => true;

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

    public ulong Run => _runs[^1].Id;

    /// <summary>The starts of the channel, oldest first.</summary>
    public IReadOnlyList<ChannelRun> Runs => _runs;

    /// <summary>Places found damaged since the channel was opened.</summary>
    public long Damaged { get; private set; }

    /// <summary>Events that some subscriber could not be given since the channel was opened.</summary>
    public long Skipped { get; private set; }

    /// <summary>The oldest offset retained.</summary>
    public long First => Volatile.Read(ref _first);

    /// <summary>Frame bytes that the slowest subscriber has not passed.</summary>
    public long UsedBytes
    {
        get
        {
            lock (_gate)
            {
                return _log.BytesFrom(GetHeld());
            }
        }
    }

    internal long Now => LogEvent.ToTimestamp(_context.Time.GetUtcNow());

    /// <summary>Whether nothing will come any more. Under the gate.</summary>
    internal bool IsComplete => _isCompleted && _queue.Count == 0 && _group.Count == 0;

    public ValueTask<AppendResult> AppendAsync(EventBatch batch, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(batch);
        OriginTable.Check(batch);
        if (FrameFormat.HeaderLength(batch.Advances) > FrameFormat.MaxHeaderLength)
        {
            throw new ArgumentException($"The batch's advances take more than {FrameFormat.MaxHeaderLength} bytes.", nameof(batch));
        }

        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled<AppendResult>(cancellationToken);
        }

        lock (_gate)
        {
            ThrowIfClosed();
        }

        var append = new PendingAppend(batch, cancellationToken, _compression); // by the caller's thread: callers compress side by side
        lock (_gate)
        {
            if (_isStopping || _isCompleted)
            {
                append.Discard();
                ThrowIfClosed();
            }

            append.Node = _queue.AddLast(append);
            append.Register(Cancel);
            Monitor.Pulse(_gate);
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
        if (name.AsSpan().ContainsAny('/', '\\', '\0') || name is "." or "..")
        {
            throw new ArgumentException($"A subscriber cannot be called \"{name}\": the name stands for a directory.", nameof(name));
        }

        long offset = start.Kind == SubscriberStartKind.Timestamp && !IsKnown(name) ? FindTime(start.Timestamp) : 0;
        lock (_gate)
        {
            ThrowIfDisposed();
            if (!_pins.TryGetValue(name, out Pin? pin))
            {
                offset = start.Kind == SubscriberStartKind.End ? _end : Math.Max(offset, _first);
                pin = CreatePin(name, offset);
            }
            else if (pin.Open is not null)
            {
                throw new InvalidOperationException($"Subscriber {name} of channel {Name} is open already.");
            }

            if (pin.Cursor < _first)
            {
                Log.CursorBehind(_context.Logger, name, pin.Cursor, _first, _first - pin.Cursor);
                Skipped += _first - pin.Cursor;
                pin.Cursor = _first;
            }

            if (pin.HasGivenWay)
            {
                pin.File.Free = Math.Max(pin.File.Free, GetHeld()); // what it comes back to holds nobody up
                pin.HasGivenWay = false;
            }

            var subscriber = new FileSubscriber(this, name, _gate, pin.Cursor, pin.File);
            pin.Open = subscriber;
            OnLowChanged();
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
        lock (_gate)
        {
            _isStopping = true;
            Monitor.Pulse(_gate);
        }

        return new ValueTask(_stopped.Task);
    }

    /// <summary>Drops the channel as a kill would: nothing more is written. For tests.</summary>
    internal ValueTask AbandonAsync()
    {
        lock (_gate)
        {
            _isAbandoned = true;
            _isStopping = true;
            Monitor.Pulse(_gate);
        }

        return new ValueTask(_stopped.Task);
    }

    internal void ThrowIfDisposed()
    {
        if (_isStopping)
        {
            throw new ObjectDisposedException(nameof(FileChannel), $"Channel {Name} is stopped.");
        }
    }

    private void ThrowIfClosed()
    {
        ThrowIfDisposed();
        if (_isCompleted)
        {
            throw new InvalidOperationException($"Channel {Name} was completed; nothing can be appended any more.");
        }
    }

    internal Segment? Find(long offset) => _log.Find(offset);

    internal void Note(Segment segment, in Frame frame) => _log.Note(segment, frame);

    internal SegmentReader OpenReader(Segment segment, int window) => new(_files, segment.Path, segment.Seed, window);

    internal bool TryGetRecent(long position, [NotNullWhen(true)] out EventBatch? batch, out long offset)
    {
        bool isFound = _recent.TryFind(position, out RecentBatches.Entry entry);
        batch = isFound ? entry.Batch.Share() : null;
        offset = entry.Offset;
        return isFound;
    }

    /// <summary>Lets go of batches that no open subscriber is going to ask for. Under the gate.</summary>
    internal void TrimRecent()
    {
        long lowest = long.MaxValue;
        foreach (Pin pin in _pins.Values)
        {
            lowest = Math.Min(lowest, pin.Open?.Position ?? long.MaxValue);
        }

        while (_recent.Count > 0 && (_recent.Bytes > _cache || (lowest != long.MaxValue && _recent.First.EndOffset <= lowest)))
        {
            _recent.RemoveFirst();
        }
    }

    /// <summary>A subscriber has read everything. Under the gate.</summary>
    internal void OnCaughtUp(FileSubscriber subscriber)
    {
        if (_isBlocked && subscriber.Held == GetHeld())
        {
            subscriber.PressAgain();
        }
    }

    /// <summary>A cursor has moved. Under the gate.</summary>
    internal void OnCommitted()
    {
        if (_isBlocked || CanDelete())
        {
            OnLowChanged();
        }
    }

    internal void OnDamage(string file, long from, long to, string subscriber)
    {
        lock (_gate)
        {
            Damaged++;
        }

        Log.DamagedRead(_context.Logger, file, from, to, subscriber);
    }

    internal void OnSkipped(string subscriber, long count, long offset)
    {
        Skipped += count;
        Log.SkippedEvents(_context.Logger, subscriber, count, offset);
    }

    internal void Close(FileSubscriber subscriber)
    {
        lock (_gate)
        {
            if (_pins.TryGetValue(subscriber.Name, out Pin? pin) && pin.Open == subscriber)
            {
                pin.Cursor = subscriber.Cursor;
                pin.Open = null;
                OnLowChanged();
            }
        }
    }

    private bool IsKnown(string name)
    {
        lock (_gate)
        {
            return _pins.ContainsKey(name);
        }
    }

    private void OnLowChanged()
    {
        _pressed = false;
        Monitor.Pulse(_gate);
    }

    private void WakeSubscribers()
    {
        foreach (Pin pin in _pins.Values)
        {
            pin.Open?.Wake();
        }
    }

    /// <summary>The lowest cursor: what stands from here on is kept. Under the gate.</summary>
    private long GetLow() => GetLowest(static pin => pin.Position);

    /// <summary>Where what counts for the capacity begins: the lowest cursor, those left out that read what was only retained. Under the gate.</summary>
    private long GetHeld() => GetLowest(static pin => pin.Held);

    private long GetLowest(Func<Pin, long> place)
    {
        long lowest = long.MaxValue;
        foreach (Pin pin in _pins.Values)
        {
            if (!pin.HasGivenWay && !pin.IsParked)
            {
                lowest = Math.Min(lowest, place(pin));
            }
        }

        // Without subscribers everything is kept for the first; where all have let go, nothing is.
        return lowest != long.MaxValue ? lowest : _pins.Count == 0 ? _first : _end;
    }

    private void Cancel(PendingAppend append, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (append.Node is null)
            {
                return; // the writer has it
            }

            _queue.Remove(append.Node);
            append.Node = null;
            Monitor.Pulse(_gate);
            if (IsComplete)
            {
                WakeSubscribers();
            }
        }

        append.Cancel(cancellationToken);
    }

    /// <summary>The offset of the first batch appended at or after a time; the end if there is none.</summary>
    private long FindTime(long time)
    {
        Segment[] segments;
        long[] ends;
        lock (_gate)
        {
            segments = [.. _log.Segments];
            ends = [.. segments.Select(segment => segment.End)];
        }

        return SegmentReader.FindTime(_files, segments, ends, time) ?? End;
    }

    /// <summary>A subscriber the channel knows, open or not: its cursor holds data back.</summary>
    private sealed class Pin(CursorFile file, long cursor)
    {
        public CursorFile File { get; } = file;

        /// <summary>The cursor as of when it was last closed.</summary>
        public long Cursor { get; set; } = cursor;

        public FileSubscriber? Open { get; set; }

        /// <summary>It is configured no more and its space was needed.</summary>
        public bool HasGivenWay { get; set; }

        /// <summary>It fell behind by more than it may, and its policy is to hold nothing back.</summary>
        public bool IsParked { get; set; }

        /// <summary>It fell behind by more than it may, was moved on to <see cref="DroppedTo"/> and has delivered nothing since.</summary>
        public bool IsDropping { get; set; }

        public long DroppedTo { get; set; }

        public long Position => Open?.Cursor ?? Cursor;

        /// <summary>Where what it makes appends wait for begins.</summary>
        public long Held => Math.Max(Position, File.Free);
    }
}
