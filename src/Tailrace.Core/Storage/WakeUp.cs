namespace Tailrace.Core.Storage;

/// <summary>Gets a loop out of whatever it waits for. Set from any thread; reset by the loop before it looks at what it was woken for.</summary>
internal sealed class WakeUp(TimeProvider time) : IDisposable
{
    private volatile CancellationTokenSource _source = new();

    public CancellationToken Token => _source.Token;

    public bool IsSet => _source.IsCancellationRequested;

    public void Set() => _ = _source.CancelAsync(); // not Cancel: the loop must not go on within the caller

    public void Reset()
    {
        if (_source.IsCancellationRequested)
        {
            _source = new CancellationTokenSource();
        }
    }

    /// <summary>Sets it when a task has ended.</summary>
    public void After(Task task) => _ = task.ContinueWith(_ => Set(), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);

    /// <summary>Sets it at a time as <see cref="TimeProvider.GetTimestamp"/> tells it, unless what is returned is disposed before; null for <see cref="long.MaxValue"/>: never.</summary>
    public ITimer? At(long due)
    {
        if (due == long.MaxValue)
        {
            return null;
        }

        TimeSpan wait = time.GetElapsedTime(time.GetTimestamp(), due);
        return time.CreateTimer(_ => Set(), null, wait > TimeSpan.Zero ? wait : TimeSpan.Zero, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Waits until it is set, at the latest at a time.</summary>
    public async ValueTask WaitAsync(long due)
    {
        using ITimer? timer = At(due);
        await Task.Delay(Timeout.InfiniteTimeSpan, Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    public void Dispose() => _source.Dispose();
}
