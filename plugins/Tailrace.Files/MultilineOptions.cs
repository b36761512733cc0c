using System.ComponentModel;
using System.Text.RegularExpressions;

namespace Tailrace.Files;

/// <summary>Ready-made rules for stack traces.</summary>
public enum MultilinePreset
{
    /// <summary>None: the patterns say it.</summary>
    None,

    /// <summary>Java, Kotlin, Scala: <c>at …</c>, <c>... 12 more</c>, <c>Caused by:</c>, <c>Suppressed:</c>.</summary>
    Java,

    /// <summary>.NET: <c>at …</c>, <c>---> …</c>, <c>--- End of …</c>.</summary>
    Dotnet,

    /// <summary>Python: from <c>Traceback</c> to the line of the exception, chained ones too.</summary>
    Python,

    /// <summary>Go: from <c>panic:</c> or <c>fatal error:</c> to the last goroutine.</summary>
    Go,
}

/// <summary>Which lines make one event together.</summary>
public sealed record MultilineOptions : IValidatedOptions
{
    /// <summary>A ready-made rule.</summary>
    [Description("A ready-made rule for stack traces: java, dotnet, python or go. Else give start, continuation or indentation.")]
    public MultilinePreset Preset { get; init; }

    /// <summary>A line that matches begins an event; one that does not belongs to the event before it.</summary>
    [Description("A regular expression: a line that matches begins an event, other lines belong to the event before.")]
    public string? Start { get; init; }

    /// <summary>A line that matches belongs to the event before it.</summary>
    [Description("A regular expression: a line that matches belongs to the event before, other lines begin one. With start as well, a line must match this and not that to belong to the event before.")]
    public string? Continuation { get; init; }

    /// <summary>A line that begins with a space or a tab belongs to the event before it.</summary>
    [Description("A line that begins with a space or a tab belongs to the event before.")]
    public bool Indentation { get; init; }

    /// <summary>How long an event at the end of the file waits for more lines; 10 ms to 1 h.</summary>
    [Description("How long the last event of a file waits for lines that belong to it. Counts only while everything is read. From 10ms to 1h.")]
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>The most lines of an event; 2 to 1,000,000. The lines behind them make another.</summary>
    [Description("The most lines of an event; what goes on behind them makes another, and the first has the header tailrace.split. max_event_size holds too. From 2 to 1000000.")]
    public int MaxLines { get; init; } = 10_000;

    /// <inheritdoc/>
    public IEnumerable<OptionProblem> Validate()
    {
        if (Preset == MultilinePreset.None && Start is null && Continuation is null && !Indentation)
        {
            yield return new OptionProblem("multiline", "Give a preset, or start, continuation or indentation.");
        }
        else if (Preset != MultilinePreset.None && (Start is not null || Continuation is not null || Indentation))
        {
            yield return new OptionProblem("multiline", "Give either a preset, or start, continuation or indentation.");
        }

        foreach (string? pattern in (string?[])[Start, Continuation])
        {
            if (pattern is not null && Problem(pattern) is { } problem)
            {
                yield return new OptionProblem("multiline", $"'{pattern}' is no regular expression: {problem}");
            }
        }

        if (Timeout < TimeSpan.FromMilliseconds(10) || Timeout > TimeSpan.FromHours(1))
        {
            yield return new OptionProblem("multiline", "timeout must be from 10ms to 1h.");
        }

        if (MaxLines is < 2 or > 1_000_000)
        {
            yield return new OptionProblem("multiline", "max_lines must be from 2 to 1000000.");
        }
    }

    private static string? Problem(string pattern)
    {
        try
        {
            _ = MultilineRule.Compile(pattern);
            return null;
        }
        catch (RegexParseException exception)
        {
            return exception.Message;
        }
    }
}
