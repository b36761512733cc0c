namespace Tailrace.Core.Channels;

/// <summary>A subscriber of a memory channel.</summary>
internal sealed class MemorySubscriber(MemoryChannel channel, string name, object gate, long cursor) : ChannelSubscriber(name, gate, cursor)
{
    private readonly MemoryChannel _channel = channel;

    /// <summary>Whether it was disposed: it holds its place, and its data, until it is opened again. Under the gate.</summary>
    public bool IsClosed { get; private set; }

    public override void Seek(long offset)
    {
        lock (Gate)
        {
            Position = Math.Clamp(offset, _channel.First, _channel.End);
        }
    }

    public override ValueTask CommitAsync(long offset, CancellationToken cancellationToken)
    {
        lock (Gate)
        {
            offset = Math.Min(offset, _channel.End);
            if (offset > Cursor)
            {
                Cursor = offset;
                Position = Math.Max(Position, offset);
                _channel.OnCommitted();
            }
        }

        return ValueTask.CompletedTask;
    }

    public override ValueTask DisposeAsync()
    {
        lock (Gate)
        {
            IsClosed = true;
        }

        return ValueTask.CompletedTask;
    }

    protected override ChannelTransaction? TryTake(out TaskCompletionSource? wait)
    {
        lock (Gate)
        {
            _channel.ThrowIfDisposed();
            wait = null;
            Position = Math.Max(Position, _channel.First);
            if (_channel.TryGet(Position, out EventBatch? batch, out long offset))
            {
                return Take(batch, offset);
            }

            wait = _channel.IsComplete ? null : Wait();
            _channel.OnCaughtUp(this);
            return null;
        }
    }
}
