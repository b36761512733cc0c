namespace Tailrace;

/// <summary>
/// Takes events in. Acknowledges to its own upstream only what <see cref="ISourceContext.AppendAsync"/> has accepted.
/// The runner makes a source, calls <see cref="RunAsync"/> once and disposes it if it is disposable; one that throws is made anew after a back-off.
/// </summary>
public interface ISource
{
    /// <summary>
    /// Runs until cancelled. With <see cref="ISourceContext.Once"/> it ends by itself when everything that was there at the start has been
    /// accepted. Before it returns, every append it started has ended.
    /// </summary>
    Task RunAsync(CancellationToken cancellationToken);
}

/// <summary>What the host gives a source.</summary>
public interface ISourceContext : IComponentContext
{
    /// <summary>True under <c>run --once</c>: take in what is there now, then end.</summary>
    bool Once { get; }

    /// <summary>
    /// What the source's channels, and channels of the data directory that were renamed since, remember of the origins whose attribute
    /// <c>source</c> is this source's name.
    /// </summary>
    IReadOnlyList<OriginState> GetOrigins();

    /// <summary>
    /// Hands a batch on: through the interceptors and the selector into the channels. Completes when all of them have accepted it. Waits
    /// while one is full. Batches of one origin are handed on in order; several may be in flight. Takes its own share of the batch.
    /// </summary>
    /// <exception cref="PositionMismatchException">A channel stands elsewhere in the origin; the source goes on from there.</exception>
    ValueTask AppendAsync(EventBatch batch, CancellationToken cancellationToken);

    /// <summary>
    /// Asks about everything that was accepted before this call: the function answers true once every sink has delivered it for good.
    /// A host that cannot tell never says so.
    /// </summary>
    Func<bool> WatchDelivery() => () => false;

    /// <summary>Says how far a run over known input is, for the progress line: bytes taken in and bytes known to be there.</summary>
    void ReportProgress(long doneBytes, long knownBytes);
}

/// <summary>A batch does not start where a channel stands: another position is stored for the origin.</summary>
public sealed class PositionMismatchException : Exception
{
    /// <summary>Makes the error.</summary>
    public PositionMismatchException()
    {
    }

    /// <summary>Makes the error.</summary>
    public PositionMismatchException(string message)
        : base(message)
    {
    }

    /// <summary>Makes the error with its cause.</summary>
    public PositionMismatchException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    /// <summary>Makes the error.</summary>
    public PositionMismatchException(string channel, long from, long position)
        : base($"The batch starts at position {from}, but channel {channel} stands at {position}.")
    {
        Position = position;
    }

    /// <summary>The position to go on from.</summary>
    public long Position { get; }
}
