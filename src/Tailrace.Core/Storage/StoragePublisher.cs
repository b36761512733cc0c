using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace Tailrace.Core.Storage;

/// <summary>What became of publishing a range.</summary>
/// <param name="Bucket">Its bucket.</param>
/// <param name="Range">The range.</param>
/// <param name="IsPublished">False: the file was lost on the way, and the range has to be read again.</param>
/// <param name="Error">What went wrong beyond repair; null otherwise.</param>
internal readonly record struct Publication(Bucket Bucket, BucketRange Range, bool IsPublished, Exception? Error);

/// <summary>
/// Completes and publishes files beside the loop, a few at a time; the ranges of one bucket one after the other, so that commits are
/// recorded in order. The loop calls everything but what is said to run beside it.
/// </summary>
internal sealed partial class StoragePublisher(Destination destination, StorageJournal journal, StoreRetry retry, ILogger logger, WakeUp wake, CancellationToken leaving)
{
    /// <summary>How many files are published at once.</summary>
    public const int MaxBusy = 4;

    private readonly Queue<Bucket> _waiting = new();
    private readonly ConcurrentQueue<Publication> _done = new();

    /// <summary>How many files are being published.</summary>
    public int Busy { get; private set; }

    /// <summary>True if nothing waits or is being published.</summary>
    public bool IsIdle => Busy == 0 && _waiting.Count == 0;

    /// <summary>Has the first range of a bucket published when its turn comes, if it is filled.</summary>
    public void Enqueue(Bucket bucket)
    {
        if (!bucket.IsQueued && bucket.Ranges.Count > 0 && bucket.Ranges[0].State == RangeState.Filled)
        {
            bucket.IsQueued = true;
            _waiting.Enqueue(bucket);
        }
    }

    /// <summary>Starts publishing what waits, as far as there is room. Ends of it are told by the wake-up and <see cref="TryTake"/>.</summary>
    public void Start()
    {
        while (Busy < MaxBusy && _waiting.TryDequeue(out Bucket? bucket))
        {
            bucket.IsQueued = false;
            BucketRange range = bucket.Ranges[0];
            range.State = RangeState.Publishing;
            Busy++;
            _ = Task.Run(() => RunAsync(bucket, range, range.File!), CancellationToken.None);
        }
    }

    /// <summary>What has come to an end since the last call.</summary>
    public bool TryTake(out Publication publication)
    {
        bool any = _done.TryDequeue(out publication);
        Busy -= any ? 1 : 0;
        return any;
    }

    /// <summary>Deletes a temporary file; what cannot be deleted now is deleted at the next start. Runs beside the loop too.</summary>
    public async ValueTask DeleteAsync(BucketFile file)
    {
        try
        {
            await destination.Store.DeleteAsync(file.TemporaryPath, leaving);
        }
        catch (Exception exception) when (!leaving.IsCancellationRequested)
        {
            Log.LeftBehind(logger, file.TemporaryPath, exception.Message);
        }
    }

    private async Task RunAsync(Bucket bucket, BucketRange range, BucketFile file)
    {
        Publication result;
        try
        {
            result = new Publication(bucket, range, await PublishAsync(bucket, range, file), null);
        }
        catch (Exception exception)
        {
            result = new Publication(bucket, range, false, exception); // the loop throws it
        }

        _done.Enqueue(result);
        wake.Set();
    }

    /// <summary>Intent durable, file complete, name given: the first two once, the last until it is done.</summary>
    private async Task<bool> PublishAsync(Bucket bucket, BucketRange range, BucketFile file)
    {
        try
        {
            await journal.SyncAsync(leaving);
            await file.CompleteAsync(leaving);
        }
        catch (StoreFailedException exception)
        {
            Log.Incomplete(logger, exception.Message);
            await DeleteAsync(file);
            return false;
        }
        finally
        {
            await file.CloseAsync();
        }

        bool isPublished = false;
        await retry.RunAsync(async _ => isPublished = await TryPublishAsync(bucket, range, file), leaving);
        return isPublished;
    }

    private async ValueTask<bool> TryPublishAsync(Bucket bucket, BucketRange range, BucketFile file)
    {
        string path = Destination.Join(bucket.Path, range.Intent.Name);
        if (range.Intent.Foreign && !await ReclaimAsync(bucket, range, path))
        {
            throw Foreign(path);
        }

        try
        {
            if (await destination.Store.PublishAsync(file.TemporaryPath, path, leaving))
            {
                return true;
            }
        }
        catch (FileNotFoundException)
        {
            // Either an attempt whose answer was lost has renamed it, or somebody has deleted it.
            return range.IsAttempted && await ExistsAsync(path);
        }
        catch (Exception exception) when (!leaving.IsCancellationRequested)
        {
            range.IsAttempted = true;
            throw new StoreFailedException($"{path} could not be published: {exception.Message}", exception);
        }

        if (range.IsAttempted)
        {
            await DeleteAsync(file);
            return true;
        }

        await MarkAsync(bucket, range, isForeign: true);
        throw Foreign(path);
    }

    /// <summary>Once somebody else's file is out of the way the name stands for ours again: that must be durable before it is tried.</summary>
    private async ValueTask<bool> ReclaimAsync(Bucket bucket, BucketRange range, string path)
    {
        if (await ExistsAsync(path))
        {
            return false;
        }

        await MarkAsync(bucket, range, isForeign: false);
        return true;
    }

    private async ValueTask MarkAsync(Bucket bucket, BucketRange range, bool isForeign)
    {
        range.Intent = range.Intent with { Foreign = isForeign };
        journal.Intend(bucket.Path, range.Intent);
        await journal.SyncAsync(leaving);
    }

    private async ValueTask<bool> ExistsAsync(string path)
    {
        try
        {
            return await destination.Store.StatAsync(path, leaving) is not null;
        }
        catch (Exception exception) when (!leaving.IsCancellationRequested)
        {
            throw new StoreFailedException($"{path} could not be looked up: {exception.Message}", exception);
        }
    }

    private static StoreFailedException Foreign(string path) =>
        new($"{path} exists and was not written by this sink. Move it away; nothing is replaced.", new IOException("The name is taken."));

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "{Reason} Its events are read again.")]
        public static partial void Incomplete(ILogger logger, string reason);

        [LoggerMessage(2, LogLevel.Warning, "The temporary file {Path} could not be deleted: {Reason} It is deleted at the next start.")]
        public static partial void LeftBehind(ILogger logger, string path, string reason);
    }
}
