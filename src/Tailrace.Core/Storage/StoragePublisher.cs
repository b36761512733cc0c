using Microsoft.Extensions.Logging;

namespace Tailrace.Core.Storage;

/// <summary>Completes and publishes files beside the loop. Each range is published by one task; ranges of one bucket one after the other.</summary>
internal sealed partial class StoragePublisher(Destination destination, StorageJournal journal, StoreRetry retry, ILogger logger)
{
    /// <summary>
    /// Publishes a filled range: intent durable, file complete, name given. Tries again until that is done. False if the file was lost on
    /// the way and the range has to be read again.
    /// </summary>
    public async Task<bool> PublishAsync(Bucket bucket, BucketRange range, BucketFile file, CancellationToken cancellationToken)
    {
        try
        {
            await journal.SyncAsync(cancellationToken);
            await file.CompleteAsync(cancellationToken);
        }
        catch (StoreFailedException exception)
        {
            Log.Incomplete(logger, exception.Message);
            await DeleteAsync(file, cancellationToken);
            return false;
        }
        finally
        {
            await file.CloseAsync();
        }

        bool published = false;
        await retry.RunAsync(async token => published = await TryPublishAsync(bucket, range, file, token), cancellationToken);
        return published;
    }

    /// <summary>Deletes a temporary file; what cannot be deleted now is deleted at the next start.</summary>
    public async ValueTask DeleteAsync(BucketFile file, CancellationToken cancellationToken)
    {
        try
        {
            await destination.Store.DeleteAsync(file.TemporaryPath, cancellationToken);
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            Log.LeftBehind(logger, file.TemporaryPath, exception.Message);
        }
    }

    private async ValueTask<bool> TryPublishAsync(Bucket bucket, BucketRange range, BucketFile file, CancellationToken cancellationToken)
    {
        string path = Destination.Join(bucket.Path, range.Intent.Name);
        if (range.Intent.Foreign && !await ReclaimAsync(bucket, range, path, cancellationToken))
        {
            throw Foreign(path);
        }

        try
        {
            if (await destination.Store.PublishAsync(file.TemporaryPath, path, cancellationToken))
            {
                return true;
            }
        }
        catch (FileNotFoundException)
        {
            // Either an attempt whose answer was lost has renamed it, or somebody has deleted it.
            return range.IsAttempted && await ExistsAsync(path, cancellationToken);
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested && exception is not StoreFailedException)
        {
            range.IsAttempted = true;
            throw new StoreFailedException($"{path} could not be published: {exception.Message}", exception);
        }

        if (range.IsAttempted)
        {
            await DeleteAsync(file, cancellationToken);
            return true;
        }

        range.Intent = range.Intent with { Foreign = true };
        journal.Intend(bucket.Path, range.Intent);
        await journal.SyncAsync(cancellationToken);
        throw Foreign(path);
    }

    /// <summary>Once somebody else's file is out of the way, the name stands for ours again: that must be durable before it is tried.</summary>
    private async ValueTask<bool> ReclaimAsync(Bucket bucket, BucketRange range, string path, CancellationToken cancellationToken)
    {
        if (await ExistsAsync(path, cancellationToken))
        {
            return false;
        }

        range.Intent = range.Intent with { Foreign = false };
        journal.Intend(bucket.Path, range.Intent);
        await journal.SyncAsync(cancellationToken);
        return true;
    }

    private async ValueTask<bool> ExistsAsync(string path, CancellationToken cancellationToken)
    {
        try
        {
            return await destination.Store.StatAsync(path, cancellationToken) is not null;
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
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
