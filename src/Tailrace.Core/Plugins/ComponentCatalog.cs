namespace Tailrace.Core.Plugins;

/// <summary>What role a component plays.</summary>
public enum ComponentKind
{
    /// <summary><see cref="ISource"/>.</summary>
    Source,

    /// <summary><see cref="IChannel"/>.</summary>
    Channel,

    /// <summary><see cref="ISink"/>.</summary>
    Sink,

    /// <summary><see cref="IStore"/>: configured as a sink, run by the storage sink.</summary>
    Store,

    /// <summary><see cref="IFormat"/>.</summary>
    Format,

    /// <summary><see cref="IInterceptor"/>.</summary>
    Interceptor,

    /// <summary><see cref="IChannelSelector"/>.</summary>
    Selector,
}

/// <summary>A component type that can be configured.</summary>
/// <param name="Kind">Its role.</param>
/// <param name="Type">Its <c>type</c> in configuration.</param>
/// <param name="Description">One sentence for the help.</param>
/// <param name="OptionsType">The record its options bind to.</param>
/// <param name="Create">Makes one from its options, what else its role needs (a store's root, a selector's channels), and its context.</param>
/// <param name="Plugin">The plugin it comes from, or <c>built in</c>.</param>
public sealed record ComponentRegistration(ComponentKind Kind, string Type, string Description, Type OptionsType, Func<object, object?, IComponentContext, object> Create, string Plugin);

/// <summary>Every component type this agent knows, built in or from plugins. Filled at start; read-only from then on.</summary>
public sealed class ComponentCatalog : IPluginRegistry
{
    private readonly SortedDictionary<(ComponentKind Kind, string Type), ComponentRegistration> _registrations = [];

    /// <summary>The plugin whose components are being registered.</summary>
    public string Registering { get; set; } = "built in";

    /// <summary>All registrations, by kind and type.</summary>
    public IReadOnlyCollection<ComponentRegistration> All => _registrations.Values;

    /// <summary>The component of a kind and type; null if there is none.</summary>
    public ComponentRegistration? Find(ComponentKind kind, string type) => _registrations.GetValueOrDefault((kind, type));

    /// <inheritdoc/>
    public void AddSource<TOptions>(string type, string description, Func<TOptions, ISourceContext, ISource> create)
        where TOptions : class => Add<TOptions>(ComponentKind.Source, type, description, (options, _, context) => create(options, (ISourceContext)context));

    /// <inheritdoc/>
    public void AddChannel<TOptions>(string type, string description, Func<TOptions, IChannelContext, IChannel> create)
        where TOptions : class => Add<TOptions>(ComponentKind.Channel, type, description, (options, _, context) => create(options, (IChannelContext)context));

    /// <inheritdoc/>
    public void AddSink<TOptions>(string type, string description, Func<TOptions, IComponentContext, ISink> create)
        where TOptions : class => Add<TOptions>(ComponentKind.Sink, type, description, (options, _, context) => create(options, context));

    /// <inheritdoc/>
    public void AddStore<TOptions>(string type, string description, Func<TOptions, string, IComponentContext, IStore> create)
        where TOptions : class => Add<TOptions>(ComponentKind.Store, type, description, (options, root, context) => create(options, (string)root!, context));

    /// <inheritdoc/>
    public void AddFormat<TOptions>(string type, string description, Func<TOptions, IComponentContext, IFormat> create)
        where TOptions : class => Add<TOptions>(ComponentKind.Format, type, description, (options, _, context) => create(options, context));

    /// <inheritdoc/>
    public void AddInterceptor<TOptions>(string type, string description, Func<TOptions, IComponentContext, IInterceptor> create)
        where TOptions : class => Add<TOptions>(ComponentKind.Interceptor, type, description, (options, _, context) => create(options, context));

    /// <inheritdoc/>
    public void AddSelector<TOptions>(string type, string description, Func<TOptions, IReadOnlyList<string>, IComponentContext, IChannelSelector> create)
        where TOptions : class => Add<TOptions>(ComponentKind.Selector, type, description, (options, channels, context) => create(options, (IReadOnlyList<string>)channels!, context));

    /// <summary>Takes over all registrations of another catalog, or none of them.</summary>
    /// <exception cref="InvalidOperationException">A type of it is registered already.</exception>
    public void AddAll(ComponentCatalog other)
    {
        ArgumentNullException.ThrowIfNull(other);
        foreach (ComponentRegistration registration in other.All)
        {
            RefuseTwice(registration.Kind, registration.Type, registration.Plugin);
        }

        foreach (ComponentRegistration registration in other.All)
        {
            _registrations.Add((registration.Kind, registration.Type), registration);
        }
    }

    private void Add<TOptions>(ComponentKind kind, string type, string description, Func<TOptions, object?, IComponentContext, object> create)
        where TOptions : class
    {
        RefuseTwice(kind, type, Registering);
        _registrations.Add((kind, type), new ComponentRegistration(kind, type, description, typeof(TOptions), (options, extra, context) => create((TOptions)options, extra, context), Registering));
    }

    private void RefuseTwice(ComponentKind kind, string type, string plugin)
    {
        ComponentKind clashing = kind == ComponentKind.Store ? ComponentKind.Sink : ComponentKind.Store;
        bool isSinkLike = kind is ComponentKind.Store or ComponentKind.Sink;
        ComponentRegistration? other = Find(kind, type) ?? (isSinkLike ? Find(clashing, type) : null);
        if (other is not null)
        {
            throw new InvalidOperationException($"{kind} type {type} of {plugin} is registered already by {other.Plugin}.");
        }
    }
}
