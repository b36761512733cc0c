namespace Tailrace.EndToEnd.Tests;

/// <summary>Every file of config-samples runs as it is.</summary>
[Collection("processes")]
public sealed class SampleTests : IDisposable
{
    private readonly Workplace _place = new();

    public static TheoryData<string> Samples => new(Directory.GetFiles(Path.Combine(Repository.Root, "config-samples"), "*.yaml").Select(file => Path.GetFileName(file)!));

    [Theory]
    [MemberData(nameof(Samples))]
    public async Task A_sample_delivers_its_input(string sample)
    {
        string log = Path.Combine(Repository.Root, "config-samples", "logs", "access.log");
        (int code, string output) = await AgentProcess.RunAsync(
            ["run", Path.Combine(Repository.Root, "config-samples", sample), "--once"], TimeSpan.FromMinutes(1), ("IN", log), ("OUT", _place.Output), ("DATA", _place.Data));
        Assert.True(code == 0, output);
        IReadOnlyList<string> texts = [.. Workplace.PublishedFiles(_place.Output).Where(file => file.EndsWith(".log", StringComparison.Ordinal))];
        Assert.Equal(Workplace.HashOf([log]), Workplace.HashOf(texts));
    }

    public void Dispose() => _place.Dispose();
}
