using System.ComponentModel;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace Tailrace.Core.Configuration;

/// <summary>How the properties of options records are written: the one place that binding, schema and help share.</summary>
internal static class OptionTypes
{
    private static readonly Type[] Integers = [typeof(int), typeof(long), typeof(short), typeof(byte), typeof(uint), typeof(ulong), typeof(ushort), typeof(sbyte)];
    private static readonly Type[] Fractions = [typeof(double), typeof(float), typeof(decimal)];

    /// <summary>snake_case names, nothing unmapped, required members required.</summary>
    public static JsonSerializerOptions Json { get; } = MakeOptions();

    public static Type Unwrap(Type type) => Nullable.GetUnderlyingType(type) ?? type;

    public static bool IsInteger(Type type) => Integers.Contains(type);

    public static bool IsFraction(Type type) => Fractions.Contains(type);

    /// <summary>True for what takes any value: it is handed on as it is written.</summary>
    public static bool IsAny(Type type) => type == typeof(object) || type == typeof(JsonElement) || typeof(JsonNode).IsAssignableFrom(type);

    /// <summary>The words of an enum, as configuration writes them.</summary>
    public static IReadOnlyList<string> Words(Type type) =>
        [.. Enum.GetValuesAsUnderlyingType(type).Cast<object>().Select(value => JsonSerializer.SerializeToNode(Enum.ToObject(type, value), type, Json)!.GetValue<string>())];

    /// <summary>What a value of a type is called, with its article, and an example of one.</summary>
    public static (string Name, string? Example) Describe(Type type)
    {
        type = Unwrap(type);
        return type switch
        {
            _ when type == typeof(string) => ("text", null),
            _ when type == typeof(bool) => ("true or false", null),
            _ when type == typeof(TimeSpan) => ("a duration with its unit (ms, s, m, h, d)", "10s"),
            _ when type == typeof(ByteSize) => ("a size with its unit (B, KiB, MiB, GiB, TiB, kB, MB, GB, TB)", "64MiB"),
            _ when type == typeof(SubscriberStart) => ("beginning, end or a time with its offset", "2026-11-22T10:00:00Z"),
            _ when IsInteger(type) => ("a whole number", "100"),
            _ when IsFraction(type) => ("a number", "0.5"),
            _ when type.IsEnum => ($"one of {string.Join(", ", Words(type))}", null),
            _ => Json.GetTypeInfo(type).Kind switch
            {
                JsonTypeInfoKind.Enumerable => ("a list", "[a, b]"),
                JsonTypeInfoKind.Object or JsonTypeInfoKind.Dictionary => ("a mapping", null),
                _ => ("a value", null),
            },
        };
    }

    /// <summary>The same with its example, for messages.</summary>
    public static string Wanted(Type type)
    {
        (string name, string? example) = Describe(type);
        return example is null ? name : $"{name}, such as {example}";
    }

    public static string? DescriptionOf(JsonPropertyInfo property) => Attribute<DescriptionAttribute>(property)?.Description;

    public static TAttribute? Attribute<TAttribute>(JsonPropertyInfo property)
        where TAttribute : Attribute => property.AttributeProvider?.GetCustomAttributes(typeof(TAttribute), inherit: true).OfType<TAttribute>().FirstOrDefault();

    /// <summary>The value a property has when nothing is written; null if there is none, or none that is the same everywhere (<c>[DefaultValue(null)]</c>).</summary>
    public static JsonNode? DefaultOf(JsonPropertyInfo property)
    {
        if (property.IsRequired || property.Get is null || Attribute<DefaultValueAttribute>(property) is not null)
        {
            return null;
        }

        object? owner = Json.GetTypeInfo(property.DeclaringType).CreateObject?.Invoke();
        return owner is null ? null : JsonSerializer.SerializeToNode(property.Get(owner), property.PropertyType, Json);
    }

    private static JsonSerializerOptions MakeOptions()
    {
        var options = new JsonSerializerOptions
        {
            PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
            UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
            RespectNullableAnnotations = true,
            RespectRequiredConstructorParameters = true,
            TypeInfoResolver = new DefaultJsonTypeInfoResolver { Modifiers = { LeaveOutComputed } },
            Converters = { new DurationConverter(), new ByteSizeConverter(), new SubscriberStartConverter(), new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower, allowIntegerValues: false) },
        };
        options.MakeReadOnly();
        return options;
    }

    /// <summary>What a record computes from its options is no option.</summary>
    private static void LeaveOutComputed(JsonTypeInfo type)
    {
        for (int i = type.Properties.Count - 1; type.Kind == JsonTypeInfoKind.Object && i >= 0; i--)
        {
            if (type.Properties[i] is { Set: null, AssociatedParameter: null })
            {
                type.Properties.RemoveAt(i);
            }
        }
    }
}
