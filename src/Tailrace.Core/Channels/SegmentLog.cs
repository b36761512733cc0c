using Microsoft.Win32.SafeHandles;

namespace Tailrace.Core.Channels;

/// <summary>
/// The segments of a channel on disk. One thread writes: it stages frames, syncs, and publishes what it staged under the channel's gate or
/// aborts it. Readers look places up under the gate and read published bytes without it.
/// </summary>
internal sealed class SegmentLog : IDisposable
{
    private static readonly byte[] Padding = new byte[FrameFormat.Alignment];

    private readonly SegmentFiles _files;
    private readonly string _directory;
    private readonly Guid _channel;
    private readonly long _segmentSize;
    private readonly long _indexStep;
    private readonly List<Segment> _segments;
    private readonly List<Segment> _staged = [];
    private byte[] _header = new byte[4096];
    private SequentialFile? _file;  // the newest segment; null after a failure, and where there is none yet
    private Segment? _newest;       // published or staged
    private long _durable;          // how far the newest segment is synced
    private bool _isSyncing;        // still true after a sync that failed
    private long _lastNumber;

    public SegmentLog(SegmentFiles files, string directory, Guid channel, long segmentSize, long indexStep, List<Segment> segments, long lastNumber)
    {
        _files = files;
        _directory = directory;
        _channel = channel;
        _segmentSize = segmentSize;
        _indexStep = indexStep;
        _segments = segments;
        _newest = segments.Count > 0 ? segments[^1] : null;
        _lastNumber = lastNumber;
    }

    /// <summary>The published segments, oldest first. Under the gate.</summary>
    public IReadOnlyList<Segment> Segments => _segments;

    /// <summary>The oldest offset retained, where there is a segment.</summary>
    public long? FirstOffset => _segments.Count > 0 ? _segments[0].BaseOffset : null;

    public bool IsDirty => _file is not null && _durable < _file.Length;

    /// <summary>Whether a sync is what failed: then the segment must not be used again.</summary>
    public bool IsSyncing => _isSyncing;

    /// <summary>Where the published frames of the newest segment end.</summary>
    public long NewestEnd => _newest?.End ?? 0;

    public string? NewestPath => _newest?.Path;

    /// <summary>Whether a segment was ended since the last snapshot; set back by whoever takes one.</summary>
    public bool HasRolled { get; set; }

    /// <summary>Syncs the newest segment found at start, since a killed process leaves frames that no sync has covered, and goes on in it where that is possible.</summary>
    /// <exception cref="IOException">It could not be opened, cut or synced.</exception>
    public void Continue(bool canContinue)
    {
        if (_newest is null)
        {
            return;
        }

        Rewrite(_newest);
        SequentialFile file = _files.Open(_newest.Path, canContinue ? _newest.End : _files.GetLength(_newest.Path));
        try
        {
            _files.Sync(file);
            _durable = _newest.End;
        }
        catch
        {
            file.Dispose();
            throw;
        }

        if (canContinue)
        {
            _file = file;
        }
        else
        {
            file.Dispose();
        }
    }

    /// <summary>Writes a frame for a batch behind what was staged before.</summary>
    /// <exception cref="IOException">A write failed; abort.</exception>
    public void Stage(PendingAppend append)
    {
        EventBatch batch = append.Batch;
        Prepare(append.FrameLength, append.Result.Offset, append.Time);
        int headerLength = (int)FrameFormat.HeaderLength(batch.Advances);
        var frame = new Frame(FrameType.Batch, _file!.Length, headerLength, append.Block.Length, append.Result.Offset, batch.Count, append.Checksum, append.Time, _durable, batch.Advances.Length);
        if (_header.Length < headerLength)
        {
            _header = new byte[headerLength];
        }

        Span<byte> header = _header.AsSpan(0, headerLength);
        FrameFormat.Write(header, frame, batch.Advances, _newest!.Seed);
        append.Segment = _newest;
        append.Position = frame.Position;
        _files.Write(_file, header);
        if (frame.BlockLength > 0)
        {
            _files.Write(_file, append.Block.Span);
            _files.Write(_file, Padding.AsSpan(0, frame.Length - headerLength - frame.BlockLength));
        }
    }

    /// <summary>Writes a frame for a run.</summary>
    /// <exception cref="IOException">A write failed; abort.</exception>
    public void StageRun(ulong run, long offset, long time)
    {
        Prepare(FrameFormat.RunHeaderSize, offset, time);
        var frame = new Frame(FrameType.Run, _file!.Length, FrameFormat.RunHeaderSize, 0, offset, 0, 0, time, _durable, 0);
        Span<byte> header = _header.AsSpan(0, FrameFormat.RunHeaderSize);
        FrameFormat.WriteRun(header, frame, run, _newest!.Seed);
        _files.Write(_file, header);
    }

    /// <summary>Hands what is staged to the system.</summary>
    /// <exception cref="IOException">A write failed; abort.</exception>
    public void Flush() => _files.Flush(_file!);

    /// <summary>Makes what is staged survive a power cut.</summary>
    /// <exception cref="IOException">The sync failed: the segment must not be used again. Abort.</exception>
    public void Sync()
    {
        if (_file is not null)
        {
            _isSyncing = true;
            _files.Sync(_file);
            _isSyncing = false;
            _durable = _file.Length;
        }
    }

    /// <summary>Shows readers what is staged. Under the gate.</summary>
    public void Publish(IReadOnlyList<PendingAppend> appends, long end)
    {
        Segment? last = _segments.Count > 0 ? _segments[^1] : null;
        foreach (Segment segment in _staged)
        {
            if (last is not null)
            {
                last.End = segment.Header.PreviousEnd;
                last.EndOffset = segment.BaseOffset;
                segment.BytesBefore = last.BytesBefore + last.Bytes;
            }

            _segments.Add(segment);
            last = segment;
        }

        _staged.Clear();
        foreach (PendingAppend append in appends)
        {
            append.Segment?.Note(append.Result.Offset, append.Position, _indexStep);
        }

        if (_file is not null)
        {
            last!.End = _file.Length;
            last.EndOffset = end;
        }
    }

    /// <summary>
    /// Drops what is staged. With <paramref name="cut"/> the newest segment is cut back and used again; without it, and if cutting fails, it
    /// is left for good, and the next frame opens a new one whose header says where the one before ends.
    /// </summary>
    public void Abort(bool cut)
    {
        _file?.Dispose();
        _file = null;
        _durable = _staged.Count > 0 ? long.MaxValue : _durable; // a roll has synced the segment before
        bool isAlone = _staged.Count == 0;
        try
        {
            // The newest first, each for good before the next: one that came back without those before it would look like the end of a log that lost some.
            for (int i = _staged.Count - 1; i >= 0; i--)
            {
                _files.Delete(_staged[i].Path);
                _files.SyncDirectory(_directory);
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // The next segment's header passes them over; the next start deletes them.
        }

        _staged.Clear();
        _newest = _segments.Count > 0 ? _segments[^1] : null;
        _durable = Math.Min(_durable, _newest?.End ?? 0);
        bool isPoisoned = _isSyncing;
        _isSyncing = false;
        if (cut && isAlone && !isPoisoned && _newest is not null)
        {
            try
            {
                _file = _files.Open(_newest.Path, _newest.End);
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                _file = null;
            }
        }
    }

    /// <summary>Whether the oldest segment can go once every cursor has reached <paramref name="offset"/>. Under the gate.</summary>
    public bool CanDelete(long offset, in Retention retention, long now) => _segments.Count > 1 && _segments[0].EndOffset <= offset && !Keeps(0, CountBelow(offset), retention, now);

    /// <summary>
    /// Takes segments that lie below an offset and are not to be retained off the list, never the newest; the caller deletes their files once
    /// a snapshot stands for them. Under the gate.
    /// </summary>
    public List<Segment> RemoveBelow(long offset, in Retention retention, long now, int most = int.MaxValue)
    {
        int passed = CountBelow(offset);
        int count = 0;
        while (count < Math.Min(passed, most) && !Keeps(count, passed, retention, now))
        {
            count++;
        }

        List<Segment> removed = _segments.GetRange(0, count);
        _segments.RemoveRange(0, count);
        return removed;
    }

    /// <summary>Deletes a segment's file.</summary>
    public void Delete(Segment segment) => _files.Delete(segment.Path);

    public void SyncDirectory() => _files.SyncDirectory(_directory);

    /// <summary>The segment that holds an offset, or the next behind it; null where nothing is published from there on. Under the gate.</summary>
    public Segment? Find(long offset)
    {
        int index = CountPassed(offset);
        return index < _segments.Count ? _segments[index] : null;
    }

    private int CountBelow(long offset) => Math.Min(CountPassed(offset), _segments.Count - 1);

    private bool Keeps(int index, int passed, in Retention retention, long now) =>
        retention.Keeps(now - _segments[index + 1].Header.Created, _segments[passed].BytesBefore - _segments[index].BytesBefore);

    /// <summary>How many segments end at or below an offset.</summary>
    private int CountPassed(long offset)
    {
        int low = 0;
        int high = _segments.Count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (_segments[middle].EndOffset <= offset)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        return low;
    }

    /// <summary>Notes where a reader has found an offset, so that it and the reckoning of space find it again. Under the gate.</summary>
    public void Note(Segment segment, in Frame frame) => segment.Note(frame.BaseOffset, frame.Position, _indexStep);

    /// <summary>How many frame bytes stand at or above an offset; a little more where the place is known only roughly. Under the gate.</summary>
    public long BytesFrom(long offset)
    {
        if (_segments.Count == 0)
        {
            return 0;
        }

        Segment last = _segments[^1];
        Segment? segment = Find(offset);
        return segment is null ? 0 : last.BytesBefore + last.Bytes - segment.BytesBefore - (segment.Floor(offset) - SegmentFormat.HeaderSize);
    }

    /// <summary>The number and position up to which the newest segment is synced, for a snapshot.</summary>
    public (long Segment, long Position) GetDurableEnd() => _newest is null ? (0, 0) : (_newest.Number, _durable);

    /// <summary>Ends the newest segment without its padding.</summary>
    /// <exception cref="IOException">A write or the sync failed.</exception>
    public void Complete()
    {
        if (_file is not null)
        {
            _files.Complete(_file);
            _durable = _file.Length;
        }
    }

    /// <summary>Reads back what the newest segment holds up to its last published frame, and tells how far it is sound.</summary>
    public long Verify()
    {
        if (_newest is null)
        {
            return 0;
        }

        long position = SegmentFormat.HeaderSize;
        try
        {
            using var reader = new SegmentReader(_files, _newest.Path, _newest.Seed, 1 << 20);
            while (position < _newest.End && reader.TryReadHeader(position, _newest.End, out Frame frame) && reader.IsBlockSound(frame))
            {
                position = frame.End;
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return position; // it cannot even be opened: none of it is sound
        }

        return position;
    }

    public void Dispose()
    {
        _file?.Dispose();
        _file = null;
    }

    /// <summary>
    /// Writes again what no sync is known to have covered. A sync may have failed before the process ended: then the system shows these
    /// bytes but calls them clean, and no further sync would write them.
    /// </summary>
    private void Rewrite(Segment segment)
    {
        using SafeFileHandle file = _files.Open(segment.Path, FileMode.Open, FileAccess.ReadWrite);
        byte[] buffer = EventBatch.Pool.Rent(64 << 10);
        try
        {
            long position = segment.Synced;
            while (position < segment.End)
            {
                int count = _files.Read(file, buffer.AsSpan(0, (int)Math.Min(buffer.Length, segment.End - position)), position);
                if (count == 0)
                {
                    throw new IOException($"{segment.Path} is shorter than it was a moment ago.");
                }

                _files.Write(file, buffer.AsSpan(0, count), position);
                position += count;
            }

            _files.Sync(file);
        }
        finally
        {
            EventBatch.Pool.Return(buffer);
        }
    }

    private void Prepare(long frameLength, long offset, long time)
    {
        if (_file is not null && (_file.Length + frameLength <= _segmentSize || _file.Length == SegmentFormat.HeaderSize))
        {
            return;
        }

        long previousEnd = 0;
        if (_newest is not null)
        {
            if (_file is not null)
            {
                _files.Flush(_file);
                _isSyncing = true;
                _files.Complete(_file);
                _isSyncing = false;
                previousEnd = _file.Length;
                _file.Dispose();
                _file = null;
                HasRolled = true;
            }
            else
            {
                previousEnd = _newest.End;
            }
        }

        var header = new SegmentHeader(_channel, _lastNumber + 1, offset, time, _newest?.Number ?? 0, previousEnd);
        string path = Path.Combine(_directory, SegmentFormat.FileName(offset));
        if (_files.Exists(path))
        {
            path = Path.Combine(_directory, SegmentFormat.FileName(offset, header.Number));
        }

        _file = _files.Create(path);
        _lastNumber++;
        _newest = new Segment(header, path);
        _staged.Add(_newest);
        Span<byte> bytes = _header.AsSpan(0, SegmentFormat.HeaderSize);
        SegmentFormat.Write(bytes, header);
        _files.Write(_file, bytes);
        _durable = 0;
        _isSyncing = true;
        _files.Sync(_file); // before any frame: frames behind a header that cannot be read are damage then, never a torn write
        _files.SyncDirectory(_directory);
        _isSyncing = false;
    }
}
