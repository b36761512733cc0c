namespace Tailrace.Tests.Storage;

/// <summary>A channel in memory that survives a crash: a list of batches, and one subscriber at a time with a cursor that was made durable.</summary>
internal sealed class TestLog : IChannel
{
    private readonly Lock _gate = new();
    private readonly List<(long Start, EventBatch Batch)> _batches = [];
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool _isComplete;

    public string Name => "main";

    public bool Durable => true;

    public long End { get; private set; }

    public ulong Run { get; set; } = 0x0123456789abcdef;

    public long Cursor { get; set; }

    public long Delivered => Cursor;

    /// <summary>The most events that one take gives.</summary>
    public int MaxTake { get; set; } = int.MaxValue;

    public void Append(EventBatch batch)
    {
        lock (_gate)
        {
            _batches.Add((End, batch));
            End += batch.Count;
            Signal();
        }
    }

    /// <summary>Appends one batch of events without headers that all have one timestamp.</summary>
    public void Append(long timestamp, params string[] bodies)
    {
        using var builder = new EventBatchBuilder();
        builder.Start();
        foreach (string body in bodies)
        {
            builder.Add(timestamp, System.Text.Encoding.UTF8.GetBytes(body));
        }

        Append(builder.Build());
    }

    /// <summary>Loses everything from an offset on, as a power cut does.</summary>
    public void CutTo(long end)
    {
        lock (_gate)
        {
            _batches.RemoveAll(entry => entry.Start >= end);
            End = _batches.Count == 0 ? 0 : _batches[^1].Start + _batches[^1].Batch.Count;
            Assert.Equal(end, End);
            Cursor = Math.Min(Cursor, end);
        }
    }

    public void Complete()
    {
        lock (_gate)
        {
            _isComplete = true;
            Signal();
        }
    }

    public TestSubscriber Open() => new(this);

    public ISubscriber Subscribe(string name, SubscriberStart start) => Open();

    public ValueTask<AppendResult> AppendAsync(EventBatch batch, CancellationToken cancellationToken) => throw new NotSupportedException();

    public IReadOnlyList<OriginState> GetOrigins() => [];

    public ValueTask DisposeAsync() => default;

    /// <summary>What stands at an offset; null if nothing does yet, with the task that ends when that changes.</summary>
    public (ChannelTransaction? Transaction, Task Changed, bool IsComplete) Read(ISubscriber subscriber, long offset)
    {
        lock (_gate)
        {
            foreach ((long start, EventBatch batch) in _batches)
            {
                if (offset < start + batch.Count)
                {
                    EventRange rest = batch.Share().All.Skip((int)Math.Max(0, offset - start));
                    return (new ChannelTransaction(subscriber, rest.Take(Math.Min(rest.Count, MaxTake)), Math.Max(offset, start)), Task.CompletedTask, false);
                }
            }

            return (null, _changed.Task, _isComplete);
        }
    }

    private void Signal()
    {
        _changed.SetResult();
        _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}

/// <summary>A subscriber of a <see cref="TestLog"/>; fails the test when two calls overlap.</summary>
internal sealed class TestSubscriber(TestLog log) : ISubscriber
{
    private int _calls;

    public string Name => "out";

    public long Cursor => log.Cursor;

    public long Position { get; private set; } = log.Cursor;

    public TaskCompletionSource Pressed { get; private set; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Task Pressure => Pressed.Task;

    /// <summary>Called before each call; throws to crash.</summary>
    public Action? OnCall { get; set; }

    /// <summary>A take waits for more.</summary>
    public bool IsWaiting { get; private set; }

    /// <summary>Called with what is committed.</summary>
    public Action<long>? OnCommit { get; set; }

    public void Press()
    {
        TaskCompletionSource pressed = Pressed;
        Pressed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        pressed.SetResult();
    }

    public async ValueTask<ChannelTransaction?> TakeAsync(CancellationToken cancellationToken)
    {
        Enter();
        try
        {
            while (true)
            {
                (ChannelTransaction? transaction, Task changed, bool isComplete) = log.Read(this, Position);
                if (transaction is not null || isComplete)
                {
                    Position = transaction?.End ?? Position;
                    return transaction;
                }

                IsWaiting = true;
                await changed.WaitAsync(cancellationToken);
            }
        }
        finally
        {
            IsWaiting = false;
            Interlocked.Decrement(ref _calls);
        }
    }

    public void Seek(long offset)
    {
        Enter();
        Position = Math.Min(offset, log.End);
        Interlocked.Decrement(ref _calls);
    }

    public ValueTask CommitAsync(long offset, CancellationToken cancellationToken)
    {
        Enter();
        OnCommit?.Invoke(offset);
        log.Cursor = Math.Max(log.Cursor, offset);
        Interlocked.Decrement(ref _calls);
        return default;
    }

    public ValueTask DisposeAsync() => default;

    private void Enter()
    {
        Assert.Equal(1, Interlocked.Increment(ref _calls));
        try
        {
            OnCall?.Invoke();
        }
        catch
        {
            Interlocked.Decrement(ref _calls);
            throw;
        }
    }
}
