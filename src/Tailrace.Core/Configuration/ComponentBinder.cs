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

        (_, ComponentReference? component, object?[] parts) = BindTyped(map, source.Position, label, [ComponentKind.Source]);
        IReadOnlyList<ComponentReference?> interceptors = map.Find("interceptors")?.Value is ListNode list
            ? [.. list.Items.Select((item, index) => BindInner(item, item.Position, ComponentKind.Interceptor, $"{label}: interceptors[{index}]"))]
            : [];
        ComponentReference? selector = map.Find("selector") is { } entry ? BindInner(entry.Value, entry.Position, ComponentKind.Selector, $"{label}: selector") : null;
        return component is not null && Part<SourceSection>(parts) is { } section && !interceptors.Contains(null)
            ? new SourceConfiguration(source.Name, component, section.Channels, [.. interceptors.OfType<ComponentReference>()], selector)
            : null;
    }

    public ChannelConfiguration? BindChannel(NamedNode channel)
    {
        string label = $"channel {channel.Name}";
        return MapOf(channel.Value, channel.Position, label) is { } map
            && BindTyped(map, channel.Position, label, [ComponentKind.Channel]).Component is { } component
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

        (ComponentKind? kind, ComponentReference? component, object?[] parts) = BindTyped(map, sink.Position, label, [ComponentKind.Sink, ComponentKind.Store]);
        ComponentReference? format = kind == ComponentKind.Store ? BindFormat(map, sink.Position, label) : null;
        return component is not null && !parts.Contains(null) && (format is not null || kind != ComponentKind.Store)
            ? new SinkConfiguration(sink.Name, component, Part<SinkSection>(parts)!.Channel, Part<SinkSection>(parts)!.StartAt, Part<StorageSinkOptions>(parts), format, map.ToCanonicalJson()) { Lag = Part<SinkSection>(parts)!.Lag }
            : null;
    }

    private ComponentReference? BindFormat(MapNode map, Position position, string label)
    {
        MapEntry format = map.Find("format") ?? new MapEntry("format", position, new ScalarNode(position, FormatSection.DefaultFormat, ScalarForm.Plain));
        return BindInner(format.Value, format.Position, ComponentKind.Format, $"{label}: format");
    }

    private static T? Part<T>(object?[] parts)
        where T : class => parts.OfType<T>().FirstOrDefault();

    private ComponentReference? BindInner(ConfigurationNode node, Position position, ComponentKind kind, string label)
    {
        // What is neither a name nor a mapping is reported with the section it stands in.
        MapNode? map = node is ScalarNode { Form: ScalarForm.Plain or ScalarForm.Quoted } ? new MapNode(node.Position, [new MapEntry(TypeKey, node.Position, node)]) : node as MapNode;
        return map is null ? null : BindTyped(map, position, label, [kind]).Component;
    }

    /// <summary>Binds a mapping whose <c>type</c> says what else may stand in it.</summary>
    private (ComponentKind? Kind, ComponentReference? Component, object?[] Parts) BindTyped(MapNode map, Position position, string label, ComponentKind[] kinds)
    {
        ComponentRegistration? registration = FindType(map, position, label, kinds);
        IReadOnlyList<Type> records = Sections.RecordsOf(registration?.Kind ?? kinds[0]);
        if (registration is null)
        {
            // The type is reported; of the rest only the common keys can be checked.
            return (null, null, _options.Bind(map, position, label, records, onlyKnown: false));
        }

        object?[] bound = _options.Bind(map, position, label, [.. records, registration.OptionsType]);
        return (registration.Kind, bound[^1] is { } options ? new ComponentReference(registration, options) : null, bound[..^1]);
    }

    private ComponentRegistration? FindType(MapNode map, Position position, string label, ComponentKind[] kinds)
    {
        string[] types = [.. catalog.All.Where(known => kinds.Contains(known.Kind)).Select(known => known.Type)];
        if (map.Find(TypeKey) is not { } entry)
        {
            if (!map.IsWhole)
            {
                return null;
            }

            MapEntry mistyped = map.Entries.FirstOrDefault(candidate => Suggestion.Nearest(candidate.Key, [TypeKey]) is not null);
            errors.Add(mistyped.Key is null ? position : mistyped.Position, mistyped.Key is null
                ? $"{label}: key 'type' is missing.{errors.Suggest("", types, "Types")}"
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
            : errors.Suggest(type.Text, types, "Types")));
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
