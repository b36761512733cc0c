namespace Tailrace;

/// <summary>The one entry point of a plugin assembly, named by <see cref="TailracePluginAttribute"/>. Has a constructor without parameters.</summary>
public interface IPlugin
{
    /// <summary>Registers the plugin's components. Called once, at start; does nothing else.</summary>
    void Register(IPluginRegistry registry);
}

/// <summary>Says which class of an assembly is its <see cref="IPlugin"/> and which contract it was built against.</summary>
[AttributeUsage(AttributeTargets.Assembly)]
public sealed class TailracePluginAttribute(Type plugin, int contract = TailracePluginAttribute.CurrentContract) : Attribute
{
    /// <summary>The version of this contract. Raised when a plugin built before must be built again.</summary>
    public const int CurrentContract = 1;

    /// <summary>The class.</summary>
    public Type Plugin { get; } = plugin;

    /// <summary>The contract the plugin was built against. Left out, the compiler writes the one of that moment into the plugin.</summary>
    public int Contract { get; } = contract;
}

/// <summary>
/// Where components are registered: each with its <c>type</c> as configuration names it (snake_case), one sentence for the help, and an
/// options record (sealed, <c>init</c> properties with their defaults, a <see cref="System.ComponentModel.DescriptionAttribute"/> each), from
/// which come binding, schema and documentation.
/// </summary>
public interface IPluginRegistry
{
    /// <summary>Registers a source.</summary>
    void AddSource<TOptions>(string type, string description, Func<TOptions, ISourceContext, ISource> create)
        where TOptions : class;

    /// <summary>Registers a channel.</summary>
    void AddChannel<TOptions>(string type, string description, Func<TOptions, IChannelContext, IChannel> create)
        where TOptions : class;

    /// <summary>Registers a sink that delivers batches.</summary>
    void AddSink<TOptions>(string type, string description, Func<TOptions, IComponentContext, ISink> create)
        where TOptions : class;

    /// <summary>Registers a store; a sink of this type is a storage sink that writes to it. The options hold what the storage sink's own do not; <c>root</c> is the fixed part of the sink's <c>path</c>.</summary>
    void AddStore<TOptions>(string type, string description, Func<TOptions, string, IComponentContext, IStore> create)
        where TOptions : class;

    /// <summary>Registers a file format.</summary>
    void AddFormat<TOptions>(string type, string description, Func<TOptions, IComponentContext, IFormat> create)
        where TOptions : class;

    /// <summary>Registers an interceptor.</summary>
    void AddInterceptor<TOptions>(string type, string description, Func<TOptions, IComponentContext, IInterceptor> create)
        where TOptions : class;

    /// <summary>Registers a channel selector; it is given the names of the source's channels in order.</summary>
    void AddSelector<TOptions>(string type, string description, Func<TOptions, IReadOnlyList<string>, IComponentContext, IChannelSelector> create)
        where TOptions : class;
}
