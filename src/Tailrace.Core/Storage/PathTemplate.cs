using System.Globalization;

namespace Tailrace.Core.Storage;

/// <summary>
/// A storage sink's <c>path</c>: a fixed root, then parts with Flume's escapes, filled in from the event alone. What comes from event data
/// can neither leave the root nor hide a file (<see cref="PathBuilder"/>).
/// </summary>
internal sealed class PathTemplate
{
    private const string TimeLetters = "aAbBcdDeFHIjklLmMnpsStyYz";
    private const long Second = 1_000_000_000;
    private const long Minute = 60 * Second;

    private readonly Segment[] _segments;
    private readonly TimeZoneInfo _zone;
    private readonly TimeSpan _grain;

    private PathTemplate(string root, Segment[] segments, TimeZoneInfo zone)
    {
        Root = root;
        _segments = segments;
        _zone = zone;
        Headers = [.. segments.Where(segment => segment.Header is not null).Select(segment => segment.Header!).DistinctBy(Convert.ToHexString)];
        char[] letters = [.. segments.Where(segment => segment.Letter != 0).Select(segment => segment.Letter)];
        _grain = letters switch
        {
            [] => Timeout.InfiniteTimeSpan,
            _ when letters.Any("tL".Contains) => TimeSpan.FromMilliseconds(1),
            _ when letters.Any("sSc".Contains) => TimeSpan.FromSeconds(1),
            _ when letters.Contains('M') => TimeSpan.FromMinutes(1),
            _ when letters.Any("HIklpz".Contains) => TimeSpan.FromHours(1),
            _ => TimeSpan.FromDays(1),
        };
    }

    /// <summary>Everything before the first part with an escape: what the store is opened at.</summary>
    public string Root { get; }

    /// <summary>The names of the headers that the path depends on, UTF-8.</summary>
    public IReadOnlyList<byte[]> Headers { get; }

    /// <summary>What is wrong with a template; null if nothing is.</summary>
    public static string? Check(string path)
    {
        (_, _, string? error) = Read(path);
        return error;
    }

    /// <summary>Reads a template.</summary>
    /// <exception cref="FormatException">It is none; the message says why.</exception>
    public static PathTemplate Parse(string path, TimeZoneInfo zone)
    {
        (string root, List<Segment> segments, string? error) = Read(path);
        return error is null ? new PathTemplate(root, [.. segments], zone) : throw new FormatException($"The path {path} cannot be used: {error}");
    }

    /// <summary>Writes an event's directory below <see cref="Root"/>.</summary>
    public void Render(in LogEvent current, PathBuilder output)
    {
        output.Clear();
        DateTimeOffset local = _grain == Timeout.InfiniteTimeSpan ? default : TimeZoneInfo.ConvertTime(LogEvent.ToTime(current.Timestamp), _zone);
        foreach (Segment segment in _segments)
        {
            if (segment.Header is not null)
            {
                current.Headers.TryGet(segment.Header, out EventHeader header); // a missing one is an empty text, as in Flume
                output.AppendData(header);
            }
            else if (segment.Letter != 0)
            {
                AppendTime(output, segment.Letter, local);
            }
            else
            {
                output.AppendTrusted(segment.Text);
            }
        }

        output.Finish();
    }

    /// <summary>A stretch of time around a timestamp, in nanoseconds since 1970, within which the time letters give the same text.</summary>
    public (long From, long To) GetSlot(long timestamp)
    {
        if (_grain == Timeout.InfiniteTimeSpan)
        {
            return (long.MinValue, long.MaxValue);
        }

        if (_grain < TimeSpan.FromHours(1))
        {
            return Block(timestamp, _grain.Ticks * 100, 0); // zones differ from UTC by whole minutes
        }

        // The local hour or day, unless the zone's offset changes within it: then its minutes.
        TimeSpan offset = _zone.GetUtcOffset(LogEvent.ToTime(timestamp));
        (long from, long to) = Block(timestamp, _grain.Ticks * 100, offset.Ticks * 100);
        return _zone.GetUtcOffset(LogEvent.ToTime(from)) == offset && _zone.GetUtcOffset(LogEvent.ToTime(to - 1)) == offset ? (from, to) : Block(timestamp, Minute, 0);
    }

    private static (long From, long To) Block(long timestamp, long size, long shift)
    {
        Int128 from = (Int128)timestamp + shift;
        from -= ((from % size) + size) % size;
        from -= shift;
        return ((long)Int128.Max(from, long.MinValue), (long)Int128.Min(from + size, long.MaxValue));
    }

    private static void AppendTime(PathBuilder output, char letter, DateTimeOffset local)
    {
        Span<char> text = stackalloc char[32];
        int length;
        switch (letter)
        {
            case 'j':
                local.DayOfYear.TryFormat(text, out length, "D3", CultureInfo.InvariantCulture);
                break;
            case 's':
                local.ToUnixTimeSeconds().TryFormat(text, out length, default, CultureInfo.InvariantCulture);
                break;
            case 't':
                local.ToUnixTimeMilliseconds().TryFormat(text, out length, default, CultureInfo.InvariantCulture);
                break;
            case 'z':
                local.TryFormat(text, out length, "zzz", CultureInfo.InvariantCulture);
                text[4..length].CopyTo(text[3..]); // +05:30 becomes +0530
                length--;
                break;
            default:
                local.TryFormat(text, out length, DateFormat(letter), CultureInfo.InvariantCulture);
                break;
        }

        output.AppendTrusted(text[..length]);
    }

    private static string DateFormat(char letter) => letter switch
    {
        'a' => "ddd",
        'A' => "dddd",
        'b' => "MMM",
        'B' => "MMMM",
        'c' => "ddd MMM d HH':'mm':'ss yyyy",
        'd' => "dd",
        'D' => "MM'/'dd'/'yy",
        'e' => "%d",
        'F' => "yyyy'-'MM'-'dd",
        'H' => "HH",
        'I' => "hh",
        'k' => "%H",
        'l' => "%h",
        'L' => "fff",
        'm' => "MM",
        'M' => "mm",
        'n' => "%M",
        'p' => "tt",
        'S' => "ss",
        'y' => "yy",
        _ => "yyyy",
    };

    private static (string Root, List<Segment> Segments, string? Error) Read(string path)
    {
        if (OperatingSystem.IsWindows())
        {
            path = path.Replace('\\', '/');
        }

        int first = FirstEscape(path);
        int rootEnd = first < 0 ? path.Length : path.LastIndexOf('/', first) + 1; // behind the slash
        string root = path[..rootEnd].Replace("%%", "%", StringComparison.Ordinal);
        root = root.Length > 1 && !root.EndsWith(":/", StringComparison.Ordinal) ? root.TrimEnd('/') is { Length: > 0 } trimmed ? trimmed : "/" : root;
        var segments = new List<Segment>();
        string? error = path.Length == 0 ? "it is empty." : ReadSegments(path[rootEnd..], segments);
        return (root, segments, error ?? CheckLiterals(segments));
    }

    /// <summary>Where the first escape other than <c>%%</c> starts; -1 if there is none. A % before a slash or at the end stands for itself, as in Flume.</summary>
    private static int FirstEscape(string path)
    {
        for (int i = 0; i + 1 < path.Length; i++)
        {
            if (path[i] == '%' && path[i + 1] != '/')
            {
                if (path[i + 1] != '%')
                {
                    return i;
                }

                i++;
            }
        }

        return -1;
    }

    private static string? ReadSegments(string text, List<Segment> segments)
    {
        var literal = new System.Text.StringBuilder();
        void EndLiteral()
        {
            if (literal.Length > 0)
            {
                segments.Add(new Segment(literal.ToString(), '\0', null));
                literal.Clear();
            }
        }

        for (int i = 0; i < text.Length; i++)
        {
            char next = i + 1 < text.Length ? text[i + 1] : '/';
            if (text[i] != '%' || next == '/')
            {
                literal.Append(text[i]);
                continue;
            }

            i++;
            if (next == '%')
            {
                literal.Append('%');
            }
            else if (next == '{')
            {
                int end = text.IndexOf('}', i);
                if (end < 0)
                {
                    return "a %{ has no closing brace.";
                }

                if (end == i + 1)
                {
                    return "%{} names no header; write %{name}.";
                }

                EndLiteral();
                segments.Add(new Segment("", '\0', System.Text.Encoding.UTF8.GetBytes(text[(i + 1)..end])));
                i = end;
            }
            else if (TimeLetters.Contains(next))
            {
                EndLiteral();
                segments.Add(new Segment("", next, null));
            }
            else
            {
                return $"%{next} is no escape; there are %{{header}}, %% and the time letters {string.Join(' ', TimeLetters.ToCharArray())}.";
            }
        }

        EndLiteral();
        return null;
    }

    /// <summary>Refuses literal parts that would lead out of the root or hide published files.</summary>
    private static string? CheckLiterals(List<Segment> segments)
    {
        bool partStart = true;
        for (int i = 0; i < segments.Count; i++)
        {
            string text = segments[i].Text;
            for (int at = 0; at < text.Length; at++)
            {
                if (partStart && (text[at] is '.' or '_'))
                {
                    return "a part behind the first escape starts with . or _, which would hide what is published there.";
                }

                partStart = text[at] == '/';
            }

            partStart &= text.Length > 0;
        }

        return null;
    }

    /// <summary>A literal, a time letter or a header.</summary>
    private readonly record struct Segment(string Text, char Letter, byte[]? Header);
}
