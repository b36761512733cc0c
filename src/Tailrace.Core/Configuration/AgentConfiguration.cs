using Tailrace.Core.Plugins;
using Tailrace.Core.Storage;

namespace Tailrace.Core.Configuration;

/// <summary>What a whole configuration says, bound and validated. Immutable.</summary>
/// <param name="Agent">The <c>agent</c> section.</param>
/// <param name="Sources">The sources, in the order they are written.</param>
/// <param name="Channels">The channels, in the order they are written.</param>
/// <param name="Sinks">The sinks, in the order they are written.</param>
public sealed record AgentConfiguration(
    AgentOptions Agent,
    IReadOnlyList<SourceConfiguration> Sources,
    IReadOnlyList<ChannelConfiguration> Channels,
    IReadOnlyList<SinkConfiguration> Sinks);

/// <summary>A component as configured: its type's registration and its bound options.</summary>
/// <param name="Registration">What makes it.</param>
/// <param name="Options">Its options record.</param>
public sealed record ComponentReference(ComponentRegistration Registration, object Options);

/// <summary>A source as configured.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Component">Its type and own options.</param>
/// <param name="Channels">The channels it feeds; at least one.</param>
/// <param name="Interceptors">What its batches pass on their way, in order.</param>
/// <param name="Selector">Which channels an event goes to; null: all of them.</param>
public sealed record SourceConfiguration(string Name, ComponentReference Component, IReadOnlyList<string> Channels, IReadOnlyList<ComponentReference> Interceptors, ComponentReference? Selector);

/// <summary>A channel as configured.</summary>
/// <param name="Name">Its name: its directory below the data directory.</param>
/// <param name="Component">Its type and own options.</param>
public sealed record ChannelConfiguration(string Name, ComponentReference Component);

/// <summary>A sink as configured.</summary>
/// <param name="Name">Its name, and that of its subscriber.</param>
/// <param name="Component">Its type and own options; for a storage sink those of its store.</param>
/// <param name="Channel">The channel it reads.</param>
/// <param name="StartAt">Where it starts in a channel that is new to it.</param>
/// <param name="Storage">The storage sink's options; null for a sink that delivers batches itself.</param>
/// <param name="Format">The storage sink's format; null for a sink that delivers batches itself.</param>
/// <param name="Json">The sink's whole section, variables expanded, as JSON: what the storage sink's journal keeps of it. <see cref="ConfigurationLoader.BindSink"/> reads it back.</param>
public sealed record SinkConfiguration(string Name, ComponentReference Component, string Channel, SubscriberStart StartAt, StorageSinkOptions? Storage, ComponentReference? Format, string Json)
{
    /// <summary>What it may cost the other sinks of its channel when it falls behind.</summary>
    public LagOptions Lag { get; init; } = new();
}
