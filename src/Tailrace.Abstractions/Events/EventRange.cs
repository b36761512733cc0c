namespace Tailrace;

/// <summary>A run of consecutive events of one batch: what a serializer is given. A view; valid as long as the batch is.</summary>
public readonly struct EventRange
{
    private readonly int _tableOffset;
    private readonly int _bodyOffset;
    private readonly int _bodyEnd;

    internal EventRange(EventBatch batch, int first, int count, int tableOffset, int bodyOffset, int bodyEnd)
    {
        Batch = batch;
        First = first;
        Count = count;
        _tableOffset = tableOffset;
        _bodyOffset = bodyOffset;
        _bodyEnd = bodyEnd;
    }

    /// <summary>The batch the events are in.</summary>
    public EventBatch Batch { get; }

    /// <summary>The index of the first event in the batch.</summary>
    public int First { get; }

    /// <summary>How many events the run has.</summary>
    public int Count { get; }

    /// <summary>The bodies of the run, each followed by one LF: exactly what a text file of them would hold, to be written in one piece.</summary>
    public ReadOnlyMemory<byte> Lines => Batch.BodiesMemory[_bodyOffset.._bodyEnd];

    /// <summary>The run without its first <paramref name="count"/> events. Walks the batch's table up to there.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The run has fewer events.</exception>
    public EventRange Skip(int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, Count);
        if (count == 0)
        {
            return this;
        }

        Enumerator events = GetEnumerator();
        for (int i = 0; i < count; i++)
        {
            events.MoveNext();
        }

        return new EventRange(Batch, First + count, Count - count, events.TableEnd, events.BodyEnd, _bodyEnd);
    }

    /// <summary>The first <paramref name="count"/> events of the run. Walks the batch's table up to there.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The run has fewer events.</exception>
    public EventRange Take(int count)
    {
        EventRange rest = Skip(count);
        return new EventRange(Batch, First, count, _tableOffset, _bodyOffset, rest._bodyOffset);
    }

    /// <summary>Walks the events of the run.</summary>
    public Enumerator GetEnumerator() => new(this, _tableOffset, _bodyOffset);

    /// <summary>Walks events and can cut runs out of what it has passed.</summary>
    public ref struct Enumerator
    {
        private readonly EventRange _range;
        private readonly ReadOnlySpan<byte> _bodies;
        private readonly ReadOnlySpan<byte> _table;
        private readonly ReadOnlySpan<byte> _shared;
        private readonly long _minTimestamp;
        private readonly bool _timestamps;
        private readonly bool _headers;
        private int _next;
        private int _tableStart;
        private int _tableEnd;
        private int _bodyStart;
        private int _bodyEnd;
        private LogEvent _current;

        internal Enumerator(EventRange range, int tableOffset, int bodyOffset)
        {
            _range = range;
            _bodies = range.Batch.BodiesMemory.Span;
            _table = range.Batch.Table;
            _shared = range.Batch.SharedHeadersEncoded;
            _minTimestamp = range.Batch.MinTimestamp;
            _timestamps = range.Batch.HasTimestamps;
            _headers = range.Batch.HasOwnHeaders;
            _next = range.First;
            _tableStart = _tableEnd = tableOffset;
            _bodyStart = _bodyEnd = bodyOffset;
            _current = default;
        }

        /// <summary>The event at hand.</summary>
        public readonly LogEvent Current => _current;

        /// <summary>The index of the event at hand in its batch.</summary>
        public readonly int Index => _next - 1;

        /// <summary>Where a run that starts with the event at hand would start; give it to <see cref="RangeFrom"/>. Before the first <see cref="MoveNext"/>: the start of the run walked.</summary>
        public readonly Mark Here => new(CurrentIndex, _tableStart, _bodyStart);

        private readonly int CurrentIndex => Math.Max(_next - 1, _range.First);

        internal readonly int BodyEnd => _bodyEnd;

        internal readonly int TableEnd => _tableEnd;

        /// <summary>Goes to the next event; false behind the last.</summary>
        /// <exception cref="InvalidDataException">The block's table is damaged.</exception>
        public bool MoveNext()
        {
            if (_next >= _range.First + _range.Count)
            {
                return false;
            }

            _tableStart = _tableEnd;
            _bodyStart = _bodyEnd;
            ulong length = VarInt.Read(_table, ref _tableEnd);
            if (length >= (ulong)(_bodies.Length - _bodyStart))
            {
                throw new InvalidDataException($"Event {_next} of the block points past its end.");
            }

            long timestamp = _timestamps ? unchecked(_minTimestamp + (long)VarInt.Read(_table, ref _tableEnd)) : _minTimestamp;
            ReadOnlySpan<byte> own = default;
            if (_headers)
            {
                int size = VarInt.ReadLength(_table, ref _tableEnd);
                own = _table.Slice(_tableEnd, size);
                _tableEnd += size;
            }

            _current = new LogEvent(timestamp, new HeaderList(_shared, own), _bodies.Slice(_bodyStart, (int)length));
            _bodyEnd = _bodyStart + (int)length + 1;
            _next++;
            return true;
        }

        /// <summary>
        /// The run from <paramref name="start"/> up to the event at hand, with it where <paramref name="includeCurrent"/> says so. When
        /// <see cref="MoveNext"/> has returned false, the last event is still the one at hand.
        /// </summary>
        /// <exception cref="ArgumentOutOfRangeException">The mark lies behind the event at hand.</exception>
        public readonly EventRange RangeFrom(Mark start, bool includeCurrent = false)
        {
            int end = includeCurrent ? _next : CurrentIndex;
            ArgumentOutOfRangeException.ThrowIfGreaterThan(start.Index, end, nameof(start));
            return new EventRange(_range.Batch, start.Index, end - start.Index, start.TableOffset, start.BodyOffset, includeCurrent ? _bodyEnd : _bodyStart);
        }
    }

    /// <summary>A place between two events of a batch.</summary>
    public readonly record struct Mark
    {
        internal Mark(int index, int tableOffset, int bodyOffset)
        {
            Index = index;
            TableOffset = tableOffset;
            BodyOffset = bodyOffset;
        }

        internal int Index { get; }

        internal int TableOffset { get; }

        internal int BodyOffset { get; }
    }
}
