using Tailrace;
using Tailrace.SamplePlugin;

[assembly: TailracePlugin(typeof(SamplePlugin))]

namespace Tailrace.SamplePlugin;

/// <summary>Registers what this assembly has.</summary>
public sealed class SamplePlugin : IPlugin
{
    /// <inheritdoc/>
    public void Register(IPluginRegistry registry)
    {
        ArgumentNullException.ThrowIfNull(registry);
        registry.AddSink<SampleCounterOptions>("sample_counter", "Counts batches into a file.", (options, context) => new SampleCounterSink(options, context));
    }
}
