using System.ComponentModel;

namespace Tailrace.Core.Configuration;

/// <summary>The <c>agent</c> section.</summary>
public sealed record AgentOptions
{
    /// <summary>The agent's name; stands in published file names, so it must be unique among agents that write to one place.</summary>
    [Description("The agent's name. It stands in the names of published files, so it must be unique among agents that write to one place. Default: the host name.")]
    public string Name { get; init; } = Environment.MachineName;

    /// <summary>The directory of everything the agent remembers; one agent per directory.</summary>
    [Description("The directory of everything the agent remembers: channels, positions, journals. One agent per directory.")]
    public string Data { get; init; } = OperatingSystem.IsWindows() ? @"C:\ProgramData\Tailrace" : "/var/lib/tailrace";

    /// <summary>How long a stop may take before what is still running is cut off; 1 s to 10 min. Nothing is lost: what was not delivered is delivered after the next start.</summary>
    [Description("How long a stop may take before what still runs is cut off (nothing is lost by that). From 1s to 10m.")]
    public TimeSpan StopTimeout { get; init; } = TimeSpan.FromSeconds(20);
}
