using Tailrace;
using Tailrace.Files;

[assembly: TailracePlugin(typeof(FilesPlugin))]

namespace Tailrace.Files;

/// <summary>Local files: the <c>tail</c> and <c>spool</c> sources and the <c>files</c> store.</summary>
public sealed class FilesPlugin : IPlugin
{
    /// <inheritdoc/>
    public void Register(IPluginRegistry registry)
    {
        ArgumentNullException.ThrowIfNull(registry);
        registry.AddSource<TailOptions>("tail", "Follows files by name patterns, through rotation, truncation and restarts; each line is an event.", (options, context) =>
            new TailSource(options, context, options.DeleteAfterDelivery is { } unchanged ? new DoneFiles(DoneAction.Delete, "", null, unchanged, wholeFiles: false, context) : null));
        registry.AddSource<SpoolOptions>("spool", "Takes whole files that are dropped into a directory; each line is an event. Files are put out of the way once delivered.", (options, context) =>
            new TailSource(options.ToTail(), context, new DoneFiles(options.Done, options.Suffix, options.DoneDirectory, options.Settle, wholeFiles: true, context)));
        registry.AddStore<FilesStoreOptions>("files", "Publishes events as files below a local directory.", (options, root, _) => new FilesStore(options, root));
    }
}
