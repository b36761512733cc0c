using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;

namespace Tailrace.Files;

/// <summary>
/// Which files a source follows: finds them by their patterns, knows them again by their marks, and sees them renamed, deleted and replaced.
/// Does not read them. Used by the source's loop alone.
/// </summary>
internal sealed partial class FollowedFiles : IDisposable
{
    private readonly ISourceContext _context;
    private readonly TailOptions _options;
    private readonly ILogger _logger;
    private readonly List<PathPattern> _paths;
    private readonly List<PathPattern> _excluded;
    private readonly Dictionary<(ulong Device, UInt128 File), TailedFile> _files = [];
    private readonly List<RememberedFile> _remembered = [];
    private readonly SortedDictionary<string, string> _problems = new(StringComparer.Ordinal);
    private readonly HashSet<string> _knownDirectories;
    private bool _scanned;
    private bool _degraded;

    public FollowedFiles(ISourceContext context, TailOptions options)
    {
        _context = context;
        _options = options;
        _logger = context.Logger;
        _paths = [.. options.Paths.Select(pattern => new PathPattern(pattern))];
        _excluded = [.. options.Exclude.Select(pattern => new PathPattern(pattern))];
        foreach (OriginState state in context.GetOrigins())
        {
            if (FileMarks.Read(state.Attributes.Span) is { } marks)
            {
                _remembered.Add(new RememberedFile(state.Origin, state.Position, state.Cuts, marks));
            }
        }

        _knownDirectories = [.. _remembered.Select(file => Path.GetDirectoryName(file.Marks.Path) ?? "")];
    }

    /// <summary>All files being followed.</summary>
    public IReadOnlyCollection<TailedFile> All => _files.Values;

    /// <summary>The directories in which files were looked for at the last scan.</summary>
    public HashSet<string> Directories { get; } = [];

    /// <summary>What could not be read at the last scan, by path.</summary>
    public IReadOnlyDictionary<string, string> Problems => _problems;

    /// <summary>The files by the path they were last seen at.</summary>
    public Dictionary<string, TailedFile> ByPath { get; } = new(StringComparer.Ordinal);

    /// <summary>Looks at the directories and brings what is followed up to date.</summary>
    public void Scan()
    {
        var paths = new SortedSet<string>(StringComparer.Ordinal);
        var problems = new Dictionary<string, string>();
        Directories.Clear();
        foreach (PathPattern pattern in _paths)
        {
            pattern.AddMatches(paths, Directories, (path, problem) => problems[path] = problem);
        }

        var found = new List<FoundFile>();
        var seen = new Dictionary<TailedFile, string>();
        foreach (string path in paths)
        {
            if (_excluded.Exists(pattern => pattern.IsMatch(path)))
            {
                continue;
            }

            SafeFileHandle? handle = LogFile.TryOpen(path, out FileIdentity identity, out string? problem);
            if (handle is null)
            {
                if (problem is not null)
                {
                    problems[path] = problem;
                    if (ByPath.TryGetValue(path, out TailedFile? unreadable))
                    {
                        seen.TryAdd(unreadable, path); // it may well be there; its open handle still reads
                    }
                }
            }
            else if (_files.TryGetValue(Key(identity), out TailedFile? known))
            {
                if (known.Path == path || !seen.ContainsKey(known))
                {
                    seen[known] = path; // its own name counts before other names of it
                }

                handle.Dispose();
            }
            else
            {
                found.Add(new FoundFile(path, handle, identity, WrittenAt(handle)));
            }
        }

        foreach (TailedFile file in _files.Values)
        {
            SeeNames(file, seen.GetValueOrDefault(file));
        }

        foreach (FoundFile file in found.OrderBy(file => file.Written).ThenBy(file => file.Path, StringComparer.Ordinal))
        {
            if (!_files.ContainsKey(Key(file.Identity)))
            {
                Follow(Decide(file));
            }
            else
            {
                file.Handle.Dispose(); // another name of one just found
            }
        }

        _scanned = true;
        ReportProblems(problems);
    }

    /// <summary>The file was rewritten in place: what it holds now is a new generation, read from its start.</summary>
    public TailedFile StartOver(TailedFile file)
    {
        LogRewritten(file.Path, file.Position, RandomAccess.GetLength(file.Handle!));
        SafeFileHandle handle = file.Handle!;
        file.Handle = null;
        Forget(file);
        return Follow(Mint(file.Path, handle, file.Identity, file.Marks.Generation + 1, 0));
    }

    /// <summary>Follows a file no more and closes it; its origin is remembered.</summary>
    public void Close(TailedFile file)
    {
        file.Handle?.Dispose();
        file.Handle = null;
        Forget(file);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (TailedFile file in _files.Values)
        {
            file.Handle?.Dispose();
        }
    }

    private static (ulong, UInt128) Key(FileIdentity identity) => (identity.Device, identity.File);

    private static DateTime WrittenAt(SafeFileHandle handle) => File.GetLastWriteTimeUtc(handle);

    private void SeeNames(TailedFile file, string? path)
    {
        if (path is null)
        {
            if (!file.Detached)
            {
                file.Detached = true;
                LogDetached(file.Path, _options.RotateWait);
                if (ByPath.GetValueOrDefault(file.Path) == file)
                {
                    ByPath.Remove(file.Path);
                }
            }

            return;
        }

        file.Detached = false;
        file.EndSeen = null;
        if (path != file.Path)
        {
            LogRenamed(file.Path, path);
            if (ByPath.GetValueOrDefault(file.Path) == file)
            {
                ByPath.Remove(file.Path);
            }

            file.Marks = file.Marks with { Path = path };
        }

        ByPath[path] = file;
    }

    /// <summary>The decision table: which generation of which file is this?</summary>
    private TailedFile Decide(FoundFile found)
    {
        long generation = 0;
        RememberedFile? best = null;
        foreach (RememberedFile remembered in _remembered)
        {
            FileMarks marks = remembered.Marks;
            if (marks.File != found.Identity.File)
            {
                continue;
            }

            generation = Math.Max(generation, marks.Generation + 1);
            bool sameDevice = marks.Device == found.Identity.Device; // numbers of devices change when they are mounted anew: then the content must tell
            if ((sameDevice || marks.HeadLength > 0) && marks.Match(found.Handle, remembered.Position) && (best is null || marks.Generation > best.Marks.Generation))
            {
                best = remembered;
            }
        }

        if (best is not null)
        {
            _remembered.Remove(best);
            LogResumed(found.Path, best.Position);
            return new TailedFile(best, found.Identity, found.Path, found.Handle, stored: true);
        }

        if (generation > 0)
        {
            LogReplaced(found.Path);
        }

        bool fromEnd = _options.From == TailFrom.End && !_scanned && !_knownDirectories.Contains(Path.GetDirectoryName(found.Path) ?? "");
        return Mint(found.Path, found.Handle, found.Identity, generation, fromEnd ? RandomAccess.GetLength(found.Handle) : 0);
    }

    private TailedFile Mint(string path, SafeFileHandle handle, FileIdentity identity, long generation, long skipTo)
    {
        FileMarks marks = FileMarks.New(path, identity) with { Generation = generation };
        var file = new TailedFile(new RememberedFile(OriginId.New(), 0, [], marks), identity, path, handle, stored: false) { StartAt = skipTo };
        LogFollowed(path, skipTo);
        return file;
    }

    private TailedFile Follow(TailedFile file)
    {
        _files.Add(Key(file.Identity), file);
        ByPath[file.Path] = file;
        return file;
    }

    private void Forget(TailedFile file)
    {
        file.Closed = true;
        _files.Remove(Key(file.Identity));
        if (ByPath.GetValueOrDefault(file.Path) == file)
        {
            ByPath.Remove(file.Path);
        }

        _remembered.Add(file.Remember());
    }

    private void ReportProblems(Dictionary<string, string> problems)
    {
        foreach ((string path, string problem) in problems)
        {
            if (_problems.TryAdd(path, problem))
            {
                LogUnreadable(path, problem);
            }
        }

        foreach (string path in _problems.Keys.Where(path => !problems.ContainsKey(path)).ToList())
        {
            _problems.Remove(path);
        }

        if (_problems.Count > 0)
        {
            _degraded = true;
            (string path, string problem) = _problems.First();
            string more = _problems.Count > 1 ? $" (and {_problems.Count - 1} more)" : "";
            _context.Report(ComponentStatus.Degraded, $"{path} cannot be read: {problem}{more}. It is tried again.");
        }
        else if (_degraded)
        {
            _degraded = false;
            _context.Report(ComponentStatus.Running);
        }
    }

    [LoggerMessage(LogLevel.Information, "Following {Path} from byte {Position}.")]
    private partial void LogFollowed(string path, long position);

    [LoggerMessage(LogLevel.Information, "Going on with {Path} at byte {Position}.")]
    private partial void LogResumed(string path, long position);

    [LoggerMessage(LogLevel.Information, "{OldPath} is now called {Path}; going on with it.")]
    private partial void LogRenamed(string oldPath, string path);

    [LoggerMessage(LogLevel.Information, "{Path} was renamed or deleted; it is read to its end and watched for another {RotateWait}.")]
    private partial void LogDetached(string path, TimeSpan rotateWait);

    [LoggerMessage(LogLevel.Warning, "{Path} was truncated or rewritten: it was read up to byte {Position}, has {Length} bytes and is read again from its start. What was written just before a truncation may be lost.")]
    private partial void LogRewritten(string path, long position, long length);

    [LoggerMessage(LogLevel.Warning, "{Path} is not what it was when it was last read (truncated, rewritten, or a new file with a used inode); it is read from its start.")]
    private partial void LogReplaced(string path);

    [LoggerMessage(LogLevel.Warning, "{Path} cannot be read: {Problem}. It is tried again; this is logged once.")]
    private partial void LogUnreadable(string path, string problem);

    private readonly record struct FoundFile(string Path, SafeFileHandle Handle, FileIdentity Identity, DateTime Written);
}
