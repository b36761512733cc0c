using System.Text.Json;
using Tailrace.Core.Plugins;

namespace Tailrace.Core.Configuration;

/// <summary>Something wrong in a configuration, with the place.</summary>
public sealed record ConfigurationError(string File, int Line, int Column, string Message)
{
    /// <summary><c>FILE:line:column: message</c>, as compilers print it.</summary>
    public override string ToString() => $"{File}:{Line}:{Column}: {Message}";
}

/// <summary>Reads YAML files into an <see cref="AgentConfiguration"/>, reporting every error in one go.</summary>
/// <param name="catalog">The component types there are.</param>
/// <param name="variable">The value of a variable that values name as <c>${NAME}</c>; null if it is not set.</param>
public sealed class ConfigurationLoader(ComponentCatalog catalog, Func<string, string?> variable)
{
    private static readonly JsonDocumentOptions StrictJson = new() { AllowDuplicateProperties = false };

    /// <summary>Loads and validates. Files are merged; a directory stands for its *.yaml and *.yml files in name order.</summary>
    /// <returns>The configuration, null if there are errors; and the errors in file and line order.</returns>
    public (AgentConfiguration? Configuration, IReadOnlyList<ConfigurationError> Errors) Load(IReadOnlyList<string> paths)
    {
        ArgumentNullException.ThrowIfNull(paths);
        ArgumentOutOfRangeException.ThrowIfZero(paths.Count);
        var errors = new ErrorList();
        var draft = new ConfigurationDraft(errors);
        foreach (string path in paths)
        {
            foreach (string file in FilesOf(path, draft, errors))
            {
                draft.Add(new YamlReader(errors, new VariableExpander(variable), errors.AddFile(file)).Read(file));
            }
        }

        var binder = new ComponentBinder(catalog, errors);
        var agent = new OptionsBinder(errors).Bind(draft.Agent, draft.AgentPosition, "agent", [typeof(AgentOptions)])[0] as AgentOptions;
        SourceConfiguration?[] sources = [.. draft.Sources.Select(binder.BindSource)];
        ChannelConfiguration?[] channels = [.. draft.Channels.Select(binder.BindChannel)];
        SinkConfiguration?[] sinks = [.. draft.Sinks.Where(sink => !draft.IsGrouped(sink)).Select(binder.BindSink)];
        new Wiring(draft, errors).Check();
        return errors.Count == 0
            ? (new AgentConfiguration(agent!, sources!, channels!, sinks!), [])
            : (null, errors.Sorted);
    }

    /// <summary>Binds a sink's section from <see cref="SinkConfiguration.Json"/>.</summary>
    /// <exception cref="InvalidDataException">It is no JSON, or it does not bind to the types and options there are now.</exception>
    public SinkConfiguration BindSink(string name, string json)
    {
        var errors = new ErrorList();
        try
        {
            using JsonDocument document = JsonDocument.Parse(json, StrictJson);
            SinkConfiguration? sink = new ComponentBinder(catalog, errors).BindSink(new NamedNode(name, default, ConfigurationNode.FromJson(document.RootElement)));
            return sink is not null && errors.Count == 0
                ? sink
                : throw new InvalidDataException($"What is kept of sink {name} no longer fits: {string.Join(" ", errors.Messages)}");
        }
        catch (JsonException exception)
        {
            throw new InvalidDataException($"What is kept of sink {name} is damaged: {exception.Message}", exception);
        }
    }

    private static string[] FilesOf(string path, ConfigurationDraft draft, ErrorList errors)
    {
        if (!Directory.Exists(path))
        {
            return [path];
        }

        string problem = "the directory holds no *.yaml or *.yml file.";
        try
        {
            string[] files = [.. Directory.EnumerateFiles(path).Where(file => Path.GetExtension(file) is ".yaml" or ".yml").Order(StringComparer.Ordinal)];
            if (files.Length > 0)
            {
                return files;
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            problem = $"the directory cannot be read: {exception.Message}";
        }

        errors.Add(new Position(errors.AddFile(path), 1, 1), problem);
        draft.Add(null);
        return [];
    }
}
