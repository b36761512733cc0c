using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Tailrace.Core.Configuration;

/// <summary>A place in the configuration: the index of the file as given, line and column from 1.</summary>
internal readonly record struct Position(int File, int Line, int Column);

/// <summary>What is written in a configuration, with its place and before anything is known of its types.</summary>
internal abstract partial class ConfigurationNode(Position position, int size, int height)
{
    private static readonly JsonSerializerOptions Compact = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public Position Position { get; } = position;

    /// <summary>The number of nodes in it, itself included, aliases counted as often as they are used.</summary>
    public int Size { get; } = size;

    /// <summary>The number of levels below it.</summary>
    public int Height { get; } = height;

    /// <summary>The same as JSON, keys sorted. Reading that back gives a node that binds alike.</summary>
    public abstract JsonNode? ToJson();

    /// <summary>One text for everything that is written alike: what journals keep.</summary>
    public string ToCanonicalJson() => ToJson()?.ToJsonString(Compact) ?? "null";

    /// <summary>True if a plain scalar of this text is a number or a boolean. Strict, so that <c>no</c>, <c>on</c> and <c>007</c> stay text.</summary>
    public static bool IsLiteral(string text) => text is "true" or "false" || NumberPattern().IsMatch(text);

    /// <summary>Reads back what <see cref="ToJson"/> gave.</summary>
    public static ConfigurationNode FromJson(JsonElement json) => json.ValueKind switch
    {
        JsonValueKind.Object => new MapNode(default, [.. json.EnumerateObject().Select(property => new MapEntry(property.Name, default, FromJson(property.Value)))]),
        JsonValueKind.Array => new ListNode(default, [.. json.EnumerateArray().Select(FromJson)]),
        JsonValueKind.String => new ScalarNode(default, json.GetString()!, ScalarForm.Quoted),
        JsonValueKind.Null => new ScalarNode(default, "", ScalarForm.Null),
        _ => new ScalarNode(default, json.GetRawText(), ScalarForm.Plain),
    };

    [GeneratedRegex(@"\A-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?\z", RegexOptions.CultureInvariant)]
    private static partial Regex NumberPattern();
}

/// <summary>How a scalar is written.</summary>
internal enum ScalarForm
{
    /// <summary>Without quotes: its type is what the key wants.</summary>
    Plain,

    /// <summary>In quotes: text.</summary>
    Quoted,

    /// <summary>No value.</summary>
    Null,

    /// <summary>An error of its own is reported already; nothing more is to be said of it.</summary>
    Broken,
}

/// <summary>A scalar, variables expanded.</summary>
internal sealed class ScalarNode(Position position, string text, ScalarForm form) : ConfigurationNode(position, 1, 0)
{
    public string Text { get; } = text;

    public ScalarForm Form { get; } = form;

    public override JsonNode? ToJson() =>
        Form == ScalarForm.Null ? null : Form == ScalarForm.Plain && IsLiteral(Text) ? JsonNode.Parse(Text) : JsonValue.Create(Text);
}

/// <summary>A list.</summary>
internal sealed class ListNode(Position position, IReadOnlyList<ConfigurationNode> items)
    : ConfigurationNode(position, 1 + items.Sum(item => item.Size), 1 + items.Select(item => item.Height).DefaultIfEmpty().Max())
{
    public IReadOnlyList<ConfigurationNode> Items { get; } = items;

    public override JsonNode ToJson() => new JsonArray([.. Items.Select(item => item.ToJson())]);
}

/// <summary>A key of a mapping with its value.</summary>
internal readonly record struct MapEntry(string Key, Position Position, ConfigurationNode Value);

/// <summary>A mapping; no key stands in it twice.</summary>
internal sealed class MapNode(Position position, IReadOnlyList<MapEntry> entries, bool isWhole = true)
    : ConfigurationNode(position, 1 + entries.Sum(entry => entry.Value.Size), 1 + entries.Select(entry => entry.Value.Height).DefaultIfEmpty().Max())
{
    private readonly Dictionary<string, MapEntry> _byKey = entries.ToDictionary(entry => entry.Key, StringComparer.Ordinal);

    public IReadOnlyList<MapEntry> Entries { get; } = entries;

    /// <summary>False if something that stands in it was left out because of an error: then nothing can be said of what is missing.</summary>
    public bool IsWhole { get; } = isWhole;

    public MapEntry? Find(string key) => _byKey.TryGetValue(key, out MapEntry entry) ? entry : null;

    public override JsonNode ToJson() =>
        new JsonObject(Entries.OrderBy(entry => entry.Key, StringComparer.Ordinal).Select(entry => KeyValuePair.Create(entry.Key, entry.Value.ToJson())));
}
