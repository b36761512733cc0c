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

/// <summary>What every sink has beside its type's own options.</summary>
internal sealed record SinkSection
{
    [Description("What kind of component it is.")]
    public string Type { get; init; } = "";

    [Description("The channel it reads.")]
    public required string Channel { get; init; }

    [Description("Where it starts in a channel that is new to it: beginning (the oldest event that is kept), end, or a time such as 2026-11-22T10:00:00Z.")]
    public SubscriberStart StartAt { get; init; } = SubscriberStart.Beginning;
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
