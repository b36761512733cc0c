using System.Reflection;

namespace Tailrace.Core.Plugins;

/// <summary>A plugin that could not be loaded. The others are.</summary>
/// <param name="Plugin">Its folder's name, or the plugins directory where that is the problem.</param>
/// <param name="Reason">Why, and what would help.</param>
public sealed record PluginProblem(string Plugin, string Reason)
{
    /// <summary>One line for the log.</summary>
    public override string ToString() => $"Plugin {Plugin} is not loaded: {Reason}";
}

/// <summary>
/// Loads the plugins of a directory into a catalog: one folder per plugin, whose single <c>*.deps.json</c> names the main assembly. Each
/// plugin has its dependencies to itself; a plugin is loaded for the life of the process.
/// </summary>
/// <param name="catalog">Where their components are registered.</param>
public sealed class PluginLoader(ComponentCatalog catalog)
{
    private const string DependenciesSuffix = ".deps.json";

    /// <summary>True if files that someone else can write must not be run: as root on Unix.</summary>
    internal bool RefuseWritableByOthers { get; init; } = Environment.IsPrivilegedProcess && !OperatingSystem.IsWindows();

    /// <summary>Loads every plugin below a directory, in the order of their folders' names.</summary>
    /// <returns>What could not be loaded; empty if all is well.</returns>
    public IReadOnlyList<PluginProblem> Load(string directory)
    {
        List<PluginProblem> problems = [];
        string[] folders;
        try
        {
            folders = [.. Directory.GetDirectories(directory).Where(folder => !Path.GetFileName(folder).StartsWith('.')).Order(StringComparer.Ordinal)];
            RefuseWritable(directory);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return [new PluginProblem(directory, exception.Message)];
        }

        foreach (string folder in folders)
        {
            try
            {
                LoadPlugin(Path.GetFullPath(folder));
            }
#pragma warning disable CA1031 // a plugin is foreign code: whatever it throws must not keep the others from loading
            catch (Exception exception)
#pragma warning restore CA1031
            {
                problems.Add(new PluginProblem(Path.GetFileName(folder), Reason(exception)));
            }
        }

        return problems;
    }

    private void LoadPlugin(string folder)
    {
        RefuseWritable(folder);
        foreach (string path in Directory.EnumerateFileSystemEntries(folder, "*", SearchOption.AllDirectories))
        {
            RefuseWritable(path);
        }

        string mainAssembly = FindMainAssembly(folder);
        PluginManifest manifest = PluginManifest.Read(mainAssembly)
            ?? throw new InvalidDataException($"{Path.GetFileName(mainAssembly)} has no [assembly: TailracePlugin(typeof(...))].");
        if (manifest.Contract != TailracePluginAttribute.CurrentContract)
        {
            string remedy = manifest.Contract > TailracePluginAttribute.CurrentContract ? "Update the agent" : "Get a newer build of the plugin";
            throw new InvalidDataException($"it was built against contract {manifest.Contract}, and this agent has contract {TailracePluginAttribute.CurrentContract}. {remedy}.");
        }

        Assembly assembly = new PluginLoadContext(mainAssembly).LoadFromAssemblyPath(mainAssembly);
        Type type = assembly.GetCustomAttribute<TailracePluginAttribute>()!.Plugin;
        if (!type.IsAssignableTo(typeof(IPlugin)) || type.GetConstructor(Type.EmptyTypes) is null)
        {
            throw new InvalidDataException($"{type.FullName} must implement {nameof(IPlugin)} and have a public constructor without parameters.");
        }

        // Registered apart first: a plugin that fails half-way leaves nothing behind.
        var own = new ComponentCatalog { Registering = assembly.GetName().Name! };
        ((IPlugin)Activator.CreateInstance(type)!).Register(own);
        catalog.AddAll(own);
    }

    private static string FindMainAssembly(string folder)
    {
        string[] dependencies = Directory.GetFiles(folder, "*" + DependenciesSuffix);
        if (dependencies.Length != 1)
        {
            throw new InvalidDataException(dependencies.Length == 0
                ? $"its folder holds no *{DependenciesSuffix}. Publish the plugin into it, not just its assembly."
                : $"its folder holds {dependencies.Length} *{DependenciesSuffix} files, so its main assembly is not known. One folder holds one plugin.");
        }

        string mainAssembly = dependencies[0][..^DependenciesSuffix.Length] + ".dll";
        return File.Exists(mainAssembly) ? mainAssembly : throw new FileNotFoundException($"its main assembly {Path.GetFileName(mainAssembly)} is missing.");
    }

    private void RefuseWritable(string path)
    {
        if (RefuseWritableByOthers && !OperatingSystem.IsWindows() && (File.GetUnixFileMode(path) & UnixFileMode.OtherWrite) != 0)
        {
            throw new UnauthorizedAccessException($"{path} can be written by everyone, and the agent runs as root. Run: chmod -R o-w '{path}'.");
        }
    }

    private static string Reason(Exception exception) => exception switch
    {
        TargetInvocationException or TypeInitializationException when exception.InnerException is { } inner => Reason(inner),
        BadImageFormatException => $"its main assembly cannot be read: {exception.Message}",
        _ => exception.Message,
    };
}
