using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Unicode;

namespace Tailrace.Files;

/// <summary>
/// Reads a file's lines into batches. Lines of bytes are read straight into the block they are sent in; UTF-16 and lines longer than an
/// event may be take a way with a copy. A line without its end is left for later, unless told that nothing more will come. Used by one loop.
/// </summary>
internal sealed class LineReader(string source, TailOptions options, TimeProvider time) : IDisposable
{
    private const int ProbeSize = 64 << 10;
    private readonly EventBatchBuilder _builder = new(4 << 10);
    private readonly HeaderBuilder _headers = new();
    private readonly int _maxEvent = (int)options.MaxEventSize.Bytes;
    private readonly int _batchSize = (int)options.BatchSize.Bytes;
    private byte[] _copy = [];
    private byte[] _text = [];
    private long _timestamp;

    /// <summary>Reads the next batch and moves the file's position behind it.</summary>
    /// <param name="file">The file.</param>
    /// <param name="length">Up to where to read: its length as last seen.</param>
    /// <param name="final">Nothing more will come: a last line without its end is an event.</param>
    /// <param name="rewritten">True if the file no longer holds what was read of it before; nothing is read then.</param>
    /// <returns>The batch; null if there is no whole line.</returns>
    public EventBatch? Read(TailedFile file, long length, bool final, out bool rewritten)
    {
        rewritten = false;
        _timestamp = LogEvent.ToTimestamp(time.GetUtcNow());
        if (!final && file.Scanned > 0 && file.NextCut > length && !HasLineEnd(file, length))
        {
            return null;
        }

        _headers.Clear();
        if (options.AddFileHeader)
        {
            _headers.Add("file", file.Path);
        }

        _builder.Start(_headers.Encoded);
        bool copy = file.Marks.Encoding != TextEncoding.Bytes;
        long to = copy ? 0 : ReadInPlace(file, length, final, out copy);
        if (copy)
        {
            _builder.Start(_headers.Encoded);
            to = ReadCopying(file, length, final);
        }

        // Looked at after the reading: what a rewrite put there in between must not pass for a continuation.
        rewritten = !file.AnchorHolds();
        return rewritten || to == file.Position ? null : _builder.Build(file.MoveTo(to, source, _headers));
    }

    /// <summary>Stores a position without events: at first sight, and to pass over what was there before with <c>from: end</c>.</summary>
    public EventBatch PassTo(TailedFile file, long to)
    {
        if (to > file.Position)
        {
            Span<byte> bytes = stackalloc byte[3];
            SkipMark(file, bytes[..LogFile.Read(file.Handle!, bytes, 0)]);
            int unit = Unit(file);
            to &= -unit;
            int read = LogFile.Read(file.Handle!, bytes[..unit], to - unit);
            if (IndexOfLineEnd(bytes[..read], unit, LineEnd(file)) < 0)
            {
                file.Marks = file.Marks with { SkipFrom = to };
            }
        }

        return EventBatch.PositionsOnly(file.MoveTo(to, source, _headers));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _builder.Dispose();
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
        int read = LogFile.Read(file.Handle!, room[..wanted], from);
        bool whole = from + read == end && (final || end == cut);
        file.Scanned = read;
        int start = from == 0 ? SkipMark(file, room[..read]) : 0;
        copy = file.Marks.Encoding != TextEncoding.Bytes;
        if (copy || (file.SkipsLine && !TrySkipLine(file, room[..read], whole, ref start)))
        {
            return from + start;
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

        copy = _builder.Count == 0 && rest > 0 && (rest > _maxEvent || from + read < end);
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
        int unit = Unit(file);
        int max = _maxEvent & -unit;
        long from = file.Position;
        long cut = file.NextCut;
        long end = Math.Min(length, cut);
        Rent(ref _copy, Math.Max(_batchSize & -unit, max + (2 * unit)));
        int read = LogFile.Read(file.Handle!, _copy.AsSpan(0, (int)Math.Min(end - from, _copy.Length & -unit)), from);
        bool whole = from + read == end && (final || end == cut);
        read &= -unit;
        file.Scanned = read;
        Span<byte> bytes = _copy.AsSpan(0, read);
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

        while (start < read)
        {
            ReadOnlySpan<byte> rest = bytes[start..];
            int feed = IndexOfLineEnd(rest, unit, '\n');
            ReadOnlySpan<byte> line = feed < 0 ? rest : rest[..feed];
            line = feed >= 0 && EndsInReturn(line, unit) ? line[..^unit] : line;
            bool ends = feed >= 0 || (whole && from + start < file.OnceLength);
            if (ends && line.Length <= max)
            {
                AddCopy(line, unit);
                start += feed >= 0 ? feed + unit : rest.Length;
            }
            else if (ends || rest.Length > max + unit || (rest.Length == max + unit && !EndsInReturn(rest, unit)))
            {
                int part = unit == 2 && char.IsHighSurrogate(MemoryMarshal.Cast<byte, char>(rest)[(max / 2) - 1]) ? max - 2 : max;
                AddCopy(rest[..part], unit);
                start += part;
            }
            else
            {
                break;
            }
        }

        return from + start;
    }

    private void AddCopy(ReadOnlySpan<byte> line, int unit)
    {
        if (unit == 2)
        {
            ReadOnlySpan<char> text = MemoryMarshal.Cast<byte, char>(line);
            Rent(ref _text, text.Length * 3);
            Utf8.FromUtf16(text, _text, out _, out int written, replaceInvalidSequences: true);
            line = _text.AsSpan(0, written);
        }

        _builder.Add(_timestamp, line);
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
            int read = LogFile.Read(file.Handle!, _copy.AsSpan(0, (int)Math.Min(ProbeSize, length - from)), from) & -unit;
            if (read == 0 || IndexOfLineEnd(_copy.AsSpan(0, read), unit, wanted) >= 0)
            {
                return read > 0;
            }

            file.Scanned += read;
        }

        return file.Scanned > _maxEvent + 2;
    }

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
