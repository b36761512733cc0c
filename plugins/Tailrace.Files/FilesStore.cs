namespace Tailrace.Files;

/// <summary>Keeps published files in a directory of this machine. A published file and the directories above it survive a power cut.</summary>
internal sealed class FilesStore : IStore
{
    private const int KnownDirectories = 10_000;

    private readonly string _root;
    private readonly UnixFileMode _permissions;
    private readonly HashSet<string> _durable = []; // directories whose names this process has synced
    private readonly HashSet<string> _temporary = [];
    private int _open;

    public FilesStore(FilesStoreOptions options, string root)
    {
        _root = Path.GetFullPath(root);
        _permissions = options.ParsePermissions() ?? throw new ArgumentException($"permissions: '{options.Permissions}' is no file mode.", nameof(options));
    }

    public ValueTask<IStoreFile> CreateAsync(string path, CancellationToken cancellationToken)
    {
        string full = Resolve(path);
        string directory = Path.GetDirectoryName(full)!;
        lock (_temporary)
        {
            _temporary.Add(directory);
        }

        // Many open files share what one or two would have as buffers.
        int bufferSize = (Volatile.Read(ref _open) switch { < 16 => 256, < 128 => 64, _ => 16 }) << 10;
        for (int attempt = 1; ; attempt++)
        {
            Directory.CreateDirectory(directory);
            try
            {
                return ValueTask.FromResult<IStoreFile>(Create(full, bufferSize));
            }
            catch (DirectoryNotFoundException) when (attempt < 5)
            {
                // Another sink has just removed it for being empty.
            }
        }
    }

    public ValueTask<bool> PublishAsync(string temporaryPath, string path, CancellationToken cancellationToken)
    {
        string source = Resolve(temporaryPath);
        string destination = Resolve(path);
        string directory = Path.GetDirectoryName(destination)!;
        MakeDurable(directory);
        if (!DurableFile.MoveWithoutReplacing(source, destination))
        {
            return ValueTask.FromResult(false);
        }

        DurableFile.SyncDirectory(directory);
        DurableFile.SyncDirectory(Path.GetDirectoryName(source)!);
        return ValueTask.FromResult(true);
    }

    public ValueTask<long?> StatAsync(string path, CancellationToken cancellationToken)
    {
        var file = new FileInfo(Resolve(path));
        return ValueTask.FromResult(file.Exists ? file.Length : (long?)null);
    }

    public ValueTask<IReadOnlyList<string>> ListAsync(string directory, CancellationToken cancellationToken)
    {
        string full = Resolve(directory);
        IReadOnlyList<string> names = Directory.Exists(full) ? [.. Directory.EnumerateFiles(full).Select(path => Path.GetFileName(path))] : [];
        return ValueTask.FromResult(names);
    }

    public ValueTask DeleteAsync(string path, CancellationToken cancellationToken)
    {
        try
        {
            File.Delete(Resolve(path));
        }
        catch (DirectoryNotFoundException)
        {
            // Gone with its directory.
        }

        return default;
    }

    /// <summary>Removes the directories of temporary files where nothing is left in them.</summary>
    public ValueTask DisposeAsync()
    {
        lock (_temporary)
        {
            foreach (string directory in _temporary)
            {
                for (string at = directory; at.Length > _root.Length && TryRemove(at); at = Path.GetDirectoryName(at)!)
                {
                    // upwards, as long as they are empty
                }
            }
        }

        return default;
    }

    private FilesStoreFile Create(string path, int bufferSize)
    {
        SequentialFile file = SequentialFile.Create(path, bufferSize);
        try
        {
            if (!OperatingSystem.IsWindows())
            {
                File.SetUnixFileMode(path, _permissions);
            }
        }
        catch
        {
            file.Dispose();
            throw;
        }

        Interlocked.Increment(ref _open);
        return new FilesStoreFile(file, () => Interlocked.Decrement(ref _open));
    }

    private static bool TryRemove(string directory)
    {
        try
        {
            Directory.Delete(directory, recursive: false);
            return true;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return false; // not empty, or gone: both are fine
        }
    }

    /// <summary>Makes a directory and its name durable, also where a process made it that was killed before it could sync.</summary>
    private void MakeDurable(string directory)
    {
        lock (_durable)
        {
            if (_durable.Contains(directory) && Directory.Exists(directory))
            {
                return;
            }
        }

        DurableFile.CreateDirectory(directory);
        for (string? at = directory; at is not null && at.Length > _root.Length && Path.GetDirectoryName(at) is { } parent; at = parent)
        {
            DurableFile.SyncDirectory(parent);
        }

        lock (_durable)
        {
            if (_durable.Count >= KnownDirectories)
            {
                _durable.Clear();
            }

            _durable.Add(directory);
        }
    }

    private string Resolve(string path)
    {
        string full = Path.GetFullPath(Path.Combine(_root, path));
        string prefix = Path.EndsInDirectorySeparator(_root) ? _root : _root + Path.DirectorySeparatorChar;
        return full.StartsWith(prefix, StringComparison.Ordinal) ? full : throw new ArgumentException($"{path} leads out of {_root}.", nameof(path));
    }
}
