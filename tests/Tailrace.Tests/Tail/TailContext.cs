using System.Text;
using Microsoft.Extensions.Logging;

namespace Tailrace.Tests.Tail;

/// <summary>
/// What a test keeps of a source over its restarts: a channel in memory that compares and sets like a real one. Can wait, refuse and fail
/// appends, and tells what was stored.
/// </summary>
internal sealed class TailContext : ISourceContext, ILogger
{
    private readonly Lock _lock = new();
    private readonly Dictionary<OriginId, (long Position, Dictionary<string, object> Attributes)> _origins = [];
    private readonly List<OriginId> _order = [];
    private readonly List<string> _bodies = [];
    private readonly List<string> _headers = [];
    private readonly List<long> _timestamps = [];
    private readonly List<string> _messages = [];
    private Task _last = Task.CompletedTask;

    public string Name => "logs";

    public string Agent => "test";

    public ILogger Logger => this;

    public TimeProvider Time { get; init; } = TimeProvider.System;

    public bool Once { get; set; }

    /// <summary>Called before each append; what it throws, the append throws.</summary>
    public Func<EventBatch, CancellationToken, Task>? BeforeAppend { get; set; }

    /// <summary>Gets each batch stored in place of the list of bodies.</summary>
    public Action<EventBatch>? OnStored { get; set; }

    /// <summary>Positions that a second channel stands at, ahead of this one.</summary>
    public Dictionary<OriginId, long[]> Cuts { get; } = [];

    /// <summary>What was logged; a copy.</summary>
    public List<string> Messages
    {
        get
        {
            lock (_lock)
            {
                return [.. _messages];
            }
        }
    }

    public List<(ComponentStatus Status, string? Reason)> Reports { get; } = [];

    public List<(long Done, long Known)> Progress { get; } = [];

    public List<Advance> Advances { get; } = [];

    public int Appending { get; private set; }

    public int MostAppending { get; private set; }

    public string[] Bodies
    {
        get
        {
            lock (_lock)
            {
                return [.. _bodies];
            }
        }
    }

    /// <summary>The headers of each event in <see cref="Bodies"/>: its own behind those of its batch.</summary>
    public string[] Headers
    {
        get
        {
            lock (_lock)
            {
                return [.. _headers];
            }
        }
    }

    /// <summary>When each event in <see cref="Bodies"/> says it happened, in nanoseconds since 1970.</summary>
    public long[] Timestamps
    {
        get
        {
            lock (_lock)
            {
                return [.. _timestamps];
            }
        }
    }

    public long Stored { get; private set; }

    public IReadOnlyList<OriginState> GetOrigins()
    {
        lock (_lock)
        {
            return [.. _order.Select(id => new OriginState(id, _origins[id].Position, Cuts.GetValueOrDefault(id, []), Encode(_origins[id].Attributes), DateTimeOffset.UnixEpoch))];
        }
    }

    public object? Attribute(OriginId origin, string name)
    {
        lock (_lock)
        {
            return _origins[origin].Attributes.GetValueOrDefault(name);
        }
    }

    /// <summary>The channel forgets what it stored of an origin from a position on, as one restored from a backup does.</summary>
    public void Rewind(OriginId origin, long position)
    {
        lock (_lock)
        {
            _origins[origin] = (position, _origins[origin].Attributes);
        }
    }

    public void SetAttribute(OriginId origin, string name, object value)
    {
        lock (_lock)
        {
            _origins[origin].Attributes[name] = value;
        }
    }

    public async ValueTask AppendAsync(EventBatch batch, CancellationToken cancellationToken)
    {
        using EventBatch share = batch.Share();
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Task before;
        lock (_lock)
        {
            MostAppending = Math.Max(MostAppending, ++Appending);
            (before, _last) = (_last, done.Task);
        }

        try
        {
            if (BeforeAppend is { } wait)
            {
                await wait(batch, cancellationToken);
            }

            await before; // in order, as a channel stores
            cancellationToken.ThrowIfCancellationRequested();
            Store(batch);
        }
        finally
        {
            lock (_lock)
            {
                Appending--;
            }

            done.SetResult();
        }
    }

    /// <summary>Whether the sinks have delivered everything.</summary>
    public bool IsDelivered { get; set; }

    public Func<bool> WatchDelivery() => () => IsDelivered;

    public void ReportProgress(long doneBytes, long knownBytes) => Progress.Add((doneBytes, knownBytes));

    public void Report(ComponentStatus status, string? reason = null)
    {
        lock (_lock)
        {
            Reports.Add((status, reason));
        }
    }

    IDisposable? ILogger.BeginScope<TState>(TState state) => null;

    bool ILogger.IsEnabled(LogLevel logLevel) => true;

    void ILogger.Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        lock (_lock)
        {
            _messages.Add($"{logLevel}: {formatter(state, exception)}");
        }
    }

    private void Store(EventBatch batch)
    {
        lock (_lock)
        {
            Advance advance = Assert.Single(batch.Advances.ToArray());
            if (!_origins.TryGetValue(advance.Origin, out var state))
            {
                state = (0, []);
                _order.Add(advance.Origin);
            }

            if (advance.To > advance.From && advance.To <= state.Position)
            {
                return;
            }

            if (advance.From != state.Position)
            {
                throw new PositionMismatchException("main", advance.From, state.Position);
            }

            foreach (EventHeader header in new HeaderList(advance.Attributes.Span))
            {
                state.Attributes[Encoding.UTF8.GetString(header.Name)] = header.Type == HeaderType.Integer ? header.Integer : header.ToString();
            }

            _origins[advance.Origin] = (advance.To, state.Attributes);
            Advances.Add(advance);
            Stored += advance.To - advance.From;
            if (OnStored is { } onStored)
            {
                onStored(batch);
                return;
            }

            foreach (LogEvent item in batch)
            {
                _bodies.Add(Encoding.Latin1.GetString(item.Body));
                _timestamps.Add(item.Timestamp);
                var headers = new List<string>();
                foreach (EventHeader header in item.Headers)
                {
                    headers.Add($"{Encoding.UTF8.GetString(header.Name)}={header.ToString()}");
                }

                _headers.Add(string.Join(' ', headers));
            }
        }
    }

    private static byte[] Encode(Dictionary<string, object> attributes)
    {
        var headers = new HeaderBuilder();
        foreach ((string name, object value) in attributes)
        {
            _ = value is long number ? headers.Add(name, number) : headers.Add(name, (string)value);
        }

        return headers.Encoded.ToArray();
    }
}
