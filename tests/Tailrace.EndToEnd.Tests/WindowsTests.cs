using System.Diagnostics;

namespace Tailrace.EndToEnd.Tests;

/// <summary>Publishes the win-x64 build once for all Windows tests.</summary>
public sealed class WindowsBuild
{
    /// <summary>Where tailrace.exe is.</summary>
    public static string Folder { get; } = Path.Combine(Repository.Root, "artifacts", "win-x64");

    public WindowsBuild()
    {
        if (new WineFactAttribute().Skip is null)
        {
            Run("dotnet", ["publish", Path.Combine(Repository.Root, "src", "Tailrace.Agent"), "-c", "Release", "-r", "win-x64", "--self-contained", "-o", Folder, "-v", "quiet", "--nologo"]);
        }
    }

    /// <summary>Runs a program to its end; fails the test if it does not exit with 0.</summary>
    internal static string Run(string program, IReadOnlyList<string> arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = false, RedirectStandardInput = true };
        using Process process = Process.Start(start)!;
        process.StandardInput.Close();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"{program} {string.Join(' ', arguments)} exited with {process.ExitCode}: {output}");
        return output;
    }
}

/// <summary>The win-x64 build under Wine: the main job, kills, and life as a Windows service.</summary>
[Collection("processes")]
public sealed class WindowsTests(WindowsBuild build) : IClassFixture<WindowsBuild>, IDisposable
{
    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(5);

    private readonly Workplace _place = new();
    private readonly WindowsBuild _build = build;

    private (string Name, string Value)[] Variables => [("IN", WindowsPath(_place.Input)), ("OUT", WindowsPath(_place.Output)), ("DATA", WindowsPath(_place.Data))];

    [WineFact]
    public async Task Once_publishes_the_input_byte_for_byte()
    {
        Workplace.WriteNumberedLines(_place.Input, 100_000_000);
        using AgentProcess agent = StartAgent("--once");
        Assert.True(await agent.WaitForExitAsync(Deadline) == 0, agent.Output);
        _place.AssertPublishedEqualsInput();

        using AgentProcess again = StartAgent("--once");
        Assert.True(await again.WaitForExitAsync(Deadline) == 0, again.Output);
        _place.AssertPublishedEqualsInput();
    }

    [WineFact]
    public async Task Killed_and_started_again_it_publishes_every_line_exactly_once()
    {
        Workplace.WriteNumberedLines(_place.Input, 60_000_000);
        int seed = Environment.TickCount;
        var random = new Random(seed);
        for (int i = 0; i < 4; i++)
        {
            using AgentProcess agent = StartAgent("--once");
            await agent.WaitUntilAsync(() => agent.Output.Contains("runs:", StringComparison.Ordinal), "the agent to run", TimeSpan.FromSeconds(60));
            using var pause = new PeriodicTimer(TimeSpan.FromMilliseconds(random.Next(20, 700)));
            await pause.WaitForNextTickAsync();
            await agent.KillAsync();
        }

        using AgentProcess last = StartAgent("--once");
        Assert.True(await last.WaitForExitAsync(Deadline) == 0, $"seed {seed}: {last.Output}");
        _place.AssertPublishedEqualsInput();
    }

    [WineFact]
    public async Task It_runs_as_a_windows_service_from_start_to_stop()
    {
        int next = Workplace.WriteNumberedLines(_place.Input, 1_000_000);
        string yaml = Path.Combine(_place.Root, "agent.yaml");
        File.WriteAllText(yaml, File.ReadAllText(Repository.Pipeline("tail-files.yaml"))
            .Replace("${IN}", WindowsPath(_place.Input).Replace(@"\", @"\\", StringComparison.Ordinal), StringComparison.Ordinal)
            .Replace("${OUT}", WindowsPath(_place.Output), StringComparison.Ordinal)
            .Replace("${DATA}", WindowsPath(_place.Data), StringComparison.Ordinal));
        string service = $"TailraceTest{Guid.NewGuid():N}"[..20];
        string program = Path.Combine(WindowsBuild.Folder, "tailrace.exe");
        WindowsBuild.Run(WineFactAttribute.Script, ["service", "create", service, program, "run", WindowsPath(yaml)]);
        try
        {
            WindowsBuild.Run(WineFactAttribute.Script, ["service", "start", service]);
            await WaitAsync(() => Workplace.PublishedFiles(_place.Output).Count > 0, "a published file");
            Workplace.WriteNumberedLines(_place.Input, 100_000, next);
            WindowsBuild.Run(WineFactAttribute.Script, ["service", "stop", service]);
            await WaitAsync(() => !IsRunning(yaml), "the service's process to end");
        }
        finally
        {
            WindowsBuild.Run(WineFactAttribute.Script, ["service", "delete", service]);
        }

        using AgentProcess last = StartAgent("--once");
        Assert.True(await last.WaitForExitAsync(Deadline) == 0, last.Output);
        _place.AssertPublishedEqualsInput();
    }

    public void Dispose() => _place.Dispose();

    private static string WindowsPath(string path) => "Z:" + path.Replace('/', '\\');

    private static bool IsRunning(string argument) =>
        Directory.EnumerateDirectories("/proc").Any(process =>
        {
            try
            {
                return File.ReadAllText(Path.Combine(process, "cmdline")).Contains(Path.GetFileName(Path.GetDirectoryName(argument)!), StringComparison.Ordinal);
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                return false; // no process, or it has just ended
            }
        });

    private static async Task WaitAsync(Func<bool> condition, string what)
    {
        long started = Stopwatch.GetTimestamp();
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (!condition())
        {
            Assert.True(Stopwatch.GetElapsedTime(started) < TimeSpan.FromSeconds(90), $"Not in time: {what}");
            await timer.WaitForNextTickAsync();
        }
    }

    private AgentProcess StartAgent(params string[] arguments) =>
        AgentProcess.Start(WineFactAttribute.Script, ["run", Path.Combine(WindowsBuild.Folder, "tailrace.exe"), "run", WindowsPath(Repository.Pipeline("tail-files.yaml")), .. arguments], Variables);
}
