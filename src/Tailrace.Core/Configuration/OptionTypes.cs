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

    /// <summary>What a value of a type is called, for lists of options.</summary>
    public static string Noun(Type type)
    {
        type = Unwrap(type);
        return type switch
        {
            _ when type == typeof(string) => "text",
            _ when type == typeof(bool) => "true or false",
            _ when type == typeof(TimeSpan) => "duration",
            _ when type == typeof(ByteSize) => "size",
            _ when type == typeof(SubscriberStart) => "beginning, end or a time",
            _ when type == typeof(Uri) => "URI",
            _ when IsInteger(type) => "whole number",
            _ when IsFraction(type) => "number",
            _ when type.IsEnum => string.Join(", ", Words(type)),
            _ when Json.GetTypeInfo(type) is var info => info.Kind switch
            {
                JsonTypeInfoKind.Enumerable => $"list of {Noun(info.ElementType!)}",
                JsonTypeInfoKind.Dictionary => $"mapping to {Noun(info.ElementType!)}",
                JsonTypeInfoKind.Object => "mapping",
                _ => "value",
            },
            _ => "value",
        };
    }

    /// <summary>What would be right, with an example, for messages.</summary>
    public static string Wanted(Type type)
    {
        type = Unwrap(type);
        return type switch
        {
            _ when type == typeof(string) => "text",
            _ when type == typeof(bool) => "true or false",
            _ when type == typeof(TimeSpan) => "a duration with its unit, such as 500ms, 10s, 5m, 1h or 7d",
            _ when type == typeof(ByteSize) => "a size with its unit, such as 64KiB, 10MiB or 1.5GiB",
            _ when type == typeof(SubscriberStart) => "beginning, end or a time with its offset from UTC, such as 2026-11-22T10:00:00Z",
            _ when type == typeof(Uri) => "a URI, such as tcp://127.0.0.1:514",
            _ when IsInteger(type) => "a whole number, such as 100",
            _ when IsFraction(type) => "a number, such as 0.5",
            _ when type.IsEnum => $"one of {string.Join(", ", Words(type))}",
            _ => Json.GetTypeInfo(type).Kind switch
            {
                JsonTypeInfoKind.Enumerable => "a list, such as [a, b]",
                JsonTypeInfoKind.Object or JsonTypeInfoKind.Dictionary when !IsAny(type) => "a mapping, such as { key: value }",
                _ => "a value",
            },
        };
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
