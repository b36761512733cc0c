namespace Tailrace;

/// <summary>
/// Where a storage sink keeps files: create temporary, publish without replacing, stat, list, delete. Paths are relative to the store's
/// root, with <c>/</c> between parts, already made safe by the storage sink: no empty, <c>.</c> or <c>..</c> part. Errors are exceptions;
/// the storage sink retries. Members may be called from several threads for different paths.
/// </summary>
public interface IStore : IAsyncDisposable
{
    /// <summary>Creates a file that nobody sees as published; parent directories are made. Fails if it exists.</summary>
    ValueTask<IStoreFile> CreateAsync(string path, CancellationToken cancellationToken);

    /// <summary>
    /// Gives a completed temporary file its final name, atomically and durably, parent directories included; never replaces. False if the
    /// final name exists; the temporary file is then left alone.
    /// </summary>
    /// <exception cref="FileNotFoundException">The temporary file is gone.</exception>
    ValueTask<bool> PublishAsync(string temporaryPath, string path, CancellationToken cancellationToken);

    /// <summary>The length of a file in bytes; null if there is none.</summary>
    ValueTask<long?> StatAsync(string path, CancellationToken cancellationToken);

    /// <summary>The names of the files in a directory; none if the directory is missing.</summary>
    ValueTask<IReadOnlyList<string>> ListAsync(string directory, CancellationToken cancellationToken);

    /// <summary>Deletes a file; does nothing if it is gone.</summary>
    ValueTask DeleteAsync(string path, CancellationToken cancellationToken);
}

/// <summary>A temporary file of a store while it is written. Disposing one that was not completed abandons it.</summary>
public interface IStoreFile : IAsyncDisposable
{
    /// <summary>Where the bytes go. Written by one thread at a time.</summary>
    Stream Content { get; }

    /// <summary>Ends the file and makes it as durable as the store can; its length is then what was written.</summary>
    ValueTask CompleteAsync(CancellationToken cancellationToken);
}
