using System.Text.Json.Nodes;
using Tailrace.Core.Configuration;
using Tailrace.Core.Plugins;

namespace Tailrace.Tests.Configuration;

public sealed class ConfigurationSchemaTests
{
    private readonly JsonObject _schema = new ConfigurationSchema(FakeComponents.Catalog()).Generate();

    [Fact]
    public void The_sections_of_a_file_are_its_properties()
    {
        Assert.Equal("https://json-schema.org/draft/2020-12/schema", (string?)_schema["$schema"]);
        Assert.Equal(["agent", "sources", "channels", "sinks"], _schema["properties"]!.AsObject().Select(property => property.Key));
        Assert.False((bool)_schema["additionalProperties"]!);
    }

    [Fact]
    public void Every_type_has_its_variant_under_its_const()
    {
        JsonArray cases = _schema["$defs"]!["sink"]!["allOf"]!.AsArray();
        Assert.Equal(["relay", "files"], cases.Select(variant => (string?)variant!["if"]!["properties"]!["type"]!["const"]));
        Assert.Equal(["#/$defs/sink.relay", "#/$defs/sink.files"], cases.Select(variant => (string?)variant!["then"]!["$ref"]));
        Assert.Equal(["relay", "files"], _schema["$defs"]!["sink"]!["properties"]!["type"]!["enum"]!.AsArray().GetValues<string>());
    }

    [Fact]
    public void A_storage_sink_has_the_keys_of_all_its_records()
    {
        JsonNode files = _schema["$defs"]!["sink.files"]!;
        Assert.Equal(
            ["channel", "compression", "format", "lag", "max_open_files", "mode", "path", "roll", "start_at", "time_zone", "type"],
            files["properties"]!.AsObject().Select(property => property.Key).Order(StringComparer.Ordinal));
        Assert.Equal(["channel", "path"], files["required"]!.AsArray().GetValues<string>().Order(StringComparer.Ordinal));
        Assert.False((bool)files["additionalProperties"]!);
        JsonNode size = files["properties"]!["roll"]!["properties"]!["size"]!;
        Assert.Equal("128MiB", (string?)size["default"]);
        Assert.StartsWith("When this much has been written", (string?)size["description"], StringComparison.Ordinal);
        Assert.Equal("10m", (string?)files["properties"]!["roll"]!["properties"]!["age"]!["default"]);
        Assert.Equal("#/$defs/format", (string?)files["properties"]!["format"]!["$ref"]);
        Assert.Equal("text", (string?)files["properties"]!["format"]!["default"]);
        Assert.Equal("beginning", (string?)files["properties"]!["start_at"]!["default"]);
    }

    [Fact]
    public void Kinds_without_a_type_leave_no_empty_list_of_conditions() =>
        Assert.DoesNotContain("\"allOf\":[]", new ConfigurationSchema(new ComponentCatalog()).Generate().ToJsonString(), StringComparison.Ordinal);

    [Fact]
    public void Nothing_in_it_depends_on_the_machine() => Assert.Null(_schema["properties"]!["agent"]!["properties"]!["name"]!["default"]);

    [Fact]
    public void No_key_takes_null() => Assert.DoesNotContain("\"null\"", _schema.ToJsonString(), StringComparison.Ordinal);

    [Fact]
    public void Every_reference_leads_somewhere()
    {
        string[] references = [.. Descendants(_schema).OfType<JsonObject>().Select(node => (string?)(node["$ref"] as JsonValue)).OfType<string>().Distinct()];
        Assert.NotEmpty(references);
        Assert.All(references, reference => Assert.NotNull(_schema["$defs"]![reference["#/$defs/".Length..]]));
    }

    [Fact]
    public void Options_are_listed_with_types_and_defaults()
    {
        ComponentCatalog catalog = FakeComponents.Catalog();

        IReadOnlyList<OptionHelp> files = ComponentHelp.OptionsOf(catalog.Find(ComponentKind.Store, "files")!);

        Assert.Equal("mode", files[0].Key);
        Assert.Contains(new OptionHelp("roll.size", "size", false, "128MiB", "When this much has been written to it, after compression. At least 1KiB."), files);
        Assert.Contains(files, option => option is { Key: "format", Type: "format", Default: "text" });
        Assert.Contains(files, option => option is { Key: "channel", Type: "text", Required: true, Default: null });
        Assert.Contains(files, option => option is { Key: "compression", Type: "none, gzip, zstd", Default: "none" });
        Assert.DoesNotContain(files, option => option.Key == "type");
        Assert.All(files, option => Assert.NotEqual("", option.Description));
        Assert.Contains(ComponentHelp.OptionsOf(catalog.Find(ComponentKind.Source, "tail")!), option => option is { Key: "paths", Type: "list of text", Required: true });
        Assert.Equal("mapping to list of text", ComponentHelp.OptionsOf(catalog.Find(ComponentKind.Selector, "multiplex")!).Single(option => option.Key == "mapping").Type);
        Assert.Equal(["name", "data", "stop_timeout"], ComponentHelp.OptionsOfAgent().Select(option => option.Key));
    }

    private static IEnumerable<JsonNode> Descendants(JsonNode node) => node switch
    {
        JsonObject map => map.Select(property => property.Value).OfType<JsonNode>().SelectMany(Descendants).Prepend(node),
        JsonArray list => list.OfType<JsonNode>().SelectMany(Descendants).Prepend(node),
        _ => [node],
    };
}
