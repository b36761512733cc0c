using System.ComponentModel;
using System.Text.Json.Nodes;
using Tailrace.Core.Plugins;
using Tailrace.Core.Storage;

namespace Tailrace.Core.Configuration;

/// <summary>Says that a key takes a component of a kind: its type's name, or a mapping with <c>type</c> and its options. Also on a list of them.</summary>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class ComponentAttribute(ComponentKind kind) : Attribute
{
    public ComponentKind Kind { get; } = kind;
}

/// <summary>Which records share the keys of a section.</summary>
internal static class Sections
{
    /// <summary>The records that come before the options of a component's own type.</summary>
    public static IReadOnlyList<Type> RecordsOf(ComponentKind kind) => kind switch
    {
        ComponentKind.Source => [typeof(SourceSection)],
        ComponentKind.Sink => [typeof(SinkSection)],
        ComponentKind.Store => [typeof(SinkSection), typeof(StorageSinkOptions), typeof(FormatSection)],
        _ => [typeof(TypeSection)],
    };
}

/// <summary>What every source has beside its type's own options.</summary>
internal sealed record SourceSection
{
    [Description("What kind of component it is.")]
    public string Type { get; init; } = "";

    [Description("The channels it feeds. With more than one, each gets all events, or those the selector gives it.")]
    public required IReadOnlyList<string> Channels { get; init; }

    [Component(ComponentKind.Interceptor)]
    [Description("What its batches pass on their way to the channels, in order.")]
    public IReadOnlyList<JsonNode> Interceptors { get; init; } = [];

    [Component(ComponentKind.Selector)]
    [Description("Which channels an event goes to. Default: all of them.")]
    public JsonNode? Selector { get; init; }
}

/// <summary>What happens to a subscriber that falls behind by more than it may.</summary>
public enum LagPolicy
{
    /// <summary>Its events are kept for it; when the channel is full, sources wait.</summary>
    Wait,

    /// <summary>It holds nothing back until it has caught up: it reads what the channel still retains, and what is gone is counted.</summary>
    Park,

    /// <summary>It is moved on, and what it passes over is counted.</summary>
    Drop,
}

/// <summary>What a sink that falls behind may cost the others of its channel.</summary>
public sealed record LagOptions
{
    /// <summary>What happens.</summary>
    [Description("What happens when the sink is further behind than bytes or age: wait (its events are kept; when the channel is full, sources wait), park (they are kept no longer than for the others; it goes on with what is left), or drop (it is moved on to the limit). What it misses is counted.")]
    public LagPolicy Policy { get; init; }

    /// <summary>How far behind in bytes; null: no limit.</summary>
    [Description("How much may wait for it, to a segment of the channel.")]
    public ByteSize? Bytes { get; init; }

    /// <summary>How far behind in time; null: no limit.</summary>
    [Description("How long events may wait for it, to a segment of the channel.")]
    public TimeSpan? Age { get; init; }
}

/// <summary>What every sink has beside its type's own options.</summary>
internal sealed record SinkSection : IValidatedOptions
{
    [Description("What kind of component it is.")]
    public string Type { get; init; } = "";

    [Description("The channel it reads.")]
    public required string Channel { get; init; }

    [Description("Where it starts in a channel that is new to it: beginning (the oldest event that is kept), end, or a time such as 2026-11-22T10:00:00Z.")]
    public SubscriberStart StartAt { get; init; } = SubscriberStart.Beginning;

    [Description("What it may cost the other sinks of its channel when it falls behind. For file channels.")]
    public LagOptions Lag { get; init; } = new();

    public IEnumerable<OptionProblem> Validate()
    {
        if (Lag.Policy != LagPolicy.Wait && Lag.Bytes is null && Lag.Age is null)
        {
            yield return new OptionProblem("lag", "It needs bytes or age: without a limit nothing is ever parked or dropped.");
        }
    }
}

/// <summary>What every storage sink has beside <see cref="StorageSinkOptions"/> and its store's own options.</summary>
internal sealed record FormatSection
{
    public const string DefaultFormat = "text";

    [Component(ComponentKind.Format)]
    [Description("How events become the bytes of a file.")]
    public JsonNode Format { get; init; } = DefaultFormat;
}

/// <summary>What every other component has beside its type's own options.</summary>
internal sealed record TypeSection
{
    [Description("What kind of component it is.")]
    public string Type { get; init; } = "";
}
