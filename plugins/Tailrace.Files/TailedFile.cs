namespace Tailrace.Files;

/// <summary>One generation of a file being followed. Only ever touched by the source's loop.</summary>
internal sealed class TailedFile
{
    private readonly byte[] _anchor = new byte[FileMarks.MaxAnchor];
    private readonly byte[] _next = new byte[FileMarks.MaxAnchor];
    private int _nextLength;
    private SortedSet<long> _cuts;
    private FileMarks? _sent;
    private byte[] _head = [];

    /// <summary>Follows a file from where its origin stands.</summary>
    public TailedFile(RememberedFile origin, string path, LogFile handle, bool stored)
    {
        Origin = origin.Id;
        Identity = handle.Identity;
        Handle = handle;
        Position = origin.Position;
        _cuts = [.. origin.Cuts];
        Marks = origin.Marks;
        _sent = stored ? Marks : null;
        Marks = Marks with { Path = path, Device = Identity.Device, File = Identity.File, Born = handle.Born };
        if (!handle.IsPacked)
        {
            TakeAnchor(Position);
        }
    }

    public OriginId Origin { get; }

    public FileIdentity Identity { get; private set; }

    public FileMarks Marks { get; set; }

    public string Path => Marks.Path;

    /// <summary>The open file; null while an idle one is closed to save handles.</summary>
    public LogFile? Handle { get; set; }

    /// <summary>Where the next batch starts: ahead of what the channels have taken while batches are in flight.</summary>
    public long Position { get; private set; }

    /// <summary>Bytes from <see cref="Position"/> on that are known to hold no line end.</summary>
    public long Scanned { get; set; }

    /// <summary>Batches handed on that have not ended.</summary>
    public int InFlight { get; set; }

    /// <summary>The position a channel has told to go on from; waits until nothing is in flight.</summary>
    public long? Redirect { get; set; }

    /// <summary>How often in a row a channel has told another position.</summary>
    public int Redirects { get; set; }

    /// <summary>Waiting for its turn.</summary>
    public bool Queued { get; set; }

    /// <summary>A link's target where <see cref="Path"/> is one: changes are told under this name.</summary>
    public string? Target { get; set; }

    /// <summary>Its name leads elsewhere or nowhere: rotated or deleted.</summary>
    public bool Detached { get; set; }

    /// <summary>When, as a timestamp of the clock, a detached file's end was seen with nothing more behind it.</summary>
    public long? EndSeen { get; set; }

    /// <summary>Nothing of it is followed any more; what is in flight still ends.</summary>
    public bool Closed { get; set; }

    /// <summary>The origin's attributes have never been handed on.</summary>
    public bool IsNew => _sent is null;

    /// <summary>Where a file seen for the first time is to be started at: its length with <c>from: end</c>.</summary>
    public long StartAt { get; init; }

    /// <summary>Under <c>--once</c>: how long the file was when the run began.</summary>
    public long OnceLength { get; set; } = long.MaxValue;

    /// <summary>The length and time of writing when it was last looked at, to see an idle file change.</summary>
    public (long Length, DateTime Written) LastLook { get; set; }

    /// <summary>Where a batch that starts at <see cref="Position"/> must end at the latest.</summary>
    public long NextCut
    {
        get
        {
            while (_cuts.Count > 0 && _cuts.Min <= Position)
            {
                _cuts.Remove(_cuts.Min);
            }

            return _cuts.Count > 0 ? _cuts.Min : long.MaxValue;
        }
    }

    /// <summary>True if reading is to go on behind the next line end, because the line began before the source did.</summary>
    public bool SkipsLine => Marks.SkipFrom == Position && Marks.Part == 0;

    /// <summary>How many events were made of the line that goes on at <see cref="Position"/>; 0 if a line begins there.</summary>
    public long PartsBefore => Marks.SkipFrom == Position ? Marks.Part : 0;

    /// <summary>The unfinished event at the end of the file, and since when, as a timestamp of the clock, it has been as it is.</summary>
    public (long Start, long End, long Since) Waiting { get; set; }

    /// <summary>Whether everything handed on is delivered, asked since the end was reached; null before.</summary>
    public Func<bool>? IsDelivered { get; set; }

    /// <summary>How it looked, and since when, as a timestamp of the clock, it has looked so.</summary>
    public ((long Length, DateTime Written) Look, long Since) Settling { get; set; }

    /// <summary>Bytes of holes passed over since the last event.</summary>
    public long NulBytes { get; set; }

    /// <summary>Where a hole was seen that is looked at again before it is believed; -1 if none was.</summary>
    public long HoleSeen { get; set; } = -1;

    /// <summary>Whether the bytes before <see cref="Position"/> are still those that were read. If not, the file was rewritten since.</summary>
    public bool AnchorHolds()
    {
        if (Handle!.IsPacked)
        {
            return true; // nobody writes to what was packed; and looking back would unpack it again
        }

        Span<byte> now = stackalloc byte[FileMarks.MaxAnchor];
        int length = (int)Math.Min(Position, FileMarks.MaxAnchor);
        return Handle!.Read(now[..length], Position - length) == length && now[..length].SequenceEqual(_anchor.AsSpan(0, length));
    }

    /// <summary>Keeps the first bytes read at <see cref="Position"/>: should they stand there no more, what was read belongs to a generation that is gone.</summary>
    public void NoteRead(ReadOnlySpan<byte> bytes)
    {
        bytes = bytes[..Math.Min(bytes.Length, _next.Length)];
        int nul = bytes.IndexOf((byte)0); // zeros may still become data
        _nextLength = nul < 0 ? bytes.Length : nul;
        bytes[.._nextLength].CopyTo(_next);
    }

    /// <summary>Moves on behind what was read. False, and nothing is changed, if the file was rewritten before its marks were taken.</summary>
    public bool TryMoveTo(long to, string source, HeaderBuilder attributes, out Advance advance)
    {
        FileMarks marks = Marks;
        byte[] head = _head;
        Span<byte> anchor = stackalloc byte[FileMarks.MaxAnchor];
        int length = 0;
        if (!Handle!.IsPacked || to > Position)
        {
            TakeHead(ref marks, ref head, to);
            length = Handle!.Read(anchor[..(int)Math.Min(to, FileMarks.MaxAnchor)], to - Math.Min(to, FileMarks.MaxAnchor));
            marks = marks with { AnchorPosition = to, AnchorLength = length, AnchorHash = length == 0 ? 0 : FileMarks.Hash(anchor[..length]) };
        }

        // Looked at after the marks are taken: those of a rewritten file must not pass for marks of what was read.
        if (!AnchorHolds() || !NextHolds())
        {
            advance = default;
            return false;
        }

        anchor[..length].CopyTo(_anchor);
        _head = head;
        Marks = marks with { Packed = Handle.IsPacked && to == Handle.Length ? Handle.StoredLength : 0 };
        long from = Position;
        Scanned = Math.Max(0, Scanned - (to - from));
        Position = to;
        _nextLength = 0;
        attributes.Clear();
        Marks.WriteChanges(_sent, source, attributes);
        _sent = Marks;
        advance = new Advance(Origin, from, to, attributes.Encoded.ToArray());
        return true;
    }

    /// <summary>Goes on elsewhere, as a channel has told.</summary>
    public void GoTo(long position, IReadOnlyList<long> cuts)
    {
        _cuts = [.. cuts];
        Position = position;
        Scanned = 0;
        _nextLength = 0;
        _sent = null;
        TakeAnchor(position);
    }

    /// <summary>Goes on in another file that holds what was read of this one, and more.</summary>
    public void ContinueIn(string path, LogFile handle)
    {
        Handle = handle;
        Identity = handle.Identity;
        Scanned = 0;
        _nextLength = 0;
        LastLook = default;
        Marks = Marks with { Path = path, Device = Identity.Device, File = Identity.File, Born = handle.Born };
    }

    /// <summary>What is remembered once the file is followed no more.</summary>
    public RememberedFile Remember() => new(Origin, Position, [.. _cuts.Where(cut => cut > Position)], Marks, _head);

    private bool NextHolds()
    {
        Span<byte> now = stackalloc byte[_nextLength];
        return Handle!.IsPacked || (Handle.Read(now, Position) == now.Length && now.SequenceEqual(_next.AsSpan(0, now.Length)));
    }

    private void TakeHead(ref FileMarks marks, ref byte[] kept, long to)
    {
        if (marks.HeadLength < FileMarks.MaxHead)
        {
            Span<byte> head = stackalloc byte[FileMarks.MaxHead];
            head = head[..Handle!.Read(head[..(int)Math.Min(to, FileMarks.MaxHead)], 0)];
            if (head.Length > marks.HeadLength)
            {
                marks = marks with { HeadLength = head.Length, HeadHash = FileMarks.Hash(head) };
                kept = head.Length < FileMarks.MaxHead ? head.ToArray() : [];
            }
        }
    }

    private void TakeAnchor(long position)
    {
        Span<byte> anchor = stackalloc byte[(int)Math.Min(position, FileMarks.MaxAnchor)];
        int length = Handle!.Read(anchor, position - anchor.Length);
        anchor[..length].CopyTo(_anchor); // not read into it: a read that fails must not spoil it
    }
}
