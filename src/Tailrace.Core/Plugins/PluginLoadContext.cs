using System.Reflection;
using System.Runtime.Loader;

namespace Tailrace.Core.Plugins;

/// <summary>A plugin's own world: its dependencies come from its folder, the contract and what the contract speaks of from the host.</summary>
internal sealed class PluginLoadContext(string mainAssembly) : AssemblyLoadContext(Path.GetFileNameWithoutExtension(mainAssembly), isCollectible: false)
{
    // Types cross the border only if both sides have the same assembly, whatever copy of it lies in the plugin's folder.
    private static readonly Lazy<HashSet<string>> Shared = new(() => ClosureOf(typeof(IPlugin).Assembly));

    private readonly AssemblyDependencyResolver _resolver = new(mainAssembly);

    protected override Assembly? Load(AssemblyName assemblyName) =>
        !Shared.Value.Contains(assemblyName.Name!) && _resolver.ResolveAssemblyToPath(assemblyName) is { } path ? LoadFromAssemblyPath(path) : null;

    protected override nint LoadUnmanagedDll(string unmanagedDllName) =>
        _resolver.ResolveUnmanagedDllToPath(unmanagedDllName) is { } path ? LoadUnmanagedDllFromPath(path) : nint.Zero;

    private static HashSet<string> ClosureOf(Assembly root)
    {
        HashSet<string> names = new(StringComparer.OrdinalIgnoreCase) { root.GetName().Name! };
        Stack<Assembly> open = new([root]);
        while (open.TryPop(out Assembly? assembly))
        {
            foreach (AssemblyName reference in assembly.GetReferencedAssemblies().Where(reference => names.Add(reference.Name!)))
            {
                try
                {
                    open.Push(Default.LoadFromAssemblyName(reference));
                }
                catch (FileNotFoundException)
                {
                    // What the host does not have cannot be shared: a plugin that wants it brings its own.
                    names.Remove(reference.Name!);
                }
            }
        }

        return names;
    }
}
