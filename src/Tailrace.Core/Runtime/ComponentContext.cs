using Microsoft.Extensions.Logging;

namespace Tailrace.Core.Runtime;

/// <summary>What a component is given: its state, the agent's name, the clock, and for a channel its directory.</summary>
internal class ComponentContext(ComponentState state, string agent, TimeProvider time, string directory) : IChannelContext
{
    public string Name => State.Name;

    public string Agent { get; } = agent;

    public ILogger Logger => State.Logger;

    public TimeProvider Time { get; } = time;

    public string Directory { get; } = directory;

    public ComponentState State { get; } = state;

    public void Report(ComponentStatus status, string? reason = null)
    {
        if (status is not (ComponentStatus.Running or ComponentStatus.Degraded))
        {
            throw new ArgumentOutOfRangeException(nameof(status), status, "A component reports itself running or degraded; the rest is the runner's.");
        }

        // What a component says while it is being stopped does not undo that.
        if (State.Status is not (ComponentStatus.Stopping or ComponentStatus.Stopped))
        {
            State.Set(status, reason);
        }
    }
}
