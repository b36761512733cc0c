namespace Tailrace.Core.Channels;

/// <summary>An append on its way: waiting for its turn and for space, then in the hands of the channel.</summary>
internal sealed class PendingAppend : TaskCompletionSource<AppendResult>
{
    private readonly CancellationToken _cancellation;
    private CancellationTokenRegistration _registration;

    public PendingAppend(EventBatch batch, CancellationToken cancellationToken)
        : base(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        _cancellation = cancellationToken;
        Batch = batch.Share();
        FrameLength = Measure(batch);
    }

    public EventBatch Batch { get; }

    public long FrameLength { get; }

    /// <summary>Its place in the queue; null once it is taken or cancelled. Changed under the channel's gate.</summary>
    public LinkedListNode<PendingAppend>? Node { get; set; }

    public AppendResult Result { get; set; }

    /// <summary>When it was appended, in nanoseconds since 1970.</summary>
    public long Time { get; set; }

    /// <summary>Where its frame stands, once it is staged.</summary>
    public Segment? Segment { get; set; }

    public long Position { get; set; }

    /// <summary>What a batch takes as a frame; the memory channel counts the same.</summary>
    public static long Measure(EventBatch batch) => (FrameFormat.HeaderLength(batch.Advances) + batch.BlockLength + FrameFormat.Alignment - 1) & -FrameFormat.Alignment;

    /// <summary>Has <paramref name="cancel"/> called when the caller gives up. Under the gate, so that it cannot complete before.</summary>
    public void Register(Action<PendingAppend, CancellationToken> cancel)
    {
        if (_cancellation.CanBeCanceled)
        {
            _registration = _cancellation.UnsafeRegister((state, token) => cancel((PendingAppend)state!, token), this);
        }
    }

    /// <summary>Cancels it if the caller gave up while it could not be cancelled.</summary>
    public void CancelIfAsked(Action<PendingAppend, CancellationToken> cancel)
    {
        if (_cancellation.IsCancellationRequested)
        {
            cancel(this, _cancellation);
        }
    }

    public void Complete()
    {
        _registration.Unregister();
        Batch.Dispose();
        SetResult(Result);
    }

    public void Fail(Exception exception)
    {
        _registration.Unregister();
        Batch.Dispose();
        SetException(exception);
    }

    public void Cancel(CancellationToken cancellationToken)
    {
        Batch.Dispose();
        SetCanceled(cancellationToken);
    }
}
