namespace Tailrace.Core.Channels;

/// <summary>What the subscribers of both channels have in common: cursor, position, waiting and the pressure signal. Its state is guarded by the channel's gate.</summary>
internal abstract class ChannelSubscriber(string name, object gate, long cursor) : ISubscriber
{
    private long _cursor = cursor;
    private long _position = cursor;
    private long _pressedAt = -1;
    private TaskCompletionSource? _waiter;
    private TaskCompletionSource _pressure = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public string Name { get; } = name;

    public long Cursor
    {
        get => Volatile.Read(ref _cursor);
        protected set => Volatile.Write(ref _cursor, value);
    }

    public long Position
    {
        get => Volatile.Read(ref _position);
        protected set => Volatile.Write(ref _position, value);
    }

    public Task Pressure => Volatile.Read(ref _pressure).Task;

    protected object Gate { get; } = gate;

    public async ValueTask<ChannelTransaction?> TakeAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            ChannelTransaction? transaction = TryTake(out TaskCompletionSource? wait);
            if (transaction is not null || wait is null)
            {
                return transaction;
            }

            await wait.Task.WaitAsync(cancellationToken);
        }
    }

    public abstract void Seek(long offset);

    public abstract ValueTask CommitAsync(long offset, CancellationToken cancellationToken);

    public abstract ValueTask DisposeAsync();

    /// <summary>Lets a waiting take look again. Under the gate.</summary>
    internal void Wake()
    {
        _waiter?.SetResult();
        _waiter = null;
    }

    /// <summary>Completes <see cref="Pressure"/> and puts a fresh one in its place. Under the gate.</summary>
    internal void Press()
    {
        TaskCompletionSource pressure = _pressure;
        Volatile.Write(ref _pressure, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        _pressedAt = _position;
        pressure.SetResult();
    }

    /// <summary>Presses a subscriber that has taken more since the last time: what it held then was nothing, or too little. Under the gate.</summary>
    internal void PressAgain()
    {
        if (_position > _pressedAt)
        {
            Press();
        }
    }

    /// <summary>Takes what is there. Null with something to wait for where there is nothing, null without one at the end of a complete channel.</summary>
    protected abstract ChannelTransaction? TryTake(out TaskCompletionSource? wait);

    /// <summary>What <see cref="Wake"/> completes. Under the gate.</summary>
    protected TaskCompletionSource Wait() => _waiter ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>A transaction over the part of a batch from the position on, and moves the position behind it.</summary>
    protected ChannelTransaction Take(EventBatch batch, long offset)
    {
        long start = _position;
        EventRange events = batch.All;
        Position = offset + batch.Count;
        return new ChannelTransaction(this, start == offset ? events : events.Skip((int)(start - offset)), start);
    }
}
