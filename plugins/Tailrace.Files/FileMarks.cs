using System.Globalization;
using System.IO.Hashing;

namespace Tailrace.Files;

/// <summary>How the bytes of a file become text.</summary>
internal enum TextEncoding
{
    /// <summary>As they are: UTF-8 or anything else in which a line ends in the byte 0A.</summary>
    Bytes,

    /// <summary>UTF-16, low byte first.</summary>
    Utf16LittleEndian,

    /// <summary>UTF-16, high byte first.</summary>
    Utf16BigEndian,
}

/// <summary>
/// What is kept of one generation of a file, as attributes of its origin, to know the file again: identity, head fingerprint and anchor.
/// Numbers of deleted files are used again, heads are alike and sizes lie, so it takes all of them to agree.
/// </summary>
/// <param name="Path">Where it was last seen.</param>
/// <param name="Device">Its device.</param>
/// <param name="File">Its inode or file id.</param>
/// <param name="Born">When it was made, in nanoseconds since 1970, where the system tells a time that cannot be set; 0 if not.</param>
/// <param name="HeadLength">How many bytes from the start the head fingerprint covers; grows with the file up to <see cref="MaxHead"/>.</param>
/// <param name="HeadHash">The hash of these bytes.</param>
/// <param name="AnchorPosition">The position the anchor ends at: the end of the newest batch.</param>
/// <param name="AnchorLength">How many bytes before it the anchor covers, at most <see cref="MaxAnchor"/>.</param>
/// <param name="AnchorHash">The hash of these bytes.</param>
/// <param name="Encoding">How its bytes become text.</param>
/// <param name="SkipFrom">The position from which everything up to the next line end belongs to a line that began before the source did; -1 if there is none.</param>
/// <param name="Part">With <paramref name="SkipFrom"/>: how many events were made of that line before, if it was split and is read on; 0 if the rest is dropped.</param>
/// <param name="Packed">Of a packed file that was read to its end: its length on disk.</param>
/// <param name="AheadAt">The position at which the next three hold: an event of one of a container's streams is unfinished there; -1 if there is none.</param>
/// <param name="Ahead">Up to where the other stream's lines were handed on.</param>
/// <param name="AheadStream">The other stream: 0 stdout, 1 stderr.</param>
/// <param name="Generation">How many generations of the same file were known before: counts truncations.</param>
internal readonly record struct FileMarks(
    string Path,
    ulong Device,
    UInt128 File,
    long Born,
    int HeadLength,
    long HeadHash,
    long AnchorPosition,
    int AnchorLength,
    long AnchorHash,
    TextEncoding Encoding,
    long SkipFrom,
    long Part,
    long Packed,
    long AheadAt,
    long Ahead,
    int AheadStream,
    long Generation)
{
    public const string Kind = "tail";
    public const int MaxHead = 1024;
    public const int MaxAnchor = 64;

    public static FileMarks New(string path, FileIdentity identity, long born) => new() { Path = path, Device = identity.Device, File = identity.File, Born = born, SkipFrom = -1, AheadAt = -1 };

    /// <summary>Reads the attributes of an origin; null if they are not those of a followed file.</summary>
    public static FileMarks? Read(ReadOnlySpan<byte> attributes)
    {
        FileMarks marks = new() { Path = "", SkipFrom = -1, AheadAt = -1 };
        bool isTail = false;
        foreach (EventHeader header in new HeaderList(attributes))
        {
            switch (header.Name)
            {
                case var name when name.SequenceEqual("kind"u8):
                    isTail = header.Text.SequenceEqual("tail"u8);
                    break;
                case var name when name.SequenceEqual("path"u8):
                    marks = marks with { Path = header.ToString() };
                    break;
                case var name when name.SequenceEqual("device"u8):
                    marks = marks with { Device = unchecked((ulong)header.Integer) };
                    break;
                case var name when name.SequenceEqual("file_id"u8):
                    _ = UInt128.TryParse(header.Text, NumberStyles.HexNumber, CultureInfo.InvariantCulture, out UInt128 file);
                    marks = marks with { File = file };
                    break;
                case var name when name.SequenceEqual("born"u8):
                    marks = marks with { Born = header.Integer };
                    break;
                case var name when name.SequenceEqual("head_length"u8):
                    marks = marks with { HeadLength = (int)Math.Clamp(header.Integer, 0, MaxHead) };
                    break;
                case var name when name.SequenceEqual("head_hash"u8):
                    marks = marks with { HeadHash = header.Integer };
                    break;
                case var name when name.SequenceEqual("anchor_position"u8):
                    marks = marks with { AnchorPosition = Math.Max(0, header.Integer) };
                    break;
                case var name when name.SequenceEqual("anchor_length"u8):
                    marks = marks with { AnchorLength = (int)Math.Clamp(header.Integer, 0, MaxAnchor) };
                    break;
                case var name when name.SequenceEqual("anchor_hash"u8):
                    marks = marks with { AnchorHash = header.Integer };
                    break;
                case var name when name.SequenceEqual("encoding"u8):
                    marks = marks with { Encoding = EncodingOf(header.Text) };
                    break;
                case var name when name.SequenceEqual("skip_from"u8):
                    marks = marks with { SkipFrom = header.Integer };
                    break;
                case var name when name.SequenceEqual("part"u8):
                    marks = marks with { Part = header.Integer };
                    break;
                case var name when name.SequenceEqual("packed"u8):
                    marks = marks with { Packed = header.Integer };
                    break;
                case var name when name.SequenceEqual("ahead_at"u8):
                    marks = marks with { AheadAt = header.Integer };
                    break;
                case var name when name.SequenceEqual("ahead"u8):
                    marks = marks with { Ahead = header.Integer };
                    break;
                case var name when name.SequenceEqual("ahead_stream"u8):
                    marks = marks with { AheadStream = (int)Math.Clamp(header.Integer, 0, 1) };
                    break;
                case var name when name.SequenceEqual("generation"u8):
                    marks = marks with { Generation = header.Integer };
                    break;
            }
        }

        return isTail ? marks : null;
    }

    /// <summary>Writes the attributes that differ from those already sent; all of them if none were.</summary>
    public void WriteChanges(FileMarks? sent, string source, HeaderBuilder attributes)
    {
        if (sent is null)
        {
            attributes.Add("source", source).Add("kind", Kind);
        }

        FileMarks old = sent ?? new FileMarks { Path = "", SkipFrom = -1, AheadAt = -1 };
        if (Path != old.Path)
        {
            attributes.Add("path", Path);
        }

        if (sent is null || Device != old.Device || File != old.File)
        {
            attributes.Add("device", unchecked((long)Device)).Add("file_id", File.ToString("x", CultureInfo.InvariantCulture));
        }

        if (Born != old.Born)
        {
            attributes.Add("born", Born);
        }

        if (HeadLength != old.HeadLength || HeadHash != old.HeadHash)
        {
            attributes.Add("head_length", HeadLength).Add("head_hash", HeadHash);
        }

        if (AnchorPosition != old.AnchorPosition || AnchorHash != old.AnchorHash)
        {
            attributes.Add("anchor_position", AnchorPosition).Add("anchor_length", AnchorLength).Add("anchor_hash", AnchorHash);
        }

        if (Encoding != old.Encoding)
        {
            attributes.Add("encoding", Encoding == TextEncoding.Utf16LittleEndian ? "utf-16le" : "utf-16be");
        }

        if (SkipFrom != old.SkipFrom)
        {
            attributes.Add("skip_from", SkipFrom);
        }

        if (Part != old.Part)
        {
            attributes.Add("part", Part);
        }

        if (Packed != old.Packed)
        {
            attributes.Add("packed", Packed);
        }

        if ((AheadAt, Ahead, AheadStream) != (old.AheadAt, old.Ahead, old.AheadStream))
        {
            attributes.Add("ahead_at", AheadAt).Add("ahead", Ahead).Add("ahead_stream", AheadStream);
        }

        if (Generation != old.Generation)
        {
            attributes.Add("generation", Generation);
        }
    }

    /// <summary>Whether an open file is the one these marks were taken of and still holds what was read of it.</summary>
    /// <param name="file">The file.</param>
    /// <param name="position">The position that reading goes on from.</param>
    public bool Match(LogFile file, long position)
    {
        long length = file.Length;
        if (length < position || length < AnchorPosition || !HeadMatches(file, length))
        {
            return false;
        }

        Span<byte> anchor = stackalloc byte[(int)Math.Min(AnchorLength, AnchorPosition)];
        return file.Read(anchor, AnchorPosition - anchor.Length) == anchor.Length && (anchor.Length == 0 || Hash(anchor) == AnchorHash);
    }

    /// <summary>Whether a file begins with the bytes of the head fingerprint.</summary>
    public bool HeadMatches(LogFile file, long length)
    {
        Span<byte> head = stackalloc byte[HeadLength];
        return length >= head.Length && file.Read(head, 0) == head.Length && (head.Length == 0 || Hash(head) == HeadHash);
    }

    /// <summary>64 bits of XxHash3: enough to tell files apart by chance. Whoever writes a log needs no collision to hide a line of it, and a cryptographic hash costs 5 MB of library.</summary>
    public static long Hash(ReadOnlySpan<byte> bytes) => unchecked((long)XxHash3.HashToUInt64(bytes));

    private static TextEncoding EncodingOf(ReadOnlySpan<byte> name) =>
        name.SequenceEqual("utf-16le"u8) ? TextEncoding.Utf16LittleEndian
        : name.SequenceEqual("utf-16be"u8) ? TextEncoding.Utf16BigEndian
        : TextEncoding.Bytes;
}
