using System.Runtime.InteropServices;

namespace Tailrace.Core.Channels;

/// <summary>
/// The positions of origins: what has been appended, and what of that is safe (on disk, or delivered). The compare-and-set looks at the
/// first, everyone else is told the second. Used under the channel's gate.
/// </summary>
internal sealed class OriginTable
{
    private readonly Dictionary<OriginId, Entry> _entries = [];

    /// <summary>How many origins have a safe position.</summary>
    public int Count { get; private set; }

    /// <summary>Compares a batch's advances with what has been appended.</summary>
    public AppendResult Compare(ReadOnlySpan<Advance> advances)
    {
        bool fits = true;
        bool known = true;
        long position = 0;
        for (int i = 0; i < advances.Length; i++)
        {
            ref readonly Advance advance = ref advances[i];
            long stored = Appended(advances[..i], advance.Origin);
            if (advance.From != stored && fits)
            {
                fits = false;
                position = stored;
            }

            known &= advance.To <= stored;
        }

        return fits ? new AppendResult(AppendStatus.Stored, 0, 0)
            : known ? new AppendResult(AppendStatus.Duplicate, 0, 0)
            : new AppendResult(AppendStatus.Mismatch, 0, position);
    }

    /// <summary>Notes advances as appended.</summary>
    public void Append(ReadOnlySpan<Advance> advances)
    {
        foreach (ref readonly Advance advance in advances)
        {
            ref Entry? entry = ref CollectionsMarshal.GetValueRefOrAddDefault(_entries, advance.Origin, out _);
            entry ??= new Entry();
            entry.Appended = advance.To;
        }
    }

    /// <summary>Takes an append back: what is safe counts again.</summary>
    public void Revert(ReadOnlySpan<Advance> advances)
    {
        foreach (ref readonly Advance advance in advances)
        {
            if (_entries.TryGetValue(advance.Origin, out Entry? entry))
            {
                entry.Appended = entry.Safe;
                if (!entry.IsKnown)
                {
                    _entries.Remove(advance.Origin);
                }
            }
        }
    }

    /// <summary>Notes advances as safe.</summary>
    public void Confirm(ReadOnlySpan<Advance> advances, long time)
    {
        foreach (ref readonly Advance advance in advances)
        {
            Set(advance.Origin, advance.To, advance.Attributes, time);
        }
    }

    /// <summary>Sets an origin's safe position as read from disk; positions only grow.</summary>
    public void Set(OriginId origin, long position, ReadOnlyMemory<byte> attributes, long time)
    {
        ref Entry? entry = ref CollectionsMarshal.GetValueRefOrAddDefault(_entries, origin, out _);
        entry ??= new Entry();
        if (!entry.IsKnown)
        {
            entry.IsKnown = true;
            Count++;
        }

        entry.Safe = Math.Max(entry.Safe, position);
        entry.Appended = Math.Max(entry.Appended, entry.Safe);
        entry.LastSeen = time;
        if (!attributes.IsEmpty)
        {
            entry.Attributes = Merge(entry.Attributes, attributes);
        }
    }

    public IReadOnlyList<OriginState> GetStates()
    {
        var states = new List<OriginState>(Count);
        foreach ((OriginId origin, Entry entry) in _entries)
        {
            if (entry.IsKnown)
            {
                states.Add(new OriginState(origin, entry.Safe, [], entry.Attributes, LogEvent.ToTime(entry.LastSeen)));
            }
        }

        return states;
    }

    public IEnumerable<(OriginId Origin, long Position, ReadOnlyMemory<byte> Attributes, long LastSeen)> GetEntries()
    {
        foreach ((OriginId origin, Entry entry) in _entries)
        {
            if (entry.IsKnown)
            {
                yield return (origin, entry.Safe, entry.Attributes, entry.LastSeen);
            }
        }
    }

    /// <summary>Checks what a batch says about its origins, before anything is done with it.</summary>
    /// <exception cref="ArgumentException">A stretch runs backwards or attributes cannot be read.</exception>
    public static void Check(EventBatch batch)
    {
        foreach (ref readonly Advance advance in batch.Advances)
        {
            if (advance.From < 0 || advance.To < advance.From)
            {
                throw new ArgumentException($"The stretch {advance.From} to {advance.To} of origin {advance.Origin} runs backwards.", nameof(batch));
            }

            try
            {
                foreach (EventHeader header in new HeaderList(advance.Attributes.Span))
                {
                    _ = header;
                }
            }
            catch (InvalidDataException exception)
            {
                throw new ArgumentException($"The attributes of origin {advance.Origin} cannot be read.", nameof(batch), exception);
            }
        }
    }

    private static ReadOnlyMemory<byte> Merge(ReadOnlyMemory<byte> old, ReadOnlyMemory<byte> changes)
    {
        if (old.Span.SequenceEqual(changes.Span))
        {
            return old;
        }

        var merged = new HeaderBuilder();
        var updates = new HeaderList(changes.Span);
        foreach (EventHeader header in new HeaderList(old.Span))
        {
            if (!updates.TryGet(header.Name, out _))
            {
                merged.Add(header);
            }
        }

        foreach (EventHeader header in updates)
        {
            merged.Add(header);
        }

        return merged.Encoded.ToArray();
    }

    private long Appended(ReadOnlySpan<Advance> before, OriginId origin)
    {
        for (int i = before.Length - 1; i >= 0; i--)
        {
            if (before[i].Origin == origin)
            {
                return before[i].To;
            }
        }

        return _entries.TryGetValue(origin, out Entry? entry) ? entry.Appended : 0;
    }

    private sealed class Entry
    {
        public long Appended { get; set; }

        public long Safe { get; set; }

        public ReadOnlyMemory<byte> Attributes { get; set; }

        public long LastSeen { get; set; }

        public bool IsKnown { get; set; }
    }
}
