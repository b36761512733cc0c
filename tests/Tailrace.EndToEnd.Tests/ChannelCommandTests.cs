using System.Text.Json;

namespace Tailrace.EndToEnd.Tests;

/// <summary><c>tailrace channel</c> on a real agent's directory.</summary>
[Collection("processes")]
public sealed class ChannelCommandTests : IDisposable
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    private readonly Workplace _place = new();

    private string Main => Path.Combine(_place.Data, "channels", "main");

    private string Plain => Path.Combine(_place.Output, "plain");

    [Fact]
    public async Task List_verify_and_cat_tell_what_a_running_agent_has()
    {
        Workplace.WriteNumberedLines(_place.Input, 2_000_000);
        int lines = File.ReadLines(_place.Input).Count();
        using AgentProcess agent = AgentProcess.Start(["run", Repository.Pipeline("subscribers.yaml")], _place.Variables);
        await agent.WaitUntilAsync(() => Workplace.PublishedFiles(Plain).Count > 0, "a published file", TimeSpan.FromSeconds(30));
        (int code, string output) = await AgentProcess.RunAsync(["channel", "ls", _place.Data, "--json"], Deadline);
        Assert.True(code == 0, output);
        using (JsonDocument list = JsonDocument.Parse(output))
        {
            JsonElement main = list.RootElement[0];
            Assert.Equal("main", main.GetProperty("name").GetString());
            Assert.Equal(lines, main.GetProperty("next_offset").GetInt64());
            Assert.Equal(["packed", "plain"], main.GetProperty("subscribers").EnumerateArray().Select(each => each.GetProperty("name").GetString()!));
            Assert.Contains(main.GetProperty("origins").EnumerateArray(), origin => origin.GetProperty("attributes").TryGetProperty("path", out JsonElement path) && path.GetString() == _place.Input);
        }

        (code, output) = await AgentProcess.RunAsync(["channel", "verify", Main], Deadline);
        Assert.True(code == 0, output);
        Assert.Contains($"sound: {lines} events", output, StringComparison.Ordinal);
        (code, output) = await AgentProcess.RunAsync(["channel", "cat", Main, "--from", "3", "--to", "5"], Deadline);
        Assert.Equal(0, code);
        Assert.Equal(File.ReadLines(_place.Input).Skip(3).Take(2), output.Split(['\r', '\n'], StringSplitOptions.RemoveEmptyEntries));
        (code, output) = await AgentProcess.RunAsync(["channel", "replay", Main, "plain", "--to", "start"], Deadline);
        Assert.Equal(73, code);
        Assert.Contains("Stop the agent", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Replay_delivers_again_under_new_names_and_to_nobody_else()
    {
        Workplace.WriteNumberedLines(_place.Input, 2_000_000);
        await RunOnceAsync();
        int before = Workplace.PublishedFiles(Plain).Count;
        int packed = Workplace.PublishedFiles(Path.Combine(_place.Output, "packed")).Count;
        (int code, string output) = await AgentProcess.RunAsync(["channel", "replay", Main, "plain", "--to", "start"], Deadline);
        Assert.True(code == 0, output);
        await RunOnceAsync();
        IReadOnlyList<string> files = Workplace.PublishedFiles(Plain);
        Assert.Equal(2 * before, files.Count);
        Assert.All(files.GroupBy(file => file[^20..]), run => Assert.Equal(Workplace.HashOf([_place.Input]), Workplace.HashOf([.. run])));
        Assert.Equal(packed, Workplace.PublishedFiles(Path.Combine(_place.Output, "packed")).Count);
    }

    [Fact]
    public async Task Damage_is_told_by_the_exit_code_and_repair_makes_it_sound()
    {
        Workplace.WriteNumberedLines(_place.Input, 200_000);
        await RunOnceAsync();
        string segment = Directory.GetFiles(Path.Combine(Main, "segments"))[0];
        byte[] bytes = await File.ReadAllBytesAsync(segment);
        bytes[50_000] ^= 1;
        await File.WriteAllBytesAsync(segment, bytes);
        (int code, string output) = await AgentProcess.RunAsync(["channel", "verify", Main], Deadline);
        Assert.Equal(65, code);
        Assert.Contains(segment, output, StringComparison.Ordinal);
        (code, output) = await AgentProcess.RunAsync(["channel", "repair", Main], Deadline);
        Assert.True(code == 0, output);
        (code, output) = await AgentProcess.RunAsync(["channel", "verify", Main], Deadline);
        Assert.True(code == 0, output);
    }

    [Fact]
    public async Task A_renamed_channel_reads_nothing_again_and_the_old_one_is_shown_as_orphaned()
    {
        Workplace.WriteNumberedLines(_place.Input, 500_000);
        string file = Path.Combine(_place.Root, "agent.yaml");
        string text = await File.ReadAllTextAsync(Repository.Pipeline("tail-files.yaml"));
        await RunOnceAsync(Repository.Pipeline("tail-files.yaml"));
        int before = Workplace.PublishedFiles(_place.Output).Count;
        await File.WriteAllTextAsync(file, text.Replace("[main]", "[other]", StringComparison.Ordinal).Replace("main:", "other:", StringComparison.Ordinal).Replace("channel: main", "channel: other", StringComparison.Ordinal));
        await RunOnceAsync(file);
        Assert.Equal(before, Workplace.PublishedFiles(_place.Output).Count);
        (int code, string output) = await AgentProcess.RunAsync(["channel", "ls", _place.Data], Deadline);
        Assert.Equal(0, code);
        Assert.Matches(@"(?m)^main \(file, ORPHANED", output);
        Assert.Matches(@"(?m)^other \(file\)", output);
    }

    [Fact]
    public async Task A_third_sink_that_is_added_later_gets_everything_retained()
    {
        Workplace.WriteNumberedLines(_place.Input, 2_000_000);
        await RunOnceAsync();
        string file = Path.Combine(_place.Root, "agent.yaml");
        await File.WriteAllTextAsync(file, await File.ReadAllTextAsync(Repository.Pipeline("subscribers.yaml")) + "\n  third: { type: files, channel: main, path: \"${OUT}/third\", start_at: beginning }\n");
        await RunOnceAsync(file);
        Assert.Equal(Workplace.HashOf([_place.Input]), Workplace.HashOf(Workplace.PublishedFiles(Path.Combine(_place.Output, "third"))));
        Assert.Equal(Workplace.HashOf([_place.Input]), Workplace.HashOf(Workplace.PublishedFiles(Plain)));
    }

    public void Dispose() => _place.Dispose();

    private async Task RunOnceAsync(string? pipeline = null)
    {
        (int code, string output) = await AgentProcess.RunAsync(["run", pipeline ?? Repository.Pipeline("subscribers.yaml"), "--once"], Deadline, _place.Variables);
        Assert.True(code == 0, output);
    }
}
