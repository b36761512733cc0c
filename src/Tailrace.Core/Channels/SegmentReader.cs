using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;

namespace Tailrace.Core.Channels;

/// <summary>Reads frames of one segment through a window of its own. Trusts no length before its checksum. Not thread-safe.</summary>
internal sealed class SegmentReader : IDisposable
{
    private readonly SegmentFiles _files;
    private readonly SafeFileHandle _file;
    private readonly uint _seed;
    private byte[] _window;
    private long _start;
    private int _length;

    public SegmentReader(SegmentFiles files, string path, uint seed, int window)
    {
        _files = files;
        _seed = seed;
        _file = files.OpenToRead(path);
        _window = EventBatch.Pool.Rent(window);
    }

    /// <summary>The last error the disk answered with; what could not be read counts as damaged.</summary>
    public IOException? Error { get; private set; }

    public long FileLength => _files.GetLength(_file);

    /// <summary>The offset of the first batch appended at or after a time; null if there is none.</summary>
    /// <param name="files">How files are read.</param>
    /// <param name="segments">The segments, oldest first.</param>
    /// <param name="ends">How far each may be read.</param>
    /// <param name="time">Nanoseconds since 1970.</param>
    public static long? FindTime(SegmentFiles files, Segment[] segments, long[] ends, long time)
    {
        for (int i = Math.Max(0, Array.FindLastIndex(segments, segment => segment.Header.Created < time)); i < segments.Length; i++)
        {
            try
            {
                using var reader = new SegmentReader(files, segments[i].Path, segments[i].Seed, 64 << 10);
                long position = SegmentFormat.HeaderSize;
                while (position < ends[i] && (reader.TryReadHeader(position, ends[i], out Frame frame) || reader.TryFind(position, ends[i], out frame)))
                {
                    if (frame.Time >= time && frame.Count > 0)
                    {
                        return frame.BaseOffset;
                    }

                    position = frame.End;
                }
            }
            catch (FileNotFoundException)
            {
                continue; // delivered to all and deleted meanwhile
            }
        }

        return null;
    }

    /// <summary>Forgets what was read ahead.</summary>
    public void Forget()
    {
        _length = 0;
        Error = null;
    }

    /// <summary>Up to <paramref name="length"/> bytes from <paramref name="position"/>, fewer where the segment's data end at <paramref name="limit"/>. Valid until the next call.</summary>
    public ReadOnlySpan<byte> Peek(long position, int length, long limit)
    {
        length = (int)Math.Clamp(limit - position, 0, length);
        if (position < _start || position + length > _start + _length)
        {
            Fill(position, length, limit);
        }

        int at = (int)Math.Min(position - _start, _length);
        return _window.AsSpan(at, Math.Min(length, _length - at));
    }

    /// <summary>Reads the header at a position; false if none whose checksum fits stands there.</summary>
    public bool TryReadHeader(long position, long limit, out Frame frame)
    {
        frame = default;
        int length = FrameFormat.PeekLength(Peek(position, FrameFormat.HeaderSize, limit));
        if (length == 0 || length > limit - position)
        {
            return false;
        }

        ReadOnlySpan<byte> header = Peek(position, length, limit);
        return header.Length == length && FrameFormat.TryRead(header, position, _seed, out frame) && frame.End <= limit;
    }

    /// <summary>The header's bytes of a frame that was read.</summary>
    public ReadOnlySpan<byte> Header(in Frame frame) => Peek(frame.Position, frame.HeaderLength, frame.End);

    /// <summary>Finds the next frame whose header's checksum fits, from a position on, in steps of the alignment.</summary>
    public bool TryFind(long position, long limit, out Frame frame)
    {
        for (; position + FrameFormat.HeaderSize <= limit; position += FrameFormat.Alignment)
        {
            if (TryReadHeader(position, limit, out frame))
            {
                return true;
            }

            if (_length == 0)
            {
                position = (position | 4095) - FrameFormat.Alignment + 1; // an unreadable block: on to the next
            }
        }

        frame = default;
        return false;
    }

    /// <summary>Whether nothing but zeros stands between two positions.</summary>
    public bool IsZero(long position, long limit)
    {
        while (position < limit)
        {
            ReadOnlySpan<byte> bytes = Peek(position, 4096, limit);
            if (bytes.IsEmpty || bytes.ContainsAnyExcept((byte)0))
            {
                return false;
            }

            position += bytes.Length;
        }

        return true;
    }

    /// <summary>Whether a frame's block is whole, by its checksum alone.</summary>
    public bool IsBlockSound(in Frame frame)
    {
        if (frame.BlockLength == 0)
        {
            return true;
        }

        const int step = 64 << 10;
        const int covered = 12; // magic, length and the checksum itself
        long position = frame.Position + frame.HeaderLength;
        ReadOnlySpan<byte> start = Peek(position, covered, frame.End);
        if (frame.BlockLength < EventBatch.BlockOverhead
            || start.Length < covered
            || !start.StartsWith("TRB1"u8)
            || BinaryPrimitives.ReadInt32LittleEndian(start[4..]) != frame.BlockLength
            || BinaryPrimitives.ReadUInt32LittleEndian(start[8..]) != frame.BlockChecksum)
        {
            return false;
        }

        uint checksum = 0;
        int done = covered;
        while (done < frame.BlockLength)
        {
            ReadOnlySpan<byte> bytes = Peek(position + done, Math.Min(step, frame.BlockLength - done), frame.End);
            if (bytes.IsEmpty)
            {
                return false;
            }

            checksum = Crc32C.Append(checksum, bytes);
            done += bytes.Length;
        }

        return checksum == frame.BlockChecksum;
    }

    /// <summary>Reads a frame's batch, with its advances; null if it is damaged.</summary>
    public EventBatch? ReadBatch(in Frame frame)
    {
        byte[] buffer = EventBatch.Pool.Rent(frame.BlockLength);
        try
        {
            Advance[] advances = FrameFormat.ReadAdvances(Header(frame), frame.Advances);
            if (ReadInto(buffer.AsSpan(0, frame.BlockLength), frame.Position + frame.HeaderLength, frame.End))
            {
                Span<byte> block = buffer.AsSpan(0, frame.BlockLength);
                bool isCompressed = BatchCodec.IsCompressed(block);
                EventBatch batch = isCompressed ? BatchCodec.Open(block, advances) : EventBatch.Open(buffer, frame.BlockLength, advances);
                if (isCompressed && BinaryPrimitives.ReadUInt32LittleEndian(block[8..]) == frame.BlockChecksum && batch.Count == frame.Count)
                {
                    EventBatch.Pool.Return(buffer);
                    return batch;
                }

                if (batch.Checksum == frame.BlockChecksum && batch.Count == frame.Count)
                {
                    return batch;
                }

                if (isCompressed)
                {
                    batch.Dispose();
                }
            }
        }
        catch (InvalidDataException)
        {
            // The caller reports where; what exactly is broken helps nobody.
        }

        EventBatch.Pool.Return(buffer);
        return null;
    }

    public void Dispose()
    {
        if (_window.Length > 0)
        {
            EventBatch.Pool.Return(_window);
            _window = [];
            _file.Dispose();
        }
    }

    /// <summary>Takes what the window holds and reads the rest straight into place.</summary>
    private bool ReadInto(Span<byte> bytes, long position, long limit)
    {
        int done = 0;
        if (position >= _start && position < _start + _length)
        {
            done = (int)Math.Min(bytes.Length, _start + _length - position);
            _window.AsSpan((int)(position - _start), done).CopyTo(bytes);
        }
        else if (bytes.Length < _window.Length / 2)
        {
            ReadOnlySpan<byte> window = Peek(position, bytes.Length, limit);
            window.CopyTo(bytes);
            done = window.Length;
        }

        while (done < bytes.Length)
        {
            int count = Read(bytes[done..], position + done);
            if (count <= 0)
            {
                return false;
            }

            done += count;
        }

        return true;
    }

    private void Fill(long position, int length, long limit)
    {
        if (length > _window.Length)
        {
            EventBatch.Pool.Return(_window);
            _window = EventBatch.Pool.Rent(length);
        }

        _start = position;
        _length = 0;
        int wanted = (int)Math.Min(limit - position, _window.Length);
        while (_length < length)
        {
            int count = Read(_window.AsSpan(_length, wanted - _length), position + _length);
            if (count <= 0)
            {
                return;
            }

            _length += count;
        }
    }

    private int Read(Span<byte> bytes, long position)
    {
        try
        {
            return _files.Read(_file, bytes, position);
        }
        catch (IOException exception)
        {
            Error = exception;
            return -1;
        }
    }
}
