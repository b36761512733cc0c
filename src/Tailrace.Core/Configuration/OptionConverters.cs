using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Tailrace.Core.Configuration;

/// <summary>Base of the types that are written as one piece of text.</summary>
internal abstract class TextConverter<T> : JsonConverter<T>
{
    public sealed override T Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        reader.TokenType == JsonTokenType.String && TryParse(reader.GetString()!, out T value) ? value : throw new JsonException();

    public sealed override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options) => writer.WriteStringValue(Format(value));

    protected abstract bool TryParse(string text, out T value);

    protected abstract string Format(T value);
}

/// <summary>Durations: a number and a unit, <c>500ms</c>, <c>10s</c>, <c>1.5h</c>, <c>7d</c>.</summary>
internal sealed class DurationConverter : TextConverter<TimeSpan>
{
    private static readonly (string Unit, long Ticks)[] Units =
    [
        ("ms", TimeSpan.TicksPerMillisecond), ("s", TimeSpan.TicksPerSecond), ("m", TimeSpan.TicksPerMinute), ("h", TimeSpan.TicksPerHour), ("d", TimeSpan.TicksPerDay),
    ];

    protected override bool TryParse(string text, out TimeSpan value)
    {
        value = default;
        foreach ((string unit, long ticks) in Units)
        {
            if (text.EndsWith(unit, StringComparison.Ordinal)
                && decimal.TryParse(text.AsSpan(0, text.Length - unit.Length), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out decimal number)
                && number <= long.MaxValue / ticks)
            {
                value = new TimeSpan((long)(number * ticks));
                return true;
            }
        }

        return false;
    }

    protected override string Format(TimeSpan value)
    {
        if (value == TimeSpan.Zero)
        {
            return "0s";
        }

        (string unit, long ticks) = Units.Last(candidate => candidate.Unit == "ms" || value.Ticks % candidate.Ticks == 0);
        return string.Create(CultureInfo.InvariantCulture, $"{(decimal)value.Ticks / ticks}{unit}");
    }
}

/// <summary>Sizes, see <see cref="ByteSize"/>.</summary>
internal sealed class ByteSizeConverter : TextConverter<ByteSize>
{
    protected override bool TryParse(string text, out ByteSize value) => ByteSize.TryParse(text, out value);

    protected override string Format(ByteSize value) => value.ToString();
}

/// <summary>Where a subscriber starts: <c>beginning</c>, <c>end</c> or a point in time in ISO 8601 with its offset from UTC.</summary>
internal sealed class SubscriberStartConverter : TextConverter<SubscriberStart>
{
    private const string Pattern = "yyyy-MM-dd'T'HH:mm:ss.FFFFFFFK";
    private const long NanosecondsPerTick = 100;

    protected override bool TryParse(string text, out SubscriberStart value)
    {
        value = text == "end" ? SubscriberStart.End : SubscriberStart.Beginning;
        if (text is "beginning" or "end")
        {
            return true;
        }

        // Without Z or an offset the moment would depend on the machine's time zone.
        bool hasOffset = text.EndsWith('Z') || (text.Length > 6 && text[^6] is '+' or '-' && text[^3] == ':');
        if (!hasOffset || !DateTimeOffset.TryParseExact(text, Pattern, CultureInfo.InvariantCulture, DateTimeStyles.None, out DateTimeOffset time))
        {
            return false;
        }

        Int128 nanoseconds = (Int128)(time - DateTimeOffset.UnixEpoch).Ticks * NanosecondsPerTick;
        value = new SubscriberStart(SubscriberStartKind.Timestamp, (long)nanoseconds);
        return nanoseconds >= long.MinValue && nanoseconds <= long.MaxValue;
    }

    protected override string Format(SubscriberStart value) => value.Kind switch
    {
        SubscriberStartKind.Beginning => "beginning",
        SubscriberStartKind.End => "end",
        _ => DateTimeOffset.UnixEpoch.AddTicks(value.Timestamp / NanosecondsPerTick).UtcDateTime.ToString(Pattern, CultureInfo.InvariantCulture),
    };
}
