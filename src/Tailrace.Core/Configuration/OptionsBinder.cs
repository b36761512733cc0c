using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;

namespace Tailrace.Core.Configuration;

/// <summary>Binds mappings to options records. Says everything that is wrong, each at its place, before a record is made.</summary>
internal sealed class OptionsBinder(ErrorList errors)
{
    /// <summary>
    /// Binds one mapping to several records that share its keys: each key belongs to the first that knows it. A record that cannot be bound
    /// comes back as null; why is in the errors.
    /// </summary>
    /// <param name="map">The mapping.</param>
    /// <param name="place">Where to report what is missing.</param>
    /// <param name="label">What messages call the mapping: <c>sink out</c>.</param>
    /// <param name="types">The records.</param>
    /// <param name="onlyKnown">False to let keys pass that no record knows: the rest of them could not be told.</param>
    public object?[] Bind(MapNode map, Position place, string label, IReadOnlyList<Type> types, bool onlyKnown = true)
    {
        try
        {
            JsonObject?[] parts = ConvertMap(map, place, label, "", types, onlyKnown);
            return [.. types.Zip(parts, (type, part) => part is null ? null : Make(part, type, map, place, label))];
        }
#pragma warning disable CA1031 // options records are plugin code: whatever they throw is an error of their component's configuration
        catch (Exception exception)
#pragma warning restore CA1031
        {
            errors.Add(place, $"{label}: its options cannot be used: {exception.Message}");
            return new object?[types.Count];
        }
    }

    private object? Make(JsonObject part, Type type, MapNode map, Position place, string label)
    {
        object? options = part.Deserialize(type, OptionTypes.Json);
        int before = errors.Count;
        foreach (OptionProblem problem in (options as IValidatedOptions)?.Validate() ?? [])
        {
            errors.Add(Locate(map, place, problem.Key), $"{label}: {ErrorList.Quote(problem.Key)}: {problem.Message}");
        }

        return errors.Count == before ? options : null;
    }

    /// <summary>The place of the key a problem names, or of the innermost one around it that is written.</summary>
    private static Position Locate(MapNode map, Position place, string key)
    {
        ConfigurationNode node = map;
        foreach (string part in key.Replace("[", ".", StringComparison.Ordinal).Replace("]", "", StringComparison.Ordinal).Split('.'))
        {
            if (node is MapNode inner && inner.Find(part) is { } entry)
            {
                (node, place) = (entry.Value, entry.Position);
            }
            else if (node is ListNode list && int.TryParse(part, out int index) && index >= 0 && index < list.Items.Count)
            {
                (node, place) = (list.Items[index], list.Items[index].Position);
            }
            else
            {
                break;
            }
        }

        return place;
    }

    private JsonObject?[] ConvertMap(MapNode map, Position place, string label, string prefix, IReadOnlyList<Type> types, bool onlyKnown)
    {
        JsonTypeInfo[] infos = [.. types.Select(OptionTypes.Json.GetTypeInfo)];
        JsonObject?[] parts = [.. types.Select(_ => new JsonObject())];
        List<string> mistyped = [];
        foreach (MapEntry entry in map.Entries)
        {
            int owner = Array.FindIndex(infos, info => Property(info, entry.Key) is not null);
            if (owner < 0)
            {
                if (onlyKnown)
                {
                    string[] known = [.. infos.SelectMany(info => info.Properties).Select(property => property.Name).Distinct()];
                    mistyped.AddRange(Suggestion.Nearest(entry.Key, known) is { } nearest ? [nearest] : []);
                    errors.Add(entry.Position, $"{label}: unknown key {ErrorList.Quote(prefix + entry.Key)}.{errors.Suggest(entry.Key, known, "Known keys")}");
                }

                continue;
            }

            JsonPropertyInfo property = Property(infos[owner], entry.Key)!;
            bool isComponent = OptionTypes.Attribute<ComponentAttribute>(property) is not null;
            JsonNode? value = Convert(entry.Value, property.PropertyType, label, prefix + entry.Key, entry.Position, isComponent);
            if (value is null)
            {
                parts[owner] = null;
            }

            parts[owner]?.Add(entry.Key, value);
        }

        for (int i = 0; i < infos.Length; i++)
        {
            foreach (JsonPropertyInfo property in infos[i].Properties.Where(property => property.IsRequired && map.Find(property.Name) is null))
            {
                parts[i] = null;
                if (map.IsWhole && !mistyped.Contains(property.Name))
                {
                    errors.Add(place, $"{label}: key {ErrorList.Quote(prefix + property.Name)} is missing ({OptionTypes.Wanted(property.PropertyType)}).");
                }
            }
        }

        return parts;
    }

    private static JsonPropertyInfo? Property(JsonTypeInfo info, string key) => info.Properties.FirstOrDefault(property => property.Name == key);

    /// <summary>The JSON a type binds from; null if what is written does not fit, which is then reported. Components are bound apart, to their own types: of them only the outline is looked at.</summary>
    private JsonNode? Convert(ConfigurationNode node, Type type, string label, string path, Position keyPosition, bool isComponent)
    {
        type = OptionTypes.Unwrap(type);
        if (node is ScalarNode { Form: ScalarForm.Broken })
        {
            return null;
        }

        if (node is ScalarNode { Form: ScalarForm.Null })
        {
            errors.Add(keyPosition, $"{label}: {ErrorList.Quote(path)} has no value. Give it one ({Wanted(type, isComponent)}) or remove it.");
            return null;
        }

        JsonTypeInfo info = OptionTypes.Json.GetTypeInfo(type);
        return info.Kind switch
        {
            JsonTypeInfoKind.Enumerable when node is ListNode list => ConvertList(list, info.ElementType!, label, path, isComponent),
            _ when isComponent => node is ListNode || info.Kind == JsonTypeInfoKind.Enumerable ? Wrong(node, type, label, path, reason: null, isComponent) : node.ToJson(),
            _ when OptionTypes.IsAny(type) => ConvertAny(node, label, path),
            JsonTypeInfoKind.Object when node is MapNode map => ConvertMap(map, keyPosition, label, path + ".", [type], onlyKnown: true)[0],
            JsonTypeInfoKind.Dictionary when node is MapNode map => ConvertDictionary(map, info.ElementType!, label, path),
            JsonTypeInfoKind.None when node is ScalarNode scalar => ConvertScalar(scalar, type, label, path),
            JsonTypeInfoKind.None when !IsBuiltIn(type) => ConvertWhole(node, type, label, path),
            _ => Wrong(node, type, label, path, reason: null),
        };
    }

    private JsonNode? ConvertAny(ConfigurationNode node, string label, string path) => node switch
    {
        ListNode list => ConvertList(list, typeof(JsonNode), label, path, isComponent: false),
        MapNode map => ConvertDictionary(map, typeof(JsonNode), label, path),
        _ => node.ToJson(),
    };

    private JsonObject? ConvertDictionary(MapNode map, Type elementType, string label, string path)
    {
        var result = new JsonObject();
        bool whole = true;
        foreach (MapEntry entry in map.Entries)
        {
            JsonNode? value = Convert(entry.Value, elementType, label, $"{path}.{entry.Key}", entry.Position, isComponent: false);
            whole &= value is not null;
            result.Add(entry.Key, value);
        }

        return whole ? result : null;
    }

    private JsonArray? ConvertList(ListNode list, Type elementType, string label, string path, bool isComponent)
    {
        JsonNode?[] items = [.. list.Items.Select((item, index) => Convert(item, elementType, label, $"{path}[{index}]", item.Position, isComponent))];
        return items.Contains(null) ? null : new JsonArray(items);
    }

    private JsonNode? ConvertScalar(ScalarNode scalar, Type type, string label, string path)
    {
        JsonNode? literal = scalar.Form == ScalarForm.Plain && ConfigurationNode.IsLiteral(scalar.Text) ? JsonNode.Parse(scalar.Text) : null;
        bool wantsLiteral = type == typeof(bool) || OptionTypes.IsInteger(type) || OptionTypes.IsFraction(type);
        string? reason = null;
        JsonNode? accepted = wantsLiteral ? null : Accepted(JsonValue.Create(scalar.Text), type, out reason);

        // Types of plugins may read numbers and booleans as well as text.
        accepted ??= literal is not null && (wantsLiteral || !IsBuiltIn(type)) ? Accepted(literal, type, out reason) : null;
        return accepted ?? Wrong(scalar, type, label, path, reason);
    }

    private JsonNode? ConvertWhole(ConfigurationNode node, Type type, string label, string path) =>
        Accepted(node.ToJson(), type, out string? reason) ?? Wrong(node, type, label, path, reason);

    private static bool IsBuiltIn(Type type) =>
        type.IsEnum || type.IsPrimitive || type == typeof(string) || type == typeof(decimal) || type == typeof(TimeSpan) || type == typeof(ByteSize) || type == typeof(SubscriberStart);

    /// <summary>The JSON, if the type reads it; else null, and the reason if the type's own converter gave one.</summary>
    private static JsonNode? Accepted(JsonNode? json, Type type, out string? reason)
    {
        reason = null;
        if (json is null || (type.IsEnum && !OptionTypes.Words(type).Contains(json.GetValue<string>())))
        {
            return null;
        }

        try
        {
            return json.Deserialize(type, OptionTypes.Json) is null ? null : json;
        }
        catch (JsonException exception)
        {
            reason = IsBuiltIn(type) || exception.Message.StartsWith("The JSON value could not be converted", StringComparison.Ordinal) ? null : exception.Message;
            return null;
        }
    }

    private static string Wanted(Type type, bool isComponent) =>
        isComponent && OptionTypes.IsAny(type) ? "the name of a type, or a mapping with a type and its options" : OptionTypes.Wanted(type);

    private JsonNode? Wrong(ConfigurationNode node, Type type, string label, string path, string? reason, bool isComponent = false)
    {
        if (reason is not null)
        {
            errors.Add(node.Position, $"{label}: {ErrorList.Quote(path)}: {reason}");
            return null;
        }

        string found = node switch
        {
            MapNode => "a mapping",
            ListNode => "a list",
            ScalarNode { Form: ScalarForm.Quoted } scalar when ConfigurationNode.IsLiteral(scalar.Text) => $"the text {ErrorList.Quote(scalar.Text)} (remove the quotes)",
            ScalarNode scalar => ErrorList.Quote(scalar.Text),
            _ => "this",
        };
        string more = "";
        if (node is ScalarNode word && type.IsEnum)
        {
            more = Suggestion.Nearest(word.Text, OptionTypes.Words(type)) is { } nearest ? $" Did you mean '{nearest}'?" : "";
        }
        else if (node is ScalarNode { Form: ScalarForm.Plain } number && OptionTypes.IsInteger(type) && ConfigurationNode.IsLiteral(number.Text) && !number.Text.AsSpan().ContainsAny('.', 'e', 'E'))
        {
            more = $" It lies between {type.GetField("MinValue")!.GetValue(null)} and {type.GetField("MaxValue")!.GetValue(null)}.";
        }

        errors.Add(node.Position, $"{label}: {ErrorList.Quote(path)} must be {Wanted(type, isComponent)}, not {found}.{more}");
        return null;
    }
}
