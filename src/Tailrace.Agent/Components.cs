using Tailrace.Core.Channels;
using Tailrace.Core.Formats;
using Tailrace.Core.Plugins;

namespace Tailrace.Agent;

/// <summary>Everything this agent can be configured with: the built-in components and those of the plugins beside the program.</summary>
internal static class Components
{
    /// <summary>Fills a catalog; what could not be loaded is told to <paramref name="report"/>.</summary>
    public static ComponentCatalog Load(Action<string> report)
    {
        var catalog = new ComponentCatalog();
        BuiltInChannels.Register(catalog);
        BuiltInFormats.Register(catalog);
        foreach (PluginProblem problem in new PluginLoader(catalog).Load(Path.Combine(AppContext.BaseDirectory, "plugins")))
        {
            report(problem.ToString());
        }

        return catalog;
    }
}
