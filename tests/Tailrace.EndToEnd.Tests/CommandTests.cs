using System.Text.Json;

namespace Tailrace.EndToEnd.Tests;

/// <summary>Commands and exit codes of the real program.</summary>
[Collection("processes")]
public sealed class CommandTests : IDisposable
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    private readonly Workplace _place = new();

    [Fact]
    public async Task Validate_prints_every_error_with_its_place_and_exits_with_78()
    {
        string file = Path.Combine(_place.Root, "bad.yaml");
        File.WriteAllText(file, "agent: { name: a, data: /tmp/x }\nsources:\n  a: { type: tial, paths: [x], channels: [main] }\nchannels:\n  main: { type: file, capacity: ten }\nsinks:\n  s: { type: files, channel: mian, path: /tmp/o }\n");
        (int code, string output) = await AgentProcess.RunAsync(["validate", file], Deadline);
        Assert.Equal(78, code);
        string[] lines = output.Split(['\r', '\n'], StringSplitOptions.RemoveEmptyEntries);
        Assert.Contains(lines, line => line.StartsWith($"{file}:3:14: ", StringComparison.Ordinal) && line.Contains("tail", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.StartsWith($"{file}:5:33: ", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.StartsWith($"{file}:7:30: ", StringComparison.Ordinal) && line.Contains("main", StringComparison.Ordinal));

        (code, string again) = await AgentProcess.RunAsync(["run", file], Deadline);
        Assert.Equal(78, code);
        Assert.Equal(lines.Order(), again.Split(['\r', '\n'], StringSplitOptions.RemoveEmptyEntries).Order());
    }

    [Fact]
    public async Task Validate_accepts_the_pipelines()
    {
        foreach (string pipeline in new[] { "tail-files.yaml", "tail-memory.yaml", "subscribers.yaml" })
        {
            (int code, string output) = await AgentProcess.RunAsync(["validate", Repository.Pipeline(pipeline)], Deadline, _place.Variables);
            Assert.True(code == 0, output);
        }
    }

    [Fact]
    public async Task A_data_directory_in_use_is_an_error_with_exit_73()
    {
        File.WriteAllText(_place.Input, "first\n");
        using AgentProcess first = AgentProcess.Start(["run", Repository.Pipeline("tail-files.yaml")], _place.Variables);
        await first.WaitUntilAsync(() => Workplace.PublishedFiles(_place.Output).Count == 1, "the first line", TimeSpan.FromSeconds(30));
        (int code, string output) = await AgentProcess.RunAsync(["run", Repository.Pipeline("tail-files.yaml")], Deadline, _place.Variables);
        Assert.Equal(73, code);
        Assert.Contains(_place.Data, output, StringComparison.Ordinal);
        Assert.Contains("in use by another agent", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Once_exits_with_69_if_something_cannot_be_delivered()
    {
        File.WriteAllText(_place.Input, "first\n");
        File.WriteAllText(_place.Output, "a file where the directory should be");
        (int code, string output) = await AgentProcess.RunAsync(["run", Repository.Pipeline("tail-files.yaml"), "--once"], TimeSpan.FromSeconds(90), _place.Variables);
        Assert.True(code == 69, output);
        File.Delete(_place.Output);
        (code, output) = await AgentProcess.RunAsync(["run", Repository.Pipeline("tail-files.yaml"), "--once"], Deadline, _place.Variables);
        Assert.True(code == 0, output);
        _place.AssertPublishedEqualsInput();
    }

    [Fact]
    public async Task Version_help_and_wrong_usage_answer_as_documented()
    {
        (int code, string output) = await AgentProcess.RunAsync(["version"], Deadline);
        Assert.Equal(0, code);
        Assert.Matches(@"^tailrace \d+\.\d+\.\d+", output);
        (code, output) = await AgentProcess.RunAsync(["help"], Deadline);
        Assert.Equal(0, code);
        Assert.Contains("validate", output, StringComparison.Ordinal);
        (code, output) = await AgentProcess.RunAsync(["fly"], Deadline);
        Assert.Equal(64, code);
        Assert.Contains("fly", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Schema_and_components_know_the_built_in_and_plugin_types()
    {
        (int code, string output) = await AgentProcess.RunAsync(["schema"], Deadline);
        Assert.Equal(0, code);
        using JsonDocument schema = JsonDocument.Parse(output);
        Assert.True(schema.RootElement.GetProperty("properties").TryGetProperty("sources", out _));
        (code, output) = await AgentProcess.RunAsync(["components"], Deadline);
        Assert.Equal(0, code);
        Assert.All(new[] { "tail", "files", "file", "memory", "text", "json" }, type => Assert.Matches($@"(?m)^\w+ +{type} ", output));
        (code, output) = await AgentProcess.RunAsync(["components", "tail"], Deadline);
        Assert.Equal(0, code);
        Assert.Contains("paths", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Json_logs_are_one_object_a_line()
    {
        File.WriteAllText(_place.Input, "first\n");
        (int code, string output) = await AgentProcess.RunAsync(["run", Repository.Pipeline("tail-files.yaml"), "--once", "--log-format", "json"], Deadline, _place.Variables);
        Assert.Equal(0, code);
        string[] lines = output.Split(['\r', '\n'], StringSplitOptions.RemoveEmptyEntries);
        Assert.NotEmpty(lines);
        Assert.All(lines, line => JsonDocument.Parse(line).Dispose());
    }

    public void Dispose() => _place.Dispose();
}
