using System.ComponentModel;

namespace Tailrace.Core.Configuration;

/// <summary>The <c>agent</c> section.</summary>
public sealed record AgentOptions : IValidatedOptions
{
    private static readonly TimeSpan ShortestStop = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestStop = TimeSpan.FromMinutes(10);

    /// <summary>The agent's name; stands in published file names, so it must be unique among agents that write to one place.</summary>
    [DefaultValue(null)]
    [Description("The agent's name. It stands in the names of published files, so it must be unique among agents that write to one place. Default: the host name.")]
    public string Name { get; init; } = Environment.MachineName;

    /// <summary>The directory of everything the agent remembers; one agent per directory.</summary>
    [Description("The directory of everything the agent remembers: channels, positions, journals. One agent per directory.")]
    public string Data { get; init; } = OperatingSystem.IsWindows() ? @"C:\ProgramData\Tailrace" : "/var/lib/tailrace";

    /// <summary>How long a stop may take before what is still running is cut off; 1 s to 10 min. Nothing is lost: what was not delivered is delivered after the next start.</summary>
    [Description("How long a stop may take before what still runs is cut off (nothing is lost by that). From 1s to 10m.")]
    public TimeSpan StopTimeout { get; init; } = TimeSpan.FromSeconds(20);

    /// <inheritdoc/>
    public IEnumerable<OptionProblem> Validate()
    {
        if (!ComponentName.IsValid(Name))
        {
            yield return new OptionProblem("name", $"{ErrorList.Quote(Name)} cannot be the name of an agent. {ComponentName.Rule}");
        }

        if (Data.Length == 0)
        {
            yield return new OptionProblem("data", "It must name a directory, such as /var/lib/tailrace.");
        }

        if (StopTimeout < ShortestStop || StopTimeout > LongestStop)
        {
            yield return new OptionProblem("stop_timeout", "It must be from 1s to 10m.");
        }
    }
}
