namespace Tailrace.Core.Storage;

/// <summary>Finds the bucket of an event. Remembers the last answer and what it depended on, so that a run of alike events costs a comparison each.</summary>
internal sealed class BucketRouter(PathTemplate template)
{
    private readonly Dictionary<string, Bucket> _buckets = new(Bucket.Comparer);
    private readonly PathBuilder _path = new();
    private readonly RememberedHeader[] _headers = [.. template.Headers.Select(name => new RememberedHeader(name))];
    private Bucket? _last;
    private long _slotStart;
    private long _slotEnd;

    /// <summary>All buckets met and not forgotten.</summary>
    public Dictionary<string, Bucket>.ValueCollection Buckets => _buckets.Values;

    public int Count => _buckets.Count;

    public void Add(Bucket bucket) => _buckets.Add(bucket.Path, bucket);

    /// <summary>Forgets the buckets that have nothing unfinished and nothing published at or above <paramref name="low"/>.</summary>
    public void Prune(long low)
    {
        _last = null;
        foreach ((string path, Bucket bucket) in _buckets)
        {
            if (bucket.Unfinished is null && bucket.End <= low)
            {
                _buckets.Remove(path);
            }
        }
    }

    /// <summary>Whether all events of a batch go to one bucket for certain.</summary>
    public bool IsUniform(EventBatch batch)
    {
        if (_headers.Length > 0 && batch.HasOwnHeaders)
        {
            return false;
        }

        return batch.MinTimestamp == batch.MaxTimestamp || template.GetSlot(batch.MinTimestamp).To > batch.MaxTimestamp;
    }

    /// <summary>The bucket of an event.</summary>
    public Bucket Find(in LogEvent current)
    {
        if (_last is not null && current.Timestamp >= _slotStart && current.Timestamp < _slotEnd && HasSameHeaders(current))
        {
            return _last;
        }

        template.Render(current, _path);
        Dictionary<string, Bucket>.AlternateLookup<ReadOnlySpan<char>> lookup = _buckets.GetAlternateLookup<ReadOnlySpan<char>>();
        if (!lookup.TryGetValue(_path.Path, out Bucket? bucket))
        {
            bucket = new Bucket(_path.Path.ToString(), 0);
            Add(bucket);
        }

        (_slotStart, _slotEnd) = template.GetSlot(current.Timestamp);
        foreach (RememberedHeader header in _headers)
        {
            header.Remember(current.Headers);
        }

        _last = bucket;
        return bucket;
    }

    private bool HasSameHeaders(in LogEvent current)
    {
        foreach (RememberedHeader header in _headers)
        {
            if (!header.IsSame(current.Headers))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>A header's value as last seen.</summary>
    private sealed class RememberedHeader(byte[] name)
    {
        private byte[] _text = [];
        private int _length;
        private HeaderType _type;
        private long _bits;

        public bool IsSame(HeaderList headers)
        {
            headers.TryGet(name, out EventHeader header);
            return header.Type == _type && header.Integer == _bits && header.Text.SequenceEqual(_text.AsSpan(0, _length));
        }

        public void Remember(HeaderList headers)
        {
            headers.TryGet(name, out EventHeader header);
            (_type, _bits, _length) = (header.Type, header.Integer, header.Text.Length);
            if (_text.Length < _length)
            {
                _text = new byte[Math.Max(_length, 64)];
            }

            header.Text.CopyTo(_text);
        }
    }
}
