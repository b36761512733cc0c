using Microsoft.Extensions.Logging;
using Tailrace.Core.Channels;
using Tailrace.Core.Configuration;
using Tailrace.Core.Storage;

namespace Tailrace.Core.Runtime;

/// <summary>How a run of the agent ended.</summary>
public enum TopologyOutcome
{
    /// <summary>It was stopped, and everything ended in time.</summary>
    Stopped,

    /// <summary>It was stopped, and something had to be cut off at the end of <c>stop_timeout</c>. Nothing is lost.</summary>
    CutOff,

    /// <summary>With <c>--once</c>: everything there was is delivered.</summary>
    Delivered,

    /// <summary>With <c>--once</c>: something could not be delivered or read.</summary>
    NotDelivered,
}

/// <summary>
/// One running agent: sources, channels and sinks, wired as configured. Stops in the order of the flow: sources first, then the sinks publish
/// what they hold, then the channels close; all within <c>stop_timeout</c>.
/// </summary>
public sealed partial class Topology : IAsyncDisposable
{
    /// <summary>With <c>--once</c>, how long a component may stay failed or degraded before the run is given up.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly AgentConfiguration _configuration;
    private readonly ConfigurationLoader _loader;
    private readonly ILoggerFactory _loggers;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly bool _once;
    private readonly List<ComponentState> _components = [];
    private readonly Dictionary<string, IChannel> _channels = [];
    private readonly List<SourceRunner> _sources = [];
    private readonly List<RunningSink> _sinks = [];
    private IDisposable? _lock;

    private Topology(AgentConfiguration configuration, ConfigurationLoader loader, ILoggerFactory loggers, TimeProvider time, bool once)
    {
        _configuration = configuration;
        _loader = loader;
        _loggers = loggers;
        _logger = loggers.CreateLogger("agent");
        _time = time;
        _once = once;
    }

    /// <summary>Every component and how it is doing.</summary>
    public IReadOnlyList<ComponentState> Components => _components;

    /// <summary>The channels by name.</summary>
    public IReadOnlyDictionary<string, IChannel> Channels => _channels;

    /// <summary>Bytes taken in of those known, over all sources that report them.</summary>
    public (long Done, long Known) Progress => (_sources.Sum(source => source.Progress.Done), _sources.Sum(source => source.Progress.Known));

    /// <summary>Events and bytes that the channels have accepted since the start.</summary>
    public (long Events, long Bytes) Accepted => (_sources.Sum(source => source.Accepted.Events), _sources.Sum(source => source.Accepted.Bytes));

    /// <summary>Takes the data directory and opens the channels; nothing flows yet.</summary>
    /// <param name="configuration">What to run.</param>
    /// <param name="loader">Binds old sink sections that journals hold.</param>
    /// <param name="loggers">Where components log; their category is <c>section.name</c>.</param>
    /// <param name="time">The clock.</param>
    /// <param name="once">Deliver what is there, then end.</param>
    /// <exception cref="IOException">The data directory is used by another agent or cannot be used, or a channel cannot be opened; the message says which and why.</exception>
    public static async Task<Topology> OpenAsync(AgentConfiguration configuration, ConfigurationLoader loader, ILoggerFactory loggers, TimeProvider time, bool once)
    {
        var topology = new Topology(configuration, loader, loggers, time, once);
        try
        {
            topology.Open();
            return topology;
        }
        catch
        {
            await topology.DisposeAsync();
            throw;
        }
    }

    /// <summary>Runs until <paramref name="stopping"/> is cancelled, or with <c>--once</c> until everything is delivered.</summary>
    public async Task<TopologyOutcome> RunAsync(CancellationToken stopping)
    {
        using var stopSources = CancellationTokenSource.CreateLinkedTokenSource(stopping);
        using var stopSinks = new CancellationTokenSource();
        using var abort = new CancellationTokenSource();
        using var ended = new CancellationTokenSource();
        Task sinks = Task.WhenAll(_sinks.Select(sink => RunSinkAsync(sink, stopSinks.Token, abort.Token)));
        Task sources = Task.WhenAll(_sources.Select(source => Task.Run(() => source.RunAsync(stopSources.Token), CancellationToken.None)));
        Task<bool> watch = _once ? WatchAsync(stopSources, ended.Token) : Task.FromResult(false);
        LogRunning(_logger, _configuration.Agent.Name, _sources.Count, _channels.Count, _sinks.Count);

        Task cancelled = Task.Delay(Timeout.InfiniteTimeSpan, _time, stopSources.Token).ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        await Task.WhenAny(sources, cancelled);
        bool completed = _once && !stopSources.IsCancellationRequested;
        if (completed)
        {
            // Everything that was there is in the channels: let the sinks drain them.
            CompleteChannels(all: true);
            await Task.WhenAny(sinks, cancelled);
        }

        bool delivered = completed && !stopSources.IsCancellationRequested;
        if (delivered)
        {
            LogDelivered(_logger, Accepted.Events, Accepted.Bytes / 1e6);
        }
        else
        {
            LogStopping(_logger);
        }

        await stopSources.CancelAsync();
        bool inTime = await EndAsync(sources, sinks, stopSinks, abort);
        await ended.CancelAsync();
        bool gaveUp = await watch;
        return (_once, delivered && !gaveUp && !_components.Exists(component => component.Status is ComponentStatus.Degraded or ComponentStatus.Failed), inTime) switch
        {
            (true, true, _) => TopologyOutcome.Delivered,
            (true, false, _) when !stopping.IsCancellationRequested || !inTime => TopologyOutcome.NotDelivered,
            (_, _, true) => TopologyOutcome.Stopped,
            _ => TopologyOutcome.CutOff,
        };
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        foreach (RunningSink sink in _sinks)
        {
            await sink.Subscriber.DisposeAsync();
        }

        foreach (IChannel channel in _channels.Values)
        {
            await channel.DisposeAsync();
        }

        _lock?.Dispose();
    }

    private void Open()
    {
        string data = Path.GetFullPath(_configuration.Agent.Data);
        string channels = Path.Combine(data, "channels");
        DurableFile.CreateDirectory(channels);
        _lock = DurableFile.TryLock(Path.Combine(data, "lock"))
            ?? throw new IOException($"{data} is in use by another agent. Stop it, or give this one a data directory of its own (agent.data).");

        foreach (ChannelConfiguration channel in _configuration.Channels)
        {
            string directory = Path.Combine(channels, channel.Name);
            DurableFile.CreateDirectory(directory);
            ComponentContext context = MakeContext("channels", channel.Name, channel.Component, directory);
            _channels.Add(channel.Name, (IChannel)channel.Component.Registration.Create(channel.Component.Options, null, context));
            if (context.State.Status == ComponentStatus.Starting)
            {
                context.State.Set(ComponentStatus.Running, null); // unless it has found trouble while it opened
            }

            (_channels[channel.Name] as FileChannel)?.SetConfiguredSubscribers(
                _configuration.Sinks.Where(sink => sink.Channel == channel.Name).ToDictionary(sink => sink.Name, sink => sink.Lag));
        }

        foreach (SinkConfiguration sink in _configuration.Sinks)
        {
            string directory = Path.Combine(channels, sink.Channel, "subscribers", sink.Name);
            ComponentContext context = MakeContext("sinks", sink.Name, sink.Component, directory);
            IChannel channel = _channels[sink.Channel];
            ISubscriber subscriber = channel.Subscribe(sink.Name, sink.StartAt);
            Func<CancellationToken, CancellationToken, Task> run = sink.Storage is null
                ? new SinkRunner(sink, context, subscriber).RunAsync
                : new StorageSink(sink, subscriber, channel, directory, context, json => _loader.BindSink(sink.Name, json)).RunAsync;
            _sinks.Add(new RunningSink(context, subscriber, channel.Durable, run));
        }

        IReadOnlyList<OriginState> orphans = OrphanedChannels.Find(channels, [.. _channels.Keys], _logger);
        foreach (SourceConfiguration source in _configuration.Sources)
        {
            // A source that feeds another channel now goes on where it stood in the one before, whether that is configured or not.
            IEnumerable<OriginState> elsewhere = _channels.Values.Where(channel => !source.Channels.Contains(channel.Name)).SelectMany(channel => channel.GetOrigins());
            ComponentState state = MakeContext("sources", source.Name, source.Component, "").State;
            _sources.Add(new SourceRunner(source, state, _configuration.Agent.Name, _time, _once, [.. source.Channels.Select(name => _channels[name])], OrphanedChannels.Furthest(orphans.Concat(elsewhere))));
        }
    }

    private ComponentContext MakeContext(string section, string name, ComponentReference component, string directory)
    {
        var state = new ComponentState(section, name, component.Registration.Type, _loggers, _time);
        _components.Add(state);
        return new ComponentContext(state, _configuration.Agent.Name, _time, directory);
    }

    private async Task RunSinkAsync(RunningSink sink, CancellationToken stopping, CancellationToken abort)
    {
        await Task.Yield();
        // What a channel holds that does not survive the process is delivered before the end: its sinks stop when it is drained.
        CancellationToken stop = sink.IsDurable ? stopping : CancellationToken.None;
        await new Supervisor(sink.Context.State, _time).RunAsync(_ => sink.Run(stop, abort), abort);
        sink.Context.State.Set(ComponentStatus.Stopped, null);
    }

    /// <summary>Ends sources, then sinks, within <c>stop_timeout</c>; false if something had to be cut off.</summary>
    private async Task<bool> EndAsync(Task sources, Task sinks, CancellationTokenSource stopSinks, CancellationTokenSource abort)
    {
        Task deadline = Task.Delay(_configuration.Agent.StopTimeout, _time, CancellationToken.None);
        await Task.WhenAny(sources, deadline);
        CompleteChannels(all: false);
        await stopSinks.CancelAsync();
        await Task.WhenAny(Task.WhenAll(sources, sinks), deadline);
        bool inTime = sources.IsCompleted && sinks.IsCompleted;
        if (!inTime)
        {
            LogCutOff(_logger, string.Join(", ", _components.Where(component => component.Status != ComponentStatus.Stopped && component.Section != "channels").Select(component => $"{component.Section}.{component.Name}")));
            await abort.CancelAsync();
            await Task.WhenAny(Task.WhenAll(sources, sinks), Task.Delay(TimeSpan.FromSeconds(2), _time, CancellationToken.None));
        }

        return inTime;
    }

    private void CompleteChannels(bool all)
    {
        foreach (IChannel channel in _channels.Values)
        {
            if (all || !channel.Durable)
            {
                channel.Complete();
            }
        }
    }

    /// <summary>With <c>--once</c>: gives up when a component is in trouble for longer than a short outage. True if it gave up.</summary>
    private async Task<bool> WatchAsync(CancellationTokenSource giveUp, CancellationToken ended)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds(1), _time);
        try
        {
            while (await timer.WaitForNextTickAsync(ended))
            {
                ComponentState? stuck = _components.Find(component => component.TroubleFor > Patience);
                if (stuck is not null)
                {
                    LogGivenUp(_logger, stuck.Section, stuck.Name, Patience.TotalSeconds, stuck.Reason);
                    await giveUp.CancelAsync();
                    return true;
                }
            }
        }
        catch (OperationCanceledException) when (ended.IsCancellationRequested)
        {
            return false; // the run ended
        }

        return false;
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Agent {Agent} runs: {Sources} sources, {Channels} channels, {Sinks} sinks")]
    private static partial void LogRunning(ILogger logger, string agent, int sources, int channels, int sinks);

    [LoggerMessage(Level = LogLevel.Information, Message = "Everything is delivered: {Events} new events, {Megabytes:F1} MB")]
    private static partial void LogDelivered(ILogger logger, long events, double megabytes);

    [LoggerMessage(Level = LogLevel.Information, Message = "Stopping")]
    private static partial void LogStopping(ILogger logger);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Cut off at the end of stop_timeout: {Components}. Nothing is lost; what was not delivered is delivered after the next start")]
    private static partial void LogCutOff(ILogger logger, string components);

    [LoggerMessage(Level = LogLevel.Error, Message = "Given up: {Section}.{Name} has been in trouble for over {Seconds} s: {Reason}")]
    private static partial void LogGivenUp(ILogger logger, string section, string name, double seconds, string? reason);

    /// <summary>A sink and what drives it.</summary>
    private sealed record RunningSink(ComponentContext Context, ISubscriber Subscriber, bool IsDurable, Func<CancellationToken, CancellationToken, Task> Run);
}
