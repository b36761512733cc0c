using Microsoft.Extensions.Logging;

namespace Tailrace.Files;

/// <summary>What a source cannot read at the moment: each told once in the log, all of them as the source's status while they last.</summary>
internal sealed partial class FileProblems(ISourceContext context)
{
    private readonly ILogger _logger = context.Logger;
    private readonly SortedDictionary<string, string> _found = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, string> _reading = new(StringComparer.Ordinal);
    private readonly HashSet<string> _inScan = new(StringComparer.Ordinal);
    private string? _reported;

    /// <summary>One line for an operator; null if all can be read.</summary>
    public string? Summary
    {
        get
        {
            List<string> all = [.. _found.Concat(_reading).Select(problem => $"{problem.Key}: {problem.Value}")];
            return all.Count == 0 ? null : all.Count == 1 ? all[0] : $"{all[0]} (and {all.Count - 1} more)";
        }
    }

    /// <summary>A scan begins: what it does not find again is over.</summary>
    public void StartScan() => _inScan.Clear();

    /// <summary>The scan came upon something it cannot open or list.</summary>
    public void Add(string path, string problem)
    {
        _inScan.Add(path);
        if (_found.TryAdd(path, problem))
        {
            LogUnreadable(path, problem);
        }
    }

    /// <summary>The scan is over.</summary>
    public void EndScan()
    {
        foreach (string path in _found.Keys.Where(path => !_inScan.Contains(path)).ToList())
        {
            _found.Remove(path);
        }

        Report();
    }

    /// <summary>A file that is open could not be read.</summary>
    public void AddReading(string path, string problem)
    {
        if (_reading.TryAdd(path, problem))
        {
            LogUnreadable(path, problem);
            Report();
        }
    }

    /// <summary>A file was read.</summary>
    public void ClearReading(string path)
    {
        if (_reading.Count > 0 && _reading.Remove(path))
        {
            Report();
        }
    }

    private void Report()
    {
        string? summary = Summary;
        if (summary != _reported)
        {
            _reported = summary;
            context.Report(summary is null ? ComponentStatus.Running : ComponentStatus.Degraded, summary is null ? null : $"Cannot be read, and is tried again: {summary}");
        }
    }

    [LoggerMessage(LogLevel.Warning, "{Path} cannot be read: {Problem}. It is tried again; this is logged once.")]
    private partial void LogUnreadable(string path, string problem);
}
