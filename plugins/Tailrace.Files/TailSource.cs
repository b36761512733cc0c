using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.Logging;

namespace Tailrace.Files;

/// <summary>
/// Follows files: one loop that finds, reads and hands on, for any number of files. Files with something to read take turns, a batch each.
/// Where a file stands is kept by the channels, with the events (<see cref="FileMarks"/> are the attributes of its origin).
/// </summary>
/// <param name="options">What to follow, and how.</param>
/// <param name="context">Where events go.</param>
/// <param name="done">What becomes of files that are read and delivered; null to leave them where they are.</param>
[SuppressMessage("Usage", "VSTHRD003:Avoid awaiting foreign Tasks", Justification = "The appends awaited are the loop's own.")]
internal sealed partial class TailSource(TailOptions options, ISourceContext context, DoneFiles? done = null) : ISource
{
    private const int MaxInFlight = 8;
    private const long MaxBytesInFlight = 3 << 20;
    private const int MaxRedirects = 5;
    private const int HintedScanShare = 20; // where something was told to have changed, scans may take a twentieth of the time
    private const int ScanShare = 100; // else a hundredth: scans of many files come less often

    private readonly ILogger _logger = context.Logger;
    private readonly Queue<TailedFile> _turns = new();
    private readonly Queue<SentBatch> _inFlight = new();
    private long _bytesInFlight;
    private long _done;
    private long _known;
    private bool _toldSlow;

    /// <inheritdoc/>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        await Task.Yield(); // what follows may work for long before it waits
        using var hints = new FileHints(context.Time, options.PollInterval, _logger);
        using var files = new FollowedFiles(context, options);
        using var reader = new LineReader(context.Name, options, context.Time);
        try
        {
            await LoopAsync(files, hints, reader, cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // asked to stop: what is in flight is waited for below
        }
        finally
        {
            await EndAsync();
        }
    }

    private async Task LoopAsync(FollowedFiles files, FileHints hints, LineReader reader, CancellationToken cancellationToken)
    {
        Scan(files, hints);
        if (context.Once)
        {
            foreach (TailedFile file in files.All)
            {
                file.OnceLength = files.TryOpen(file) ? file.Handle!.Length : 0; // gone already where it cannot be opened
                _known += Math.Max(0, file.OnceLength - file.Position);
                files.Release(file);
            }
        }

        long lastScan = 0;
        long scanTook = 0;
        bool scanWanted = false;
        var changed = new HashSet<string>();
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            await HarvestAsync(files);
            (bool pollDue, bool scanDue) = hints.Take(ref changed);
            scanWanted |= scanDue;
            long sinceScan = context.Time.GetTimestamp() - lastScan;
            if (!context.Once && (scanWanted || pollDue) && sinceScan >= scanTook * (scanWanted ? HintedScanShare : ScanShare))
            {
                lastScan = context.Time.GetTimestamp();
                Scan(files, hints);
                scanTook = context.Time.GetTimestamp() - lastScan;
                scanWanted = false;
            }

            if (pollDue)
            {
                Poll(files);
            }

            foreach (string path in changed)
            {
                if (files.At(path) is { } file)
                {
                    Enqueue(file);
                }
            }

            bool full = _inFlight.Count >= MaxInFlight || (_inFlight.Count > 0 && _bytesInFlight + options.BatchSize.Bytes > MaxBytesInFlight);
            if (!full && _turns.TryDequeue(out TailedFile? next))
            {
                next.Queued = false;
                try
                {
                    TakeTurn(next, files, hints, reader, cancellationToken);
                    files.Problems.ClearReading(next.Path);
                    if (reader.TimedOut > 0 && !_toldSlow)
                    {
                        _toldSlow = true;
                        LogSlowPattern(next.Path);
                    }
                }
                catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
                {
                    files.Problems.AddReading(next.Path, exception.Message); // polling gives it another turn
                    next.LastLook = default;
                    if (!next.Detached)
                    {
                        files.CloseHandle(next); // a stale handle of a network file system never reads again; what stands at the path may
                    }
                }

                files.Release(next);
            }
            else if (context.Once && _inFlight.Count == 0)
            {
                CheckAllRead(files);
                return;
            }
            else
            {
                await hints.WaitAsync(cancellationToken); // also while the channels take nothing: new files are still found, and rotated ones held
            }
        }
    }

    private void Scan(FollowedFiles files, FileHints hints)
    {
        files.Scan();
        hints.Watch(files.Directories);
        foreach (TailedFile file in files.All)
        {
            if (file.LastLook == default)
            {
                Enqueue(file);
            }
        }
    }

    /// <summary>Looks at every file that is not waiting for its turn anyway.</summary>
    private void Poll(FollowedFiles files)
    {
        foreach (TailedFile file in files.All)
        {
            if (!file.Queued && (file.LastLook == default || done is not null || (file.Handle is not null && (file.Detached || LookAt(file) != file.LastLook))))
            {
                Enqueue(file);
            }
        }
    }

    private static (long Length, DateTime Written) LookAt(TailedFile file)
    {
        try
        {
            return (file.Handle!.StoredLength, file.Handle.Written);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return default; // unlike the last look: its turn says what is wrong
        }
    }

    private void Enqueue(TailedFile file)
    {
        if (!file.Queued && !file.Closed)
        {
            file.Queued = true;
            _turns.Enqueue(file);
        }
    }

    /// <summary>Reads one batch of a file and hands it on.</summary>
    private void TakeTurn(TailedFile file, FollowedFiles files, FileHints hints, LineReader reader, CancellationToken cancellationToken)
    {
        if (file.Closed || file.Redirect is not null || (!file.IsNew && file.Position >= file.OnceLength))
        {
            return; // one that is redirected comes back when nothing of it is in flight
        }

        if (!files.TryOpen(file))
        {
            if (context.Once)
            {
                throw new FileNotFoundException("it was moved or deleted before it was read");
            }

            return; // the next scan sees where it has gone
        }

        long length = file.Handle!.Length;
        file.LastLook = (file.Handle!.StoredLength, file.Handle.Written);
        bool final = file.OnceLength < long.MaxValue || IsOver(file, length) || done?.IsWhole(file) == true;
        bool rewritten = length < file.Position;
        EventBatch? batch = rewritten ? null
            : file.IsNew && file.StartAt > file.Position ? reader.PassTo(file, file.StartAt)
            : reader.Read(file, length, final, out rewritten);
        if (rewritten)
        {
            TailedFile again = files.StartOver(file);
            again.OnceLength = context.Once ? again.Handle!.Length : long.MaxValue;
            Enqueue(again);
            return;
        }

        batch ??= file.IsNew || (file.Handle!.IsPacked && file.Position == length && file.Marks.Packed != file.Handle.StoredLength) ? reader.PassTo(file, file.Position) : null; // first sight stores a position, also where there is nothing to read yet
        if (batch is not null)
        {
            Send(file, batch, hints, cancellationToken);
            if (file.Position < Math.Min(length, file.OnceLength))
            {
                Enqueue(file);
            }
        }
        else if (done is not null && !file.Detached && done.TryFinish(file))
        {
            files.Close(file);
        }
        else if (final && file.Detached && file.InFlight == 0)
        {
            LogClosed(file.Path, file.Position);
            files.Close(file);
        }
    }

    /// <summary>Whether a renamed or deleted file has been at its end for so long that nothing more is expected.</summary>
    private bool IsOver(TailedFile file, long length)
    {
        if (!file.Detached || file.Position + file.Scanned < length - 1) // one byte may be half a character of UTF-16
        {
            file.EndSeen = null;
            return false;
        }

        if (OperatingSystem.IsWindows() && file.Handle!.IsDeleted)
        {
            return true; // its name cannot be used again while it is open
        }

        file.EndSeen ??= context.Time.GetTimestamp();
        return context.Time.GetElapsedTime(file.EndSeen.Value) >= options.RotateWait;
    }

    private void Send(TailedFile file, EventBatch batch, FileHints hints, CancellationToken cancellationToken)
    {
        file.InFlight++;
        _bytesInFlight += batch.BlockLength;
        _inFlight.Enqueue(new SentBatch(file, batch.Advances[0].From, batch.Advances[0].To, batch.BlockLength, AppendAsync(batch, hints, cancellationToken)));
    }

    private async Task AppendAsync(EventBatch batch, FileHints hints, CancellationToken cancellationToken)
    {
        try
        {
            await context.AppendAsync(batch, cancellationToken);
        }
        finally
        {
            batch.Dispose();
            hints.Wake();
        }
    }

    /// <summary>Takes note of the appends that have ended, in the order they were made.</summary>
    private async Task HarvestAsync(FollowedFiles files)
    {
        while (_inFlight.TryPeek(out SentBatch? sent) && sent.Append.IsCompleted)
        {
            TailedFile file = sent.File;
            try
            {
                await sent.Append;
                file.Redirects = 0;
                _done += sent.To - sent.From;
                if (context.Once)
                {
                    context.ReportProgress(_done, _known);
                }
            }
            catch (PositionMismatchException mismatch)
            {
                LogMismatch(file.Path, mismatch.Message);
                file.Redirect = mismatch.Position;
            }

            _inFlight.Dequeue();
            _bytesInFlight -= sent.Bytes;
            file.InFlight--;
            if (file.InFlight == 0 && file.Redirect is not null)
            {
                Redirect(file, files);
            }
        }
    }

    /// <summary>Goes on where a channel has told, now that nothing of the file is in flight.</summary>
    private void Redirect(TailedFile file, FollowedFiles files)
    {
        long position = file.Redirect!.Value;
        file.Redirect = null;
        if (file.Closed)
        {
            return; // its next generation is being read; the channels keep what they have of this one
        }

        if (++file.Redirects > MaxRedirects)
        {
            throw new IOException($"The channels of source {context.Name} do not agree on where to go on in {file.Path}: told {position} at last, {MaxRedirects} times in a row without progress.");
        }

        if (!files.TryOpen(file))
        {
            throw new IOException($"{file.Path} is to be read again from {position}, but it is gone.");
        }

        OriginState? state = context.GetOrigins().FirstOrDefault(state => state.Origin == file.Origin);
        if (state is not null && (state.Position == position || state.Cuts.Contains(position)))
        {
            file.GoTo(state.Position, state.Cuts);
        }
        else
        {
            file.GoTo(position, []);
        }

        Enqueue(file);
    }

    private static void CheckAllRead(FollowedFiles files)
    {
        if (files.Problems.Summary is { } problems)
        {
            throw new IOException($"Not everything could be read: {problems}.");
        }
    }

    /// <summary>Waits until no append is under way any more.</summary>
    private async Task EndAsync()
    {
        while (_inFlight.TryDequeue(out SentBatch? sent))
        {
            await sent.Append.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (sent.Append.Exception is { } exception)
            {
                LogAbandoned(sent.File.Path, sent.From, exception.GetBaseException().Message); // the next run reads it again
            }
        }
    }

    [LoggerMessage(LogLevel.Warning, "A pattern of multiline takes too long on lines of {Path}; such lines count as not matching. Look-arounds and back references make patterns slow. This is logged once.")]
    private partial void LogSlowPattern(string path);

    [LoggerMessage(LogLevel.Information, "{Path} is closed: it was renamed or deleted, and read to its end at byte {Position}.")]
    private partial void LogClosed(string path, long position);

    [LoggerMessage(LogLevel.Warning, "Going back or on in {Path}: {Reason}")]
    private partial void LogMismatch(string path, string reason);

    [LoggerMessage(LogLevel.Information, "What was read of {Path} from byte {From} on was not taken and will be read again: {Reason}")]
    private partial void LogAbandoned(string path, long from, string reason);

    private sealed record SentBatch(TailedFile File, long From, long To, int Bytes, Task Append);
}
