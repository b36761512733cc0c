using Tailrace.Core.Configuration;
using Tailrace.Core.Plugins;

namespace Tailrace.Tests.Configuration;

public sealed class ConfigurationLoaderTests : IDisposable
{
    private const string TailFiles = """
        agent:
          name: edge
          data: ${DATA}

        sources:
          logs:
            type: tail
            paths: ["${IN}"]
            from: beginning
            channels: [main]

        channels:
          main:
            type: file
            capacity: 10GiB
            sync: batch

        sinks:
          out:
            type: files
            channel: main
            path: ${OUT}
            format: text
            roll: { size: 256MiB, age: 30s, idle: 2s }
        """;

    private readonly string _directory = Directory.CreateTempSubdirectory("tailrace-").FullName;
    private readonly Dictionary<string, string> _variables = new() { ["IN"] = "/in/*.log", ["OUT"] = "/out: #1", ["DATA"] = "/data" };

    [Fact]
    public void The_pipeline_from_files_to_files_is_bound_whole()
    {
        AgentConfiguration configuration = LoadSound(TailFiles);

        Assert.Equal("edge", configuration.Agent.Name);
        Assert.Equal("/data", configuration.Agent.Data);
        Assert.Equal(TimeSpan.FromSeconds(20), configuration.Agent.StopTimeout);
        SourceConfiguration source = Assert.Single(configuration.Sources);
        Assert.Equal("logs", source.Name);
        Assert.Equal("tail", source.Component.Registration.Type);
        var tail = Assert.IsType<FakeTailOptions>(source.Component.Options);
        Assert.Equal(["/in/*.log"], tail.Paths);
        Assert.Equal(FakeFrom.Beginning, tail.From);
        Assert.Equal(["main"], source.Channels);
        Assert.Empty(source.Interceptors);
        Assert.Null(source.Selector);
        ChannelConfiguration channel = Assert.Single(configuration.Channels);
        Assert.Equal(new FakeFileChannelOptions { Capacity = new(10L << 30) }, channel.Component.Options);
        SinkConfiguration sink = Assert.Single(configuration.Sinks);
        Assert.Equal(ComponentKind.Store, sink.Component.Registration.Kind);
        Assert.Equal(new FakeFilesOptions(), sink.Component.Options);
        Assert.Equal("main", sink.Channel);
        Assert.Equal(SubscriberStart.Beginning, sink.StartAt);
        Assert.Equal("/out: #1", sink.Storage!.Path);
        Assert.Equal(new() { Size = new(256 << 20), Age = TimeSpan.FromSeconds(30), Idle = TimeSpan.FromSeconds(2) }, sink.Storage.Roll);
        Assert.Equal("text", sink.Format!.Registration.Type);
        Assert.Equal("""{"channel":"main","format":"text","path":"/out: #1","roll":{"age":"30s","idle":"2s","size":"256MiB"},"type":"files"}""", sink.Json);
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private AgentConfiguration LoadSound(string yaml)
    {
        (AgentConfiguration? configuration, IReadOnlyList<ConfigurationError> errors) = Load(yaml);
        Assert.Equal([], errors);
        return configuration!;
    }

    private (AgentConfiguration? Configuration, IReadOnlyList<ConfigurationError> Errors) Load(string yaml)
    {
        string file = Path.Combine(_directory, "agent.yaml");
        File.WriteAllText(file, yaml);
        return new ConfigurationLoader(FakeComponents.Catalog(), _variables.GetValueOrDefault).Load([file]);
    }
}
