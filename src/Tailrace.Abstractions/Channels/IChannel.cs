namespace Tailrace;

/// <summary>
/// An ordered log of batches with a dense 64-bit offset per event and any number of subscribers. Remembers the last position of every
/// origin in the same write that stores its events. All members may be called from any thread.
/// </summary>
public interface IChannel : IAsyncDisposable
{
    /// <summary>The channel's name in the configuration.</summary>
    string Name { get; }

    /// <summary>True if what it holds survives the process. A channel that does not is drained when the agent stops.</summary>
    bool Durable { get; }

    /// <summary>The offset behind the last event that readers may see.</summary>
    long End { get; }

    /// <summary>The offset below which every subscriber has delivered; the oldest that is held where there is none.</summary>
    long Delivered { get; }

    /// <summary>The random id of this start of the channel; it stands in the names of published files, so that offsets given twice (after a loss) are never taken for each other.</summary>
    ulong Run { get; }

    /// <summary>
    /// Puts a batch, all of it or nothing: a compare-and-set on the batch's advances (<see cref="Advance"/>). Completes when the batch is as
    /// safe as the channel promises; a duplicate completes when the batch it repeats is. Waits while the channel is full. Calls take effect
    /// in the order they are made, so a source may have several in flight, each going on where the one before ends.
    /// The channel takes its own share of the batch.
    /// </summary>
    /// <exception cref="ChannelException">The batch could not be stored; nothing of it is. Appends made behind it that go on from it fail too.</exception>
    ValueTask<AppendResult> AppendAsync(EventBatch batch, CancellationToken cancellationToken);

    /// <summary>Every origin the channel remembers, as of what is safe.</summary>
    IReadOnlyList<OriginState> GetOrigins();

    /// <summary>Opens the subscriber of that name; one that is new starts where <paramref name="start"/> says.</summary>
    /// <exception cref="InvalidOperationException">A subscriber of that name is open.</exception>
    ISubscriber Subscribe(string name, SubscriberStart start);

    /// <summary>Says that no more will be appended: subscribers that have taken everything are told so instead of waiting.</summary>
    void Complete();
}

/// <summary>Where a subscriber that is new to a channel starts.</summary>
/// <param name="Kind">The rule.</param>
/// <param name="Timestamp">For <see cref="SubscriberStartKind.Timestamp"/>: nanoseconds since 1970.</param>
public readonly record struct SubscriberStart(SubscriberStartKind Kind, long Timestamp = 0)
{
    /// <summary>At the oldest event that is retained.</summary>
    public static SubscriberStart Beginning => new(SubscriberStartKind.Beginning);

    /// <summary>Behind the newest event.</summary>
    public static SubscriberStart End => new(SubscriberStartKind.End);
}

/// <summary>The rule of a <see cref="SubscriberStart"/>.</summary>
public enum SubscriberStartKind
{
    /// <summary>At the oldest event that is retained.</summary>
    Beginning,

    /// <summary>Behind the newest event.</summary>
    End,

    /// <summary>At the first batch that was appended at or after a point in time.</summary>
    Timestamp,
}
