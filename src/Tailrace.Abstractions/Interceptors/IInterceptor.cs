namespace Tailrace;

/// <summary>
/// Between a source and its channels: batch in, batch out; adds, parses, filters, redacts. Must be a pure function of the batch where the
/// source can be read again, so that a repeated batch comes out the same. One call at a time.
/// </summary>
public interface IInterceptor
{
    /// <summary>
    /// Changes a batch. Takes over the caller's share of <paramref name="batch"/> and answers with it or with a new one that has the same
    /// advances; where all events are dropped, with <see cref="EventBatch.PositionsOnly"/> of them.
    /// </summary>
    EventBatch Intercept(EventBatch batch);
}
