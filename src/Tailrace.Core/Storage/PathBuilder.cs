using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Tailrace.Core.Storage;

/// <summary>
/// Puts paths together from trusted text and event data, and makes each part safe: no separator, control character or character that
/// Windows or HDFS refuse from data; no part that is empty, leaves the directory, starts with <c>.</c> or <c>_</c> out of data (published
/// files must not hide) or is longer than a file system takes. Used again and again; allocates nothing once grown.
/// </summary>
internal sealed class PathBuilder
{
    /// <summary>The most bytes of UTF-8 a part may have; a longer one is cut and gets a hash of the whole.</summary>
    public const int MaxPart = 200;

    private const int MaxData = 1024; // bytes of a header's value that are looked at; a longer one is told apart by its hash
    private const int HashDigits = 16;

    private char[] _text = new char[256];
    private int _length;
    private int _partStart;
    private bool _startsWithData;
    private bool _hasData;

    /// <summary>The path; valid until the next change.</summary>
    public ReadOnlySpan<char> Path => _text.AsSpan(0, _length);

    /// <summary>One safe part made of text that may hold anything.</summary>
    public static string SafePart(string text, int maxBytes)
    {
        var builder = new PathBuilder();
        builder.AppendData(Encoding.UTF8.GetBytes(text));
        builder.EndPart(maxBytes);
        return builder.Path.ToString();
    }

    /// <summary>Starts over.</summary>
    public void Clear()
    {
        _length = 0;
        StartPart();
    }

    /// <summary>Adds text of the configuration; a slash ends a part.</summary>
    public void AppendTrusted(ReadOnlySpan<char> text)
    {
        foreach (char c in text)
        {
            if (c != '/')
            {
                Append(c);
            }
            else if (_length > _partStart || _hasData)
            {
                EndPart(MaxPart);
                Append('/');
                StartPart();
            }
        }
    }

    /// <summary>Adds a header's value.</summary>
    public void AppendData(EventHeader header)
    {
        Span<char> text = stackalloc char[32];
        int length;
        switch (header.Type)
        {
            case HeaderType.String:
                AppendData(header.Text);
                return;
            case HeaderType.Integer:
                header.Integer.TryFormat(text, out length, default, CultureInfo.InvariantCulture);
                break;
            case HeaderType.Double:
                header.Double.TryFormat(text, out length, "R", CultureInfo.InvariantCulture);
                break;
            default:
                (header.Boolean ? "true" : "false").CopyTo(text);
                length = header.Boolean ? 4 : 5;
                break;
        }

        BeginData();
        foreach (char c in text[..length])
        {
            Append(c);
        }
    }

    /// <summary>Ends the last part.</summary>
    public void Finish()
    {
        if (_length > _partStart || _hasData)
        {
            EndPart(MaxPart);
        }
        else if (_length > 0)
        {
            _length--; // a slash with nothing behind it
        }
    }

    private void AppendData(ReadOnlySpan<byte> utf8)
    {
        BeginData();
        ReadOnlySpan<byte> rest = utf8.Length > MaxData ? utf8[..MaxData] : utf8;
        Span<char> text = stackalloc char[2];
        while (!rest.IsEmpty)
        {
            bool valid = Rune.DecodeFromUtf8(rest, out Rune rune, out int size) == OperationStatus.Done;
            rest = rest[size..];
            if (!valid || Rune.IsControl(rune) || (rune.IsAscii && "/\\:*?\"<>|".Contains((char)rune.Value)))
            {
                Append('_');
                continue;
            }

            int length = rune.EncodeToUtf16(text);
            foreach (char c in text[..length])
            {
                Append(c);
            }
        }

        if (utf8.Length > MaxData)
        {
            AppendHash(utf8);
        }
    }

    private void BeginData()
    {
        _startsWithData |= _length == _partStart;
        _hasData = true;
    }

    private void EndPart(int maxBytes)
    {
        Span<char> part = _text.AsSpan(_partStart.._length);
        if (part.IsEmpty)
        {
            Append('-');
            return;
        }

        if (_hasData)
        {
            if (part[^1] is '.' or ' ')
            {
                part[^1] = '_'; // Windows drops these
            }

            if (_startsWithData && (part[0] is '.' or '_'))
            {
                part[0] = '-'; // cannot be hidden, nor be . or ..
            }

            if (IsDeviceName(part))
            {
                Append('_'); // makes room
                part = _text.AsSpan(_partStart.._length);
                int dot = part[..^1].IndexOf('.');
                int at = dot < 0 ? part.Length - 1 : dot;
                part[at..^1].CopyTo(part[(at + 1)..]);
                part[at] = '_';
            }
        }

        if ((_length - _partStart) * 3 > maxBytes)
        {
            Cut(maxBytes);
        }
    }

    private void Cut(int maxBytes)
    {
        ReadOnlySpan<char> part = _text.AsSpan(_partStart.._length);
        if (Encoding.UTF8.GetByteCount(part) <= maxBytes)
        {
            return;
        }

        byte[] whole = Encoding.UTF8.GetBytes(part.ToArray());
        int kept = 0;
        int bytes = 0;
        foreach (Rune rune in part.EnumerateRunes())
        {
            bytes += rune.Utf8SequenceLength;
            if (bytes > maxBytes - HashDigits - 1)
            {
                break;
            }

            kept += rune.Utf16SequenceLength;
        }

        _length = _partStart + kept;
        AppendHash(whole);
    }

    private void AppendHash(ReadOnlySpan<byte> of)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(of, hash);
        Append('-');
        foreach (char digit in Convert.ToHexStringLower(hash[..(HashDigits / 2)]))
        {
            Append(digit);
        }
    }

    private void StartPart()
    {
        _partStart = _length;
        _startsWithData = false;
        _hasData = false;
    }

    private void Append(char c)
    {
        if (_length == _text.Length)
        {
            Array.Resize(ref _text, _length * 2);
        }

        _text[_length++] = c;
    }

    /// <summary>The names that Windows keeps for devices, with or without an extension.</summary>
    private static bool IsDeviceName(ReadOnlySpan<char> part)
    {
        int dot = part.IndexOf('.');
        ReadOnlySpan<char> name = (dot < 0 ? part : part[..dot]).TrimEnd(' ');
        return name.Length switch
        {
            3 => name.Equals("CON", StringComparison.OrdinalIgnoreCase) || name.Equals("PRN", StringComparison.OrdinalIgnoreCase)
                || name.Equals("AUX", StringComparison.OrdinalIgnoreCase) || name.Equals("NUL", StringComparison.OrdinalIgnoreCase),
            4 => (name[..3].Equals("COM", StringComparison.OrdinalIgnoreCase) || name[..3].Equals("LPT", StringComparison.OrdinalIgnoreCase))
                && (char.IsAsciiDigit(name[3]) || name[3] is '\u00B9' or '\u00B2' or '\u00B3'),
            _ => false,
        };
    }
}
