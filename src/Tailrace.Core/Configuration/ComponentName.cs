using System.Text.RegularExpressions;

namespace Tailrace.Core.Configuration;

/// <summary>The rule for names of agents, sources, channels and sinks. They stand in file names, so they are plain.</summary>
internal static partial class ComponentName
{
    public const string Rule = "A name has up to 64 letters (a-z, A-Z), digits, '_', '-' or '.', and starts with a letter or digit.";

    public static bool IsValid(string name) => Pattern().IsMatch(name);

    [GeneratedRegex(@"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\z", RegexOptions.CultureInvariant)]
    private static partial Regex Pattern();
}
