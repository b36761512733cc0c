using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using Tailrace.Core.Plugins;

namespace Tailrace.Core.Configuration;

/// <summary>An option as help and documentation show it.</summary>
/// <param name="Key">Its key; nested ones joined by a dot (<c>roll.size</c>).</param>
/// <param name="Type">What it takes: <c>text</c>, <c>duration</c>, <c>list of text</c>.</param>
/// <param name="Required">True if it must be written.</param>
/// <param name="Default">What it is when it is not written; null if it is nothing then.</param>
/// <param name="Description">What it means.</param>
public sealed record OptionHelp(string Key, string Type, bool Required, string? Default, string Description);

/// <summary>Lists the options of components, from the records they bind to.</summary>
public static class ComponentHelp
{
    private const int MaxDepth = 4;

    /// <summary>The options of the agent section.</summary>
    public static IReadOnlyList<OptionHelp> OptionsOfAgent() => [.. Rows(typeof(AgentOptions), "", 1)];

    /// <summary>Everything that may stand in a component's section beside its <c>type</c>: what its own type takes, then what all of its kind take.</summary>
    public static IReadOnlyList<OptionHelp> OptionsOf(ComponentRegistration registration)
    {
        ArgumentNullException.ThrowIfNull(registration);
        IReadOnlyList<Type> common = Sections.RecordsOf(registration.Kind);
        HashSet<string> taken = [.. common.SelectMany(type => Rows(type, "", MaxDepth)).Select(row => row.Key)];
        return
        [
            .. Rows(registration.OptionsType, "", 1).Where(row => !taken.Contains(row.Key)),
            .. common.Reverse().SelectMany(type => Rows(type, "", 1)).Where(row => row.Key != "type"),
        ];
    }

    private static IEnumerable<OptionHelp> Rows(Type record, string prefix, int depth)
    {
        foreach (JsonPropertyInfo property in OptionTypes.Json.GetTypeInfo(record).Properties)
        {
            Type type = OptionTypes.Unwrap(property.PropertyType);
            JsonTypeInfo info = OptionTypes.Json.GetTypeInfo(type);
            bool isRecord = info.Kind == JsonTypeInfoKind.Object && !OptionTypes.IsAny(type);
            string key = prefix + property.Name;
            yield return new OptionHelp(key, TypeName(property), property.IsRequired, isRecord ? null : Text(OptionTypes.DefaultOf(property)), OptionTypes.DescriptionOf(property) ?? "");
            Type? inner = isRecord ? type : info.ElementType is { } element && OptionTypes.Json.GetTypeInfo(element).Kind == JsonTypeInfoKind.Object && !OptionTypes.IsAny(element) ? element : null;
            foreach (OptionHelp row in inner is not null && depth < MaxDepth ? Rows(inner, isRecord ? key + "." : key + "[].", depth + 1) : [])
            {
                yield return row;
            }
        }
    }

    private static string TypeName(JsonPropertyInfo property)
    {
        string? component = OptionTypes.Attribute<ComponentAttribute>(property)?.Kind.ToString().ToLowerInvariant();
        return component is null ? OptionTypes.Noun(property.PropertyType)
            : OptionTypes.Json.GetTypeInfo(property.PropertyType).Kind == JsonTypeInfoKind.Enumerable ? $"list of {component}" : component;
    }

    private static string? Text(JsonNode? value) => value switch
    {
        JsonArray { Count: 0 } or JsonObject { Count: 0 } => null,
        JsonValue scalar when scalar.TryGetValue(out string? text) => text.Length == 0 ? null : text,
        _ => value?.ToJsonString(),
    };
}
