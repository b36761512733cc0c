using Tailrace.Core.Plugins;
using Tailrace.Core.Storage;

namespace Tailrace.Core.Configuration;

/// <summary>Binds sections of sources, channels and sinks, and the components inside them, to the catalog's types.</summary>
internal sealed class ComponentBinder(ComponentCatalog catalog, ErrorList errors)
{
    private const string TypeKey = "type";
    private readonly OptionsBinder _options = new(errors);

    public SourceConfiguration? BindSource(NamedNode source)
    {
        string label = $"source {source.Name}";
        if (MapOf(source.Value, source.Position, label) is not { } map)
        {
            return null;
        }

        (ComponentReference? component, object?[] parts) = BindTyped(map, source.Position, label, [ComponentKind.Source], _ => [typeof(SourceSection)]);
        IReadOnlyList<ComponentReference?> interceptors = map.Find("interceptors")?.Value is ListNode list
            ? [.. list.Items.Select((item, index) => BindInner(item, item.Position, ComponentKind.Interceptor, $"{label}: interceptors[{index}]"))]
            : [];
        ComponentReference? selector = map.Find("selector") is { } entry ? BindInner(entry.Value, entry.Position, ComponentKind.Selector, $"{label}: selector") : null;
        return component is not null && parts[0] is SourceSection section && !interceptors.Contains(null)
            ? new SourceConfiguration(source.Name, component, section.Channels, [.. interceptors.OfType<ComponentReference>()], selector)
            : null;
    }

    public ChannelConfiguration? BindChannel(NamedNode channel)
    {
        string label = $"channel {channel.Name}";
        return MapOf(channel.Value, channel.Position, label) is { } map
            && BindTyped(map, channel.Position, label, [ComponentKind.Channel], _ => [typeof(ChannelSection)]).Component is { } component
            ? new ChannelConfiguration(channel.Name, component)
            : null;
    }

    public SinkConfiguration? BindSink(NamedNode sink)
    {
        string label = $"sink {sink.Name}";
        if (MapOf(sink.Value, sink.Position, label) is not { } map)
        {
            return null;
        }

        (ComponentReference? component, object?[] parts) = BindTyped(map, sink.Position, label, [ComponentKind.Sink, ComponentKind.Store], SinkRecords);
        bool isStore = component?.Registration.Kind == ComponentKind.Store;
        MapEntry? format = map.Find("format");
        ComponentReference? formatComponent = format is null && !isStore ? null
            : BindInner(format?.Value ?? new ScalarNode(sink.Position, FormatSection.DefaultFormat, ScalarForm.Plain), format?.Position ?? sink.Position, ComponentKind.Format, $"{label}: format");
        return component is not null && parts[0] is SinkSection section && !parts.Contains(null) && (formatComponent is not null || !isStore)
            ? new SinkConfiguration(sink.Name, component, section.Channel, section.StartAt, isStore ? (StorageSinkOptions)parts[1]! : null, isStore ? formatComponent : null, map.ToCanonicalJson())
            : null;
    }

    /// <summary>The records that a sink's keys belong to before its type's own.</summary>
    public static IReadOnlyList<Type> SinkRecords(ComponentKind? kind) =>
        kind == ComponentKind.Store ? [typeof(SinkSection), typeof(StorageSinkOptions), typeof(FormatSection)] : [typeof(SinkSection)];

    private ComponentReference? BindInner(ConfigurationNode node, Position position, ComponentKind kind, string label)
    {
        if (node is ScalarNode { Form: ScalarForm.Broken or ScalarForm.Null })
        {
            return null;
        }

        MapNode? map = node is ScalarNode ? new MapNode(node.Position, [new MapEntry(TypeKey, node.Position, node)]) : MapOf(node, position, label);
        return map is null ? null : BindTyped(map, position, label, [kind], _ => [typeof(InnerSection)]).Component;
    }

    /// <summary>Binds a mapping whose <c>type</c> says what else may stand in it.</summary>
    private (ComponentReference? Component, object?[] Parts) BindTyped(
        MapNode map, Position position, string label, ComponentKind[] kinds, Func<ComponentKind?, IReadOnlyList<Type>> common)
    {
        ComponentRegistration? registration = FindType(map, position, label, kinds);
        IReadOnlyList<Type> records = common(registration?.Kind);
        if (registration is null)
        {
            // The type is reported; of the rest only the common keys can be checked.
            _options.Bind(map, position, label, records, onlyKnown: false);
            return (null, [.. records.Select(_ => (object?)null)]);
        }

        object?[] bound = _options.Bind(map, position, label, [.. records, registration.OptionsType]);
        object?[] parts = bound[..^1];
        return (bound[^1] is { } options ? new ComponentReference(registration, options) : null, parts);
    }

    private ComponentRegistration? FindType(MapNode map, Position position, string label, ComponentKind[] kinds)
    {
        string[] types = [.. catalog.All.Where(known => kinds.Contains(known.Kind)).Select(known => known.Type)];
        if (map.Find(TypeKey) is not { } entry)
        {
            MapEntry mistyped = map.Entries.FirstOrDefault(candidate => Suggestion.Nearest(candidate.Key, [TypeKey]) is not null);
            errors.Add(mistyped.Key is null ? position : mistyped.Position, mistyped.Key is null
                ? $"{label}: key 'type' is missing.{Suggestion.For("", types, "Types")}"
                : $"{label}: unknown key {ErrorList.Quote(mistyped.Key)}. Did you mean 'type'?");
            return null;
        }

        if (entry.Value is not ScalarNode { Form: ScalarForm.Plain or ScalarForm.Quoted } type)
        {
            return null;
        }

        if (catalog.All.FirstOrDefault(known => kinds.Contains(known.Kind) && known.Type == type.Text) is { } found)
        {
            return found;
        }

        string what = Word(kinds[0]);
        string[] others = [.. catalog.All.Where(known => known.Type == type.Text).Select(known => Word(known.Kind)).Distinct()];
        errors.Add(type.Position, $"{label}: there is no {what} type {ErrorList.Quote(type.Text)}." + (others.Length > 0
            ? $" There is a {string.Join(" and a ", others)} of that type."
            : Suggestion.For(type.Text, types, "Types")));
        return null;
    }

    private MapNode? MapOf(ConfigurationNode node, Position position, string label)
    {
        if (node is not MapNode and not ScalarNode { Form: ScalarForm.Broken })
        {
            errors.Add(position, $"{label} must be a mapping with a type and its options.");
        }

        return node as MapNode;
    }

    private static string Word(ComponentKind kind) => kind switch
    {
        ComponentKind.Source => "source",
        ComponentKind.Channel => "channel",
        ComponentKind.Sink or ComponentKind.Store => "sink",
        ComponentKind.Format => "format",
        ComponentKind.Interceptor => "interceptor",
        _ => "selector",
    };
}
