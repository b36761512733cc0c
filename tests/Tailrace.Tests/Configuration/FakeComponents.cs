using System.ComponentModel;
using System.Text.Json;
using System.Text.Json.Serialization;
using Tailrace.Core.Plugins;

namespace Tailrace.Tests.Configuration;

/// <summary>Component types modelled on the real ones, for configurations that are only bound, never run.</summary>
internal static class FakeComponents
{
    public static ComponentCatalog Catalog()
    {
        var catalog = new ComponentCatalog();
        catalog.AddSource<FakeTailOptions>("tail", "Follows files.", (_, _) => throw new NotSupportedException());
        catalog.AddSource<FakeSyslogOptions>("syslog", "Takes syslog messages.", (_, _) => throw new NotSupportedException());
        catalog.AddChannel<FakeFileChannelOptions>("file", "Keeps events on disk.", (_, _) => throw new NotSupportedException());
        catalog.AddChannel<FakeMemoryChannelOptions>("memory", "Keeps events in memory.", (_, _) => throw new NotSupportedException());
        catalog.AddStore<FakeFilesOptions>("files", "Local files.", (_, _, _) => throw new NotSupportedException());
        catalog.AddSink<FakeRelayOptions>("relay", "Hands events to another agent.", (_, _) => throw new NotSupportedException());
        catalog.AddFormat<FakeNoOptions>("text", "Bodies as lines.", (_, _) => throw new NotSupportedException());
        catalog.AddFormat<FakeJsonOptions>("json", "One JSON object a line.", (_, _) => throw new NotSupportedException());
        catalog.AddInterceptor<FakeExtractOptions>("regex_extract", "Makes headers of named groups.", (_, _) => throw new NotSupportedException());
        catalog.AddSelector<FakeMultiplexOptions>("multiplex", "Chooses channels by a header.", (_, _, _) => throw new NotSupportedException());
        return catalog;
    }
}

internal enum FakeFrom
{
    End,
    Beginning,
}

internal sealed record FakeTailOptions : IValidatedOptions
{
    [Description("The files to follow.")]
    public required IReadOnlyList<string> Paths { get; init; }

    [Description("Where to start in a file seen for the first time.")]
    public FakeFrom From { get; init; }

    [Description("How often to look.")]
    public TimeSpan PollInterval { get; init; } = TimeSpan.FromMilliseconds(250);

    [Description("The longest line.")]
    public ByteSize MaxLine { get; init; } = new(1 << 20);

    public IEnumerable<OptionProblem> Validate()
    {
        for (int i = 0; i < Paths.Count; i++)
        {
            if (Paths[i].Length == 0)
            {
                yield return new OptionProblem($"paths[{i}]", "It must not be empty.");
            }
        }

        if (MaxLine.Bytes < 1024)
        {
            yield return new OptionProblem("max_line", "It must be at least 1KiB.");
        }
    }
}

internal sealed record FakeSyslogOptions
{
    [Description("Where to listen.")]
    public required IReadOnlyList<Uri> Listen { get; init; }

    [Description("How many connections.")]
    public int MaxConnections { get; init; } = 1000;

    [Description("What part to keep.")]
    public double Sample { get; init; } = 1;

    [Description("Whether to keep the raw message.")]
    public bool? KeepRaw { get; init; }
}

internal sealed record FakeRetainOptions
{
    [Description("How long.")]
    public TimeSpan Time { get; init; }

    [Description("How much.")]
    public ByteSize Size { get; init; }
}

[JsonConverter(typeof(FakeSyncConverter))]
internal readonly record struct FakeSync(string Mode);

internal sealed class FakeSyncConverter : JsonConverter<FakeSync>
{
    public override FakeSync Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        reader.TokenType == JsonTokenType.String && reader.GetString() is "batch" or "os" or "1s" ? new FakeSync(reader.GetString()!) : throw new JsonException("It must be batch, os or an interval such as 1s.");

    public override void Write(Utf8JsonWriter writer, FakeSync value, JsonSerializerOptions options) => writer.WriteStringValue(value.Mode);
}

internal sealed record FakeFileChannelOptions
{
    [Description("How much it holds.")]
    public ByteSize Capacity { get; init; } = new(10L << 30);

    [Description("When it is on disk.")]
    public FakeSync Sync { get; init; } = new("batch");

    [Description("What to keep after it is delivered.")]
    public FakeRetainOptions? Retain { get; init; }
}

internal sealed record FakeMemoryChannelOptions
{
    [Description("How much it holds.")]
    public ByteSize Capacity { get; init; } = new(64 << 20);
}

internal sealed record FakeFilesOptions
{
    [Description("The mode of files, such as 0640.")]
    public string? Mode { get; init; }
}

internal sealed record FakeRelayOptions
{
    [Description("Where to.")]
    public required IReadOnlyList<string> To { get; init; }
}

internal sealed record FakeNoOptions;

internal sealed record FakeJsonOptions
{
    [Description("Headers as keys of the object itself.")]
    public bool Flatten { get; init; }
}

internal sealed record FakeExtractOptions
{
    [Description("The pattern.")]
    public required string Pattern { get; init; }

    [Description("How many characters to look at.")]
    public long? Limit { get; init; }
}

internal sealed record FakeMultiplexOptions
{
    [Description("The header.")]
    public required string Header { get; init; }

    [Description("The channels by the header's value.")]
    public IReadOnlyDictionary<string, IReadOnlyList<string>> Mapping { get; init; } = new Dictionary<string, IReadOnlyList<string>>();

    [Description("The channels of all others.")]
    public IReadOnlyList<string> Default { get; init; } = [];
}
