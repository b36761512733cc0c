using BenchmarkDotNet.Attributes;
using Microsoft.Extensions.Logging.Abstractions;
using Tailrace.Core.Channels;
using Tailrace.Core.Plugins;
using Tailrace.Core.Runtime;

namespace Tailrace.Benchmarks;

/// <summary>Appending a batch and taking it at the tail, one at a time: the cost of a lone append is mostly its sync.</summary>
[MemoryDiagnoser]
[ShortRunJob]
public class ChannelBenchmarks : IAsyncDisposable
{
    private static readonly OriginId Origin = OriginId.New();

    private readonly EventBatchBuilder _builder = new(1 << 20);
    private readonly string _place = Path.Combine(Environment.GetEnvironmentVariable("TAILRACE_BENCH_DIR") ?? Path.GetTempPath(), $"tailrace-micro-{Guid.NewGuid():N}");
    private readonly byte[] _line = new byte[257];
    private IChannel? _channel;
    private ISubscriber? _subscriber;
    private long _position;

    /// <summary>The channel: memory, a file synced with every group, a file that the system writes when it likes.</summary>
    [Params("memory", "file batch", "file os")]
    public string Channel { get; set; } = "";

    /// <summary>Bytes of events in a batch.</summary>
    [Params(256, 4 << 10, 64 << 10, 900 << 10)]
    public int BatchSize { get; set; }

    [GlobalSetup]
    public void SetUp()
    {
        var catalog = new ComponentCatalog();
        BuiltInChannels.Register(catalog);
        string type = Channel.Split(' ')[0];
        object options = type == "memory" ? new MemoryChannelOptions() : new FileChannelOptions { Sync = Channel.Split(' ')[1] };
        Directory.CreateDirectory(_place);
        var state = new ComponentState("channels", "main", type, NullLoggerFactory.Instance, TimeProvider.System);
        _channel = (IChannel)catalog.Find(ComponentKind.Channel, type)!.Create(options, null, new ComponentContext(state, "bench", TimeProvider.System, _place));
        _subscriber = _channel.Subscribe("reader", SubscriberStart.End);
        _line.AsSpan().Fill((byte)'x');
    }

    /// <summary>Append, take, commit.</summary>
    [Benchmark]
    public async Task AppendAndTakeAsync()
    {
        _builder.Start();
        for (int size = 0; size < BatchSize; size += _line.Length + 1)
        {
            _builder.Add(1, _line);
        }

        using EventBatch batch = _builder.Build(new Advance(Origin, _position, _position + BatchSize, default));
        _position += BatchSize;
        await _channel!.AppendAsync(batch, CancellationToken.None);
        using ChannelTransaction? transaction = await _subscriber!.TakeAsync(CancellationToken.None);
        await transaction!.CommitAsync(CancellationToken.None);
    }

    [GlobalCleanup]
    public async ValueTask DisposeAsync()
    {
        await _subscriber!.DisposeAsync();
        await _channel!.DisposeAsync();
        _builder.Dispose();
        Directory.Delete(_place, recursive: true);
        GC.SuppressFinalize(this);
    }
}
