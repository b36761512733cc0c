using System.Text;
using System.Text.RegularExpressions;

namespace Tailrace.Files;

/// <summary>Says which lines belong to the event before them. Looks at the first 4 KiB of a line.</summary>
internal sealed partial class MultilineRule(MultilineOptions options)
{
    private const int MaxLook = 4096;
    private static readonly TimeSpan MatchTimeout = TimeSpan.FromMilliseconds(100);

    private readonly char[] _text = new char[MaxLook];
    private readonly Regex? _start = options.Start is null ? null : Compile(options.Start);
    private readonly Regex? _continuation = options.Preset switch
    {
        MultilinePreset.Java => JavaContinuation(),
        MultilinePreset.Dotnet => DotnetContinuation(),
        MultilinePreset.Python => PythonContinuation(),
        MultilinePreset.Go => GoContinuation(),
        _ => options.Continuation is null ? null : Compile(options.Continuation),
    };

    private readonly Regex? _trace = options.Preset switch
    {
        MultilinePreset.Python => PythonTrace(),
        MultilinePreset.Go => GoTrace(),
        _ => null,
    };

    /// <summary>How many lines could not be judged in time; they are taken as not matching.</summary>
    public long TimedOut { get; private set; }

    /// <summary>Compiles a pattern of a user: in linear time where the pattern allows it.</summary>
    /// <exception cref="RegexParseException">It is no regular expression.</exception>
    public static Regex Compile(string pattern)
    {
        try
        {
            return new Regex(pattern, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant, MatchTimeout);
        }
        catch (NotSupportedException)
        {
            return new Regex(pattern, RegexOptions.CultureInvariant, MatchTimeout); // look-arounds and back references: the time is limited instead
        }
    }

    /// <summary>Whether a line belongs to the event before it, if there is one.</summary>
    public bool Continues(ReadOnlySpan<byte> line, ref TraceState state)
    {
        _ = Encoding.UTF8.TryGetChars(line[..Math.Min(line.Length, MaxLook)], _text, out int length);
        ReadOnlySpan<char> text = _text.AsSpan(0, length);
        if (_trace is not null)
        {
            return ContinuesTrace(text, ref state);
        }

        bool continues = _continuation is not null || options.Indentation
            ? (options.Indentation && text is [' ' or '\t', ..]) || (_continuation is not null && IsMatch(_continuation, text))
            : true;
        return continues && (_start is null || !IsMatch(_start, text));
    }

    /// <summary>Traces whose lines are told only by what came before them.</summary>
    private bool ContinuesTrace(ReadOnlySpan<char> text, ref TraceState state)
    {
        bool wasBlank = state.IsBlank;
        bool wasOpen = state.IsOpen;
        state.IsBlank = text.IsWhiteSpace();
        if (IsMatch(_trace!, text))
        {
            state = new TraceState { IsOpen = true };
            return wasOpen && (wasBlank || options.Preset == MultilinePreset.Go); // another one that the first has led to
        }

        if (!wasOpen)
        {
            return false;
        }

        if (IsMatch(_continuation!, text))
        {
            return true;
        }

        bool takesLast = options.Preset == MultilinePreset.Python && !state.HasLast;
        state.HasLast = true;
        state.IsOpen = takesLast;
        return takesLast; // the line that names the exception
    }

    private bool IsMatch(Regex regex, ReadOnlySpan<char> text)
    {
        try
        {
            return regex.IsMatch(text);
        }
        catch (RegexMatchTimeoutException)
        {
            TimedOut++;
            return false;
        }
    }

    [GeneratedRegex(@"^(?:\s+at\s|\s+\.{3}\s\d+\s|\s*(?:Caused by|Suppressed):|\s+\[CIRCULAR REFERENCE)", RegexOptions.CultureInvariant)]
    private static partial Regex JavaContinuation();

    [GeneratedRegex(@"^(?:\s+at\s|\s*--->\s|\s*--- End of )", RegexOptions.CultureInvariant)]
    private static partial Regex DotnetContinuation();

    [GeneratedRegex(@"^Traceback \(most recent call last\):", RegexOptions.CultureInvariant)]
    private static partial Regex PythonTrace();

    [GeneratedRegex(@"^(?:[\t ]|$|During handling of the above exception|The above exception was)", RegexOptions.CultureInvariant)]
    private static partial Regex PythonContinuation();

    [GeneratedRegex(@"^(?:panic: |fatal error: |http: panic serving |goroutine \d+ \[)", RegexOptions.CultureInvariant)]
    private static partial Regex GoTrace();

    [GeneratedRegex(@"^(?:[\t ]|$|\[signal |created by |exit status |\.\.\.additional frames|[\w./*()\-]+\(.*\)$)", RegexOptions.CultureInvariant)]
    private static partial Regex GoContinuation();

    /// <summary>Where in a trace a stream is.</summary>
    internal record struct TraceState
    {
        public bool IsOpen { get; set; }

        public bool IsBlank { get; set; }

        public bool HasLast { get; set; }
    }
}
