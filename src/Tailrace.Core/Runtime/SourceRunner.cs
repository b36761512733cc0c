using Tailrace.Core.Configuration;

namespace Tailrace.Core.Runtime;

/// <summary>
/// Drives one source: makes it, supervises it, and is its context. A batch goes through the interceptors and the selector into each channel,
/// a put transaction of its own in each. Where one channel fails the batch is offered again to all after the source's restart; those that
/// have it answer that it is a duplicate, so each channel sees each event once.
/// </summary>
internal sealed class SourceRunner(SourceConfiguration configuration, ComponentState state, string agent, TimeProvider time, bool once, IReadOnlyList<IChannel> channels, IReadOnlyList<OriginState> orphans)
    : ComponentContext(state, agent, time, ""), ISourceContext
{
    private const string MarkerKind = "source";

    private readonly IInterceptor[] _interceptors = new IInterceptor[configuration.Interceptors.Count];
    private IChannelSelector? _selector;
    private bool _levelled;
    private long _events;
    private long _bytes;

    public bool Once => once;

    /// <summary>Bytes taken in of those known, as the source reports them.</summary>
    public (long Done, long Known) Progress { get; private set; }

    /// <summary>True once the source has ended by itself.</summary>
    public bool Ended { get; private set; }

    /// <summary>Events and bytes of blocks accepted by all channels.</summary>
    public (long Events, long Bytes) Accepted => (Interlocked.Read(ref _events), Interlocked.Read(ref _bytes));

    /// <summary>Runs the source until it ends by itself (only with <c>--once</c>) or is cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        await new Supervisor(State, Time).RunAsync(RunSourceAsync, cancellationToken);
        Ended = !cancellationToken.IsCancellationRequested;
        if (State.Status != ComponentStatus.Degraded)
        {
            State.Set(ComponentStatus.Stopped, null);
        }
    }

    public IReadOnlyList<OriginState> GetOrigins() => Merge(channels);

    public async ValueTask AppendAsync(EventBatch batch, CancellationToken cancellationToken)
    {
        if (_interceptors.Length == 0 && _selector is null && channels.Count == 1)
        {
            Check(await channels[0].AppendAsync(batch, cancellationToken), channels[0], batch);
        }
        else
        {
            await AppendToAllAsync(batch, cancellationToken);
        }

        // Appends in flight end on threads of their own.
        Interlocked.Add(ref _events, batch.Count);
        Interlocked.Add(ref _bytes, batch.BlockLength);
    }

    public Func<bool> WatchDelivery()
    {
        (IChannel Channel, long End)[] ends = [.. channels.Select(channel => (channel, channel.End))];
        return () => ends.All(entry => entry.Channel.Delivered >= entry.End);
    }

    public void ReportProgress(long doneBytes, long knownBytes) => Progress = (doneBytes, knownBytes);

    private async Task RunSourceAsync(CancellationToken cancellationToken)
    {
        if (!_levelled)
        {
            await LevelChannelsAsync(cancellationToken);
            for (int i = 0; i < _interceptors.Length; i++)
            {
                ComponentReference interceptor = configuration.Interceptors[i];
                _interceptors[i] = (IInterceptor)interceptor.Registration.Create(interceptor.Options, null, this);
            }

            _selector = configuration.Selector is { } selector
                ? (IChannelSelector)selector.Registration.Create(selector.Options, configuration.Channels, this)
                : null;
            _levelled = true;
        }

        var source = (ISource)configuration.Component.Registration.Create(configuration.Component.Options, null, this);
        try
        {
            await source.RunAsync(cancellationToken);
        }
        finally
        {
            switch (source)
            {
                case IAsyncDisposable disposable:
                    await disposable.DisposeAsync();
                    break;
                case IDisposable disposable:
                    disposable.Dispose();
                    break;
            }
        }

        if (!once && !cancellationToken.IsCancellationRequested)
        {
            throw new InvalidOperationException("The source ended by itself.");
        }
    }

    /// <summary>
    /// Brings a channel that is new to this source to where the others stand, or, where there are no others, to where a channel stands that
    /// is configured no more: it was renamed. A marker origin per source tells a new channel from one that a crash has kept from getting a
    /// first batch; the latter gets everything.
    /// </summary>
    private async Task LevelChannelsAsync(CancellationToken cancellationToken)
    {
        IChannel[] known = [.. channels.Where(channel => channel.GetOrigins().Any(IsMarker))];
        IReadOnlyList<OriginState> positions = known.Length > 0 ? Merge(known) : [.. orphans.Where(origin => BelongsHere(origin) && !IsMarker(origin))];
        foreach (IChannel channel in channels.Except(known))
        {
            Advance[] advances = [.. positions.Select(origin => new Advance(origin.Origin, 0, origin.Position, origin.Attributes))];
            byte[] attributes = new HeaderBuilder().Add("source", Name).Add("kind", MarkerKind).Encoded.ToArray();
            using EventBatch marker = EventBatch.PositionsOnly([.. advances, new Advance(OriginId.New(), 0, 0, attributes)]);
            Check(await channel.AppendAsync(marker, cancellationToken), channel, marker);
        }
    }

    /// <summary>What several channels remember together: one that has never stored an origin stands at 0 in it.</summary>
    private IReadOnlyList<OriginState> Merge(IReadOnlyList<IChannel> channels)
    {
        var merged = new Dictionary<OriginId, (OriginState Furthest, int Channels, SortedSet<long> Positions)>();
        foreach (OriginState origin in channels.SelectMany(channel => channel.GetOrigins()).Where(origin => BelongsHere(origin) && !IsMarker(origin)))
        {
            (OriginState furthest, int count, SortedSet<long> positions) = merged.GetValueOrDefault(origin.Origin, (origin, 0, []));
            positions.Add(origin.Position);
            merged[origin.Origin] = (origin.Position > furthest.Position ? origin : furthest, count + 1, positions);
        }

        return
        [
            .. merged.Values.Select(entry =>
            {
                if (entry.Channels < channels.Count)
                {
                    entry.Positions.Add(0);
                }

                return entry.Furthest with { Position = entry.Positions.Min, Cuts = [.. entry.Positions.Skip(1)] };
            }),
        ];
    }

    private async Task AppendToAllAsync(EventBatch batch, CancellationToken cancellationToken)
    {
        EventBatch intercepted = batch.Share();
        foreach (IInterceptor interceptor in _interceptors)
        {
            intercepted = interceptor.Intercept(intercepted);
        }

        IReadOnlyList<EventBatch> batches = _selector is null ? [.. channels.Select(_ => intercepted)] : _selector.Select(intercepted.Share());
        try
        {
            // Each append is begun before any is awaited, so that they take effect in the order of the calls and share the wait.
            var appends = new Task<AppendResult>[channels.Count];
            for (int i = 0; i < appends.Length; i++)
            {
                appends[i] = channels[i].AppendAsync(batches[i], cancellationToken).AsTask();
            }

            await Task.WhenAll(appends);
            for (int i = 0; i < appends.Length; i++)
            {
                Check(await appends[i], channels[i], batches[i]);
            }
        }
        finally
        {
            intercepted.Dispose();
            if (_selector is not null)
            {
                foreach (EventBatch selected in batches)
                {
                    selected.Dispose();
                }
            }
        }
    }

    private static void Check(AppendResult result, IChannel channel, EventBatch batch)
    {
        if (result.Status == AppendStatus.Mismatch)
        {
            throw new PositionMismatchException(channel.Name, batch.Advances.Length > 0 ? batch.Advances[0].From : 0, result.Position);
        }
    }

    private bool BelongsHere(OriginState origin) => Is(origin, "source"u8, Name);

    private bool IsMarker(OriginState origin) => BelongsHere(origin) && Is(origin, "kind"u8, MarkerKind);

    private static bool Is(OriginState origin, ReadOnlySpan<byte> attribute, string value) =>
        new HeaderList(origin.Attributes.Span).TryGet(attribute, out EventHeader header) && header.ToString() == value;
}
