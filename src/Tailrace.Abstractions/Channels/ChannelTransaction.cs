namespace Tailrace;

/// <summary>
/// A take: events read from a subscriber's position, to be committed when the destination has them for good, or rolled back and taken
/// again. Disposing it gives the batch back and decides nothing.
/// </summary>
public sealed class ChannelTransaction : IDisposable
{
    private readonly ISubscriber _subscriber;

    /// <summary>Makes a transaction over <paramref name="events"/>; it takes over the caller's share of their batch.</summary>
    /// <param name="subscriber">Who took them.</param>
    /// <param name="events">The events.</param>
    /// <param name="start">The channel offset of the first of them.</param>
    public ChannelTransaction(ISubscriber subscriber, EventRange events, long start)
    {
        _subscriber = subscriber;
        Events = events;
        Start = start;
    }

    /// <summary>The events taken; at least one.</summary>
    public EventRange Events { get; }

    /// <summary>The channel offset of the first event.</summary>
    public long Start { get; }

    /// <summary>The channel offset behind the last event.</summary>
    public long End => Start + Events.Count;

    /// <summary>Commits everything up to <see cref="End"/>.</summary>
    public ValueTask CommitAsync(CancellationToken cancellationToken) => _subscriber.CommitAsync(End, cancellationToken);

    /// <summary>Goes back to <see cref="Start"/>: the events are taken again.</summary>
    public void RollBack() => _subscriber.Seek(Start);

    /// <inheritdoc/>
    public void Dispose() => Events.Batch.Dispose();
}
