using Microsoft.Extensions.Logging;

namespace Tailrace.Files;

/// <summary>
/// Tells the source's loop when to look: when the poll interval has passed, when the system says that something changed in a watched
/// directory, and when the loop is woken for another reason. Hints only make things faster: what they miss, polling finds.
/// </summary>
internal sealed partial class FileHints : IDisposable
{
    private const int MaxChanges = 4096;
    private readonly Lock _lock = new();
    private readonly SemaphoreSlim _signal = new(0);
    private readonly ITimer _timer;
    private readonly IDirectoryWatcher? _watcher;
    private readonly HashSet<string> _watched = [];
    private readonly ILogger _logger;
    private HashSet<string> _changed = [];
    private bool _toldUnwatched;
    private bool _scanDue;
    private bool _pollDue;
    private int _signalled;

    public FileHints(TimeProvider time, TimeSpan pollInterval, ILogger logger)
    {
        _logger = logger;
        try
        {
            _watcher = OperatingSystem.IsWindows() ? new WindowsDirectoryWatcher(OnChange) : OperatingSystem.IsLinux() ? new LinuxDirectoryWatcher(OnChange) : null;
        }
        catch (IOException exception)
        {
            LogNoHints(exception.Message);
        }

        _timer = time.CreateTimer(_ => OnPoll(), null, pollInterval, pollInterval);
    }

    /// <summary>Watches exactly these directories, as far as the system can.</summary>
    public void Watch(ISet<string> directories)
    {
        if (_watcher is null)
        {
            return;
        }

        foreach (string gone in _watched.Except(directories).ToList())
        {
            _watcher.Remove(gone);
            _watched.Remove(gone);
        }

        foreach (string directory in directories)
        {
            if (_watcher.TryAdd(directory, out string? problem)) // again at every scan: a directory may have been removed and made anew
            {
                _watched.Add(directory);
            }
            else if (problem is not null && !_toldUnwatched)
            {
                _toldUnwatched = true;
                LogNotWatched(directory, problem);
            }
        }
    }

    /// <summary>Completes when there is something to look at.</summary>
    public async Task WaitAsync(CancellationToken cancellationToken)
    {
        _watcher?.Arm();
        await _signal.WaitAsync(cancellationToken);
        Volatile.Write(ref _signalled, 0);
    }

    /// <summary>Wakes the loop.</summary>
    public void Wake()
    {
        if (Interlocked.Exchange(ref _signalled, 1) == 0)
        {
            _signal.Release();
        }
    }

    /// <summary>Takes what has been told since the last time.</summary>
    /// <param name="changed">Gets the paths of changed files.</param>
    /// <returns>Whether all files are due a look, and whether the directories are due a scan at once.</returns>
    public (bool PollDue, bool ScanDue) Take(ref HashSet<string> changed)
    {
        changed.Clear();
        lock (_lock)
        {
            (_changed, changed) = (changed, _changed);
            (bool, bool) due = (_pollDue, _scanDue);
            _pollDue = _scanDue = false;
            return due;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _timer.Dispose();
        _watcher?.Dispose(); // the semaphore is left alone: a last tick of the timer may still be on its way
    }

    private void OnPoll()
    {
        lock (_lock)
        {
            _pollDue = true;
        }

        Wake();
    }

    /// <summary>Called by the watcher for each change; a null path means that changes were missed.</summary>
    private void OnChange(string? path, bool names)
    {
        lock (_lock)
        {
            _scanDue |= names || path is null;
            _pollDue |= path is null;
            if (path is not null && !_changed.Add(path) && _changed.Count > MaxChanges)
            {
                _changed.Clear();
                _pollDue = true;
            }
        }

        Wake();
    }

    [LoggerMessage(LogLevel.Warning, "No change notifications from the system ({Reason}); files are looked at every poll_interval.")]
    private partial void LogNoHints(string reason);

    [LoggerMessage(LogLevel.Warning, "No change notifications for {Directory}, perhaps others too ({Problem}); files there are looked at every poll_interval.")]
    private partial void LogNotWatched(string directory, string problem);
}

/// <summary>Tells of changes in directories: one class per system.</summary>
internal interface IDirectoryWatcher : IDisposable
{
    /// <summary>Starts watching a directory, or sees to it that it is still watched; false if that cannot be, with the reason unless there is no such directory.</summary>
    bool TryAdd(string directory, out string? problem);

    /// <summary>Stops watching a directory.</summary>
    void Remove(string directory);

    /// <summary>Allows the next call back: a watcher may hold back until then.</summary>
    void Arm();
}
