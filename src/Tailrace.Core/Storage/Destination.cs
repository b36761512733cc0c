using System.Globalization;
using Tailrace.Core.Configuration;

namespace Tailrace.Core.Storage;

/// <summary>Where and how a storage sink writes under one configuration: store, format, route and names.</summary>
internal sealed class Destination : IAsyncDisposable
{
    private const string TemporaryRoot = "_tailrace";

    private readonly string _prefix;
    private readonly string _extension;

    /// <summary>Makes store and format.</summary>
    /// <exception cref="InvalidOperationException">The configuration contradicts itself.</exception>
    public Destination(SinkConfiguration configuration, string agent, string channel, IComponentContext context)
    {
        if (configuration.Storage is not { } options || configuration.Format is not { } format)
        {
            throw new InvalidOperationException($"Sink {configuration.Name} has no storage options.");
        }

        Options = options;
        TimeZoneInfo zone;
        try
        {
            zone = TimeZoneInfo.FindSystemTimeZoneById(options.TimeZone);
        }
        catch (Exception exception) when (exception is TimeZoneNotFoundException or InvalidTimeZoneException or System.Security.SecurityException)
        {
            throw new InvalidOperationException($"Sink {configuration.Name}: there is no time zone {options.TimeZone} on this machine; time_zone takes IANA names such as Europe/Berlin. ({exception.Message})", exception);
        }

        Template = PathTemplate.Parse(options.Path, zone);
        Format = (IFormat)format.Registration.Create(format.Options, null, context);
        if (options.Compression != FileCompression.None && !Format.Compressible)
        {
            throw new InvalidOperationException($"Sink {configuration.Name}: format {format.Registration.Type} compresses inside its files; leave compression at none.");
        }

        _prefix = PathBuilder.SafePart($"{agent}-{channel}-{configuration.Name}", 150);
        _extension = Format.Extension + options.Compression switch
        {
            FileCompression.Gzip => ".gz",
            FileCompression.Zstd => ".zst",
            _ => "",
        };
        TemporaryDirectory = $"{TemporaryRoot}/{_prefix}";
        Store = (IStore)configuration.Component.Registration.Create(configuration.Component.Options, Template.Root.Length == 0 ? "." : Template.Root, context);
    }

    public StorageSinkOptions Options { get; }

    public PathTemplate Template { get; }

    public IFormat Format { get; }

    public IStore Store { get; }

    /// <summary>Where this sink's temporary files are, and nobody else's.</summary>
    public string TemporaryDirectory { get; }

    /// <summary>The path of a file in a bucket.</summary>
    public static string Join(string directory, string name) => directory.Length == 0 ? name : $"{directory}/{name}";

    /// <summary>The name of the file of a range: in the order of offsets when listed, and unlike that of any other run.</summary>
    public string NameOf(long start, long end, ulong run) => string.Create(CultureInfo.InvariantCulture, $"{_prefix}-{start:D20}-{end:D20}-{run:x16}.{_extension}");

    /// <summary>A path that was never used: a file that a dead process still writes can then never be ours.</summary>
    public string NewTemporaryPath(string bucket)
    {
        string readable = bucket.Length == 0 ? "" : PathBuilder.SafePart(bucket.Replace('/', '_'), 100) + ".";
        return $"{TemporaryDirectory}/{readable}{Guid.NewGuid():N}";
    }

    public ValueTask DisposeAsync() => Store.DisposeAsync();
}
