namespace Tailrace.Core.Storage;

/// <summary>Gets a loop out of whatever it waits for. Set from any thread; reset by the loop before it looks at what it was woken for.</summary>
internal sealed class WakeUp : IDisposable
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

    public void Dispose() => _source.Dispose();
}
