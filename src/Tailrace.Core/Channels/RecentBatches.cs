namespace Tailrace.Core.Channels;

/// <summary>A queue of batches in offset order that finds the one that holds an offset. Holds a share of each. Used under the channel's gate.</summary>
internal sealed class RecentBatches
{
    private Entry[] _entries = new Entry[64];
    private int _first;

    public int Count { get; private set; }

    /// <summary>What the batches take in memory or on disk, as their adder reckons it.</summary>
    public long Bytes { get; private set; }

    public Entry First => _entries[_first];

    /// <summary>Takes over a share of the batch.</summary>
    public void Add(EventBatch batch, long offset, long bytes, long time)
    {
        if (Count == _entries.Length)
        {
            var larger = new Entry[Count * 2];
            for (int i = 0; i < Count; i++)
            {
                larger[i] = At(i);
            }

            _entries = larger;
            _first = 0;
        }

        _entries[(_first + Count) & (_entries.Length - 1)] = new Entry(batch, offset, bytes, time);
        Count++;
        Bytes += bytes;
    }

    public void RemoveFirst()
    {
        Entry entry = First;
        _entries[_first] = default;
        _first = (_first + 1) & (_entries.Length - 1);
        Count--;
        Bytes -= entry.Bytes;
        entry.Batch.Dispose();
    }

    public void Clear()
    {
        while (Count > 0)
        {
            RemoveFirst();
        }
    }

    /// <summary>The batch that holds an offset; false if none does.</summary>
    public bool TryFind(long offset, out Entry entry)
    {
        int low = 0;
        int high = Count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (At(middle).EndOffset <= offset)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        entry = low < Count ? At(low) : default;
        return low < Count && entry.Offset <= offset;
    }

    /// <summary>The offset of the first batch appended at or after a time; <paramref name="end"/> if there is none.</summary>
    public long FindTime(long time, long end)
    {
        for (int i = 0; i < Count; i++)
        {
            if (At(i).Time >= time)
            {
                return At(i).Offset;
            }
        }

        return end;
    }

    private Entry At(int index) => _entries[(_first + index) & (_entries.Length - 1)];

    /// <summary>A batch and where it stands.</summary>
    internal readonly record struct Entry(EventBatch Batch, long Offset, long Bytes, long Time)
    {
        public long EndOffset => Offset + Batch.Count;
    }
}
