using System.Reflection;

namespace Tailrace.EndToEnd.Tests;

/// <summary>Where things are in the checkout the tests were built from.</summary>
internal static class Repository
{
    /// <summary>The root of the checkout.</summary>
    public static string Root { get; } = Metadata("Repository");

    /// <summary>The built agent: the program with its plugins beside it.</summary>
    public static string Agent { get; } = Path.Combine(Root, "artifacts", "bin", "Tailrace.Agent", Metadata("Configuration").ToLowerInvariant(), OperatingSystem.IsWindows() ? "tailrace.exe" : "tailrace");

    /// <summary>A pipeline of tests/Tailrace.EndToEnd.Tests/Pipelines.</summary>
    public static string Pipeline(string name) => Path.Combine(Root, "tests", "Tailrace.EndToEnd.Tests", "Pipelines", name);

    private static string Metadata(string key) =>
        typeof(Repository).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(attribute => attribute.Key == key).Value!;
}
