using Tailrace.Core.Configuration;

namespace Tailrace.Tests.Configuration;

/// <summary>Every file and directory in Broken, against the exact output in the .expected beside it.</summary>
public sealed class BrokenConfigurationTests
{
    private static readonly string Folder = Path.Combine(AppContext.BaseDirectory, "Configuration", "Broken");

    public static TheoryData<string> Cases => [.. Directory.GetFileSystemEntries(Folder).Select(path => Path.GetFileName(path)).Where(name => !name.EndsWith(".expected", StringComparison.Ordinal)).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Cases))]
    public void Errors_are_exactly_as_expected(string name)
    {
        var loader = new ConfigurationLoader(FakeComponents.Catalog(), variable => variable == "DATA" ? "/data" : null);

        (AgentConfiguration? configuration, IReadOnlyList<ConfigurationError> errors) = loader.Load([Path.Combine(Folder, name)]);

        string actual = string.Concat(errors.Select(error => $"{error.ToString()[(Folder.Length + 1)..].Replace(Folder + Path.DirectorySeparatorChar, "", StringComparison.Ordinal).Replace('\\', '/')}\n"));
        Assert.Null(configuration);
        Assert.Equal(File.ReadAllText(Path.Combine(Folder, Path.GetFileNameWithoutExtension(name) + ".expected")), actual);
    }

    [Fact]
    public void There_are_cases() => Assert.True(Cases.Count >= 20, $"{Cases.Count} cases");
}
