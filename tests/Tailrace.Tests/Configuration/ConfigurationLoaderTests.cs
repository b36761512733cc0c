using System.Text;
using Tailrace.Core.Configuration;
using Tailrace.Core.Plugins;
using Tailrace.Core.Storage;

namespace Tailrace.Tests.Configuration;

public sealed class ConfigurationLoaderTests : IDisposable
{
    private static readonly string Samples = Path.Combine(AppContext.BaseDirectory, "Configuration", "Samples");
    private readonly string _directory = Directory.CreateTempSubdirectory("tailrace-").FullName;
    private readonly Dictionary<string, string> _variables = new() { ["IN"] = "/in/*.log", ["OUT"] = "/out: #1", ["DATA"] = "/data", ["EMPTY"] = "" };

    [Fact]
    public void The_pipeline_from_files_to_files_is_bound_whole()
    {
        AgentConfiguration configuration = LoadSample("tail-files.yaml");

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

    [Fact]
    public void Two_sinks_share_a_channel()
    {
        AgentConfiguration configuration = LoadSample("subscribers.yaml");

        Assert.Equal(new FakeRetainOptions { Time = TimeSpan.FromHours(1), Size = new(4L << 30) }, ((FakeFileChannelOptions)configuration.Channels[0].Component.Options).Retain);
        Assert.Equal(["plain", "packed"], configuration.Sinks.Select(sink => sink.Name));
        Assert.Equal(["/out: #1/plain", "/out: #1/packed"], configuration.Sinks.Select(sink => sink.Storage!.Path));
        Assert.Equal([FileCompression.None, FileCompression.Zstd], configuration.Sinks.Select(sink => sink.Storage!.Compression));
        Assert.All(configuration.Sinks, sink => Assert.Equal(TimeSpan.FromMinutes(10), sink.Storage!.Roll.Age));
    }

    [Fact]
    public void A_memory_channel_is_bound() =>
        Assert.Equal(new FakeMemoryChannelOptions { Capacity = new(64 << 20) }, Assert.Single(LoadSample("tail-memory.yaml").Channels).Component.Options);

    [Fact]
    public void Every_way_to_write_a_value_is_read()
    {
        AgentConfiguration configuration = LoadSample("all-forms.yaml");

        Assert.Equal("8080", configuration.Agent.Name);
        Assert.Equal(TimeSpan.FromSeconds(90), configuration.Agent.StopTimeout);
        SourceConfiguration logs = configuration.Sources[0];
        var tail = (FakeTailOptions)logs.Component.Options;
        Assert.Equal(["/in/*.log", "/var/log/${HOME}/*.log", "007"], tail.Paths);
        Assert.Equal(TimeSpan.FromMilliseconds(500), tail.PollInterval);
        Assert.Equal(16 << 20, tail.MaxLine.Bytes);
        Assert.Equal(["main", "side.1"], logs.Channels);
        Assert.Equal(
            [new FakeExtractOptions { Pattern = "level=(?<level>[A-Z]+)", Limit = 10 }, new FakeExtractOptions { Pattern = "no" }],
            logs.Interceptors.Select(interceptor => (FakeExtractOptions)interceptor.Options));
        var selector = (FakeMultiplexOptions)logs.Selector!.Options;
        Assert.Equal(["ERROR", "null"], selector.Mapping.Keys);
        Assert.Equal(["side.1"], selector.Mapping["null"]);
        var syslog = (FakeSyslogOptions)configuration.Sources[1].Component.Options;
        Assert.Equal([new Uri("tcp://127.0.0.1:514"), new Uri("udp://[::1]:514")], syslog.Listen);
        Assert.Equal((0, 0.1, true), (syslog.MaxConnections, syslog.Sample, syslog.KeepRaw));
        Assert.Equal(new FakeRetainOptions { Time = TimeSpan.FromDays(7), Size = new(4L << 30) }, ((FakeFileChannelOptions)configuration.Channels[0].Component.Options).Retain);
        SinkConfiguration sink = configuration.Sinks[0];
        Assert.Equal("/out/%{host}/", sink.Storage!.Path);
        Assert.Equal("0640", ((FakeFilesOptions)sink.Component.Options).Mode);
        Assert.Equal(new FakeJsonOptions { Flatten = true }, sink.Format!.Options);
        Assert.Equal(new SubscriberStart(SubscriberStartKind.Timestamp, 1795338000_500_000_000), sink.StartAt);
        Assert.Equal(SubscriberStart.End, configuration.Sinks[1].StartAt);
        Assert.Equal(sink.Storage.Roll, configuration.Sinks[1].Storage!.Roll);
        Assert.Equal(new FakeJsonOptions().GetType(), sink.Format.Registration.OptionsType);
        Assert.Equal("text", configuration.Sinks[1].Format!.Registration.Type);
        Assert.Equal(["a:1", "b:2"], ((FakeRelayOptions)configuration.Sinks[2].Component.Options).To);
        Assert.Null(configuration.Sinks[2].Storage);
        Assert.Null(configuration.Sinks[2].Format);
    }

    [Theory]
    [InlineData("\r\n")]
    [InlineData("\n")]
    public void Line_ends_and_a_byte_order_mark_change_nothing(string lineEnd)
    {
        string yaml = File.ReadAllText(Path.Combine(Samples, "tail-files.yaml")).ReplaceLineEndings(lineEnd);
        string file = Path.Combine(_directory, "agent.yaml");
        File.WriteAllText(file, yaml, new UTF8Encoding(encoderShouldEmitUTF8Identifier: true));

        Assert.Equal("edge", LoadSound(file).Agent.Name);
    }

    [Fact]
    public void A_directory_stands_for_its_files_in_name_order()
    {
        string[] parts = File.ReadAllText(Path.Combine(Samples, "tail-files.yaml")).Split("\n\n");
        for (int i = 0; i < parts.Length; i++)
        {
            File.WriteAllText(Path.Combine(_directory, $"{9 - i}{(i % 2 == 0 ? ".yaml" : ".yml")}"), parts[i]);
        }

        File.WriteAllText(Path.Combine(_directory, "0.yaml"), "agent: { stop_timeout: 5s }\n");
        File.WriteAllText(Path.Combine(_directory, "0.yaml.bak"), "\t");

        AgentConfiguration configuration = LoadSound(_directory);

        Assert.Equal(("edge", TimeSpan.FromSeconds(5)), (configuration.Agent.Name, configuration.Agent.StopTimeout));
        Assert.Equal("out", Assert.Single(configuration.Sinks).Name);
    }

    [Fact]
    public void Files_that_cannot_be_read_are_named_as_they_were_given()
    {
        string missing = Path.Combine(_directory, "no", "such.yaml");
        string empty = Directory.CreateDirectory(Path.Combine(_directory, "empty")).FullName;
        string large = Path.Combine(_directory, "large.yaml");
        File.WriteAllText(large, new string('#', (1 << 20) + 1));

        var (configuration, errors) = Load(missing, empty, large, "");

        Assert.Null(configuration);
        Assert.Equal([$"{missing}:1:1: there is no such file.", $"{empty}:1:1: the directory holds no *.yaml or *.yml file.", $"{large}:1:1: the file is larger than 1 MiB, which is the most a configuration may have."], errors.Take(3).Select(error => error.ToString()));
        Assert.StartsWith(":1:1: the file cannot be read: ", Assert.Single(errors.Skip(3)).ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Errors_come_in_the_order_of_the_files_given()
    {
        string second = Write("b.yaml", "agent: { x: 1 }\nsources: 5\n");
        string first = Write("a.yaml", "channels: 5\n");

        var (_, errors) = Load(second, first);

        Assert.Equal([(second, 1), (second, 2), (first, 1)], errors.Select(error => (error.File, error.Line)));
    }

    [Fact]
    public void A_host_name_that_is_no_agent_name_is_an_error_of_the_section()
    {
        var options = new AgentOptions { Name = "host_ü" };

        Assert.Equal("name", Assert.Single(options.Validate()).Key);
    }

    [Fact]
    public void A_sink_binds_again_from_its_json()
    {
        foreach (SinkConfiguration sink in LoadSample("all-forms.yaml").Sinks.Concat(LoadSample("subscribers.yaml").Sinks))
        {
            SinkConfiguration again = Loader().BindSink(sink.Name, sink.Json);

            Assert.Equal(sink.Json, again.Json);
            Assert.Equal(sink.Storage, again.Storage);
            Assert.Equal((sink.Name, sink.Channel, sink.StartAt), (again.Name, again.Channel, again.StartAt));
            Assert.Equal(sink.Format?.Options, again.Format?.Options);
            Assert.Equal(sink.Component.Options.GetType(), again.Component.Options.GetType());
        }
    }

    [Fact]
    public void Order_quotes_and_line_breaks_do_not_change_the_json_of_a_sink()
    {
        const string Rest = "agent: { name: a }\nsources: { s: { type: tail, paths: [a], channels: [c] } }\nchannels: { c: { type: file } }\n";
        string one = Assert.Single(LoadText(Rest + "sinks: { k: { type: files, channel: c, path: \"/x/ü\", roll: { idle: 5s, age: 1m } } }").Sinks).Json;
        string two = Assert.Single(LoadText(Rest + "sinks:\n  k:\n    roll:\n      age: '1m'\n      idle: 5s\n    path: /x/ü\n    channel: \"c\"\n    type: files\n").Sinks).Json;

        Assert.Equal("""{"channel":"c","path":"/x/ü","roll":{"age":"1m","idle":"5s"},"type":"files"}""", one);
        Assert.Equal(one, two);
    }

    [Theory]
    [InlineData("{", "is damaged")]
    [InlineData("[]", "must be a mapping")]
    [InlineData("null", "must be a mapping")]
    [InlineData("""{"type":"hdfs","channel":"c"}""", "there is no sink type 'hdfs'")]
    [InlineData("""{"type":"files","channel":"c","path":"/x","old":1}""", "unknown key 'old'")]
    [InlineData("""{"type":"files","channel":"c","path":null}""", "'path' has no value")]
    [InlineData("""{"type":"files","type":"files"}""", "is damaged")]
    public void Json_that_does_not_bind_is_refused_with_the_reason(string json, string reason)
    {
        InvalidDataException exception = Assert.Throws<InvalidDataException>(() => Loader().BindSink("out", json));

        Assert.Contains(reason, exception.Message, StringComparison.Ordinal);
        Assert.Contains("sink out", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_options_of_a_plugin_throw_is_an_error_of_their_component()
    {
        ComponentCatalog catalog = FakeComponents.Catalog();
        catalog.AddSink<ThrowingOptions>("throwing", "Throws.", (_, _) => throw new NotSupportedException());
        string file = Write("a.yaml", "agent: { name: a }\nsources: { s: { type: tail, paths: [a], channels: [c] } }\nchannels: { c: { type: file } }\nsinks:\n  k: { type: throwing, channel: c }\n");

        var (_, errors) = new ConfigurationLoader(catalog, _variables.GetValueOrDefault).Load([file]);

        Assert.Equal($"{file}:5:3: sink k: its options cannot be used: No luck.", Assert.Single(errors).ToString());
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private ConfigurationLoader Loader() => new(FakeComponents.Catalog(), _variables.GetValueOrDefault);

    private (AgentConfiguration? Configuration, IReadOnlyList<ConfigurationError> Errors) Load(params string[] paths) => Loader().Load(paths);

    private AgentConfiguration LoadSample(string name) => LoadSound(Path.Combine(Samples, name));

    private AgentConfiguration LoadText(string yaml) => LoadSound(Write("agent.yaml", yaml));

    private AgentConfiguration LoadSound(string path)
    {
        (AgentConfiguration? configuration, IReadOnlyList<ConfigurationError> errors) = Load(path);
        Assert.Equal([], errors);
        return configuration!;
    }

    private string Write(string name, string text)
    {
        string file = Path.Combine(_directory, name);
        File.WriteAllText(file, text);
        return file;
    }

    private sealed record ThrowingOptions : IValidatedOptions
    {
        public IEnumerable<OptionProblem> Validate() => throw new InvalidOperationException("No luck.");
    }
}
