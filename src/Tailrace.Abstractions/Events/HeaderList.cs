namespace Tailrace;

/// <summary>
/// The headers of an event in order: those shared by its batch, then its own. An own header hides a shared one of the same name.
/// A view into encoded bytes (see README.md beside this file); reading allocates nothing.
/// </summary>
public readonly ref struct HeaderList
{
    private readonly ReadOnlySpan<byte> _shared;
    private readonly ReadOnlySpan<byte> _own;

    /// <summary>Reads headers from their encoded form, as <see cref="HeaderBuilder.Encoded"/> gives it.</summary>
    public HeaderList(ReadOnlySpan<byte> encoded)
        : this(encoded, default)
    {
    }

    internal HeaderList(ReadOnlySpan<byte> shared, ReadOnlySpan<byte> own)
    {
        _shared = shared;
        _own = own;
    }

    /// <summary>True if there is no header.</summary>
    public bool IsEmpty => _shared.IsEmpty && _own.IsEmpty;

    /// <summary>The event's own headers as they are encoded.</summary>
    internal ReadOnlySpan<byte> Own => _own;

    /// <summary>Finds a header by its UTF-8 name. Where a name stands more than once among the event's own headers, the first counts.</summary>
    public bool TryGet(ReadOnlySpan<byte> name, out EventHeader header) => TryGet(_own, name, out header) || TryGet(_shared, name, out header);

    /// <summary>Lists the headers in order.</summary>
    public Enumerator GetEnumerator() => new(_shared, _own);

    private static bool TryGet(ReadOnlySpan<byte> encoded, ReadOnlySpan<byte> name, out EventHeader header)
    {
        int offset = 0;
        while (offset < encoded.Length)
        {
            header = EventHeader.Read(encoded, ref offset);
            if (header.Name.SequenceEqual(name))
            {
                return true;
            }
        }

        header = default;
        return false;
    }

    /// <summary>Walks the headers.</summary>
    public ref struct Enumerator
    {
        private readonly ReadOnlySpan<byte> _shared;
        private readonly ReadOnlySpan<byte> _own;
        private int _sharedOffset;
        private int _ownOffset;
        private EventHeader _current;

        internal Enumerator(ReadOnlySpan<byte> shared, ReadOnlySpan<byte> own)
        {
            _shared = shared;
            _own = own;
            _sharedOffset = 0;
            _ownOffset = 0;
            _current = default;
        }

        /// <summary>The header at hand.</summary>
        public readonly EventHeader Current => _current;

        /// <summary>Goes to the next header; false behind the last.</summary>
        public bool MoveNext()
        {
            while (_sharedOffset < _shared.Length)
            {
                _current = EventHeader.Read(_shared, ref _sharedOffset);
                if (_own.IsEmpty || !TryGet(_own, _current.Name, out _))
                {
                    return true;
                }
            }

            if (_ownOffset >= _own.Length)
            {
                return false;
            }

            _current = EventHeader.Read(_own, ref _ownOffset);
            return true;
        }
    }
}
