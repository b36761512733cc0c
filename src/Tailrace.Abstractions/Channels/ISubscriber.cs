namespace Tailrace;

/// <summary>A named, durable cursor in a channel. One reader at a time calls it.</summary>
public interface ISubscriber : IAsyncDisposable
{
    /// <summary>The subscriber's name: that of its sink or sink group.</summary>
    string Name { get; }

    /// <summary>The committed offset: everything below it is delivered. Durable channels find it again after a crash, or an earlier one.</summary>
    long Cursor { get; }

    /// <summary>The offset <see cref="TakeAsync"/> reads next.</summary>
    long Position { get; }

    /// <summary>Completes when an append waits for space while this subscriber holds the lowest cursor: deliver what is held at once. A new task stands here after each.</summary>
    Task Pressure { get; }

    /// <summary>
    /// Takes the next batch; waits for one where there is none. Null once the channel is complete and all of it has been taken.
    /// Cancelling leaves the position where it was. The transaction is disposed by the caller.
    /// </summary>
    ValueTask<ChannelTransaction?> TakeAsync(CancellationToken cancellationToken);

    /// <summary>Goes to <paramref name="offset"/>; the next take reads from there. Clipped to what the channel holds.</summary>
    void Seek(long offset);

    /// <summary>Says that everything below <paramref name="offset"/> is delivered for good. An offset at or below the cursor changes nothing.</summary>
    ValueTask CommitAsync(long offset, CancellationToken cancellationToken);
}
