using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.Loader;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Polly;
using Tailrace.Core.Configuration;
using Tailrace.Core.Plugins;
using Tailrace.Tests.Configuration;

namespace Tailrace.Tests.Plugins;

public sealed class PluginLoaderTests : IDisposable
{
    private const string SampleName = "Tailrace.SamplePlugin";
    private readonly string _directory = Directory.CreateTempSubdirectory("tailrace-").FullName;
    private readonly ComponentCatalog _catalog = FakeComponents.Catalog();

    private string Plugins => Path.Combine(_directory, "plugins");

    [Fact]
    public async Task A_plugin_built_apart_is_configured_and_runs()
    {
        CopySample("sample");
        Assert.Equal([], Load());
        string output = Path.Combine(_directory, "counts");
        string file = Path.Combine(_directory, "agent.yaml");
        await File.WriteAllTextAsync(file, $"agent: {{ name: a }}\nsources: {{ s: {{ type: tail, paths: [a], channels: [c] }} }}\nchannels: {{ c: {{ type: file }} }}\nsinks: {{ k: {{ type: sample_counter, channel: c, path: '{output}' }} }}\n");

        (AgentConfiguration? configuration, IReadOnlyList<ConfigurationError> errors) = new ConfigurationLoader(_catalog, _ => null).Load([file]);
        Assert.Equal([], errors);
        ComponentReference component = Assert.Single(configuration!.Sinks).Component;
        Assert.Equal((ComponentKind.Sink, SampleName), (component.Registration.Kind, component.Registration.Plugin));
        var sink = (ISink)component.Registration.Create(component.Options, null, new Context());
        using var builder = new EventBatchBuilder();
        builder.Start();
        foreach (string body in new[] { "one", "two", "three" })
        {
            builder.Add(1, Encoding.UTF8.GetBytes(body));
        }

        using EventBatch batch = builder.Build();

        Assert.Equal(DeliveryResult.Delivered, await sink.DeliverAsync(batch.All, CancellationToken.None));
        Assert.Equal(DeliveryResult.Delivered, await sink.DeliverAsync(batch.All.Skip(2), CancellationToken.None));
        Assert.Equal("3 0\n1 2\n", await File.ReadAllTextAsync(output));
        AssertIsolated(sink);
    }

    [Fact]
    public void Options_of_a_plugin_are_checked_like_built_in_ones()
    {
        CopySample("sample");
        Load();

        string json = """{"attempts":11,"channel":"c","path":"/x","type":"sample_counter"}""";
        InvalidDataException exception = Assert.Throws<InvalidDataException>(() => new ConfigurationLoader(_catalog, _ => null).BindSink("k", json));

        Assert.Contains("'attempts': must be from 1 to 10.", exception.Message, StringComparison.Ordinal);
        Assert.Equal("3", ComponentHelp.OptionsOf(_catalog.Find(ComponentKind.Sink, "sample_counter")!).Single(option => option.Key == "attempts").Default);
    }

    [Fact]
    public void A_copy_of_the_contract_in_the_folder_is_not_used()
    {
        string folder = CopySample("sample");
        string contract = typeof(IPlugin).Assembly.Location;
        File.Copy(contract, Path.Combine(folder, Path.GetFileName(contract)));
        string dependencies = Path.Combine(folder, SampleName + ".deps.json");
        JsonNode json = JsonNode.Parse(File.ReadAllText(dependencies))!;
        json["targets"]![".NETCoreApp,Version=v10.0"]![SampleName + "/1.0.0"]!["runtime"]!.AsObject().Add(Path.GetFileName(contract), new JsonObject());
        File.WriteAllText(dependencies, json.ToJsonString());

        Assert.Equal([], Load());
        Assert.NotNull(_catalog.Find(ComponentKind.Sink, "sample_counter"));
    }

    [Fact]
    public void Each_plugin_that_cannot_be_loaded_is_named_with_its_reason_and_the_others_load()
    {
        Directory.CreateDirectory(Path.Combine(Plugins, "a-empty"));
        Emit("b-two");
        File.Copy(Path.Combine(Plugins, "b-two", "b-two.deps.json"), Path.Combine(Plugins, "b-two", "other.deps.json"));
        Emit("c-no-assembly");
        File.Delete(Path.Combine(Plugins, "c-no-assembly", "c-no-assembly.dll"));
        Emit("d-no-attribute", contract: null);
        Emit("e-newer", contract: 99, thrown: "never run");
        Emit("f-older", contract: 0, thrown: "never run");
        Emit("g-throwing", thrown: "No luck.");
        Emit("h-no-plugin", isPlugin: false);
        Emit("i-not-dotnet");
        File.WriteAllText(Path.Combine(Plugins, "i-not-dotnet", "i-not-dotnet.dll"), "MZ?");
        Emit("j-bad-deps");
        File.WriteAllText(Path.Combine(Plugins, "j-bad-deps", "j-bad-deps.deps.json"), "{");
        Directory.CreateDirectory(Path.Combine(Plugins, ".hidden"));
        CopySample("x-sample");
        CopySample("y-sample-again");
        Emit("z-nothing");

        IReadOnlyList<PluginProblem> problems = Load();

        (string Plugin, string Reason)[] expected =
        [
            ("a-empty", "its folder holds no *.deps.json."),
            ("b-two", "its folder holds 2 *.deps.json files"),
            ("c-no-assembly", "c-no-assembly.dll is missing"),
            ("d-no-attribute", "d-no-attribute.dll has no [assembly: TailracePlugin(typeof(...))]."),
            ("e-newer", "it was built against contract 99, and this agent has contract 1. Update the agent."),
            ("f-older", "it was built against contract 0, and this agent has contract 1. Get a newer build of the plugin."),
            ("g-throwing", "No luck."),
            ("h-no-plugin", "must implement IPlugin"),
            ("i-not-dotnet", "its main assembly cannot be read: "),
            ("j-bad-deps", ""),
            ("y-sample-again", "Sink type sample_counter of Tailrace.SamplePlugin is registered already by Tailrace.SamplePlugin."),
        ];
        Assert.Equal(expected.Select(problem => problem.Plugin), problems.Select(problem => problem.Plugin));
        Assert.All(expected.Zip(problems), pair => Assert.Contains(pair.First.Reason, pair.Second.Reason, StringComparison.Ordinal));
        Assert.NotNull(_catalog.Find(ComponentKind.Sink, "sample_counter"));
    }

    [Fact]
    public void A_directory_that_is_not_there_is_one_problem() =>
        Assert.Equal(Plugins, Assert.Single(Load()).Plugin);

    [Theory]
    [InlineData("plugins/sample")]
    [InlineData("plugins/sample/Polly.Core.dll")]
    [InlineData("plugins")]
    public void What_everyone_can_write_is_refused_as_root(string path)
    {
        string folder = CopySample("sample");
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        string open = Path.Combine(_directory, path);
        File.SetUnixFileMode(open, File.GetUnixFileMode(open) | UnixFileMode.OtherWrite);

        PluginProblem problem = Assert.Single(new PluginLoader(_catalog) { RefuseWritableByOthers = true }.Load(Plugins));

        Assert.Contains($"{open} can be written by everyone", problem.Reason, StringComparison.Ordinal);
        Assert.Null(_catalog.Find(ComponentKind.Sink, "sample_counter"));
        Assert.Empty(new PluginLoader(_catalog) { RefuseWritableByOthers = false }.Load(Plugins));
        Assert.True(Directory.Exists(folder));
    }

    [Fact]
    public void A_catalog_takes_over_all_of_another_or_nothing()
    {
        var other = new ComponentCatalog { Registering = "other" };
        other.AddSink<FakeNoOptions>("fresh", "New.", (_, _) => throw new NotSupportedException());
        other.AddStore<FakeNoOptions>("relay", "A store of a sink's name.", (_, _, _) => throw new NotSupportedException());

        InvalidOperationException exception = Assert.Throws<InvalidOperationException>(() => _catalog.AddAll(other));

        Assert.Equal("Store type relay of other is registered already by built in.", exception.Message);
        Assert.Null(_catalog.Find(ComponentKind.Sink, "fresh"));
    }

    public void Dispose()
    {
        try
        {
            Directory.Delete(_directory, recursive: true);
        }
        catch (UnauthorizedAccessException) when (OperatingSystem.IsWindows())
        {
            // Windows keeps loaded assemblies open for the life of the process.
        }
    }

    private static void AssertIsolated(ISink sink)
    {
        AssemblyLoadContext context = AssemblyLoadContext.GetLoadContext(sink.GetType().Assembly)!;
        Assert.NotSame(AssemblyLoadContext.Default, context);
        Assert.Same(typeof(ISink), sink.GetType().GetInterface(nameof(ISink)));
        Assembly own = Assert.Single(context.Assemblies, assembly => assembly.GetName().Name == "Polly.Core");
        Assert.NotSame(typeof(ResiliencePipeline).Assembly, own);
    }

    private IReadOnlyList<PluginProblem> Load() => new PluginLoader(_catalog).Load(Plugins);

    private string CopySample(string name)
    {
        string configuration = Path.GetFileName(AppContext.BaseDirectory.TrimEnd(Path.DirectorySeparatorChar));
        string built = Path.Combine(AppContext.BaseDirectory, "..", "..", SampleName, configuration);
        string folder = Directory.CreateDirectory(Path.Combine(Plugins, name)).FullName;
        foreach (string file in Directory.GetFiles(built))
        {
            File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
        }

        return folder;
    }

    /// <summary>Writes a plugin whose class registers nothing.</summary>
    private void Emit(string name, int? contract = TailracePluginAttribute.CurrentContract, string? thrown = null, bool isPlugin = true)
    {
        string folder = Directory.CreateDirectory(Path.Combine(Plugins, name)).FullName;
        var assembly = new PersistedAssemblyBuilder(new AssemblyName(name), typeof(object).Assembly);
        TypeBuilder type = assembly.DefineDynamicModule(name).DefineType("Plugin", TypeAttributes.Public, typeof(object), isPlugin ? [typeof(IPlugin)] : []);
        ILGenerator constructor = type.DefineConstructor(MethodAttributes.Public, CallingConventions.Standard, []).GetILGenerator();
        constructor.Emit(OpCodes.Ldarg_0);
        constructor.Emit(OpCodes.Call, typeof(object).GetConstructor([])!);
        if (thrown is not null)
        {
            constructor.Emit(OpCodes.Ldstr, thrown);
            constructor.Emit(OpCodes.Newobj, typeof(InvalidOperationException).GetConstructor([typeof(string)])!);
            constructor.Emit(OpCodes.Throw);
        }

        constructor.Emit(OpCodes.Ret);
        type.DefineMethod(nameof(IPlugin.Register), MethodAttributes.Public | MethodAttributes.Virtual, null, [typeof(IPluginRegistry)]).GetILGenerator().Emit(OpCodes.Ret);
        type.CreateType();
        if (contract is not null)
        {
            assembly.SetCustomAttribute(new CustomAttributeBuilder(typeof(TailracePluginAttribute).GetConstructor([typeof(Type), typeof(int)])!, [type, contract.Value]));
        }

        assembly.Save(Path.Combine(folder, name + ".dll"));
        File.WriteAllText(Path.Combine(folder, name + ".deps.json"), """{"runtimeTarget":{"name":".NETCoreApp,Version=v10.0"},"targets":{".NETCoreApp,Version=v10.0":{}},"libraries":{}}""");
    }

    private sealed class Context : IComponentContext
    {
        public string Name => "k";

        public string Agent => "a";

        public ILogger Logger => NullLogger.Instance;

        public TimeProvider Time => TimeProvider.System;

        public void Report(ComponentStatus status, string? reason = null)
        {
        }
    }
}
