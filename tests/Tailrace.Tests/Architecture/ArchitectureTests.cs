namespace Tailrace.Tests.Architecture;

/// <summary>Dependencies point one way: plugins -> Abstractions &lt;- Core &lt;- Agent.</summary>
public sealed class ArchitectureTests
{
    private const string Abstractions = "Tailrace.Abstractions";
    private const string Core = "Tailrace.Core";
    private const string Agent = "Tailrace.Agent";

    /// <summary>Packages of the program around the engine, which the engine must not know.</summary>
    private static readonly string[] OnlyForAgent = ["Serilog", "Microsoft.Extensions.Hosting", "System.CommandLine", "Spectre.Console"];

    /// <summary>Third-party packages that several projects need, each with its reason.</summary>
    private static readonly Dictionary<string, string> Shared = [];

    [Fact]
    public void Projects_reference_only_what_they_may()
    {
        IReadOnlyList<Project> projects = Project.ReadAll();
        Assert.Contains(projects, project => project.Name == Abstractions);
        Assert.Contains(projects, project => project.IsPlugin);
        Assert.Empty(projects.SelectMany(Violations));
    }

    [Fact]
    public void Built_assemblies_reference_only_what_they_may()
    {
        Project[] built = [.. Project.ReadAll().Select(project => project.ReadBuilt()).OfType<Project>()];
        Assert.Contains(built, project => project.Name == Abstractions);
        Assert.Contains(built, project => project.Name == Core);
        Assert.Empty(built.SelectMany(AssemblyViolations));
    }

    [Fact]
    public void A_third_party_package_is_known_to_one_project() => Assert.Empty(SharedPackages(Project.ReadAll()));

    [Theory]
    [InlineData(Abstractions, false, Core, null)]
    [InlineData(Abstractions, false, null, "YamlDotNet")]
    [InlineData(Core, false, Agent, null)]
    [InlineData(Core, false, "Tailrace.Files", null)]
    [InlineData(Core, false, Abstractions, "Serilog.Sinks.Console")]
    [InlineData(Core, false, Abstractions, "Microsoft.Extensions.Hosting.Systemd")]
    [InlineData(Core, false, Abstractions, "System.CommandLine")]
    [InlineData(Agent, false, "Tailrace.Files", null)]
    [InlineData("Tailrace.Files", true, Core, null)]
    [InlineData("Tailrace.Files", true, Agent, null)]
    [InlineData("Tailrace.Files", true, "Tailrace.Http", null)]
    [InlineData("Tailrace.Files", true, "tailrace", null)]
    [InlineData("Tailrace.Client", false, Core, null)]
    public void A_wrong_reference_is_found(string name, bool isPlugin, string? reference, string? package)
    {
        var bad = new Project(name, isPlugin, reference is null ? [] : [reference], package is null ? [] : [package]);
        Assert.Contains(Violations(bad), violation => violation.Contains(package ?? reference!, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(Abstractions, false, null, "Microsoft.Extensions.Logging.Abstractions")]
    [InlineData(Core, false, Abstractions, "YamlDotNet")]
    [InlineData(Agent, false, Core, "Serilog")]
    [InlineData("Tailrace.Kafka", true, Abstractions, "Confluent.Kafka")]
    public void A_right_reference_is_not(string name, bool isPlugin, string? reference, string package) =>
        Assert.Empty(Violations(new Project(name, isPlugin, reference is null ? [] : [reference], [package])));

    [Fact]
    public void A_package_in_two_projects_is_found() =>
        Assert.Equal(
            ["YamlDotNet is referenced by Tailrace.Core, Tailrace.Files"],
            SharedPackages([new(Core, false, [], ["YamlDotNet", "Polly"]), new("Tailrace.Files", true, [], ["YamlDotNet", "Microsoft.Extensions.Logging.Abstractions"])]));

    private static IEnumerable<string> Violations(Project project)
    {
        string[] allowed = project.Name switch
        {
            Abstractions => [],
            Core => [Abstractions],
            Agent => [Abstractions, Core],
            _ => [Abstractions], // plugins, and libraries for applications
        };
        return project.References.Except(allowed).Concat(project.Packages.Where(package => !MayUse(project.Name, package)))
            .Select(wrong => $"{project.Name} must not reference {wrong}");
    }

    // ASP.NET's shared framework, which Core uses for its servers, has the hosting abstractions in it: only packages can be told apart by name there.
    private static IEnumerable<string> AssemblyViolations(Project assembly) =>
        Violations(assembly with { Packages = [.. assembly.Packages.Where(name => !(assembly.Name == Core && name is "Microsoft.Extensions.Hosting" or "Microsoft.Extensions.Hosting.Abstractions"))] });

    private static bool MayUse(string project, string package) => project switch
    {
        Abstractions => package == "Microsoft.Extensions.Logging.Abstractions",
        Core => !OnlyForAgent.Any(name => package == name || package.StartsWith(name + ".", StringComparison.Ordinal)),
        _ => true,
    };

    private static IEnumerable<string> SharedPackages(IEnumerable<Project> projects) =>
        projects.SelectMany(project => project.Packages.Select(package => (package, project.Name)))
            .Where(use => !use.package.StartsWith("Microsoft.Extensions.", StringComparison.Ordinal) && !Shared.ContainsKey(use.package))
            .GroupBy(use => use.package, use => use.Name)
            .Where(uses => uses.Distinct().Skip(1).Any())
            .Select(uses => $"{uses.Key} is referenced by {string.Join(", ", uses.Distinct().Order(StringComparer.Ordinal))}");
}
