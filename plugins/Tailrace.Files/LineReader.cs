using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Unicode;

namespace Tailrace.Files;

/// <summary>
/// Reads a file's lines into batches. Lines of bytes are read straight into the block they are sent in; UTF-16 and lines longer than an
/// event may be take a way with a copy. A line without its end is left for later, unless told that nothing more will come. Used by one loop.
/// </summary>
internal sealed class LineReader : IDisposable
{
    private const int ProbeSize = 64 << 10;
    private const int MinHole = 8;
    private readonly string _source;
    private readonly TailOptions _options;
    private readonly TimeProvider _time;
    private readonly EventJoiner? _joiner;
    private readonly string _host;
    private readonly EventBatchBuilder _builder = new(4 << 10);
    private readonly HeaderBuilder _headers = new();
    private readonly HeaderBuilder _own = new();
    private readonly int _maxEvent;
    private readonly int _batchSize;
    private byte[] _copy = [];
    private byte[] _text = [];
    private long _timestamp;

    public LineReader(string source, TailOptions options, TimeProvider time)
    {
        (_source, _options, _time) = (source, options, time);
        _joiner = options.Multiline is null && options.Container == ContainerFormat.None ? null : new EventJoiner(options, _builder);
        _host = options.AddHostHeader ? Environment.MachineName : "";
        _maxEvent = (int)options.MaxEventSize.Bytes;
        _batchSize = (int)options.BatchSize.Bytes;
    }

    /// <summary>How many lines could not be held against the patterns of <c>multiline</c> in time.</summary>
    public long TimedOut => _joiner?.TimedOut ?? 0;

    /// <summary>Reads the next batch and moves the file's position behind it.</summary>
    /// <param name="file">The file.</param>
    /// <param name="length">Up to where to read: its length as last seen.</param>
    /// <param name="final">Nothing more will come: a last line without its end is an event.</param>
    /// <param name="rewritten">True if the file no longer holds what was read of it before; nothing is read then.</param>
    /// <returns>The batch; null if there is no whole line.</returns>
    public EventBatch? Read(TailedFile file, long length, bool final, out bool rewritten)
    {
        rewritten = false;
        _timestamp = LogEvent.ToTimestamp(_time.GetUtcNow());
        if (!final && _joiner is null && file.Scanned > 0 && file.NextCut > length && !HasLineEnd(file, length))
        {
            return null;
        }

        _headers.Clear();
        if (_options.AddFileHeader)
        {
            _headers.Add("file", file.Path);
        }

        if (_options.AddHostHeader)
        {
            _headers.Add("host", _host);
        }

        _builder.Start(_headers.Encoded);
        bool copy = _joiner is not null || _options.AddOffsetHeader || file.Marks.Encoding != TextEncoding.Bytes;
        long to = copy ? 0 : ReadInPlace(file, length, final, out copy);
        if (copy)
        {
            _builder.Start(_headers.Encoded);
            to = ReadCopying(file, length, final);
        }

        if (to == file.Position)
        {
            rewritten = !file.AnchorHolds();
            return null;
        }

        rewritten = !file.TryMoveTo(to, _source, _headers, out Advance advance);
        return rewritten ? null : _builder.Build(advance);
    }

    /// <summary>Stores a position without events: at first sight, and to pass over what was there before with <c>from: end</c>.</summary>
    public EventBatch? PassTo(TailedFile file, long to)
    {
        if (to > file.Position)
        {
            Span<byte> bytes = stackalloc byte[3];
            SkipMark(file, bytes[..file.Handle!.Read(bytes, 0)]);
            int unit = Unit(file);
            to &= -unit;
            int read = file.Handle!.Read(bytes[..unit], to - unit);
            if (IndexOfLineEnd(bytes[..read], unit, LineEnd(file)) < 0)
            {
                file.Marks = file.Marks with { SkipFrom = to };
            }
        }

        return file.TryMoveTo(to, _source, _headers, out Advance advance) ? EventBatch.PositionsOnly(advance) : null; // rewritten: the next turn sees it
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _builder.Dispose();
        _joiner?.Dispose();
        Return(ref _copy);
        Return(ref _text);
    }

    /// <summary>Reads lines into the block itself; returns the position behind them. Asks for the way with a copy where the next line needs it.</summary>
    private long ReadInPlace(TailedFile file, long length, bool final, out bool copy)
    {
        long from = file.Position;
        long cut = file.NextCut;
        long end = Math.Min(length, cut);
        int wanted = (int)Math.Min(end - from, _batchSize);
        Span<byte> room = _builder.GetBodySpan(wanted + 1).Span; // one byte more for the line end that a last line lacks
        int read = file.Handle!.Read(room[..wanted], from);
        bool whole = from + read == end && (final || end == cut);
        file.Scanned = read;
        file.NoteRead(room[..read]);
        int start = from == 0 ? SkipMark(file, room[..read]) : 0;
        copy = file.Marks.Encoding != TextEncoding.Bytes || file.PartsBefore > 0 || file.NulBytes > 0;
        if (copy || (file.SkipsLine && !TrySkipLine(file, room[..read], whole, ref start)))
        {
            return from + start;
        }

        int hole = IndexOfHole(room[start..read]);
        if (hole >= 0)
        {
            read = start + hole;
            whole = false;
        }

        int written = 0;
        int feed;
        while ((feed = room[start..read].IndexOf((byte)'\n')) >= 0)
        {
            int line = feed > 0 && room[start + feed - 1] == '\r' ? feed - 1 : feed;
            if (line > _maxEvent)
            {
                copy = _builder.Count == 0;
                return from + start;
            }

            AddLine(room, start, line, ref written, moves: line < feed || written < start);
            start += feed + 1;
        }

        int rest = read - start;
        if (rest > 0 && whole && rest <= _maxEvent && from + start < file.OnceLength)
        {
            AddLine(room, start, rest, ref written, moves: true);
            return from + read;
        }

        copy = _builder.Count == 0 && (hole >= 0 || rest > 0) && (rest > _maxEvent || from + read < end);
        return from + start;
    }

    private void AddLine(Span<byte> room, int start, int length, ref int written, bool moves)
    {
        if (moves)
        {
            room.Slice(start, length).CopyTo(room[written..]);
            room[written + length] = (byte)'\n';
        }

        _builder.AdvanceBodies(length + 1);
        _builder.AddLine(_timestamp, length);
        written += length + 1;
    }

    /// <summary>Reads lines into a buffer of its own and copies them, converted and split as they need it.</summary>
    private long ReadCopying(TailedFile file, long length, bool final)
    {
        _joiner?.Start();
        long to = ReadLines(file, length, final, out bool whole, out bool full);
        return _joiner is null ? to : _joiner.Finish(file, to, atEnd: !full, complete: whole, full, _time);
    }

    /// <summary>Reads as many lines as there is room for; says where they end.</summary>
    private long ReadLines(TailedFile file, long length, bool final, out bool whole, out bool full)
    {
        int unit = Unit(file);
        int max = _maxEvent & -unit;
        long from = file.Position;
        long cut = file.NextCut;
        long end = Math.Min(length, cut);
        Rent(ref _copy, Math.Max(_batchSize & -unit, (_joiner is null ? 1 : 2) * (max + (2 * unit))));
        int read = file.Handle!.Read(_copy.AsSpan(0, (int)Math.Min(end - from, _copy.Length & -unit)), from);
        whole = from + read == end && (final || end == cut);
        full = from + read < end;
        read &= -unit;
        file.Scanned = read;
        Span<byte> bytes = _copy.AsSpan(0, read);
        file.NoteRead(bytes);
        if (file.Marks.Encoding == TextEncoding.Utf16BigEndian)
        {
            Span<ushort> units = MemoryMarshal.Cast<byte, ushort>(bytes);
            BinaryPrimitives.ReverseEndianness(units, units);
        }

        int start = from > 0 ? 0 : unit == 2 ? 2 : SkipMark(file, bytes);
        if (file.SkipsLine && !TrySkipLine(file, bytes, whole, ref start))
        {
            return from + start;
        }

        bool holes = IndexOfHole(bytes[start..]) >= 0;
        long parts = file.PartsBefore;
        while (start < read)
        {
            ReadOnlySpan<byte> rest = bytes[start..];
            int feed = IndexOfLineEnd(rest, unit, '\n');
            if (holes && IndexOfHole(feed < 0 ? rest : rest[..feed]) is var hole and >= 0)
            {
                hole = (hole + unit - 1) & -unit;
                int nuls = rest[hole..].IndexOfAnyExcept((byte)0) & -unit;
                bool ended = nuls >= 0;
                nuls = ended ? nuls : rest.Length - hole;
                if ((!ended && !whole && from + read == end) || !IsHoleSure(file, from + start, final))
                {
                    break; // nothing behind it yet: it may be a block that was not written so far
                }

                if (hole > 0)
                {
                    Add(file, rest[..hole], unit, from + start, from + start + hole, ref parts); // a line that was torn there
                    start += hole;
                    file.HoleSeen = from + start;
                }
                else if (!ended && !whole && start > 0)
                {
                    file.HoleSeen = from + start;
                    break; // seen from its start at the next turn
                }
                else
                {
                    long past = start + (ended || whole ? nuls : nuls - MinHole); // what is left of it is told by as many again
                    past = ended ? past : Math.Clamp((file.Handle!.FindData(from + past) & -unit) - MinHole - from, past, end - from);
                    file.NulBytes += past - start;
                    file.HoleSeen = from + past;
                    if (past >= read)
                    {
                        return from + past;
                    }

                    start = (int)past;
                }

                continue;
            }

            ReadOnlySpan<byte> line = feed < 0 ? rest : rest[..feed];
            line = feed >= 0 && EndsInReturn(line, unit) ? line[..^unit] : line;
            bool ends = feed >= 0 || (whole && from + start < file.OnceLength);
            if (ends && line.Length <= max)
            {
                int next = start + (feed >= 0 ? feed + unit : rest.Length);
                Add(file, line, unit, from + start, from + next, ref parts);
                start = next;
            }
            else if (ends || rest.Length > max + unit || (rest.Length == max + unit && !EndsInReturn(rest, unit)))
            {
                int part = unit == 2 && char.IsHighSurrogate(MemoryMarshal.Cast<byte, char>(rest)[(max / 2) - 1]) ? max - 2 : max;
                if (_options.LongLines == LongLines.Truncate)
                {
                    _own.Add("tailrace.truncated", true);
                    int next = start + (feed >= 0 ? feed + unit : rest.Length);
                    Add(file, rest[..part], unit, from + start, from + next, ref parts);
                    start = next;
                    file.Marks = feed < 0 ? file.Marks with { SkipFrom = from + start, Part = 0 } : file.Marks;
                }
                else
                {
                    _own.Add("tailrace.part", parts + 1);
                    long before = parts;
                    Add(file, rest[..part], unit, from + start, from + start + part, ref parts);
                    parts = before + 1;
                    start += part;
                    file.Marks = file.Marks with { SkipFrom = from + start, Part = parts };
                }
            }
            else
            {
                break;
            }
        }

        return from + start;
    }

    /// <summary>Adds an event, with the headers it has of its own. The last part of a split line is numbered too.</summary>
    private void Add(TailedFile file, ReadOnlySpan<byte> line, int unit, long offset, long to, ref long parts)
    {
        if (unit == 2)
        {
            ReadOnlySpan<char> text = MemoryMarshal.Cast<byte, char>(line);
            Rent(ref _text, text.Length * 3);
            Utf8.FromUtf16(text, _text, out _, out int written, replaceInvalidSequences: true);
            line = _text.AsSpan(0, written);
        }

        if (parts > 0 && _own.Encoded.IsEmpty)
        {
            _own.Add("tailrace.part", parts + 1);
        }

        parts = 0;
        if (file.NulBytes > 0)
        {
            _own.Add("tailrace.nul_bytes", file.NulBytes);
            file.NulBytes = 0;
        }

        if (_options.AddOffsetHeader)
        {
            _own.Add("offset", offset);
        }

        if (_joiner is null)
        {
            _builder.Add(_timestamp, line, _own.Encoded);
        }
        else
        {
            _joiner.Add(file, line, offset, to, _timestamp, _own.Encoded);
        }

        _own.Clear();
    }

    /// <summary>
    /// Where a hole begins: bytes that a crash left unwritten, or that a writer skipped who did not notice a truncation. Fewer zeros in a row are data.
    /// </summary>
    private static int IndexOfHole(ReadOnlySpan<byte> bytes)
    {
        int nul = bytes.IndexOf((byte)0);
        if (nul < 0)
        {
            return -1;
        }

        int hole = bytes[nul..].IndexOf(HoleStart);
        return hole < 0 ? -1 : nul + hole;
    }

    /// <summary>Whether a hole was still there at a second look: a network file system may show zeros where data are on their way.</summary>
    private static bool IsHoleSure(TailedFile file, long lineStart, bool final)
    {
        if (final || file.HoleSeen == lineStart)
        {
            return true;
        }

        file.HoleSeen = lineStart;
        file.Scanned = 0; // looked at anew
        file.LastLook = default; // polling gives it another turn
        return false;
    }

    /// <summary>At the start of a file: the length of its byte order mark. Notes UTF-16.</summary>
    private static int SkipMark(TailedFile file, ReadOnlySpan<byte> bytes)
    {
        if (bytes is [0xFF, 0xFE, ..] or [0xFE, 0xFF, ..])
        {
            file.Marks = file.Marks with { Encoding = bytes[0] == 0xFF ? TextEncoding.Utf16LittleEndian : TextEncoding.Utf16BigEndian };
            return 2;
        }

        return bytes is [0xEF, 0xBB, 0xBF, ..] ? 3 : 0;
    }

    /// <summary>Drops what is left of a line that began before the source did. False if its end is not there yet; then <paramref name="start"/> is where to go on.</summary>
    private bool TrySkipLine(TailedFile file, ReadOnlySpan<byte> bytes, bool whole, ref int start)
    {
        int unit = Unit(file);
        int feed = IndexOfLineEnd(bytes, unit, '\n');
        if (feed >= 0)
        {
            start = feed + unit;
            return true;
        }

        if (whole || bytes.Length > _maxEvent)
        {
            start = bytes.Length;
            file.Marks = file.Marks with { SkipFrom = file.Position + start };
        }

        return false;
    }

    /// <summary>Looks for a line end in what has come since the last look, so that a long line that grows slowly is not searched again and again.</summary>
    private bool HasLineEnd(TailedFile file, long length)
    {
        int unit = Unit(file);
        char wanted = LineEnd(file);
        Rent(ref _copy, ProbeSize);
        while (file.Scanned <= _maxEvent + 2 && file.Position + file.Scanned < length)
        {
            long from = file.Position + file.Scanned;
            int read = file.Handle!.Read(_copy.AsSpan(0, (int)Math.Min(ProbeSize, length - from)), from) & -unit;
            if (read == 0 || IndexOfLineEnd(_copy.AsSpan(0, read), unit, wanted) >= 0)
            {
                return read > 0;
            }

            file.Scanned += read;
        }

        return file.Scanned > _maxEvent + 2;
    }

    private static ReadOnlySpan<byte> HoleStart => [0, 0, 0, 0, 0, 0, 0, 0];

    private static int Unit(TailedFile file) => file.Marks.Encoding == TextEncoding.Bytes ? 1 : 2;

    /// <summary>The line end as it looks in the file's bytes, read with the low byte first.</summary>
    private static char LineEnd(TailedFile file) => file.Marks.Encoding == TextEncoding.Utf16BigEndian ? '\u0A00' : '\n';

    private static int IndexOfLineEnd(ReadOnlySpan<byte> bytes, int unit, char wanted)
    {
        if (unit == 1)
        {
            return bytes.IndexOf((byte)wanted);
        }

        int index = MemoryMarshal.Cast<byte, char>(bytes).IndexOf(wanted);
        return index < 0 ? -1 : index * 2;
    }

    private static bool EndsInReturn(ReadOnlySpan<byte> line, int unit) =>
        unit == 1 ? line.EndsWith((byte)'\r') : line.Length >= 2 && MemoryMarshal.Cast<byte, char>(line)[^1] == '\r';

    private static void Rent(ref byte[] buffer, int size)
    {
        if (buffer.Length < size)
        {
            Return(ref buffer);
            buffer = EventBatch.Pool.Rent(size);
        }
    }

    private static void Return(ref byte[] buffer)
    {
        if (buffer.Length > 0)
        {
            EventBatch.Pool.Return(buffer);
            buffer = [];
        }
    }
}
