namespace Tailrace;

/// <summary>
/// Pushes events out, a batch at a time (request-like destinations; for stores of files see <see cref="IStore"/>). The runner retries, backs
/// off and moves the cursor; the sink only delivers. One call at a time. Disposed by the runner if it is disposable.
/// </summary>
public interface ISink
{
    /// <summary>
    /// Delivers the events. <see cref="DeliveryResult.Delivered"/> only when the destination has them for good. An exception counts as
    /// <see cref="DeliveryResult.Retry"/> with its message.
    /// </summary>
    ValueTask<DeliveryResult> DeliverAsync(EventRange events, CancellationToken cancellationToken);
}

/// <summary>What became of a delivery.</summary>
public enum DeliveryOutcome
{
    /// <summary>The destination has the events for good.</summary>
    Delivered,

    /// <summary>It may work later; the same events are tried again after a back-off.</summary>
    Retry,

    /// <summary>The destination refuses the events for good; they go to the dead letters.</summary>
    Rejected,
}

/// <summary>The answer of a sink.</summary>
/// <param name="Outcome">What became of the delivery.</param>
/// <param name="Reason">Why it was not delivered; null if it was. Never holds a secret.</param>
public readonly record struct DeliveryResult(DeliveryOutcome Outcome, string? Reason)
{
    /// <summary>The destination has the events for good.</summary>
    public static DeliveryResult Delivered => new(DeliveryOutcome.Delivered, null);

    /// <summary>Try again later.</summary>
    public static DeliveryResult Retry(string reason) => new(DeliveryOutcome.Retry, reason);

    /// <summary>Refused for good.</summary>
    public static DeliveryResult Rejected(string reason) => new(DeliveryOutcome.Rejected, reason);
}
