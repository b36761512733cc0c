namespace Tailrace.Tests.Channels.Simulation;

/// <summary>A file of the simulated disk: as programs see it, as it is durable, and the changes between the two in their order.</summary>
internal sealed class SimulatedFile
{
    private const int Sector = SimulatedDisk.Sector;

    private readonly List<Change> _changes = [];
    private byte[] _bytes = [];
    private byte[] _durable = [];
    private int _durableLength;
    private bool _differs; // what programs see from what is durable

    public string Path { get; set; } = "";

    public int Length { get; private set; }

    public ReadOnlySpan<byte> Bytes => _bytes.AsSpan(0, Length);

    public void Write(long position, ReadOnlySpan<byte> bytes)
    {
        if (!bytes.IsEmpty)
        {
            var change = new Change((int)position, bytes.ToArray(), Math.Max(Length, (int)position + bytes.Length));
            _changes.Add(change);
            Apply(ref _bytes, change, 0, int.MaxValue);
            Length = change.Length;
        }
    }

    public void SetLength(int length)
    {
        var change = new Change(length, null, length);
        _changes.Add(change);
        Apply(ref _bytes, change, 0, int.MaxValue);
        Length = length;
    }

    public void Sync()
    {
        foreach (Change change in _changes)
        {
            Apply(ref _durable, change, 0, int.MaxValue);
            _durableLength = change.Length;
        }

        _changes.Clear();
    }

    /// <summary>Makes any part of the changes durable and forgets the rest; after a power cut that is what programs see, after a failed sync they still see all.</summary>
    public void Lose(Random random, bool isPowerCut)
    {
        if (_changes.Count > 0)
        {
            int keep = random.Next(4); // nothing, everything or any part
            _differs = true;
            if (keep == 1)
            {
                Sync();
            }
            else if (keep > 1)
            {
                LoseSectors(random);
            }

            _changes.Clear();
        }

        if (isPowerCut && _differs)
        {
            _differs = false;
            _bytes = _durable.AsSpan(0, _durableLength).ToArray();
            Length = _durableLength;
        }
    }

    /// <summary>Puts bytes into the file itself, behind the back of everyone.</summary>
    public void Settle(int position = 0, ReadOnlySpan<byte> bytes = default)
    {
        Sync();
        bytes = bytes[..Math.Min(bytes.Length, Length - position)];
        bytes.CopyTo(_bytes.AsSpan(position));
        bytes.CopyTo(_durable.AsSpan(position));
    }

    public void Flip(int at, int bit)
    {
        _bytes[at] ^= (byte)(1 << bit);
        _durable[at] ^= (byte)(1 << bit);
    }

    // Each sector gets the first so many of its changes, each on its own; the length is that after any of them.
    private void LoseSectors(Random random)
    {
        int from = int.MaxValue;
        int to = 0;
        foreach (Change change in _changes)
        {
            from = Math.Min(from, change.Position);
            to = Math.Max(to, change.Bytes is null ? Math.Max(_durableLength, Length) : change.Position + change.Bytes.Length);
        }

        int which = random.Next(_changes.Count + 1);
        int length = which == 0 ? _durableLength : _changes[which - 1].Length;
        for (int sector = from / Sector * Sector; sector < to; sector += Sector)
        {
            int count = random.Next(2) == 0 ? _changes.Count : random.Next(_changes.Count + 1);
            for (int i = 0; i < count; i++)
            {
                Apply(ref _durable, _changes[i], sector, sector + Sector);
            }
        }

        if (_durable.Length < length)
        {
            Array.Resize(ref _durable, length);
        }

        _durable.AsSpan(length).Clear();
        _durableLength = length;
    }

    private static void Apply(ref byte[] content, in Change change, int from, int to)
    {
        if (change.Bytes is null)
        {
            int start = Math.Min(content.Length, Math.Max(change.Position, from));
            content.AsSpan(start, Math.Max(0, Math.Min(content.Length, to) - start)).Clear();
            return;
        }

        int first = Math.Max(change.Position, from);
        int last = Math.Min(change.Position + change.Bytes.Length, to);
        if (first < last)
        {
            if (content.Length < last)
            {
                Array.Resize(ref content, Math.Max(last, content.Length * 2));
            }

            change.Bytes.AsSpan(first - change.Position, last - first).CopyTo(content.AsSpan(first));
        }
    }

    /// <summary>Bytes written, or null for a new length.</summary>
    private readonly record struct Change(int Position, byte[]? Bytes, int Length);
}
