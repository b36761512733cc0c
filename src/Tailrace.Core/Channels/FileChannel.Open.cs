namespace Tailrace.Core.Channels;

/// <summary>Opening: the lock, the channel's identity, recovery, subscribers.</summary>
internal sealed partial class FileChannel
{
    /// <summary>Opens the channel in its directory, making it if it is not there.</summary>
    /// <param name="options">The options.</param>
    /// <param name="context">Where it lives.</param>
    /// <param name="files">The file operations; others than the real ones in tests.</param>
    /// <param name="isStepped">Starts no thread: tests call <see cref="Turn"/>, and <see cref="Write"/> to stop it.</param>
    /// <exception cref="ChannelException">Another process has it open, or the directory cannot be used.</exception>
    public static FileChannel Open(FileChannelOptions options, IChannelContext context, SegmentFiles? files = null, bool isStepped = false)
    {
        files ??= new SegmentFiles();
        IDisposable? held = null;
        FileChannel? channel = null;
        try
        {
            files.CreateDirectory(SegmentDirectory(context));
            files.CreateDirectory(SubscriberDirectory(context));
            held = files.TryLock(Path.Combine(context.Directory, "lock"))
                ?? throw new ChannelException($"Channel {context.Name}: {context.Directory} is in use by another process. One agent per data directory: stop the other, or give this one its own.");
            Guid id = OpenIdentity(files, context, out bool isReplaced);
            ChannelState? state = isReplaced ? null : ReadState(files, context, id);
            Recovered recovered = new Recovery(files, SegmentDirectory(context), id, state, IndexStep(options), context.Logger).Run();
            channel = new FileChannel(options, context, files, id, held, recovered);
            channel.Start(recovered);
            if (!isStepped)
            {
                new Thread(channel.Write) { IsBackground = true, Name = $"channel {context.Name}" }.Start();
            }

            return channel;
        }
        catch (Exception exception)
        {
            channel?.Release();
            held?.Dispose();
            if (exception is ChannelException || !IsFileError(exception))
            {
                throw;
            }

            throw new ChannelException($"Channel {context.Name} in {context.Directory} cannot be opened. {exception.Message}", exception);
        }
    }

    private static string SegmentDirectory(IChannelContext context) => Path.Combine(context.Directory, "segments");

    private static string SubscriberDirectory(IChannelContext context) => Path.Combine(context.Directory, "subscribers");

    private static string StatePath(IChannelContext context) => Path.Combine(context.Directory, "state");

    // Space comes free segment by segment, so a small channel needs small ones.
    private static long SegmentSize(FileChannelOptions options) => Math.Min(options.SegmentSize.Bytes, Math.Max(1 << 20, options.Capacity.Bytes / 4));

    private static long IndexStep(FileChannelOptions options) => Math.Min(64 << 10, options.Capacity.Bytes / 1024);

    /// <summary>The channel's id: from its file, else from a segment that still tells it, else a new one.</summary>
    private static Guid OpenIdentity(SegmentFiles files, IChannelContext context, out bool isNew)
    {
        string path = Path.Combine(context.Directory, ChannelIdentity.FileName);
        isNew = false;
        if (files.Exists(path))
        {
            if (ChannelIdentity.TryRead(files.ReadAll(path), out Guid known, out byte version))
            {
                return version == ChannelIdentity.Version
                    ? known
                    : throw new ChannelException($"Channel {context.Name}: {path} has version {version}; this Tailrace reads version {ChannelIdentity.Version}. It was made by a newer one.");
            }
        }

        Guid? found = ChannelIdentity.FindInSegments(files, SegmentDirectory(context));
        if (found is not null || files.Exists(path))
        {
            Log.IdentityDamaged(context.Logger, path);
        }

        isNew = found is null;
        Guid id = found ?? Guid.NewGuid();
        files.Replace(path, ChannelIdentity.Encode(id, LogEvent.ToTimestamp(context.Time.GetUtcNow())));
        return id;
    }

    private static ChannelState? ReadState(SegmentFiles files, IChannelContext context, Guid id)
    {
        string path = StatePath(context);
        if (!files.Exists(path))
        {
            return null;
        }

        try
        {
            ChannelState state = ChannelState.Decode(files.ReadAll(path));
            if (state.Channel == id)
            {
                return state;
            }

            Log.StateForeign(context.Logger, path);
        }
        catch (InvalidDataException exception)
        {
            Log.StateDamaged(context.Logger, path, exception.Message);
        }
        catch (IOException exception)
        {
            Log.StateDamaged(context.Logger, path, exception.Message);
        }

        return null;
    }

    private void Start(Recovered recovered)
    {
        _log.Continue(recovered.CanContinue);
        _log.SyncDirectory();
        _runs.RemoveAll(run => run.FirstOffset >= _end);
        StartRun();
        foreach (string directory in _files.ListDirectories(SubscriberDirectory(_context)))
        {
            if (_files.Exists(Path.Combine(directory, "cursor")))
            {
                OpenPin(Path.GetFileName(directory));
            }
        }

        TrySnapshot();
        Reserve();
        if (_sync.Interval > TimeSpan.Zero)
        {
            _timer = _context.Time.CreateTimer(_ => OnSyncDue(), null, _sync.Interval, _sync.Interval);
        }

        if (_retention.Time is > 0 and < long.MaxValue)
        {
            // Nothing else wakes an idle channel when what it retains grows old.
            TimeSpan period = TimeSpan.FromSeconds(Math.Clamp(_retention.Time / 1e10, 1, 60));
            _retainTimer = _context.Time.CreateTimer(_ => OnRetentionDue(), null, period, period);
        }
    }

    /// <summary>Opens the cursor of a subscriber that the directory knows; one beyond the log's end is clipped to it.</summary>
    private void OpenPin(string name)
    {
        CursorFile file = CursorFile.Open(_files, Path.Combine(SubscriberDirectory(_context), name, "cursor"), _id);
        if (file.IsDamaged)
        {
            Log.CursorDamaged(_context.Logger, name, _first);
        }

        long cursor = file.Found ?? _first;
        if (cursor > _end)
        {
            Log.CursorAhead(_context.Logger, name, cursor, _end);
            Skipped += cursor - _end;
            cursor = _end;
            file.Free = Math.Min(file.Free, cursor);
            file.Write(cursor, Run, Now);
            file.Sync();
        }

        if (cursor < _first)
        {
            Log.CursorBehind(_context.Logger, name, cursor, _first, _first - cursor);
            Skipped += _first - cursor;
            cursor = _first;
        }

        _pins.Add(name, new Pin(file, cursor));
    }

    private Pin CreatePin(string name, long cursor)
    {
        string directory = Path.Combine(SubscriberDirectory(_context), name);
        try
        {
            _files.CreateDirectory(directory);
            CursorFile file = CursorFile.Open(_files, Path.Combine(directory, "cursor"), _id);
            file.Free = GetHeld();
            file.Write(cursor, Run, Now);
            file.Sync();
            var pin = new Pin(file, cursor);
            _pins.Add(name, pin);
            return pin;
        }
        catch (IOException exception)
        {
            throw new ChannelException($"Channel {Name}: the cursor of {name} could not be made in {directory}. {exception.Message}", exception);
        }
    }

    private void StartRun()
    {
        _runs.Add(new ChannelRun(ChannelRun.NewId(), _end));
        if (_runs.Count > ChannelState.MaxRuns)
        {
            _runs.RemoveRange(0, _runs.Count - ChannelState.MaxRuns);
        }

        try
        {
            StageRunOnce(_end, Now);
            _log.Flush();
            _log.Sync();
            lock (_gate)
            {
                _log.Publish([], _end);
            }

            _isRunStored = true;
        }
        catch (Exception exception) when (IsFileError(exception))
        {
            // A full disk must not keep the channel from being drained.
            Log.RunNotStored(_context.Logger, exception, Name);
            _log.Abort(SegmentFiles.IsDiskFull(exception));
            _isRunStaged = false;
        }
    }
}
