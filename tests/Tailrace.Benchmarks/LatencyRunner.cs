using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using Tailrace.Core.Channels;
using Tailrace.Core.Configuration;
using Tailrace.Core.Formats;
using Tailrace.Core.Plugins;
using Tailrace.Core.Runtime;
using Tailrace.Files;

namespace Tailrace.Benchmarks;

/// <summary>
/// How long a line takes from the end of its write to a followed file, on an idle agent, until a subscriber of the durable channel is given it.
/// Readers see only what is synced, so this includes notification, reading, encoding and fdatasync.
/// </summary>
internal static class LatencyRunner
{
    public static async Task<int> RunAsync(string[] arguments)
    {
        int lines = arguments is ["--lines", string text] ? int.Parse(text, CultureInfo.InvariantCulture) : 1000;
        string place = Path.Combine(Environment.GetEnvironmentVariable("TAILRACE_BENCH_DIR") ?? Path.GetTempPath(), $"tailrace-latency-{Guid.NewGuid():N}");
        Directory.CreateDirectory(place);
        try
        {
            double[] times = await MeasureAsync(place, lines);
            Array.Sort(times);
            Console.WriteLine($"{lines} lines to an idle followed file, milliseconds until committed in the channel: p50 {times[lines / 2]:F2}, p90 {times[lines * 9 / 10]:F2}, p99 {times[lines * 99 / 100]:F2}, max {times[^1]:F2}");
            return 0;
        }
        finally
        {
            Directory.Delete(place, recursive: true);
        }
    }

    private static async Task<double[]> MeasureAsync(string place, int lines)
    {
        var catalog = new ComponentCatalog();
        BuiltInChannels.Register(catalog);
        BuiltInFormats.Register(catalog);
        new FilesPlugin().Register(catalog);
        string log = Path.Combine(place, "app.log");
        await File.WriteAllTextAsync(log, "");
        string yaml = Path.Combine(place, "agent.yaml");
        await File.WriteAllTextAsync(yaml, $$"""
            agent: { name: bench, data: "{{place}}/data" }
            sources: { logs: { type: tail, paths: ["{{log}}"], channels: [main] } }
            channels: { main: { type: file } }
            sinks: { out: { type: files, channel: main, path: "{{place}}/out", roll: { idle: 1h, age: 1h } } }
            """);
        var loader = new ConfigurationLoader(catalog, _ => null);
        (AgentConfiguration? configuration, IReadOnlyList<ConfigurationError> errors) = loader.Load([yaml]);
        if (configuration is null)
        {
            throw new InvalidOperationException(string.Join(Environment.NewLine, errors));
        }

        using var stop = new CancellationTokenSource();
        await using Topology topology = await Topology.OpenAsync(configuration, loader, NullLoggerFactory.Instance, TimeProvider.System, once: false);
        await using ISubscriber subscriber = topology.Channels["main"].Subscribe("latency", SubscriberStart.End);
        Task run = Task.Run(() => topology.RunAsync(stop.Token));
        double[] times = new double[lines];
        await using var writer = new FileStream(log, FileMode.Append, FileAccess.Write, FileShare.ReadWrite, 1);
        using var pause = new PeriodicTimer(TimeSpan.FromMilliseconds(5));
        for (int i = -20; i < lines; i++)
        {
            await pause.WaitForNextTickAsync();
            writer.Write(System.Text.Encoding.UTF8.GetBytes($"2026-11-01T10:00:00Z INFO line number {i} of the latency run\n"));
            long written = TimeProvider.System.GetTimestamp();
            using ChannelTransaction? transaction = await subscriber.TakeAsync(CancellationToken.None);
            if (i >= 0)
            {
                times[i] = TimeProvider.System.GetElapsedTime(written).TotalMilliseconds;
            }

            await subscriber.CommitAsync(transaction!.End, CancellationToken.None);
        }

        await stop.CancelAsync();
        await run;
        return times;
    }
}
