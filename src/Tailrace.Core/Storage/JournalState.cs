using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace Tailrace.Core.Storage;

/// <summary>A file that was decided upon: the events of a bucket with offsets in [Start, Limit), under a name made for [Start, End).</summary>
/// <param name="Start">The first offset.</param>
/// <param name="End">The offset behind the last, as the name says.</param>
/// <param name="Limit">Where the log ended when it was found to be shorter than <paramref name="End"/>; else the same.</param>
/// <param name="Name">The file's name in the bucket's directory.</param>
/// <param name="Foreign">A file of this name was there before any attempt of ours: that the name exists proves nothing.</param>
internal sealed record JournalIntent(long Start, long End, long Limit, string Name, bool Foreign);

/// <summary>What a journal says of one bucket.</summary>
internal sealed class JournalBucket
{
    /// <summary>Everything below is published.</summary>
    public long End { get; set; }

    /// <summary>What was decided upon and is not known to be published, in order.</summary>
    public List<JournalIntent> Intents { get; } = [];
}

/// <summary>What the records of a journal add up to, and how records are written and read. README.md beside this file has the bytes.</summary>
internal sealed class JournalState
{
    /// <summary>The longest payload that is read or written.</summary>
    public const int MaxPayload = 4 << 20;

    /// <summary>Bytes of a record before its payload: length, checksum, type.</summary>
    public const int RecordOverhead = 9;

    private enum RecordType : byte
    {
        Owner = 1,
        Intent = 2,
        Commit = 3,
        Low = 4,
    }

    /// <summary>The agent under whose name the records were made.</summary>
    public string Agent { get; private set; } = "";

    /// <summary>The channel whose offsets the records name.</summary>
    public string Channel { get; private set; } = "";

    /// <summary>The sink's whole configuration that the records were made under; null if the journal is empty.</summary>
    public string? Configuration { get; private set; }

    /// <summary>Below it nothing is left to publish in any bucket.</summary>
    public long Low { get; private set; }

    /// <summary>The buckets with intents or with an end above <see cref="Low"/>, by path.</summary>
    public Dictionary<string, JournalBucket> Buckets { get; } = new(Bucket.Comparer);

    /// <summary>The highest offset that any record names.</summary>
    public long Highest => Buckets.Values.Select(bucket => Math.Max(bucket.End, bucket.Intents.Count == 0 ? 0 : bucket.Intents[^1].Limit)).Append(Low).Max();

    /// <summary>Says under which configuration everything from here on is recorded.</summary>
    public void SetOwner(string agent, string channel, string configuration, long low)
    {
        (Agent, Channel, Configuration, Low) = (agent, channel, configuration, low);
    }

    /// <summary>
    /// Fits the state to where the channel stands: everything below <paramref name="cursor"/> is delivered, and what the log held at or above
    /// <paramref name="end"/> is gone, so that other events get these offsets.
    /// </summary>
    public void Clip(long cursor, long end)
    {
        Low = Math.Min(Math.Max(Low, cursor), end);
        foreach (JournalBucket bucket in Buckets.Values)
        {
            bucket.End = Math.Min(bucket.End, end);
            for (int i = 0; i < bucket.Intents.Count; i++)
            {
                bucket.Intents[i] = bucket.Intents[i] with { Limit = Math.Min(bucket.Intents[i].Limit, end) };
            }

            bucket.Intents.RemoveAll(intent => intent.Limit <= Math.Max(intent.Start, Low));
        }

        Prune();
    }

    /// <summary>Forgets what lies below <see cref="Low"/>.</summary>
    public void Prune()
    {
        foreach ((string path, JournalBucket bucket) in Buckets)
        {
            if (bucket.Intents.Count == 0 && bucket.End <= Low)
            {
                Buckets.Remove(path);
            }
        }
    }

    public void Intend(string bucket, JournalIntent intent)
    {
        JournalBucket entry = Get(bucket);
        entry.Intents.RemoveAll(other => other.Name == intent.Name); // recorded again with another limit or flag
        entry.Intents.Add(intent);
        entry.Intents.Sort((left, right) => left.Start.CompareTo(right.Start));
    }

    public void Commit(string bucket, long end, long low)
    {
        JournalBucket entry = Get(bucket);
        entry.Intents.RemoveAll(intent => intent.Limit <= end);
        entry.End = Math.Max(entry.End, end);
        Low = Math.Max(Low, low);
    }

    public void Advance(long low) => Low = Math.Max(Low, low);

    public static void WriteIntent(ArrayBufferWriter<byte> output, string bucket, JournalIntent intent)
    {
        int start = BeginRecord(output, RecordType.Intent);
        WriteInt64(output, intent.Start);
        WriteInt64(output, intent.End);
        WriteInt64(output, intent.Limit);
        output.Write([intent.Foreign ? (byte)1 : (byte)0]);
        WriteString(output, bucket);
        WriteString(output, intent.Name);
        EndRecord(output, start);
    }

    public static void WriteCommit(ArrayBufferWriter<byte> output, string bucket, long end, long low)
    {
        int start = BeginRecord(output, RecordType.Commit);
        WriteInt64(output, end);
        WriteInt64(output, low);
        WriteString(output, bucket);
        EndRecord(output, start);
    }

    public static void WriteLow(ArrayBufferWriter<byte> output, long low)
    {
        int start = BeginRecord(output, RecordType.Low);
        WriteInt64(output, low);
        EndRecord(output, start);
    }

    /// <summary>Writes the records that add up to this state.</summary>
    public void WriteSnapshot(ArrayBufferWriter<byte> output)
    {
        int start = BeginRecord(output, RecordType.Owner);
        WriteInt64(output, Low);
        WriteString(output, Agent);
        WriteString(output, Channel);
        WriteString(output, Configuration ?? "");
        EndRecord(output, start);
        foreach ((string path, JournalBucket bucket) in Buckets)
        {
            if (bucket.End > Low)
            {
                WriteCommit(output, path, bucket.End, Low);
            }

            foreach (JournalIntent intent in bucket.Intents)
            {
                WriteIntent(output, path, intent);
            }
        }
    }

    /// <summary>Reads the record at the start of <paramref name="bytes"/> and applies it. False, and nothing applied, if it is not sound.</summary>
    /// <param name="bytes">The rest of the journal.</param>
    /// <param name="length">The record's length.</param>
    public bool TryApply(ReadOnlySpan<byte> bytes, out int length)
    {
        if (!TryFrame(bytes, out length))
        {
            return false;
        }

        var reader = new Reader(bytes[RecordOverhead..length]);
        switch ((RecordType)bytes[RecordOverhead - 1])
        {
            case RecordType.Owner when reader.Int64(out long low) && reader.String(out string agent) && reader.String(out string channel) && reader.String(out string configuration):
                SetOwner(agent, channel, configuration, low);
                return true;
            case RecordType.Intent when reader.Int64(out long start) && reader.Int64(out long end) && reader.Int64(out long limit) && reader.Flag(out bool foreign)
                && reader.String(out string bucket) && reader.String(out string name):
                Intend(bucket, new JournalIntent(start, end, limit, name, foreign));
                return true;
            case RecordType.Commit when reader.Int64(out long end) && reader.Int64(out long low) && reader.String(out string bucket):
                Commit(bucket, end, low);
                return true;
            case RecordType.Low when reader.Int64(out long low):
                Advance(low);
                return true;
            default:
                return false;
        }
    }

    /// <summary>Whether a whole record with a right checksum starts here.</summary>
    public static bool TryFrame(ReadOnlySpan<byte> bytes, out int length)
    {
        length = 0;
        if (bytes.Length < RecordOverhead)
        {
            return false;
        }

        uint payload = BinaryPrimitives.ReadUInt32LittleEndian(bytes);
        if (payload is 0 or > MaxPayload || payload > bytes.Length - RecordOverhead)
        {
            return false;
        }

        length = RecordOverhead + (int)payload;
        return BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]) == Checksum(bytes[..length]);
    }

    private static uint Checksum(ReadOnlySpan<byte> record) => Crc32C.Append(Crc32C.Compute(record[..4]), record[8..]);

    private JournalBucket Get(string path)
    {
        if (!Buckets.TryGetValue(path, out JournalBucket? bucket))
        {
            bucket = new JournalBucket();
            Buckets.Add(path, bucket);
        }

        return bucket;
    }

    private static int BeginRecord(ArrayBufferWriter<byte> output, RecordType type)
    {
        int start = output.WrittenCount;
        output.Write(stackalloc byte[8]);
        output.Write([(byte)type]);
        return start;
    }

    private static void EndRecord(ArrayBufferWriter<byte> output, int start)
    {
        // The writer gives out what it holds for reading only; the array below is its own.
        Span<byte> record = System.Runtime.InteropServices.MemoryMarshal.AsMemory(output.WrittenMemory)[start..].Span;
        int payload = record.Length - RecordOverhead;
        if (payload > MaxPayload)
        {
            throw new InvalidOperationException($"A record of a storage sink's journal would be {payload} bytes long; the most is {MaxPayload}. Is the sink's configuration that large?");
        }

        BinaryPrimitives.WriteInt32LittleEndian(record, payload);
        BinaryPrimitives.WriteUInt32LittleEndian(record[4..], Checksum(record));
    }

    private static void WriteInt64(ArrayBufferWriter<byte> output, long value)
    {
        BinaryPrimitives.WriteInt64LittleEndian(output.GetSpan(8), value);
        output.Advance(8);
    }

    private static void WriteString(ArrayBufferWriter<byte> output, string text)
    {
        int length = Encoding.UTF8.GetByteCount(text);
        BinaryPrimitives.WriteInt32LittleEndian(output.GetSpan(4), length);
        output.Advance(4);
        output.Advance(Encoding.UTF8.GetBytes(text, output.GetSpan(Math.Max(length, 1))));
    }

    private ref struct Reader(ReadOnlySpan<byte> payload)
    {
        private ReadOnlySpan<byte> _rest = payload;

        public bool Int64(out long value)
        {
            bool enough = BinaryPrimitives.TryReadInt64LittleEndian(_rest, out value) && value >= 0;
            _rest = enough ? _rest[8..] : default;
            return enough;
        }

        public bool Flag(out bool value)
        {
            value = !_rest.IsEmpty && _rest[0] != 0;
            bool enough = !_rest.IsEmpty;
            _rest = enough ? _rest[1..] : default;
            return enough;
        }

        public bool String(out string value)
        {
            value = "";
            if (!BinaryPrimitives.TryReadInt32LittleEndian(_rest, out int length) || (uint)length > (uint)(_rest.Length - 4))
            {
                return false;
            }

            value = Encoding.UTF8.GetString(_rest.Slice(4, length));
            _rest = _rest[(4 + length)..];
            return true;
        }
    }
}
