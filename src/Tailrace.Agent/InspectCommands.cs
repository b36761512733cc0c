using System.Text.Json;
using Tailrace.Core.Configuration;
using Tailrace.Core.Plugins;

namespace Tailrace.Agent;

/// <summary>Commands that look without starting anything: validate, schema, components.</summary>
internal static class InspectCommands
{
    /// <summary><c>tailrace validate</c>.</summary>
    public static int Validate(IReadOnlyList<string> files)
    {
        (AgentConfiguration? configuration, IReadOnlyList<ConfigurationError> errors) = new ConfigurationLoader(LoadComponents(), Environment.GetEnvironmentVariable).Load(files);
        PrintErrors(errors);
        if (configuration is null)
        {
            return ExitCode.Configuration;
        }

        Console.Out.WriteLine($"valid: {configuration.Sources.Count} sources, {configuration.Channels.Count} channels, {configuration.Sinks.Count} sinks");
        return ExitCode.Success;
    }

    /// <summary>Prints errors as compilers do, one a line.</summary>
    public static void PrintErrors(IReadOnlyList<ConfigurationError> errors)
    {
        foreach (ConfigurationError error in errors)
        {
            Console.Error.WriteLine(error);
        }
    }

    /// <summary><c>tailrace schema</c>.</summary>
    public static int PrintSchema()
    {
        Console.Out.WriteLine(new ConfigurationSchema(LoadComponents()).Generate().ToJsonString(new JsonSerializerOptions { WriteIndented = true }));
        return ExitCode.Success;
    }

    /// <summary><c>tailrace components [TYPE]</c>.</summary>
    public static int PrintComponents(string? type)
    {
        ComponentCatalog catalog = LoadComponents();
        if (type is null)
        {
            foreach (ComponentRegistration component in catalog.All)
            {
                Console.Out.WriteLine($"{component.Kind,-12} {component.Type,-16} {component.Description}");
            }

            return ExitCode.Success;
        }

        ComponentRegistration[] found = [.. catalog.All.Where(component => component.Type == type)];
        foreach (ComponentRegistration component in found)
        {
            Console.Out.WriteLine($"{component.Kind} {component.Type} ({component.Plugin})\n{component.Description}\n");
            foreach (OptionHelp option in ComponentHelp.OptionsOf(component))
            {
                string fallback = option.Required ? "required" : $"default {option.Default ?? "none"}";
                Console.Out.WriteLine($"  {option.Key} ({option.Type}, {fallback})\n      {option.Description}");
            }

            Console.Out.WriteLine();
        }

        if (found.Length == 0)
        {
            Console.Error.WriteLine($"tailrace: there is no component of type {type}. 'tailrace components' lists them all.");
            return ExitCode.Usage;
        }

        return ExitCode.Success;
    }

    private static ComponentCatalog LoadComponents() => Components.Load(problem => Console.Error.WriteLine($"tailrace: {problem}"));
}
