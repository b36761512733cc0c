using System.Buffers;
using System.Buffers.Binary;

namespace Tailrace;

/// <summary>
/// The unit of everything: of reading, of a transaction, of storing, of sending, of acknowledging. Events encoded once, as one
/// contiguous, checksummed, versioned block of bytes (README.md beside this file), and the stretches of their origins.
/// Owns its buffer, which goes back to the pool when every holder has disposed its share. Immutable and safe to read from any thread.
/// </summary>
public sealed class EventBatch : IDisposable
{
    /// <summary>The largest block in bytes that is ever made or accepted: 64 MiB.</summary>
    public const int MaxBlockLength = 64 << 20;

    /// <summary>Bytes a block takes beyond headers, bodies and table.</summary>
    public const int BlockOverhead = BatchLayout.HeaderSize;

    private readonly Advance[] _advances;
    private readonly int _headersLength;
    private readonly int _bodiesLength;
    private readonly ushort _flags;
    private byte[]? _buffer;
    private int _holders = 1;

    private EventBatch(byte[] buffer, int length, Advance[] advances)
    {
        _buffer = buffer;
        _advances = advances;
        BlockLength = length;
        if (length == 0)
        {
            return;
        }

        ReadOnlySpan<byte> block = buffer;
        Count = BinaryPrimitives.ReadInt32LittleEndian(block[BatchLayout.CountOffset..]);
        Checksum = BinaryPrimitives.ReadUInt32LittleEndian(block[BatchLayout.CrcOffset..]);
        MinTimestamp = BinaryPrimitives.ReadInt64LittleEndian(block[BatchLayout.MinTimestampOffset..]);
        MaxTimestamp = BinaryPrimitives.ReadInt64LittleEndian(block[BatchLayout.MaxTimestampOffset..]);
        _flags = BinaryPrimitives.ReadUInt16LittleEndian(block[BatchLayout.FlagsOffset..]);
        _headersLength = BinaryPrimitives.ReadInt32LittleEndian(block[BatchLayout.HeadersLengthOffset..]);
        _bodiesLength = BinaryPrimitives.ReadInt32LittleEndian(block[BatchLayout.BodiesLengthOffset..]);
    }

    /// <summary>The pool that buffers of batches come from and go back to.</summary>
    public static ArrayPool<byte> Pool { get; } = ArrayPool<byte>.Create(maxArrayLength: 16 << 20, maxArraysPerBucket: 256);

    /// <summary>How many events the batch holds; 0 for one that only advances positions.</summary>
    public int Count { get; }

    /// <summary>The length of <see cref="Block"/> in bytes; 0 for a batch without events.</summary>
    public int BlockLength { get; }

    /// <summary>The memory the batch holds, in bytes: its buffer may be longer than its block.</summary>
    public int HeldBytes => Buffer.Length;

    /// <summary>The block's CRC-32C, as it stands in the block.</summary>
    public uint Checksum { get; }

    /// <summary>The earliest timestamp of any event, in nanoseconds since 1970.</summary>
    public long MinTimestamp { get; }

    /// <summary>The latest timestamp of any event, in nanoseconds since 1970.</summary>
    public long MaxTimestamp { get; }

    /// <summary>The stretches of origins that the batch covers. They travel beside the block: each hop has its own.</summary>
    public ReadOnlySpan<Advance> Advances => _advances;

    /// <summary>The encoded block, as it is stored and sent.</summary>
    public ReadOnlyMemory<byte> Block => Buffer.AsMemory(0, BlockLength);

    /// <summary>The headers that all events share.</summary>
    public HeaderList SharedHeaders => new(SharedHeadersEncoded);

    /// <summary>The shared headers as they are encoded.</summary>
    public ReadOnlySpan<byte> SharedHeadersEncoded => Buffer.AsSpan(0, BlockLength).Slice(BlockLength == 0 ? 0 : BatchLayout.HeaderSize, _headersLength);

    /// <summary>True if events may have headers of their own.</summary>
    public bool HasOwnHeaders => (_flags & BatchLayout.HeadersFlag) != 0;

    /// <summary>All events of the batch.</summary>
    public EventRange All => new(this, 0, Count, 0, 0, _bodiesLength);

    internal bool HasTimestamps => (_flags & BatchLayout.TimestampsFlag) != 0;

    internal ReadOnlyMemory<byte> BodiesMemory => Buffer.AsMemory(BlockLength == 0 ? 0 : BatchLayout.HeaderSize + _headersLength, _bodiesLength);

    internal ReadOnlySpan<byte> Table => BlockLength == 0 ? default : Buffer.AsSpan(BatchLayout.HeaderSize + _headersLength + _bodiesLength, BlockLength - BatchLayout.HeaderSize - _headersLength - _bodiesLength);

    private byte[] Buffer => _buffer ?? throw new ObjectDisposedException(nameof(EventBatch));

    /// <summary>A batch without events that only moves positions or sets attributes.</summary>
    public static EventBatch PositionsOnly(params Advance[] advances) => new([], 0, advances);

    /// <summary>
    /// Opens an encoded block in a buffer rented from <see cref="Pool"/>; the batch owns the buffer from then on, unless this throws.
    /// Checks everything: lengths, version, checksum, and that bodies and table agree.
    /// </summary>
    /// <param name="buffer">The block, from its first byte.</param>
    /// <param name="length">The block's length in bytes.</param>
    /// <param name="advances">The stretches of origins the batch stands for.</param>
    /// <exception cref="InvalidDataException">The bytes are no sound block; the message says what is wrong.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The buffer is shorter than <paramref name="length"/>.</exception>
    public static EventBatch Open(byte[] buffer, int length, params Advance[] advances)
    {
        ArgumentNullException.ThrowIfNull(buffer);
        if (length < BatchLayout.HeaderSize || length > MaxBlockLength)
        {
            throw new InvalidDataException($"A block of {length} bytes is outside {BatchLayout.HeaderSize} to {MaxBlockLength}.");
        }

        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, buffer.Length);
        ReadOnlySpan<byte> block = buffer.AsSpan(0, length);
        if (BinaryPrimitives.ReadUInt32LittleEndian(block) != BatchLayout.Magic)
        {
            throw new InvalidDataException("The block does not start with TRB1.");
        }

        if (BinaryPrimitives.ReadUInt32LittleEndian(block[BatchLayout.LengthOffset..]) != (uint)length)
        {
            throw new InvalidDataException("The block's length does not agree with its frame.");
        }

        if (BinaryPrimitives.ReadUInt32LittleEndian(block[BatchLayout.CrcOffset..]) != Crc32C.Compute(block[BatchLayout.VersionOffset..]))
        {
            throw new InvalidDataException("The block's checksum does not agree with its bytes.");
        }

        // Only behind the checksum, so that a damaged byte is called damage and not a newer version.
        ushort flags = BinaryPrimitives.ReadUInt16LittleEndian(block[BatchLayout.FlagsOffset..]);
        if (block[BatchLayout.VersionOffset] != BatchLayout.Version || block[BatchLayout.CodecOffset] != 0
            || (flags & ~BatchLayout.KnownFlags) != 0 || block[BatchLayout.ReservedOffset..BatchLayout.HeaderSize].ContainsAnyExcept((byte)0))
        {
            throw new InvalidDataException($"The block has version {block[BatchLayout.VersionOffset]}, codec {block[BatchLayout.CodecOffset]} and flags {flags}; this Tailrace reads version {BatchLayout.Version}, codec 0 and flags up to {BatchLayout.KnownFlags}. It was written by a newer one: update this agent first.");
        }

        uint count = BinaryPrimitives.ReadUInt32LittleEndian(block[BatchLayout.CountOffset..]);
        uint headers = BinaryPrimitives.ReadUInt32LittleEndian(block[BatchLayout.HeadersLengthOffset..]);
        uint bodies = BinaryPrimitives.ReadUInt32LittleEndian(block[BatchLayout.BodiesLengthOffset..]);
        uint table = BinaryPrimitives.ReadUInt32LittleEndian(block[BatchLayout.TableLengthOffset..]);
        uint raw = BinaryPrimitives.ReadUInt32LittleEndian(block[BatchLayout.RawLengthOffset..]);
        if (count == 0 || count > bodies || raw != (uint)length - BatchLayout.HeaderSize || (ulong)headers + bodies + table != raw)
        {
            throw new InvalidDataException("The block's parts do not add up to its length.");
        }

        var batch = new EventBatch(buffer, length, advances);
        batch.CheckParts();
        return batch;
    }

    /// <summary>Takes one more share of the buffer; each share is disposed once.</summary>
    /// <exception cref="ObjectDisposedException">The last share was disposed before.</exception>
    public EventBatch Share()
    {
        // Counts up only from a living batch: a failed call must not bring a dead one back for the next.
        int holders = Volatile.Read(ref _holders);
        while (true)
        {
            ObjectDisposedException.ThrowIf(holders <= 0, this);
            int seen = Interlocked.CompareExchange(ref _holders, holders + 1, holders);
            if (seen == holders)
            {
                return this;
            }

            holders = seen;
        }
    }

    /// <summary>Walks the events.</summary>
    public EventRange.Enumerator GetEnumerator() => All.GetEnumerator();

    /// <summary>Gives back one share; the last one returns the buffer to the pool.</summary>
    public void Dispose()
    {
        if (Interlocked.Decrement(ref _holders) == 0 && Interlocked.Exchange(ref _buffer, null) is { Length: > 0 } buffer)
        {
            Pool.Return(buffer);
        }
    }

    /// <summary>Wraps a block that the builder has just made.</summary>
    internal static EventBatch Built(byte[] buffer, int length, Advance[] advances) => new(buffer, length, advances);

    private void CheckParts()
    {
        EventHeader.Check(SharedHeadersEncoded);
        ReadOnlySpan<byte> bodies = BodiesMemory.Span;
        EventRange.Enumerator events = GetEnumerator();
        long latest = MinTimestamp;
        bool earliestSeen = false;
        while (events.MoveNext())
        {
            LogEvent current = events.Current;
            if (bodies[events.BodyEnd - 1] != (byte)'\n' || current.Timestamp < MinTimestamp)
            {
                throw new InvalidDataException($"Event {events.Index} of the block does not end in LF or is earlier than the block's earliest.");
            }

            // The shared headers were read once above. Reading them again for every event would let a small block keep this busy for hours.
            EventHeader.Check(current.Headers.Own);
            latest = Math.Max(latest, current.Timestamp);
            earliestSeen |= current.Timestamp == MinTimestamp;
        }

        if (events.BodyEnd != bodies.Length || events.TableEnd != Table.Length)
        {
            throw new InvalidDataException("The block's table does not cover its bodies.");
        }

        if (!earliestSeen || latest != MaxTimestamp)
        {
            throw new InvalidDataException("The block's earliest and latest times are not those of its events.");
        }
    }
}
