namespace Tailrace.Files;

/// <summary>
/// Joins lines to events: the pieces a container run time cut a line into, and the lines of a stack trace, for each of the container's streams.
/// Keeps nothing from one turn to the next: the position stays at the first line of the earliest event that is not complete, and the next turn
/// reads on from there. Lines of the other stream behind it that were handed on already are known by the file's marks.
/// </summary>
internal sealed class EventJoiner(TailOptions options, EventBatchBuilder builder) : IDisposable
{
    private readonly MultilineRule? _rule = options.Multiline is null ? null : new MultilineRule(options.Multiline);
    private readonly Unfinished[] _streams = [new("stdout"), new("stderr")];
    private readonly HeaderBuilder _headers = new();
    private readonly int _maxEvent = (int)options.MaxEventSize.Bytes;
    private readonly int _maxLines = options.Multiline?.MaxLines ?? int.MaxValue;
    private readonly TimeSpan _timeout = options.Multiline?.Timeout ?? TimeSpan.MaxValue;
    private byte[] _room = [];

    /// <summary>How many lines could not be held against the patterns in time.</summary>
    public long TimedOut => _rule?.TimedOut ?? 0;

    /// <summary>Starts a turn.</summary>
    public void Start()
    {
        foreach (Unfinished stream in _streams)
        {
            stream.Clear();
            stream.Trace = default;
        }
    }

    /// <summary>Adds the next line.</summary>
    /// <param name="file">Its file.</param>
    /// <param name="line">The line without its end.</param>
    /// <param name="from">Where it begins in the file.</param>
    /// <param name="to">Where the next begins.</param>
    /// <param name="timestamp">The time of reading.</param>
    /// <param name="headers">Headers of the line, encoded; those of an event's first line become the event's.</param>
    public void Add(TailedFile file, ReadOnlySpan<byte> line, long from, long to, long timestamp, ReadOnlySpan<byte> headers)
    {
        if (options.Container == ContainerFormat.None)
        {
            AddText(_streams[0], line, from, to, timestamp, headers, isPartial: false);
            return;
        }

        if (_room.Length < line.Length)
        {
            Dispose();
            _room = EventBatch.Pool.Rent(line.Length);
        }

        bool known = ContainerLine.TryRead(options.Container, line, _room, out ContainerLine read);
        int index = known && read.IsError ? 1 : 0;
        if (file.Marks.AheadAt == file.Position && file.Marks.AheadStream == index && from < file.Marks.Ahead)
        {
            return; // handed on before
        }

        Unfinished stream = _streams[index];
        if (known)
        {
            AddText(stream, read.Text, from, to, read.Timestamp, headers, read.IsPartial);
            return;
        }

        Complete(stream); // a torn line: as it is, and it joins with nothing
        _headers.Clear();
        Append(_headers, headers);
        _headers.Add("tailrace.unparsed", true);
        builder.Add(timestamp, line, _headers.Encoded);
    }

    /// <summary>Ends a turn: says up to where the lines are handed on.</summary>
    /// <param name="file">The file.</param>
    /// <param name="end">Behind the last line added.</param>
    /// <param name="atEnd">There is no more in the file at the moment.</param>
    /// <param name="complete">What is unfinished is to be handed on as it is: nothing more will come, or another channel stands here.</param>
    /// <param name="full">There is more, but no room for it: something must be handed on.</param>
    /// <param name="time">The clock.</param>
    public long Finish(TailedFile file, long end, bool atEnd, bool complete, bool full, TimeProvider time)
    {
        Unfinished? first = FindFirst();
        if (!atEnd || first is null)
        {
            file.Waiting = default;
        }
        else if (file.Waiting.Start != first.Start || file.Waiting.End != first.End || file.Waiting.Since == 0)
        {
            file.Waiting = (first.Start, first.End, time.GetTimestamp());
        }
        else if (!first.IsPartial && time.GetElapsedTime(file.Waiting.Since) >= _timeout)
        {
            Complete(first);
        }

        while ((first = FindFirst()) is not null && (complete || (full && first.Start == file.Position)))
        {
            Complete(first, isSplit: !complete);
        }

        if (first is not null && atEnd)
        {
            file.LastLook = default; // polling gives it another turn, for the time it waits
        }

        long position = first?.Start ?? end;
        if (first is not null && position > file.Position)
        {
            int other = first == _streams[0] ? 1 : 0;
            long ahead = _streams[other].IsEmpty ? end : _streams[other].Start;
            file.Marks = file.Marks with { AheadAt = position, Ahead = ahead, AheadStream = other };
        }

        return position;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_room.Length > 0)
        {
            EventBatch.Pool.Return(_room);
            _room = [];
        }
    }

    private void AddText(Unfinished stream, ReadOnlySpan<byte> text, long from, long to, long timestamp, ReadOnlySpan<byte> headers, bool isPartial)
    {
        bool isPiece = stream.IsPartial;
        bool belongs = isPiece || (_rule is not null && _rule.Continues(text, ref stream.Trace));
        if (!stream.IsEmpty && belongs && (stream.Length + 1L + text.Length > _maxEvent || (!isPiece && stream.Lines >= _maxLines)))
        {
            Complete(stream, isSplit: true);
        }
        else if (!belongs)
        {
            Complete(stream);
        }

        if (stream.IsEmpty)
        {
            stream.Begin(from, timestamp);
            Append(stream.Headers, headers);
            if (options.Container != ContainerFormat.None)
            {
                stream.Headers.Add("stream", stream.Name);
            }
        }
        else if (!isPiece)
        {
            stream.Append("\n"u8);
            stream.Lines++;
        }

        stream.Append(text);
        stream.End = to;
        stream.IsPartial = isPartial;
        if (!isPartial && _rule is null)
        {
            Complete(stream);
        }
    }

    private void Complete(Unfinished stream, bool isSplit = false)
    {
        if (!stream.IsEmpty)
        {
            if (isSplit)
            {
                stream.Headers.Add("tailrace.split", true);
            }

            builder.Add(stream.Timestamp, stream.Text, stream.Headers.Encoded);
            stream.Clear();
        }
    }

    private Unfinished? FindFirst() => (_streams[0].IsEmpty, _streams[1].IsEmpty) switch
    {
        (true, true) => null,
        (false, true) => _streams[0],
        (true, false) => _streams[1],
        _ => _streams[0].Start < _streams[1].Start ? _streams[0] : _streams[1],
    };

    private static void Append(HeaderBuilder builder, ReadOnlySpan<byte> headers)
    {
        foreach (EventHeader header in new HeaderList(headers))
        {
            builder.Add(header);
        }
    }

    /// <summary>The event of a stream that is not complete.</summary>
    private sealed class Unfinished(string name)
    {
        private byte[] _text = [];

        /// <summary>Where in a trace the stream is.</summary>
        public MultilineRule.TraceState Trace;

        public string Name => name;

        public HeaderBuilder Headers { get; } = new();

        public bool IsEmpty { get; private set; } = true;

        public bool IsPartial { get; set; }

        public long Start { get; private set; }

        public long End { get; set; }

        public long Timestamp { get; private set; }

        public int Lines { get; set; }

        public int Length { get; private set; }

        public ReadOnlySpan<byte> Text => _text.AsSpan(0, Length);

        public void Begin(long start, long timestamp)
        {
            (IsEmpty, Start, Timestamp, Lines, Length) = (false, start, timestamp, 1, 0);
            Headers.Clear();
        }

        public void Append(ReadOnlySpan<byte> text)
        {
            if (_text.Length < Length + text.Length)
            {
                Array.Resize(ref _text, Math.Max(2 * _text.Length, Length + text.Length)); // bounded by max_event_size
            }

            text.CopyTo(_text.AsSpan(Length));
            Length += text.Length;
        }

        public void Clear()
        {
            IsEmpty = true;
            IsPartial = false;
            Length = 0;
        }
    }
}
