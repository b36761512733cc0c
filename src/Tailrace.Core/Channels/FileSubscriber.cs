namespace Tailrace.Core.Channels;

/// <summary>A subscriber of a file channel: reads batches from memory at the tail, else from its own handle on a segment.</summary>
internal sealed class FileSubscriber : ChannelSubscriber
{
    private const int Window = 64 << 10;

    private readonly FileChannel _channel;
    private readonly CursorFile _file;
    private SegmentReader? _reader;
    private Segment? _segment;      // the one _reader reads
    private long _nextPosition;     // where the frame behind the last one read starts
    private long _nextOffset = -1;

    public FileSubscriber(FileChannel channel, string name, object gate, long cursor, CursorFile file)
        : base(name, gate, cursor)
    {
        _channel = channel;
        _file = file;
    }

    /// <summary>Events that were skipped because they could not be read or were given up.</summary>
    public long Skipped { get; private set; }

    /// <summary>Where what it makes appends wait for begins.</summary>
    public long Held => Math.Max(Cursor, _file.Free);

    public override void Seek(long offset)
    {
        lock (Gate)
        {
            Position = Math.Clamp(offset, _channel.First, _channel.End);
        }
    }

    public override ValueTask CommitAsync(long offset, CancellationToken cancellationToken)
    {
        offset = Math.Min(offset, _channel.End);
        if (offset <= Cursor)
        {
            return ValueTask.CompletedTask;
        }

        try
        {
            // Before the commit is known: a segment is deleted only below cursors that stand on disk.
            _file.Write(offset, _channel.Run, _channel.Now);
        }
        catch (IOException exception)
        {
            return ValueTask.FromException(new ChannelException($"Channel {_channel.Name}: the cursor of {Name} could not be written. {exception.Message} Events may be delivered again after a restart.", exception));
        }

        lock (Gate)
        {
            Cursor = offset;
            Position = Math.Max(Position, offset);
            _channel.OnCommitted();
        }

        return ValueTask.CompletedTask;
    }

    /// <summary>Moves the cursor on without anything being delivered. Under the gate.</summary>
    /// <exception cref="IOException">It could not be written.</exception>
    internal void PassOver(long offset)
    {
        _file.Write(offset, _channel.Run, _channel.Now);
        Cursor = Math.Max(Cursor, offset);
        Position = Math.Max(Position, offset);
    }

    public override ValueTask DisposeAsync()
    {
        _channel.Close(this);
        _reader?.Dispose();
        _reader = null;
        return ValueTask.CompletedTask;
    }

    protected override ChannelTransaction? TryTake(out TaskCompletionSource? wait)
    {
        wait = null;
        while (true)
        {
            Segment segment;
            long start;
            long limit;
            lock (Gate)
            {
                _channel.ThrowIfDisposed();
                if (Position < _channel.First)
                {
                    Skip(_channel.First);
                }

                if (Position >= _channel.End)
                {
                    wait = _channel.IsComplete ? null : Wait();
                    _channel.OnCaughtUp(this);
                    return null;
                }

                if (_channel.TryGetRecent(Position, out EventBatch? recent, out long offset))
                {
                    ChannelTransaction transaction = Take(recent, offset);
                    _channel.TrimRecent();
                    return transaction;
                }

                if (_channel.Find(Position) is not { } found)
                {
                    Skip(_channel.End); // the log lost its end at some start, and nothing was appended since
                    continue;
                }

                segment = found;
                limit = segment.End;
                start = _segment == segment && _nextOffset == Position ? _nextPosition : segment.Floor(Position);
            }

            if (Read(segment, start, limit) is { } read)
            {
                return read;
            }
        }
    }

    /// <summary>Reads the next batch of a segment; null where the position moved on without one.</summary>
    private ChannelTransaction? Read(Segment segment, long position, long limit)
    {
        SegmentReader? reader = Open(segment);
        if (reader is null)
        {
            return null;
        }

        while (position < limit)
        {
            if (!TryReadHeader(reader, position, limit, out Frame frame))
            {
                bool isFound = reader.TryFind(position + FrameFormat.Alignment, limit, out Frame next);
                _channel.OnDamage(segment.Path, position, isFound ? next.Position : limit, Name);
                position = isFound ? next.Position : limit;
                continue;
            }

            position = frame.End;
            if (frame.Type != FrameType.Batch || frame.Count == 0 || frame.EndOffset <= Position)
            {
                continue;
            }

            EventBatch? batch = ReadBatch(reader, frame);
            if (batch is null)
            {
                _channel.OnDamage(segment.Path, frame.Position, frame.End, Name);
                Skip(frame.EndOffset);
                continue;
            }

            if (frame.BaseOffset > Position)
            {
                Skip(frame.BaseOffset);
            }

            _nextPosition = frame.End;
            _nextOffset = frame.EndOffset;
            lock (Gate)
            {
                _channel.Note(segment, frame);
                return Take(batch, frame.BaseOffset);
            }
        }

        if (Position < segment.EndOffset)
        {
            Skip(segment.EndOffset);
        }

        return null;
    }

    private SegmentReader? Open(Segment segment)
    {
        if (_segment != segment || _reader is null)
        {
            _reader?.Dispose();
            _reader = null;
            try
            {
                _reader = _channel.OpenReader(segment, Window);
                _segment = segment;
            }
            catch (FileNotFoundException) when (Position < _channel.First)
            {
                return null; // deleted since it was looked up
            }
            catch (IOException exception)
            {
                throw new ChannelException($"Channel {_channel.Name}: {segment.Path} could not be opened for {Name}. {exception.Message}", exception);
            }
        }

        return _reader;
    }

    private bool TryReadHeader(SegmentReader reader, long position, long limit, out Frame frame)
    {
        if (reader.TryReadHeader(position, limit, out frame))
        {
            return true;
        }

        // What was read ahead may be older than what the file has been given since.
        reader.Forget();
        if (reader.TryReadHeader(position, limit, out frame))
        {
            return true;
        }

        ThrowIfUnreadable(reader);
        return false;
    }

    private EventBatch? ReadBatch(SegmentReader reader, in Frame frame)
    {
        if (reader.ReadBatch(frame) is { } batch)
        {
            return batch;
        }

        reader.Forget();
        batch = reader.TryReadHeader(frame.Position, frame.End, out _) ? reader.ReadBatch(frame) : null;
        if (batch is null)
        {
            ThrowIfUnreadable(reader);
        }

        return batch;
    }

    private void ThrowIfUnreadable(SegmentReader reader)
    {
        if (reader.Error is { } error)
        {
            throw new ChannelException($"Channel {_channel.Name}: {_segment!.Path} could not be read for {Name}. {error.Message} It is tried again; the disk should be checked.", error);
        }
    }

    private void Skip(long offset)
    {
        lock (Gate)
        {
            long count = offset - Position;
            Skipped += count;
            Position = offset;
            _channel.OnSkipped(Name, count, offset);
        }
    }
}
