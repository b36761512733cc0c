namespace Tailrace.Core.Formats;

/// <summary>The formats that come with the engine.</summary>
public static class BuiltInFormats
{
    public static void Register(IPluginRegistry registry)
    {
        registry.AddFormat<TextFormatOptions>("text", "The body of each event and a line feed.", (_, _) => new TextFormat());
        registry.AddFormat<JsonFormatOptions>("json", "One JSON object a line: timestamp, headers and body.", (_, _) => new JsonFormat());
    }
}
