using System.Buffers.Binary;

namespace Tailrace;

/// <summary>
/// Packs events into an <see cref="EventBatch"/>. Used again after each <see cref="Build"/>; allocates nothing per event. Not thread-safe.
/// Two ways in: <see cref="Add"/> copies a body; <see cref="GetBodySpan"/>, <see cref="AdvanceBodies"/> and <see cref="AddLine"/> let a
/// source read lines of text straight into the block, so that they are never copied.
/// </summary>
public sealed class EventBatchBuilder : IDisposable
{
    private readonly int _capacity;
    private byte[] _buffer = [];
    private int _headersLength;
    private int _declared;       // bodies of declared events end here
    private int _filled;         // bytes read in, declared or not, end here
    private int[] _lengths = new int[1024];
    private long[] _timestamps = [];
    private int[] _headerEnds = [];
    private byte[] _headers = [];
    private int _headersFilled;
    private bool _hasTimestamps;
    private bool _hasHeaders;
    private long _minTimestamp;
    private long _maxTimestamp;

    /// <summary>Makes a builder whose blocks start with room for <paramref name="capacity"/> bytes and grow from there.</summary>
    public EventBatchBuilder(int capacity = 64 << 10)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(capacity, 1024);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(capacity, EventBatch.MaxBlockLength);
        _capacity = capacity;
    }

    /// <summary>Events so far.</summary>
    public int Count { get; private set; }

    /// <summary>About how long the block would be in bytes if it were built now.</summary>
    public int EncodedLength => _declared + (2 * Count) + _headersFilled + (_hasTimestamps ? 5 * Count : 0);

    /// <summary>Bytes read in that no event has claimed yet.</summary>
    public ReadOnlySpan<byte> Pending => _buffer.AsSpan(_declared, _filled - _declared);

    private int BodiesStart => BatchLayout.HeaderSize + _headersLength;

    /// <summary>Starts a new batch and drops what an unfinished one held.</summary>
    /// <param name="sharedHeaders">Headers that all its events share, encoded by <see cref="HeaderBuilder"/>.</param>
    /// <exception cref="InvalidOperationException">The headers alone are longer than a block may be.</exception>
    public void Start(ReadOnlySpan<byte> sharedHeaders = default)
    {
        if (sharedHeaders.Length > EventBatch.MaxBlockLength - BatchLayout.HeaderSize)
        {
            throw TooLong();
        }

        if (_buffer.Length == 0)
        {
            _buffer = EventBatch.Pool.Rent(Math.Max(_capacity, BatchLayout.HeaderSize + sharedHeaders.Length));
        }

        _headersLength = 0;
        _declared = _filled = BatchLayout.HeaderSize;
        Reserve(sharedHeaders.Length);
        sharedHeaders.CopyTo(_buffer.AsSpan(BatchLayout.HeaderSize));
        _headersLength = sharedHeaders.Length;
        _declared = _filled = BodiesStart;
        Count = 0;
        _headersFilled = 0;
        _hasTimestamps = false;
        _hasHeaders = false;
    }

    /// <summary>Adds an event. Bytes read in that no event has claimed are dropped.</summary>
    /// <param name="timestamp">Nanoseconds since 1970.</param>
    /// <param name="body">The body; copied.</param>
    /// <param name="headers">Headers of this event alone, encoded by <see cref="HeaderBuilder"/>.</param>
    /// <exception cref="InvalidOperationException">The block would grow past <see cref="EventBatch.MaxBlockLength"/>: the event is not in it, what came before is.</exception>
    public void Add(long timestamp, ReadOnlySpan<byte> body, ReadOnlySpan<byte> headers = default)
    {
        _filled = _declared;
        ThrowIfTooLong(timestamp, body.Length, headers);
        Reserve(body.Length + 1);
        body.CopyTo(_buffer.AsSpan(_filled));
        _filled += body.Length;
        _buffer[_filled++] = (byte)'\n';
        Declare(timestamp, body.Length, headers);
    }

    /// <summary>Room to read bodies into, at least <paramref name="size"/> bytes, behind those already read in.</summary>
    public Memory<byte> GetBodySpan(int size)
    {
        Reserve(size);
        return _buffer.AsMemory(_filled);
    }

    /// <summary>Says that <paramref name="count"/> bytes were read into what <see cref="GetBodySpan"/> gave.</summary>
    public void AdvanceBodies(int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, _buffer.Length - _filled);
        _filled += count;
    }

    /// <summary>Makes an event of the first <paramref name="length"/> bytes of <see cref="Pending"/>; the byte behind them must be an LF.</summary>
    /// <exception cref="InvalidOperationException">The block would grow past <see cref="EventBatch.MaxBlockLength"/>: the event is not in it, what came before is.</exception>
    public void AddLine(long timestamp, int length)
    {
        if ((uint)length >= (uint)(_filled - _declared) || _buffer[_declared + length] != (byte)'\n')
        {
            throw new ArgumentException("A line must lie within the pending bytes and end in LF.", nameof(length));
        }

        ThrowIfTooLong(timestamp, length, default);
        Declare(timestamp, length, default);
    }

    /// <summary>Builds the batch and gives its buffer away; the builder is empty until <see cref="Start"/>. Pending bytes are dropped.</summary>
    /// <param name="advances">The stretches of origins that the batch covers.</param>
    public EventBatch Build(params Advance[] advances)
    {
        if (Count == 0)
        {
            Dispose();
            return EventBatch.PositionsOnly(advances);
        }

        int bodiesEnd = _declared;
        int end = WriteTable(bodiesEnd);
        Span<byte> block = _buffer.AsSpan(0, end);
        block[..BatchLayout.HeaderSize].Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(block, BatchLayout.Magic);
        BinaryPrimitives.WriteInt32LittleEndian(block[BatchLayout.LengthOffset..], end);
        block[BatchLayout.VersionOffset] = BatchLayout.Version;
        BinaryPrimitives.WriteUInt16LittleEndian(block[BatchLayout.FlagsOffset..], (ushort)((_hasTimestamps ? BatchLayout.TimestampsFlag : 0) | (_hasHeaders ? BatchLayout.HeadersFlag : 0)));
        BinaryPrimitives.WriteInt32LittleEndian(block[BatchLayout.CountOffset..], Count);
        BinaryPrimitives.WriteInt32LittleEndian(block[BatchLayout.HeadersLengthOffset..], _headersLength);
        BinaryPrimitives.WriteInt32LittleEndian(block[BatchLayout.BodiesLengthOffset..], bodiesEnd - BodiesStart);
        BinaryPrimitives.WriteInt32LittleEndian(block[BatchLayout.TableLengthOffset..], end - bodiesEnd);
        BinaryPrimitives.WriteInt64LittleEndian(block[BatchLayout.MinTimestampOffset..], _minTimestamp);
        BinaryPrimitives.WriteInt64LittleEndian(block[BatchLayout.MaxTimestampOffset..], _maxTimestamp);
        BinaryPrimitives.WriteInt32LittleEndian(block[BatchLayout.RawLengthOffset..], end - BatchLayout.HeaderSize);
        BinaryPrimitives.WriteUInt32LittleEndian(block[BatchLayout.CrcOffset..], Crc32C.Compute(block[BatchLayout.VersionOffset..]));
        if (end <= _buffer.Length / 4)
        {
            // A channel in memory may hold it for long: a small batch in a large buffer would waste most of it.
            byte[] fitting = EventBatch.Pool.Rent(end);
            block.CopyTo(fitting);
            EventBatch.Pool.Return(_buffer);
            _buffer = fitting;
        }

        EventBatch batch = EventBatch.Built(_buffer, end, advances);
        Empty();
        return batch;
    }

    /// <summary>Gives the buffer of an unfinished batch back.</summary>
    public void Dispose()
    {
        if (_buffer.Length > 0)
        {
            EventBatch.Pool.Return(_buffer);
        }

        Empty();
    }

    private void Empty()
    {
        _buffer = [];
        Count = 0;
        _headersLength = 0;
        _headersFilled = 0;
        _declared = _filled = 0;
        _hasTimestamps = false;
        _hasHeaders = false;
    }

    /// <summary>Refuses an event with which the table, at its longest, would not fit: what was added can always be built.</summary>
    private void ThrowIfTooLong(long timestamp, int length, ReadOnlySpan<byte> headers)
    {
        bool timestamps = _hasTimestamps || (Count > 0 && timestamp != _minTimestamp);
        long table = (TableEntryLimit(timestamps, _hasHeaders || !headers.IsEmpty) * (Count + 1L)) + _headersFilled + headers.Length;
        if (_declared + length + 1L + table > EventBatch.MaxBlockLength)
        {
            throw TooLong();
        }
    }

    /// <summary>The most bytes an event takes in the table, its headers left out. A length below 64 MiB takes four.</summary>
    private static int TableEntryLimit(bool timestamps, bool headers) => 4 + (timestamps ? VarInt.MaxLength : 0) + (headers ? 4 : 0);

    private static InvalidOperationException TooLong() => new($"A batch would grow past {EventBatch.MaxBlockLength} bytes: build it before adding more, and keep events shorter than that.");

    private void Declare(long timestamp, int length, ReadOnlySpan<byte> headers)
    {
        if (Count == 0)
        {
            _minTimestamp = _maxTimestamp = timestamp;
        }
        else if (timestamp != _minTimestamp || _hasTimestamps)
        {
            EnsureTimestamps();
            _minTimestamp = Math.Min(_minTimestamp, timestamp);
            _maxTimestamp = Math.Max(_maxTimestamp, timestamp);
        }

        if (Count == _lengths.Length)
        {
            Array.Resize(ref _lengths, Count * 2);
        }

        _lengths[Count] = length;
        if (_hasTimestamps)
        {
            Grow(ref _timestamps, Count + 1);
            _timestamps[Count] = timestamp;
        }

        if (!headers.IsEmpty || _hasHeaders)
        {
            AddHeaders(headers);
        }

        Count++;
        _declared += length + 1;
    }

    private void EnsureTimestamps()
    {
        if (!_hasTimestamps)
        {
            _hasTimestamps = true;
            Grow(ref _timestamps, Count + 1);
            _timestamps.AsSpan(0, Count).Fill(_minTimestamp);
        }
    }

    private void AddHeaders(ReadOnlySpan<byte> headers)
    {
        Grow(ref _headerEnds, Count + 1);
        if (!_hasHeaders)
        {
            _hasHeaders = true;
            _headerEnds.AsSpan(0, Count).Clear();
        }

        Grow(ref _headers, _headersFilled + headers.Length);
        headers.CopyTo(_headers.AsSpan(_headersFilled));
        _headersFilled += headers.Length;
        _headerEnds[Count] = _headersFilled;
    }

    private int WriteTable(int start)
    {
        _filled = start;
        Reserve((TableEntryLimit(_hasTimestamps, _hasHeaders) * Count) + _headersFilled);
        Span<byte> buffer = _buffer;
        int end = start;
        int headersStart = 0;
        for (int i = 0; i < Count; i++)
        {
            end += VarInt.Write(buffer[end..], (uint)_lengths[i]);
            if (_hasTimestamps)
            {
                end += VarInt.Write(buffer[end..], unchecked((ulong)(_timestamps[i] - _minTimestamp)));
            }

            if (_hasHeaders)
            {
                ReadOnlySpan<byte> own = _headers.AsSpan(headersStart.._headerEnds[i]);
                end += VarInt.Write(buffer[end..], (uint)own.Length);
                own.CopyTo(buffer[end..]);
                end += own.Length;
                headersStart = _headerEnds[i];
            }
        }

        return end;
    }

    private void Reserve(int size)
    {
        if (_buffer.Length == 0)
        {
            throw new InvalidOperationException("Start a batch before filling it.");
        }

        if (_buffer.Length - _filled >= size)
        {
            return;
        }

        long wanted = Math.Max((long)_filled + size, Math.Min(_buffer.Length * 2L, EventBatch.MaxBlockLength));
        if (wanted > EventBatch.MaxBlockLength)
        {
            throw TooLong();
        }

        byte[] larger = EventBatch.Pool.Rent((int)wanted);
        _buffer.AsSpan(0, _filled).CopyTo(larger);
        EventBatch.Pool.Return(_buffer);
        _buffer = larger;
    }

    private static void Grow<T>(ref T[] array, int size)
    {
        if (array.Length < size)
        {
            Array.Resize(ref array, Math.Max(size, Math.Max(256, array.Length * 2)));
        }
    }
}
