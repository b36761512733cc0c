namespace Tailrace.Files;

/// <summary>An origin that is remembered but whose file is not followed: a generation of a file, and how far it was read.</summary>
/// <param name="Id">The origin.</param>
/// <param name="Position">Where to go on.</param>
/// <param name="Cuts">Positions above at which batches must end, ascending.</param>
/// <param name="Marks">What the file is known by.</param>
/// <param name="Head">Its first bytes, where they are fewer than a full head fingerprint and were read in this run.</param>
internal sealed record RememberedFile(OriginId Id, long Position, IReadOnlyList<long> Cuts, FileMarks Marks, ReadOnlyMemory<byte> Head = default)
{
    /// <summary>Whether another file, of at most as many bytes as were read of this one, begins like it.</summary>
    public bool BeginsLike(LogFile other, long length)
    {
        if (length >= Marks.HeadLength || length > Head.Length)
        {
            return Marks.HeadLength > 0 && Marks.HeadMatches(other, length);
        }

        Span<byte> head = stackalloc byte[(int)length];
        return other.Read(head, 0) == head.Length && head.SequenceEqual(Head.Span[..head.Length]);
    }
}

/// <summary>
/// The generations of files that a source has read and follows no more: those of earlier runs whose file has not been found yet, those that
/// were truncated, and those that are gone. Finds the one that a file goes on from.
/// </summary>
internal sealed class RememberedFiles
{
    private readonly Dictionary<UInt128, List<RememberedFile>> _byFile = [];

    /// <summary>All of them.</summary>
    public IEnumerable<RememberedFile> All => _byFile.Values.SelectMany(files => files);

    public void Add(RememberedFile file)
    {
        if (!_byFile.TryGetValue(file.Marks.File, out List<RememberedFile>? files))
        {
            _byFile.Add(file.Marks.File, files = []);
        }

        files.Add(file);
    }

    public void Remove(RememberedFile file)
    {
        List<RememberedFile> files = _byFile[file.Marks.File];
        if (files.Remove(file) && files.Count == 0)
        {
            _byFile.Remove(file.Marks.File);
        }
    }

    /// <summary>The generation of this very file that its content still belongs to; null if there is none.</summary>
    /// <param name="file">The file.</param>
    /// <param name="nextGeneration">The number of a new generation of it: above 0 if it, or one deleted since, was known.</param>
    public RememberedFile? FindSame(LogFile file, out long nextGeneration)
    {
        nextGeneration = 0;
        RememberedFile? best = null;
        if (!_byFile.TryGetValue(file.Identity.File, out List<RememberedFile>? files))
        {
            return null;
        }

        long born = file.Born;
        foreach (RememberedFile known in files)
        {
            // Device numbers change when file systems are mounted anew; then the content has to tell. A time of birth never changes.
            bool possible = (known.Marks.Device == file.Identity.Device || known.Marks.HeadLength > 0) && (known.Marks.Born == born || known.Marks.Born == 0 || born == 0);
            nextGeneration = possible ? Math.Max(nextGeneration, known.Marks.Generation + 1) : nextGeneration;
            if (possible && (best is null || known.Marks.Generation > best.Marks.Generation) && known.Marks.Match(file, known.Position))
            {
                best = known;
            }
        }

        return best;
    }

    /// <summary>The generations of a file of this number that its content no longer belongs to.</summary>
    public IEnumerable<RememberedFile> FindEarlier(LogFile file) => _byFile.GetValueOrDefault(file.Identity.File, []).Where(known => !known.Marks.Match(file, known.Position));

    /// <summary>How long a packed file is unpacked, if it was read to that length before and has not changed since; null if it must be measured.</summary>
    public long? FindFinished(LogFile file) =>
        _byFile.GetValueOrDefault(file.Identity.File)?.Find(known => known.Marks.Packed > 0 && known.Marks.Packed == file.StoredLength && known.Marks.Born == file.Born)?.Position;

    /// <summary>
    /// The generation that another file goes on from: a copy made before a truncation, or one that replaced it. Names must be related,
    /// since small files are often alike.
    /// </summary>
    public RememberedFile? FindContinued(LogFile file, string path)
    {
        return All.Where(known => known.Position > 0 && known.Marks.HeadLength > 0 && IsRelated(known.Marks.Path, path) && known.Marks.Match(file, known.Position))
            .MaxBy(known => (known.Position, known.Marks.Generation));
    }

    /// <summary>Whether a file of this name may be what another became or was replaced by.</summary>
    public static bool IsRelated(string original, string path) => path == original || IsRotatedName(original, path);

    /// <summary>Whether a path looks like the rotated name of another: <c>app.log.1</c>, <c>app.log-20261122</c>, <c>app-20261122.log</c>, <c>app.1.log</c> of <c>app.log</c>.</summary>
    public static bool IsRotatedName(string original, string path)
    {
        ReadOnlySpan<char> name = Path.GetFileName(path.AsSpan());
        ReadOnlySpan<char> old = Path.GetFileName(original.AsSpan());
        if (name.SequenceEqual(old) || !Path.GetDirectoryName(path.AsSpan()).SequenceEqual(Path.GetDirectoryName(original.AsSpan())))
        {
            return false;
        }

        ReadOnlySpan<char> number = Path.GetExtension(old).TrimStart('.');
        if (number.Length > 0 && number.IndexOfAnyExceptInRange('0', '9') < 0)
        {
            old = old[..^(number.Length + 1)]; // app.log.1 becomes app.log.2
        }

        ReadOnlySpan<char> extension = Path.GetExtension(old);
        return StartsWithAndGoesOn(name, old) || (extension.Length > 0 && name.Length > old.Length && name.EndsWith(extension) && StartsWithAndGoesOn(name, old[..^extension.Length]));
    }

    private static bool StartsWithAndGoesOn(ReadOnlySpan<char> name, ReadOnlySpan<char> stem) =>
        stem.Length > 0 && name.Length > stem.Length && name.StartsWith(stem) && name[stem.Length] is '.' or '-' or '_' or '~';
}
