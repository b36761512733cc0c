using System.IO.Enumeration;

namespace Tailrace.Files;

/// <summary>A path with wildcards: <c>*</c>, <c>?</c>, <c>[a-z]</c>, <c>[!a-z]</c> within a name, <c>**</c> for any depth of directories. A wildcard does not match a leading dot.</summary>
internal sealed class PathPattern
{
    private static readonly EnumerationOptions Listing = new() { AttributesToSkip = 0, IgnoreInaccessible = false, MatchType = MatchType.Simple };
    private readonly string[] _parts;
    private readonly string _root;
    private readonly bool _nameOnly;

    /// <summary>Reads a pattern; a relative one is taken from the current directory.</summary>
    public PathPattern(string pattern)
    {
        string separators = OperatingSystem.IsWindows() ? @"\/" : "/";
        _nameOnly = pattern.AsSpan().IndexOfAny(separators) < 0;
        string full = Path.GetFullPath(pattern);
        _root = Path.GetPathRoot(full) ?? "";
        _parts = full[_root.Length..].Split(separators.ToCharArray(), StringSplitOptions.RemoveEmptyEntries);
    }

    /// <summary>What is wrong with a pattern; null if nothing is.</summary>
    public static string? Problem(string pattern) =>
        string.IsNullOrWhiteSpace(pattern) ? "A pattern must not be empty."
        : pattern.Contains('\0', StringComparison.Ordinal) ? "A pattern must not hold a NUL character."
        : null;

    /// <summary>Adds the paths of all files, and of whatever else is no directory, that match. A directory that cannot be listed goes to <paramref name="onProblem"/>.</summary>
    public void AddMatches(ISet<string> paths, ISet<string> directories, Action<string, string> onProblem)
    {
        var walk = new Walk(paths, directories, onProblem);
        Visit(_root, 0, walk);
    }

    /// <summary>The paths of all that is no directory in a directory; none if it cannot be listed.</summary>
    public static IReadOnlyList<string> ListFiles(string directory)
    {
        try
        {
            return [.. new FileSystemEnumerable<string>(directory, (ref FileSystemEntry entry) => entry.ToFullPath(), Listing) { ShouldIncludePredicate = (ref FileSystemEntry entry) => !entry.IsDirectory }];
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return []; // the scan reports it
        }
    }

    /// <summary>Whether a path matches; a pattern without a directory is held against the file's name.</summary>
    public bool IsMatch(string path)
    {
        if (_nameOnly)
        {
            return NameMatches(_parts[^1], Path.GetFileName(path.AsSpan()));
        }

        return path.StartsWith(_root, StringComparison.OrdinalIgnoreCase) && PartsMatch(_parts, path[_root.Length..].Split(Path.DirectorySeparatorChar));
    }

    private static bool PartsMatch(ReadOnlySpan<string> pattern, ReadOnlySpan<string> parts)
    {
        while (!pattern.IsEmpty && pattern[0] != "**")
        {
            if (parts.IsEmpty || !NameMatches(pattern[0], parts[0]))
            {
                return false;
            }

            pattern = pattern[1..];
            parts = parts[1..];
        }

        if (pattern.IsEmpty)
        {
            return parts.IsEmpty;
        }

        for (int skipped = 0; skipped <= parts.Length; skipped++)
        {
            if (PartsMatch(pattern[1..], parts[skipped..]))
            {
                return true;
            }
        }

        return pattern.Length == 1;
    }

    private void Visit(string directory, int index, Walk walk)
    {
        while (index < _parts.Length - 1 && !HasWildcard(_parts[index]))
        {
            directory = Path.Join(directory, _parts[index++]);
        }

        string part = _parts.Length == 0 ? "" : _parts[index];
        bool last = index == _parts.Length - 1;
        if (!HasWildcard(part))
        {
            walk.Directories.Add(directory);
            walk.Paths.Add(Path.Join(directory, part));
            return;
        }

        if (part == "**")
        {
            if (!last)
            {
                Visit(directory, index + 1, walk);
            }

            List(directory, walk, (name, isDirectory, isLink) =>
            {
                if (isDirectory && !isLink && name[0] != '.')
                {
                    Visit(Path.Join(directory, name), index, walk); // links to directories are not followed: they may lead in circles
                }
                else if (last && !isDirectory && name[0] != '.')
                {
                    walk.Paths.Add(Path.Join(directory, name));
                }
            });
            return;
        }

        List(directory, walk, (name, isDirectory, _) =>
        {
            if (!NameMatches(part, name))
            {
                return;
            }

            if (last && !isDirectory)
            {
                walk.Paths.Add(Path.Join(directory, name));
            }
            else if (!last && isDirectory)
            {
                Visit(Path.Join(directory, name), index + 1, walk);
            }
        });
    }

    private static void List(string directory, Walk walk, Action<string, bool, bool> onEntry)
    {
        var entries = new List<(string Name, bool IsDirectory, bool IsLink)>();
        try
        {
            entries.AddRange(new FileSystemEnumerable<(string, bool, bool)>(
                directory,
                (ref FileSystemEntry entry) => (entry.FileName.ToString(), entry.IsDirectory, entry.IsDirectory && (entry.Attributes & FileAttributes.ReparsePoint) != 0),
                Listing));
            walk.Directories.Add(directory);
        }
        catch (DirectoryNotFoundException)
        {
            return; // it may come
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            walk.OnProblem(directory, exception.Message);
        }

        foreach ((string name, bool isDirectory, bool isLink) in entries)
        {
            onEntry(name, isDirectory, isLink);
        }
    }

    private static bool HasWildcard(string part) => part.AsSpan().IndexOfAny("*?[") >= 0;

    /// <summary>Whether a name matches one part of a pattern.</summary>
    internal static bool NameMatches(ReadOnlySpan<char> pattern, ReadOnlySpan<char> name)
    {
        if (name.StartsWith('.') && !pattern.StartsWith('.'))
        {
            return false;
        }

        int p = 0, n = 0, star = -1, mark = 0;
        while (n < name.Length)
        {
            int next = p < pattern.Length ? MatchOne(pattern, p, name[n]) : -1;
            if (p < pattern.Length && pattern[p] == '*')
            {
                star = p++;
                mark = n;
            }
            else if (next >= 0)
            {
                p = next;
                n++;
            }
            else if (star >= 0)
            {
                p = star + 1;
                n = ++mark;
            }
            else
            {
                return false;
            }
        }

        while (p < pattern.Length && pattern[p] == '*')
        {
            p++;
        }

        return p == pattern.Length;
    }

    /// <summary>Matches one character at <paramref name="p"/>; the index behind what matched, or -1.</summary>
    private static int MatchOne(ReadOnlySpan<char> pattern, int p, char c)
    {
        if (pattern[p] == '?')
        {
            return p + 1;
        }

        int end = pattern[p] == '[' && p + 2 < pattern.Length ? pattern[(p + 2)..].IndexOf(']') + p + 2 : 0;
        if (end < p + 2)
        {
            return Same(pattern[p], c) ? p + 1 : -1; // a bracket that is never closed stands for itself
        }

        bool negated = pattern[p + 1] is '!' or '^';
        bool found = false;
        for (int i = p + (negated ? 2 : 1); i < end; i++)
        {
            if (i + 2 < end && pattern[i + 1] == '-')
            {
                found |= c >= pattern[i] && c <= pattern[i + 2];
                i += 2;
            }
            else
            {
                found |= Same(pattern[i], c);
            }
        }

        return found != negated ? end + 1 : -1;
    }

    private static bool Same(char a, char b) =>
        a == b || (OperatingSystem.IsWindows() && char.ToUpperInvariant(a) == char.ToUpperInvariant(b));

    private sealed record Walk(ISet<string> Paths, ISet<string> Directories, Action<string, string> OnProblem);
}
