using Microsoft.Extensions.Logging;

namespace Tailrace.Core.Runtime;

/// <summary>How one component is doing, as operators see it. Safe to read from any thread.</summary>
public sealed partial class ComponentState
{
    private readonly Lock _lock = new();
    /// <summary>How long it must run before trouble counts as over.</summary>
    private static readonly TimeSpan Settled = TimeSpan.FromSeconds(5);

    private readonly TimeProvider _time;
    private DateTimeOffset? _troubleSince;

    internal ComponentState(string section, string name, string type, ILoggerFactory loggers, TimeProvider time)
    {
        Section = section;
        Name = name;
        Type = type;
        _time = time;
        Since = time.GetUtcNow();
        Logger = loggers.CreateLogger($"{section}.{name}");
    }

    /// <summary>The section it is configured in: <c>sources</c>, <c>channels</c> or <c>sinks</c>.</summary>
    public string Section { get; }

    /// <summary>Its name.</summary>
    public string Name { get; }

    /// <summary>Its type.</summary>
    public string Type { get; }

    /// <summary>How it is doing.</summary>
    public ComponentStatus Status { get; private set; } = ComponentStatus.Starting;

    /// <summary>Why, where there is something to say.</summary>
    public string? Reason { get; private set; }

    /// <summary>Since when.</summary>
    public DateTimeOffset Since { get; private set; }

    /// <summary>The component's own logger: its lines carry <c>section.name</c>.</summary>
    internal ILogger Logger { get; }

    /// <summary>How long it has been failed or degraded, short runs between two failures included; zero if it is well.</summary>
    internal TimeSpan TroubleFor
    {
        get
        {
            lock (_lock)
            {
                DateTimeOffset now = _time.GetUtcNow();
                return _troubleSince is { } since && (Status is ComponentStatus.Failed or ComponentStatus.Degraded || now - Since < Settled) ? now - since : TimeSpan.Zero;
            }
        }
    }

    /// <summary>Changes the status; a change is logged once.</summary>
    internal void Set(ComponentStatus status, string? reason)
    {
        lock (_lock)
        {
            if (Status == status && Reason == reason)
            {
                return;
            }

            bool changed = Status != status;
            DateTimeOffset now = _time.GetUtcNow();
            bool wasWell = Status is not (ComponentStatus.Failed or ComponentStatus.Degraded);
            if (status is ComponentStatus.Failed or ComponentStatus.Degraded && wasWell && (_troubleSince is null || now - Since >= Settled))
            {
                _troubleSince = now;
            }

            if (changed)
            {
                Since = now;
            }

            bool recovered = changed && status == ComponentStatus.Running && Status is ComponentStatus.Degraded or ComponentStatus.Failed;
            Status = status;
            Reason = reason;
            if (status is ComponentStatus.Failed or ComponentStatus.Degraded)
            {
                LogTrouble(Logger, status, reason ?? "no reason given");
            }
            else if (recovered)
            {
                LogRecovered(Logger);
            }
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Status}: {Reason}")]
    private static partial void LogTrouble(ILogger logger, ComponentStatus status, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "Running again")]
    private static partial void LogRecovered(ILogger logger);
}
