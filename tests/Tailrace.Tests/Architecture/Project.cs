using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using System.Xml.Linq;

namespace Tailrace.Tests.Architecture;

/// <summary>What a project or built assembly leans on.</summary>
/// <param name="Name">The project's name.</param>
/// <param name="IsPlugin">True if it stands below plugins/.</param>
/// <param name="References">Names of the Tailrace projects it references.</param>
/// <param name="Packages">Packages (of a project) or assemblies outside the base library (of an assembly).</param>
internal sealed record Project(string Name, bool IsPlugin, IReadOnlyList<string> References, IReadOnlyList<string> Packages)
{
    private static readonly string BaseLibrary = Path.GetDirectoryName(typeof(object).Assembly.Location)!;

    /// <summary>All projects below src/ and plugins/, as their files say.</summary>
    public static IReadOnlyList<Project> ReadAll() =>
        [.. ReadAll("src", false), .. ReadAll("plugins", true)];

    /// <summary>The project's assembly where it has been built like these tests; null where it has not.</summary>
    public Project? ReadBuilt()
    {
        // artifacts/bin/Tailrace.Tests/<configuration>: its siblings were built by the same command or an earlier one.
        string file = (Name == "Tailrace.Agent" ? "tailrace" : Name) + ".dll";
        string configuration = Path.GetFileName(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory));
        string path = Path.Combine(Repository.Root, "artifacts", "bin", Name, configuration, file);
        if (!File.Exists(path))
        {
            return null;
        }

        using var image = new PEReader(File.OpenRead(path));
        MetadataReader metadata = image.GetMetadataReader();
        string[] all = [.. metadata.AssemblyReferences.Select(handle => metadata.GetString(metadata.GetAssemblyReference(handle).Name))];
        return this with
        {
            References = [.. all.Where(IsTailrace)],
            Packages = [.. all.Where(name => !IsTailrace(name) && !File.Exists(Path.Combine(BaseLibrary, name + ".dll")))],
        };
    }

    private static IEnumerable<Project> ReadAll(string folder, bool isPlugin) =>
        Directory.GetFiles(Path.Combine(Repository.Root, folder), "*.csproj", SearchOption.AllDirectories).Select(path => Read(path, isPlugin));

    private static Project Read(string path, bool isPlugin)
    {
        var document = XDocument.Load(path);
        // What is only built first is not referenced: the agent lays the plugins beside itself so.
        IEnumerable<string> Includes(string element) => document.Descendants(element).Where(item => (string?)item.Attribute("ReferenceOutputAssembly") != "false").Select(item => (string?)item.Attribute("Include") ?? "");
        return new Project(
            Path.GetFileNameWithoutExtension(path),
            isPlugin,
            [.. Includes("ProjectReference").Select(reference => Path.GetFileNameWithoutExtension(reference.Replace('\\', '/')))],
            [.. Includes("PackageReference")]);
    }

    private static bool IsTailrace(string name) => name == "tailrace" || name.StartsWith("Tailrace.", StringComparison.Ordinal);
}
