using Tailrace.Core.Plugins;

namespace Tailrace.Tests.Plugins;

public sealed class PluginLoaderTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("tailrace-").FullName;
    private readonly ComponentCatalog _catalog = new();

    [Fact]
    public void A_plugin_registers_its_components_under_its_name()
    {
        CopySample("sample");

        Assert.Empty(new PluginLoader(_catalog).Load(_directory));

        ComponentRegistration sink = Assert.Single(_catalog.All);
        Assert.Equal(("sample_counter", ComponentKind.Sink, "Tailrace.SamplePlugin"), (sink.Type, sink.Kind, sink.Plugin));
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private string CopySample(string name)
    {
        string built = Path.Combine(AppContext.BaseDirectory, "..", "..", "Tailrace.SamplePlugin", Path.GetFileName(AppContext.BaseDirectory.TrimEnd(Path.DirectorySeparatorChar)));
        string folder = Directory.CreateDirectory(Path.Combine(_directory, name)).FullName;
        foreach (string file in Directory.GetFiles(built))
        {
            File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
        }

        return folder;
    }
}
