namespace Tailrace.Core.Channels;

/// <summary>Registers the channels that are part of the engine.</summary>
public static class BuiltInChannels
{
    /// <summary>Registers <c>file</c> and <c>memory</c>.</summary>
    public static void Register(IPluginRegistry registry)
    {
        ArgumentNullException.ThrowIfNull(registry);
        registry.AddChannel<FileChannelOptions>("file", "Holds events on disk until every sink has delivered them; survives crashes and power cuts.", (options, context) => FileChannel.Open(options, context));
        registry.AddChannel<MemoryChannelOptions>("memory", "Holds events in memory; after a crash, sources that can are read again from what was delivered.", (options, context) => new MemoryChannel(options, context));
    }
}
