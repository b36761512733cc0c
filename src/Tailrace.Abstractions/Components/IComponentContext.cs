using Microsoft.Extensions.Logging;

namespace Tailrace;

/// <summary>What the host gives every component. Valid for the component's whole life; safe to call from any thread.</summary>
public interface IComponentContext
{
    /// <summary>The component's name in the configuration.</summary>
    string Name { get; }

    /// <summary>The agent's name.</summary>
    string Agent { get; }

    /// <summary>A logger whose lines name the component.</summary>
    ILogger Logger { get; }

    /// <summary>The clock: the only one a component may use.</summary>
    TimeProvider Time { get; }

    /// <summary>Says how the component is doing, with a reason an operator understands. Only <see cref="ComponentStatus.Running"/> and <see cref="ComponentStatus.Degraded"/> are for components to report.</summary>
    void Report(ComponentStatus status, string? reason = null);
}
