using Tailrace.Core.Plugins;

namespace Tailrace.Core.Configuration;

/// <summary>Something wrong in a configuration, with the place.</summary>
public sealed record ConfigurationError(string File, int Line, int Column, string Message)
{
    /// <summary><c>FILE:line:column: message</c>, as compilers print it.</summary>
    public override string ToString() => $"{File}:{Line}:{Column}: {Message}";
}

/// <summary>Reads YAML files into an <see cref="AgentConfiguration"/>, reporting every error in one go.</summary>
public sealed class ConfigurationLoader(ComponentCatalog catalog, Func<string, string?> variable)
{
    private readonly ComponentCatalog _catalog = catalog;
    private readonly Func<string, string?> _variable = variable;

    /// <summary>Loads and validates. Files are merged; a directory stands for its *.yaml and *.yml files in name order.</summary>
    /// <returns>The configuration, null if there are errors; and the errors in file and line order.</returns>
    public (AgentConfiguration? Configuration, IReadOnlyList<ConfigurationError> Errors) Load(IReadOnlyList<string> paths) =>
        throw new NotSupportedException($"{paths.Count} {_catalog} {_variable}");

    /// <summary>Binds a sink's section from <see cref="SinkConfiguration.Json"/>.</summary>
    public SinkConfiguration BindSink(string name, string json) => throw new NotSupportedException(name + json);
}
