namespace Tailrace;

/// <summary>Which of a source's channels the events of a batch go to. Must be a pure function of the event. One call at a time.</summary>
public interface IChannelSelector
{
    /// <summary>
    /// Splits a batch: one batch per channel of the source, in the order they are configured, each with the same advances, as
    /// <see cref="EventBatch.PositionsOnly"/> where no event was selected. Takes over the caller's share of <paramref name="batch"/>;
    /// the caller owns what comes back.
    /// </summary>
    IReadOnlyList<EventBatch> Select(EventBatch batch);
}
