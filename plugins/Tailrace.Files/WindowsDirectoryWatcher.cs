namespace Tailrace.Files;

/// <summary>Hints on Windows: a FileSystemWatcher per directory.</summary>
internal sealed class WindowsDirectoryWatcher(Action<string?, bool> onChange) : IDirectoryWatcher
{
    private readonly Dictionary<string, FileSystemWatcher> _watchers = [];

    public bool TryAdd(string directory, out string? problem)
    {
        problem = null;
        if (_watchers.TryGetValue(directory, out FileSystemWatcher? watcher) && watcher.EnableRaisingEvents)
        {
            return true;
        }

        Remove(directory);
        watcher = null;
        try
        {
            watcher = new FileSystemWatcher(directory)
            {
                NotifyFilter = NotifyFilters.FileName | NotifyFilters.DirectoryName | NotifyFilters.Size | NotifyFilters.LastWrite,
            };
            watcher.Changed += (_, change) => onChange(change.FullPath, false);
            watcher.Created += (_, change) => onChange(change.FullPath, true);
            watcher.Deleted += (_, change) => onChange(change.FullPath, true);
            watcher.Renamed += (_, change) => onChange(change.FullPath, true);
            watcher.Error += (_, _) =>
            {
                watcher.EnableRaisingEvents = false; // made anew at the next scan
                onChange(null, true);
            };
            watcher.EnableRaisingEvents = true;
            _watchers[directory] = watcher;
            return true;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException)
        {
            problem = Directory.Exists(directory) ? exception.Message : null;
            watcher?.Dispose();
            return false;
        }
    }

    public void Remove(string directory)
    {
        if (_watchers.Remove(directory, out FileSystemWatcher? watcher))
        {
            watcher.Dispose();
        }
    }

    public void Arm()
    {
    }

    public void Dispose()
    {
        foreach (FileSystemWatcher watcher in _watchers.Values)
        {
            watcher.Dispose();
        }
    }
}
