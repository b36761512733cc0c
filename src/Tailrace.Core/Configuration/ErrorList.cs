using System.Text;

namespace Tailrace.Core.Configuration;

/// <summary>The errors of one load, and the files they are in.</summary>
internal sealed class ErrorList
{
    private const int MaxQuoted = 60;
    private const int MaxMessage = 1000;
    private const int MaxSuggestions = 100;
    private readonly List<string> _files = [];
    private readonly List<(Position Position, string Message)> _errors = [];

    public int Count => _errors.Count;

    /// <summary>All errors in the order of files as given, lines and columns.</summary>
    public IReadOnlyList<ConfigurationError> Sorted =>
    [
        .. _errors.OrderBy(error => error.Position.File).ThenBy(error => error.Position.Line).ThenBy(error => error.Position.Column)
            .Select(error => new ConfigurationError(_files[error.Position.File], error.Position.Line, error.Position.Column, error.Message)),
    ];

    public IEnumerable<string> Messages => _errors.Select(error => error.Message);

    /// <summary>A piece of configuration as messages show it.</summary>
    public static string Quote(string text) => $"'{Clip(text, MaxQuoted)}'";

    /// <summary>Takes a file in; positions name it by the number that comes back.</summary>
    public int AddFile(string name)
    {
        _files.Add(name);
        return _files.Count - 1;
    }

    /// <summary>The end of a message about an unknown word; nothing once there are so many errors that looking for what was meant would take long.</summary>
    public string Suggest(string text, IReadOnlyCollection<string> candidates, string listTitle) =>
        Count < MaxSuggestions ? Suggestion.For(text, candidates, listTitle) : "";

    /// <summary>Takes an error in. Whatever it quotes, it stays on one line.</summary>
    public void Add(Position position, string message) => _errors.Add((position, Clip(message, MaxMessage)));

    /// <summary><c>FILE:line:column</c>, for messages that point to a second place.</summary>
    public string Describe(Position position) => $"{_files[position.File]}:{position.Line}:{position.Column}";

    private static string Clip(string text, int length)
    {
        var clipped = new StringBuilder();
        foreach (Rune rune in text.EnumerateRunes().Take(length))
        {
            clipped.Append(Rune.IsControl(rune) || rune.Value is 0x2028 or 0x2029 ? "\uFFFD" : rune.ToString());
        }

        return text.EnumerateRunes().Skip(length).Any() ? clipped.Append('…').ToString() : clipped.ToString();
    }
}
