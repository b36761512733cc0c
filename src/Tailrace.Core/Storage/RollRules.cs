namespace Tailrace.Core.Storage;

/// <summary>When a file is rolled, and how much may be written to it before that has to be asked again.</summary>
internal sealed class RollRules(StorageSinkOptions options, TimeProvider time)
{
    private const int FirstPiece = 64 << 10; // bytes of bodies handed to a new file before its inflation is known

    private readonly RollOptions _roll = options.Roll;
    private readonly bool _isCompressed = options.Compression != FileCompression.None;
    private readonly long _age = ToTicks(options.Roll.Age, time);
    private readonly long _idle = ToTicks(options.Roll.Idle, time);

    /// <summary>Whether size or count are reached.</summary>
    public bool IsFull(BucketFile file) => file.Length >= _roll.Size.Bytes || file.Count == _roll.Count;

    /// <summary>When age or idle time are reached if nothing more is written, as <see cref="TimeProvider.GetTimestamp"/> tells time.</summary>
    public long DueAt(BucketFile file) => Math.Min(file.OpenedAt + _age, file.WrittenAt + _idle);

    /// <summary>As many of the events as the file may take until it is full by size (about) or count (exactly); at least one.</summary>
    public EventRange Cut(EventRange events, BucketFile file)
    {
        long count = _roll.Count == 0 ? long.MaxValue : _roll.Count - file.Count;
        long room = (long)((_roll.Size.Bytes - file.Length) / file.Inflation);
        if (_isCompressed)
        {
            room = Math.Max(room, FirstPiece / 4); // it is less once compressed
        }
        else if (file.Count == 0)
        {
            room = Math.Min(room, FirstPiece);
        }

        if (events.Count <= count && events.Lines.Length <= room)
        {
            return events;
        }

        EventRange.Enumerator walk = events.GetEnumerator();
        walk.MoveNext();
        EventRange.Mark start = walk.Here;
        long length = walk.Current.Body.Length + 1;
        for (long taken = 1; length < room && taken < count && walk.MoveNext(); taken++)
        {
            length += walk.Current.Body.Length + 1;
        }

        return walk.RangeFrom(start, includeCurrent: true);
    }

    private static long ToTicks(TimeSpan span, TimeProvider time) => (long)(span.TotalSeconds * time.TimestampFrequency);
}
