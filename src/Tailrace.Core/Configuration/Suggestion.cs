namespace Tailrace.Core.Configuration;

/// <summary>Finds what was probably meant.</summary>
internal static class Suggestion
{
    private const int MaxLength = 64;
    private const int MaxListed = 16;

    /// <summary>The candidate nearest to a text; null if none is near.</summary>
    public static string? Nearest(string text, IEnumerable<string> candidates)
    {
        if (text.Length is 0 or > MaxLength)
        {
            return null;
        }

        string folded = Fold(text);
        return candidates
            .Where(candidate => candidate.Length <= MaxLength)
            .Select(candidate => (Candidate: candidate, Distance: Distance(folded, Fold(candidate))))
            .Where(pair => pair.Distance <= Math.Max(1, Math.Min(text.Length, pair.Candidate.Length) / 3))
            .OrderBy(pair => pair.Distance).ThenBy(pair => pair.Candidate, StringComparer.Ordinal)
            .Select(pair => pair.Candidate)
            .FirstOrDefault();
    }

    /// <summary>The end of a message about an unknown word: what was probably meant, else what there is, if that is not too much.</summary>
    public static string For(string text, IReadOnlyCollection<string> candidates, string listTitle) =>
        Nearest(text, candidates) is { } nearest ? $" Did you mean '{nearest}'?"
        : candidates.Count is > 0 and <= MaxListed ? $" {listTitle}: {string.Join(", ", candidates.Order(StringComparer.Ordinal))}."
        : "";

    private static string Fold(string text) => text.ToLowerInvariant().Replace('-', '_');

    /// <summary>Edit distance with neighbours swapped counted as one edit (optimal string alignment).</summary>
    private static int Distance(string a, string b)
    {
        int[,] cost = new int[a.Length + 1, b.Length + 1];
        for (int i = 0; i <= a.Length; i++)
        {
            for (int j = 0; j <= b.Length; j++)
            {
                if (i == 0 || j == 0)
                {
                    cost[i, j] = i + j;
                    continue;
                }

                int change = cost[i - 1, j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
                cost[i, j] = Math.Min(change, Math.Min(cost[i - 1, j], cost[i, j - 1]) + 1);
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                {
                    cost[i, j] = Math.Min(cost[i, j], cost[i - 2, j - 2] + 1);
                }
            }
        }

        return cost[a.Length, b.Length];
    }
}
