using Microsoft.Extensions.Logging;

namespace Tailrace.Files;

/// <summary>
/// Which files a source follows: finds them by their patterns, knows them again by their marks, and sees them renamed, deleted, replaced
/// and copied. Does not read them. Used by the source's loop alone.
/// </summary>
internal sealed partial class FollowedFiles : IDisposable
{
    private readonly ISourceContext _context;
    private readonly TailOptions _options;
    private readonly ILogger _logger;
    private readonly List<PathPattern> _paths;
    private readonly List<PathPattern> _excluded;
    private readonly Dictionary<(ulong Device, UInt128 File), TailedFile> _files = [];
    private readonly Dictionary<string, TailedFile> _byPath = new(StringComparer.Ordinal);
    private readonly RememberedFiles _remembered = new();
    private readonly SuspectedCopies _copies;
    private readonly HashSet<string> _knownDirectories;
    private readonly FileProblems _problems;
    private readonly PackedFiles _packed;
    private readonly FlumePositions _flume;
    private int _open;
    private bool _scanned;

    public FollowedFiles(ISourceContext context, TailOptions options)
    {
        _context = context;
        _options = options;
        _logger = context.Logger;
        _problems = new FileProblems(context);
        _packed = new PackedFiles(context.Time);
        _flume = new FlumePositions(options.ImportTaildir);
        _copies = new SuspectedCopies(context.Time);
        _paths = [.. options.Paths.Select(pattern => new PathPattern(pattern))];
        _excluded = [.. options.Exclude.Select(pattern => new PathPattern(pattern))];
        foreach (OriginState state in context.GetOrigins())
        {
            if (FileMarks.Read(state.Attributes.Span) is { } marks)
            {
                _remembered.Add(new RememberedFile(state.Origin, state.Position, state.Cuts, marks));
            }
        }

        _knownDirectories = [.. _remembered.All.Select(file => Path.GetDirectoryName(file.Marks.Path) ?? "")];
    }

    /// <summary>All files being followed.</summary>
    public IReadOnlyCollection<TailedFile> All => _files.Values;

    /// <summary>The directories that changes are to be told of.</summary>
    public HashSet<string> Directories { get; } = new(StringComparer.Ordinal);

    /// <summary>What cannot be read at the moment.</summary>
    public FileProblems Problems => _problems;

    /// <summary>The file last seen at a path, or that a link there leads to; null if none is followed.</summary>
    public TailedFile? At(string path) => _byPath.GetValueOrDefault(path);

    /// <summary>Looks at the directories and brings what is followed up to date.</summary>
    public void Scan()
    {
        _problems.StartScan();
        var seen = new Dictionary<TailedFile, string>();
        List<FoundFile> found = Find(seen);
        var lost = new List<RememberedFile>(_scanned ? [] : _remembered.All);
        foreach (TailedFile file in _files.Values.ToList())
        {
            SeeNames(file, seen.GetValueOrDefault(file), lost);
        }

        found.Sort((a, b) => a.Written != b.Written ? a.Written.CompareTo(b.Written) : string.CompareOrdinal(a.Path, b.Path));
        found.RemoveAll(TryResume);
        foreach (RememberedFile earlier in _scanned ? [] : found.SelectMany(file => _remembered.FindEarlier(file.Handle)))
        {
            _copies.AddTruncated(earlier); // while nobody looked: its copy may be shorter than what was read of it
        }

        FindRotated(lost);
        _copies.Keep(found.Select(file => file.Path));
        foreach (FoundFile file in found)
        {
            Decide(file);
        }

        _scanned = true;
        foreach (TailedFile file in _files.Values)
        {
            if (file.Target is not null && Path.GetDirectoryName(file.Target) is { } directory)
            {
                Directories.Add(directory);
            }
        }

        DropPinned();
        _problems.EndScan();
    }

    /// <summary>The file was rewritten in place: what it holds now is a new generation, read from its start. What was not read yet of the old one may stand in a copy.</summary>
    public TailedFile StartOver(TailedFile file)
    {
        LogFile handle = file.Handle!;
        LogRewritten(file.Path, file.Position, handle.Length);
        file.Handle = null;
        _open--;
        RememberedFile old = Forget(file);
        _copies.AddTruncated(old);
        TailedFile again = Mint(new FoundFile(file.Path, handle, default), file.Marks.Generation + 1, 0, file.Detached);
        FindRotated([old]);
        return again;
    }

    /// <summary>Opens a file again that was closed to save handles; false if it is not to be found at its path.</summary>
    public bool TryOpen(TailedFile file)
    {
        if (file.Handle is not null)
        {
            return true;
        }

        if (LogFile.TryOpen(file.Path, out _) is not { } handle)
        {
            return false;
        }

        if (Key(handle.Identity) != Key(file.Identity) || !_packed.TryUnpack(handle, file.Path, file.Marks.Packed == handle.StoredLength ? file.Position : null, _context.Once, out _))
        {
            handle.Dispose();
            return false;
        }

        file.Handle = handle;
        _open++;
        return true;
    }

    /// <summary>After a file's turn: closes it if too many are open. One that was renamed or deleted stays open: it could not be opened again.</summary>
    public void Release(TailedFile file)
    {
        bool isDone = file is { Handle.IsPacked: true, InFlight: 0 } && file.Marks.Packed > 0; // nobody will write to it
        if ((_open > _options.MaxOpenFiles || isDone) && !file.Detached)
        {
            CloseHandle(file);
        }
    }

    /// <summary>Follows a file no more and closes it; its origin is remembered.</summary>
    public void Close(TailedFile file)
    {
        CloseHandle(file);
        Forget(file);
    }

    /// <summary>Closes a file's handle, to open it again by its path when it is needed.</summary>
    public void CloseHandle(TailedFile file)
    {
        if (file.Handle is not null)
        {
            file.Handle.Dispose();
            file.Handle = null;
            _open--;
        }
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

    /// <summary>Lists what the patterns match: files that are followed go to <paramref name="seen"/> with their name, others are returned open.</summary>
    private List<FoundFile> Find(Dictionary<TailedFile, string> seen)
    {
        var paths = new SortedSet<string>(StringComparer.Ordinal);
        Directories.Clear();
        foreach (PathPattern pattern in _paths)
        {
            pattern.AddMatches(paths, Directories, _problems.Add);
        }

        var found = new List<FoundFile>();
        foreach (string path in paths)
        {
            if (_excluded.Exists(pattern => pattern.IsMatch(path)))
            {
                continue;
            }

            if (At(path) is { } same && same.Path == path && LogFile.TryLook(path, out FileIdentity there, out var look) && Key(there) == Key(same.Identity)
                && (same.Handle is not null || look == same.LastLook))
            {
                seen[same] = path; // nothing new about it
            }
            else if (LogFile.TryOpen(path, out string? problem) is not { } handle)
            {
                if (problem is not null)
                {
                    _problems.Add(path, problem);
                    if (At(path) is { } unreadable && unreadable.Handle?.IsDeleted != true) // on Windows a name stays unusable until the last handle of a deleted file is closed
                    {
                        seen.TryAdd(unreadable, path); // it may well be there, and an open handle still reads
                    }
                }
            }
            else if (_files.TryGetValue(Key(handle.Identity), out TailedFile? known))
            {
                if (known.Path == path || !seen.ContainsKey(known))
                {
                    seen[known] = path; // its own name counts before other names of it
                }

                if (known.Handle is null && (handle.StoredLength, handle.Written) != known.LastLook)
                {
                    known.LastLook = default; // due a turn, which opens it
                }

                handle.Dispose();
            }
            else if (!_packed.TryUnpack(handle, path, _remembered.FindFinished(handle), _context.Once, out problem))
            {
                handle.Dispose();
                if (problem is not null)
                {
                    _problems.Add(path, problem);
                }
            }
            else
            {
                found.Add(new FoundFile(path, handle, handle.Written));
            }
        }

        return found;
    }

    /// <summary>Takes note of the name a file was seen under, or that it was not seen.</summary>
    private void SeeNames(TailedFile file, string? path, List<RememberedFile> lost)
    {
        if (path is null)
        {
            if (file.Handle is null)
            {
                lost.Add(Forget(file)); // closed to save handles, and moved since
            }
            else if (!file.Detached)
            {
                file.Detached = true;
                RemovePath(file);
                LogDetached(file.Path, _options.RotateWait);
            }

            return;
        }

        file.Detached = false;
        file.EndSeen = null;
        if (path != file.Path)
        {
            LogRenamed(file.Path, path);
            RemovePath(file);
            file.Marks = file.Marks with { Path = path };
        }

        AddPath(file);
    }

    /// <summary>Goes on with a file that was read before and is still what it was.</summary>
    private bool TryResume(FoundFile found)
    {
        if (_files.ContainsKey(Key(found.Handle.Identity)))
        {
            found.Handle.Dispose(); // another name of one just found
            return true;
        }

        if (_remembered.FindSame(found.Handle, out _) is not { } same)
        {
            return false;
        }

        Resume(same, found, detached: false);
        return true;
    }

    /// <summary>The decision table for a file that is not simply one that was read before.</summary>
    private void Decide(FoundFile found)
    {
        if (_files.ContainsKey(Key(found.Handle.Identity)))
        {
            found.Handle.Dispose();
            return;
        }

        long length = found.Handle.Length;
        TailedFile? original = null;
        if (FindReplaced(found) is { } replaced)
        {
            LogContinued(found.Path, replaced.Position, replaced.Path);
            _files.Remove(Key(replaced.Identity));
            CloseHandle(replaced);
            replaced.ContinueIn(found.Path, found.Handle);
            replaced.Detached = false;
            Follow(replaced);
        }
        else if (_remembered.FindContinued(found.Handle, found.Path) is { } continued)
        {
            LogContinued(found.Path, continued.Position, continued.Marks.Path);
            Resume(continued, found, detached: false);
        }
        else if (length > 0 && _copies.FindTruncated(found.Path, found.Handle, length) is { } longer)
        {
            LogCopyRead(found.Path, longer.Marks.Path);
            Mint(found, 0, length);
        }
        else if ((original = FindOriginal(found, length)) is not null && (original.Detached || (!_context.Once && _copies.IsTooEarly(found.Path, length))))
        {
            found.Handle.Dispose(); // decided when the other is truncated or closed, or this one has settled
        }
        else if (!_options.ReadCopies && length > 0 && original is not null && TryOpen(original) && original.Handle!.StartsWithAllOf(found.Handle, length))
        {
            LogCopyRead(found.Path, original.Path);
            Mint(found, 0, length);
        }
        else
        {
            _remembered.FindSame(found.Handle, out long generation);
            bool fromEnd = _options.From == TailFrom.End && !_scanned && !_knownDirectories.Contains(Path.GetDirectoryName(found.Path) ?? "");
            if (generation > 0)
            {
                LogReplaced(found.Path);
            }

            bool old = !fromEnd && _options.IgnoreOlder is { } limit && _context.Time.GetUtcNow().UtcDateTime - found.Written > limit;
            if (old)
            {
                LogOld(found.Path, found.Written);
            }

            Mint(found, generation, fromEnd || old ? length : generation == 0 ? _flume.Find(found.Handle, found.Path) : 0);
        }
    }

    /// <summary>A followed file whose last name was taken by one that holds the same and more: written anew and renamed over it.</summary>
    private TailedFile? FindReplaced(FoundFile found) =>
        _files.Values.FirstOrDefault(file => file.Detached && file.Position > 0 && file.Path == found.Path && file.Marks.HeadLength > 0
            && file.Handle!.IsDeleted && file.Marks.Match(found.Handle, file.Position));

    /// <summary>
    /// The followed file that a new one looks like a copy of, by its rotated name and first bytes: one that is about to be truncated, one that
    /// was packed and deleted, or one that somebody has copied.
    /// </summary>
    private TailedFile? FindOriginal(FoundFile found, long length) =>
        _files.Values.FirstOrDefault(file => file.Position > 0 && (!file.Detached || file.Handle!.IsDeleted) && RememberedFiles.IsRotatedName(file.Path, found.Path)
            && (!TryOpen(file) || SuspectedCopies.BeginsLike(file, found.Handle, length)));

    /// <summary>Looks for files under rotated names, also such as no pattern matches: what was left unread of them is still to be had there.</summary>
    private void FindRotated(List<RememberedFile> missing)
    {
        foreach (IGrouping<string, RememberedFile> group in missing.GroupBy(file => Path.GetDirectoryName(file.Marks.Path) ?? ""))
        {
            List<string> names = [.. group.Select(file => file.Marks.Path).Distinct()];
            List<string> paths = [.. PathPattern.ListFiles(group.Key).Where(path => names.Exists(name => RememberedFiles.IsRelated(name, path)) && !_excluded.Exists(pattern => pattern.IsMatch(path)))];
            foreach (string path in paths)
            {
                TryResume(path, file => _remembered.FindSame(file, out _));
            }

            foreach (string path in paths) // a copy counts only where the file itself is not to be found
            {
                TryResume(path, file => _remembered.FindContinued(file, path) is { } copied && file.Length > copied.Position ? copied : null);
            }
        }
    }

    private void TryResume(string path, Func<LogFile, RememberedFile?> find)
    {
        if (LogFile.TryOpen(path, out _) is not { } handle)
        {
            return;
        }

        if (_files.ContainsKey(Key(handle.Identity)) || !_packed.TryUnpack(handle, path, _remembered.FindFinished(handle), true, out _) || find(handle) is not { } remembered)
        {
            handle.Dispose();
            return;
        }

        Resume(remembered, new FoundFile(path, handle, default), detached: !_paths.Exists(pattern => pattern.IsMatch(path)));
    }

    private void Resume(RememberedFile remembered, FoundFile found, bool detached)
    {
        _remembered.Remove(remembered);
        LogResumed(found.Path, remembered.Position);
        Follow(new TailedFile(remembered, found.Path, found.Handle, stored: true) { Detached = detached });
    }

    private TailedFile Mint(FoundFile found, long generation, long skipTo, bool detached = false)
    {
        FileMarks marks = FileMarks.New(found.Path, found.Handle.Identity, found.Handle.Born) with { Generation = generation };
        LogFollowed(found.Path, skipTo);
        return Follow(new TailedFile(new RememberedFile(OriginId.New(), 0, [], marks), found.Path, found.Handle, stored: false) { StartAt = skipTo, Detached = detached });
    }

    private TailedFile Follow(TailedFile file)
    {
        _files.Add(Key(file.Identity), file);
        _open++;
        if (!file.Detached)
        {
            file.Target = LogFile.FindTarget(file.Path);
            AddPath(file);
            Release(file);
        }

        return file;
    }

    /// <summary>Gives deleted files up, the oldest first, where those that are still being read hold more space than they may.</summary>
    private void DropPinned()
    {
        if (_options.MaxPinnedBytes is not { } most)
        {
            return;
        }

        List<(TailedFile File, long Length)> pinned = [.. _files.Values.Where(file => file is { Detached: true, Handle.IsDeleted: true }).Select(file => (file, file.Handle!.StoredLength))];
        long held = pinned.Sum(file => file.Length);
        foreach ((TailedFile file, long length) in pinned.OrderBy(file => file.File.Handle!.Written).ThenBy(file => file.File.Handle!.Born))
        {
            if (held <= most.Bytes)
            {
                break;
            }

            held -= length;
            LogDropped(file.Path, most, file.Handle!.Length - file.Position);
            Close(file);
        }
    }

    private RememberedFile Forget(TailedFile file)
    {
        file.Closed = true;
        _files.Remove(Key(file.Identity));
        RemovePath(file);
        RememberedFile remembered = file.Remember();
        _remembered.Add(remembered);
        return remembered;
    }

    private void AddPath(TailedFile file)
    {
        _byPath[file.Path] = file;
        if (file.Target is not null)
        {
            _byPath[file.Target] = file;
        }
    }

    private void RemovePath(TailedFile file)
    {
        foreach (string? path in (ReadOnlySpan<string?>)[file.Path, file.Target])
        {
            if (path is not null && At(path) == file)
            {
                _byPath.Remove(path);
            }
        }
    }

    private readonly record struct FoundFile(string Path, LogFile Handle, DateTime Written);
}
