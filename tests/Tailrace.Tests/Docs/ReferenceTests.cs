using System.Text;
using Tailrace.Core.Channels;
using Tailrace.Core.Configuration;
using Tailrace.Core.Formats;
using Tailrace.Core.Plugins;
using Tailrace.Files;

namespace Tailrace.Tests.Docs;

/// <summary>docs/configuration.md is made from the options records, and every YAML shown to users is sound.</summary>
public class ReferenceTests
{
    [Fact]
    public void The_configuration_reference_is_what_the_options_records_say() =>
        Repository.AssertEqualsFile("docs/configuration.md", Encoding.UTF8.GetBytes(Reference()), "It is made from the options records; if the new one is right, copy it over.");

    [Fact]
    public void Every_sample_is_valid()
    {
        string[] samples = Directory.GetFiles(Path.Combine(Repository.Root, "config-samples"), "*.yaml");
        Assert.True(samples.Length >= 3);
        Assert.All(samples, AssertValid);
    }

    [Fact]
    public void Every_yaml_block_in_the_docs_is_valid()
    {
        int blocks = 0;
        foreach (string page in Directory.GetFiles(Path.Combine(Repository.Root, "docs"), "*.md").Append(Path.Combine(Repository.Root, "README.md")))
        {
            foreach (string part in File.ReadAllText(page).Split("\n```yaml\n").Skip(1))
            {
                string file = Path.Combine(Path.GetTempPath(), $"tailrace-{Guid.NewGuid():N}.yaml");
                File.WriteAllText(file, part[..part.IndexOf("\n```", StringComparison.Ordinal)]);
                try
                {
                    AssertValid(file);
                }
                finally
                {
                    File.Delete(file);
                }

                blocks++;
            }
        }

        Assert.True(blocks >= 1);
    }

    internal static ComponentCatalog Catalog()
    {
        var catalog = new ComponentCatalog();
        BuiltInChannels.Register(catalog);
        BuiltInFormats.Register(catalog);
        catalog.Registering = "Tailrace.Files";
        new FilesPlugin().Register(catalog);
        return catalog;
    }

    private static void AssertValid(string file)
    {
        (AgentConfiguration? configuration, IReadOnlyList<ConfigurationError> errors) = new ConfigurationLoader(Catalog(), _ => null).Load([file]);
        Assert.True(configuration is not null, string.Join('\n', errors));
    }

    private static string Reference()
    {
        var text = new StringBuilder();
        text.Append("""
            # Configuration

            Made from the program's own declarations: `tailrace components TYPE` prints the same, `tailrace schema` a JSON Schema for editors.

            A configuration is one YAML file, or several, or a directory of them, merged. Its sections are `agent`, `sources`, `channels` and `sinks`; a component's
            name is its key in its section. Unknown keys are errors. Sizes need a unit (`64MiB`, `10GB`), durations too (`500ms`, `10s`, `10m`, `1h`, `7d`).
            `${VAR}` and `${VAR:-default}` are filled in in values after parsing, so a value may hold any character; `$${` stands for `${`.

            Path templates of storage sinks take `%{header}` and strftime letters (`%Y` `%m` `%d` `%H` `%M` `%S`, and the rest of Flume's) over the event's own time.

            ## agent


            """.ReplaceLineEndings("\n"));
        AppendOptions(text, ComponentHelp.OptionsOfAgent());
        foreach (IGrouping<string, ComponentRegistration> section in Catalog().All.GroupBy(component => SectionOf(component.Kind)))
        {
            text.Append("## ").Append(section.Key).Append("\n\n");
            foreach (ComponentRegistration component in section)
            {
                text.Append("### `").Append(component.Type).Append("`\n\n").Append(component.Description).Append(component.Plugin == "built in" ? "\n\n" : $" Plugin: {component.Plugin}.\n\n");
                AppendOptions(text, ComponentHelp.OptionsOf(component));
            }
        }

        return text.ToString().TrimEnd('\n') + "\n";
    }

    private static string SectionOf(ComponentKind kind) => kind switch
    {
        ComponentKind.Source => "sources",
        ComponentKind.Channel => "channels",
        ComponentKind.Sink or ComponentKind.Store => "sinks",
        ComponentKind.Format => "formats (`format` of a sink: a name, or a mapping with `type`)",
        ComponentKind.Interceptor => "interceptors",
        _ => "selectors",
    };

    private static void AppendOptions(StringBuilder text, IReadOnlyList<OptionHelp> options)
    {
        if (options.Count == 0)
        {
            text.Append("No options.\n\n");
            return;
        }

        text.Append("| key | type | default | meaning |\n|---|---|---|---|\n");
        foreach (OptionHelp option in options)
        {
            string fallback = option.Required ? "required" : option.Default is null ? "" : $"`{option.Default}`";
            text.Append("| `").Append(option.Key).Append("` | ").Append(option.Type).Append(" | ").Append(fallback).Append(" | ").Append(option.Description.Replace("|", "\\|", StringComparison.Ordinal)).Append(" |\n");
        }

        text.Append('\n');
    }
}
