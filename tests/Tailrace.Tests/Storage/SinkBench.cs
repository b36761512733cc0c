using System.Text;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Tailrace.Core.Configuration;
using Tailrace.Core.Formats;
using Tailrace.Core.Plugins;
using Tailrace.Core.Storage;

namespace Tailrace.Tests.Storage;

/// <summary>What a storage sink needs around it: a log, a store, a journal directory and a host.</summary>
internal sealed class SinkBench : IComponentContext, IDisposable
{
    private readonly ComponentCatalog _catalog = new();

    /// <param name="store">What makes the store; null: local files.</param>
    /// <param name="isFast">Keep the journal where a sync costs nothing, if there is such a place.</param>
    public SinkBench(Func<string, IStore>? store = null, bool isFast = false)
    {
        string parent = isFast && System.IO.Directory.Exists("/dev/shm") ? "/dev/shm" : Path.GetTempPath();
        Directory = Path.Combine(parent, $"tailrace-sink-{Guid.NewGuid():N}");
        System.IO.Directory.CreateDirectory(Directory);
        BuiltInFormats.Register(_catalog);
        _catalog.AddStore<object>("test", "A store.", (_, root, _) =>
        {
            Roots.Add(root);
            return store?.Invoke(root) ?? new Tailrace.Files.FilesStore(new Tailrace.Files.FilesStoreOptions(), root);
        });
        Options = new StorageSinkOptions { Path = Out };
    }

    public string Directory { get; }

    public string Out => Path.Combine(Directory, "out");

    public string JournalDirectory => Path.Combine(Directory, "journal");

    public TestLog Log { get; } = new();

    public List<string> Roots { get; } = [];

    public StorageSinkOptions Options { get; set; }

    public string Format { get; set; } = "text";

    /// <summary>The configurations that journals may name, by their JSON.</summary>
    public Dictionary<string, SinkConfiguration> Known { get; } = [];

    public List<(ComponentStatus Status, string? Reason)> Reports { get; } = [];

    public string Name => "out";

    public string Agent { get; set; } = "edge";

    public ILogger Logger { get; set; } = NullLogger.Instance;

    public TimeProvider Time { get; set; } = TimeProvider.System;

    public void Report(ComponentStatus status, string? reason = null)
    {
        lock (Reports)
        {
            Reports.Add((status, reason));
        }
    }

    public ComponentStatus? LastReport
    {
        get
        {
            lock (Reports)
            {
                return Reports.Count == 0 ? null : Reports[^1].Status;
            }
        }
    }

    public SinkConfiguration Configure()
    {
        ComponentReference store = new(_catalog.Find(ComponentKind.Store, "test")!, new object());
        ComponentReference format = new(_catalog.Find(ComponentKind.Format, Format)!, Format == "text" ? new TextFormatOptions() : new JsonFormatOptions());
        var configuration = new SinkConfiguration("out", store, "main", SubscriberStart.Beginning, Options, format, $"{{\"format\":\"{Format}\",\"options\":\"{Options}\"}}");
        Known[configuration.Json] = configuration;
        return configuration;
    }

    public StorageSink Sink(TestSubscriber? subscriber = null) => new(
        Configure(),
        subscriber ?? Log.Open(),
        Log,
        JournalDirectory,
        this,
        json => Known.GetValueOrDefault(json) ?? throw new InvalidDataException("no such configuration"));

    /// <summary>Runs the sink until the log, which is completed, is delivered.</summary>
    public async Task DrainAsync()
    {
        Log.Complete();
        await Sink().RunAsync(CancellationToken.None, CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(30));
    }

    /// <summary>The files below <see cref="Out"/>, relative and sorted, with their content as text.</summary>
    public (string Name, string Content)[] Published() => System.IO.Directory.Exists(Out)
        ? [.. System.IO.Directory.EnumerateFiles(Out, "*", SearchOption.AllDirectories)
            .Select(path => (Path.GetRelativePath(Out, path).Replace('\\', '/'), File.ReadAllText(path, Encoding.UTF8)))
            .OrderBy(file => file.Item1, StringComparer.Ordinal)]
        : [];

    /// <summary>The same without what is being written.</summary>
    public (string Name, string Content)[] PublishedOnly() => [.. Published().Where(file => !file.Name.StartsWith('_'))];

    public static async Task UntilAsync(Func<bool> condition)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        while (!condition())
        {
            await Task.Delay(5, deadline.Token);
        }
    }

    public void Dispose() => System.IO.Directory.Delete(Directory, recursive: true);
}
