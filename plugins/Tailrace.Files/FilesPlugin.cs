using Tailrace;
using Tailrace.Files;

[assembly: TailracePlugin(typeof(FilesPlugin))]

namespace Tailrace.Files;

/// <summary>Local files: the <c>tail</c> source and the <c>files</c> store.</summary>
public sealed class FilesPlugin : IPlugin
{
    /// <inheritdoc/>
    public void Register(IPluginRegistry registry)
    {
        ArgumentNullException.ThrowIfNull(registry);
        registry.AddSource<TailOptions>("tail", "Follows files by name patterns, through rotation, truncation and restarts; each line is an event.", (options, context) => new TailSource(options, context));
        registry.AddStore<FilesStoreOptions>("files", "Publishes events as files below a local directory.", (options, root, _) => new FilesStore(options, root));
    }
}
