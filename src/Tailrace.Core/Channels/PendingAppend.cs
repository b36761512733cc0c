using System.Buffers.Binary;

namespace Tailrace.Core.Channels;

/// <summary>An append on its way: waiting for its turn and for space, then in the hands of the channel.</summary>
internal sealed class PendingAppend : TaskCompletionSource<AppendResult>
{
    private readonly CancellationToken _cancellation;
    private CancellationTokenRegistration _registration;

    private byte[] _compressed = [];

    public PendingAppend(EventBatch batch, CancellationToken cancellationToken, BatchCompression compression = BatchCompression.None)
        : base(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        _cancellation = cancellationToken;
        Batch = batch.Share();
        bool isCompressed = BatchCodec.TryCompress(batch.Block.Span, compression, out _compressed, out int length);
        Block = isCompressed ? _compressed.AsMemory(0, length) : batch.Block;
        FrameLength = Measure(batch, Block.Length);
    }

    public EventBatch Batch { get; }

    /// <summary>The batch's block as it is stored.</summary>
    public ReadOnlyMemory<byte> Block { get; }

    public uint Checksum => Block.IsEmpty ? 0 : BinaryPrimitives.ReadUInt32LittleEndian(Block.Span[8..]);

    public long FrameLength { get; }

    /// <summary>Its place in the queue; null once it is taken or cancelled. Changed under the channel's gate.</summary>
    public LinkedListNode<PendingAppend>? Node { get; set; }

    public AppendResult Result { get; set; }

    /// <summary>When it was appended, in nanoseconds since 1970.</summary>
    public long Time { get; set; }

    /// <summary>Where its frame stands, once it is staged.</summary>
    public Segment? Segment { get; set; }

    public long Position { get; set; }

    /// <summary>What a batch takes as a frame.</summary>
    private static long Measure(EventBatch batch, int blockLength) => (FrameFormat.HeaderLength(batch.Advances) + blockLength + FrameFormat.Alignment - 1) & -FrameFormat.Alignment;

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
        Release();
        SetResult(Result);
    }

    public void Fail(Exception exception)
    {
        _registration.Unregister();
        Release();
        SetException(exception);
    }

    public void Cancel(CancellationToken cancellationToken)
    {
        Release();
        SetCanceled(cancellationToken);
    }

    /// <summary>Lets go of an append that was not taken.</summary>
    public void Discard() => Release();

    private void Release()
    {
        Batch.Dispose();
        if (_compressed.Length > 0)
        {
            EventBatch.Pool.Return(_compressed);
            _compressed = [];
        }
    }
}
