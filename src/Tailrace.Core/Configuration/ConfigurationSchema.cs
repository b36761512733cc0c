using System.Text.Json.Nodes;
using System.Text.Json.Schema;
using System.Text.Json.Serialization.Metadata;
using Tailrace.Core.Plugins;

namespace Tailrace.Core.Configuration;

/// <summary>The JSON Schema of a configuration file, made from the same records that it is bound to: for editors and for reading.</summary>
/// <param name="catalog">The component types there are.</param>
public sealed class ConfigurationSchema(ComponentCatalog catalog)
{
    private const string VariablePattern = @"\$\{";
    private const string NamePattern = @"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$";
    private const string DurationPattern = @"^[0-9]+(\.[0-9]+)?(ms|s|m|h|d)$";
    private const string SizePattern = @"^[0-9]+(\.[0-9]+)? *([KMGT]iB|[kKMGT]?B)$";

    /// <summary>The schema of a whole file, draft 2020-12.</summary>
    public JsonObject Generate()
    {
        var definitions = new JsonObject();
        JsonObject root = new()
        {
            ["$schema"] = "https://json-schema.org/draft/2020-12/schema",
            ["title"] = "Configuration of a Tailrace agent",
            ["type"] = "object",
            ["properties"] = new JsonObject
            {
                [ConfigurationDraft.AgentKey] = With(Export(typeof(AgentOptions)), "The agent as a whole."),
                [ConfigurationDraft.SourcesKey] = Named(definitions, "source", "Sources by name: where events come from.", [ComponentKind.Source]),
                [ConfigurationDraft.ChannelsKey] = Named(definitions, "channel", "Channels by name: what holds events between sources and sinks.", [ComponentKind.Channel]),
                [ConfigurationDraft.SinksKey] = Named(definitions, "sink", "Sinks by name: where events go.", [ComponentKind.Sink, ComponentKind.Store]),
            },
            ["additionalProperties"] = false,
        };
        foreach (ComponentKind kind in new[] { ComponentKind.Format, ComponentKind.Interceptor, ComponentKind.Selector })
        {
            DefineInner(definitions, kind);
        }

        root["$defs"] = definitions;
        return root;
    }

    private static string DefinitionOf(ComponentKind kind) => kind.ToString().ToLowerInvariant();

    private static JsonObject Reference(string definition) => new() { ["$ref"] = $"#/$defs/{definition}" };

    private static JsonObject With(JsonObject schema, string description)
    {
        schema.Insert(0, "description", description);
        return schema;
    }

    private JsonObject Named(JsonObject definitions, string definition, string description, ComponentKind[] kinds)
    {
        definitions[definition] = Variants(definitions, definition, kinds);
        return new JsonObject
        {
            ["description"] = description,
            ["type"] = "object",
            ["minProperties"] = 1,
            ["propertyNames"] = new JsonObject { ["pattern"] = NamePattern },
            ["additionalProperties"] = Reference(definition),
        };
    }

    /// <summary>A component inside another one: its type's name alone, or a mapping.</summary>
    private void DefineInner(JsonObject definitions, ComponentKind kind)
    {
        string definition = DefinitionOf(kind);
        definitions[definition] = new JsonObject { ["anyOf"] = new JsonArray(OrVariable(Types([kind])), Variants(definitions, definition, [kind])) };
    }

    /// <summary>A mapping whose <c>type</c> decides what else may stand in it.</summary>
    private JsonObject Variants(JsonObject definitions, string definition, ComponentKind[] kinds)
    {
        var cases = new JsonArray();
        foreach (ComponentRegistration registration in catalog.All.Where(known => kinds.Contains(known.Kind)))
        {
            string variant = $"{definition}.{registration.Type}";
            definitions[variant] = Variant(registration);
            cases.Add(new JsonObject
            {
                ["if"] = new JsonObject { ["properties"] = new JsonObject { ["type"] = new JsonObject { ["const"] = registration.Type } }, ["required"] = new JsonArray("type") },
                ["then"] = Reference(variant),
            });
        }

        var variants = new JsonObject
        {
            ["type"] = "object",
            ["properties"] = new JsonObject { ["type"] = Types(kinds) },
            ["required"] = new JsonArray("type"),
        };
        if (cases.Count > 0)
        {
            // A schema with an empty list of conditions is none.
            variants["allOf"] = cases;
        }

        return variants;
    }

    private JsonObject Types(ComponentKind[] kinds) =>
        new() { ["enum"] = new JsonArray([.. catalog.All.Where(known => kinds.Contains(known.Kind)).Select(known => JsonValue.Create(known.Type))]) };

    private static JsonObject Variant(ComponentRegistration registration)
    {
        var properties = new JsonObject();
        var required = new JsonArray();
        foreach (JsonObject part in Sections.RecordsOf(registration.Kind).Append(registration.OptionsType).Select(Export))
        {
            foreach ((string key, JsonNode? value) in part["properties"]?.AsObject() ?? [])
            {
                properties.TryAdd(key, value?.DeepClone());
            }

            foreach (string key in part["required"]?.AsArray().GetValues<string>() ?? [])
            {
                required.Add(key);
            }
        }

        properties["type"] = new JsonObject { ["const"] = registration.Type };
        var variant = new JsonObject { ["description"] = registration.Description, ["type"] = "object", ["properties"] = properties };
        if (required.Count > 0)
        {
            variant["required"] = required;
        }

        variant["additionalProperties"] = false;
        return variant;
    }

    private static JsonObject Export(Type type) =>
        OptionTypes.Json.GetJsonSchemaAsNode(type, new JsonSchemaExporterOptions { TreatNullObliviousAsNonNullable = true, TransformSchemaNode = Transform }).AsObject();

    private static JsonObject Transform(JsonSchemaExporterContext context, JsonNode exported)
    {
        JsonObject schema = Leaf(OptionTypes.Unwrap(context.TypeInfo.Type)) ?? exported as JsonObject ?? [];
        if (schema["type"] is JsonArray types && types.GetValues<string>().FirstOrDefault(name => name == "null") is not null)
        {
            // A key that may be left out still takes no null.
            schema["type"] = types.GetValues<string>().First(name => name != "null");
        }

        if (context.PropertyInfo is not { } property)
        {
            return schema;
        }

        if (OptionTypes.Attribute<ComponentAttribute>(property)?.Kind is { } kind)
        {
            JsonObject inner = Reference(DefinitionOf(kind));
            schema = context.TypeInfo.Kind == JsonTypeInfoKind.Enumerable ? new JsonObject { ["type"] = "array", ["items"] = inner } : inner;
        }

        if (OptionTypes.DescriptionOf(property) is { } description)
        {
            schema = With(schema, description);
        }

        if (OptionTypes.DefaultOf(property) is { } value)
        {
            schema["default"] = value;
        }

        return schema;
    }

    /// <summary>Scalars as configuration writes them, or with a variable in them; null for what is none.</summary>
    private static JsonObject? Leaf(Type type) => type switch
    {
        _ when type == typeof(bool) => Literal("boolean"),
        _ when OptionTypes.IsInteger(type) => Literal("integer"),
        _ when OptionTypes.IsFraction(type) => Literal("number"),
        _ when type == typeof(TimeSpan) => Text(DurationPattern),
        _ when type == typeof(ByteSize) => Text(SizePattern),
        _ when type == typeof(SubscriberStart) => Text(@"^(beginning|end|[0-9]{4}-.*)$"),
        _ when type.IsEnum => OrVariable(new JsonObject { ["enum"] = new JsonArray([.. OptionTypes.Words(type).Select(word => JsonValue.Create(word))]) }),
        _ => null,
    };

    private static JsonObject Literal(string type) => new() { ["type"] = new JsonArray(type, "string"), ["pattern"] = VariablePattern };

    private static JsonObject Text(string pattern) => new() { ["type"] = "string", ["pattern"] = $"{pattern}|{VariablePattern}" };

    private static JsonObject OrVariable(JsonObject schema) => new() { ["anyOf"] = new JsonArray(schema, new JsonObject { ["type"] = "string", ["pattern"] = VariablePattern }) };
}
