using System.Diagnostics;
using System.Text;

namespace Tailrace.EndToEnd.Tests;

/// <summary>A real agent in a process of its own.</summary>
internal sealed class AgentProcess : IDisposable
{
    private readonly Process _process;
    private readonly StringBuilder _output = new();
    private readonly Lock _lock = new();

    private AgentProcess(Process process)
    {
        _process = process;
        process.OutputDataReceived += Collect;
        process.ErrorDataReceived += Collect;
        process.Start();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    /// <summary>What it printed so far, both streams.</summary>
    public string Output
    {
        get
        {
            lock (_lock)
            {
                return _output.ToString();
            }
        }
    }

    public bool HasExited => _process.HasExited;

    public int Id => _process.Id;

    /// <summary>Starts <c>tailrace</c> with arguments and environment variables.</summary>
    public static AgentProcess Start(IReadOnlyList<string> arguments, params (string Name, string Value)[] variables) => Start(Repository.Agent, arguments, variables);

    public static AgentProcess Start(string program, IReadOnlyList<string> arguments, params (string Name, string Value)[] variables)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        foreach ((string name, string value) in variables)
        {
            start.Environment[name] = value;
        }

        return new AgentProcess(new Process { StartInfo = start });
    }

    /// <summary>Runs it to its end and gives its exit code and output.</summary>
    public static async Task<(int ExitCode, string Output)> RunAsync(IReadOnlyList<string> arguments, TimeSpan deadline, params (string Name, string Value)[] variables)
    {
        using AgentProcess agent = Start(arguments, variables);
        int code = await agent.WaitForExitAsync(deadline);
        return (code, agent.Output);
    }

    /// <summary>Waits for the end; fails the test, with the output, if it does not come.</summary>
    public async Task<int> WaitForExitAsync(TimeSpan deadline)
    {
        using var timeout = new CancellationTokenSource(deadline);
        try
        {
            await _process.WaitForExitAsync(timeout.Token);
            return _process.ExitCode;
        }
        catch (OperationCanceledException)
        {
            _process.Kill(entireProcessTree: true);
            Assert.Fail($"The agent did not end within {deadline}. It printed:\n{Output}");
            throw;
        }
    }

    /// <summary>Waits until a condition holds; fails the test, with the output, if it does not in time or the agent ends before.</summary>
    public async Task WaitUntilAsync(Func<bool> condition, string what, TimeSpan deadline)
    {
        long started = Stopwatch.GetTimestamp();
        while (!condition())
        {
            Assert.False(HasExited, $"The agent ended while waiting for: {what}. It printed:\n{Output}");
            Assert.True(Stopwatch.GetElapsedTime(started) < deadline, $"Not within {deadline}: {what}. The agent printed:\n{Output}");
            using var pause = new PeriodicTimer(TimeSpan.FromMilliseconds(10));
            await pause.WaitForNextTickAsync();
        }
    }

    /// <summary>SIGKILL.</summary>
    public async Task KillAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
    }

    /// <summary>SIGTERM, or another signal by name.</summary>
    public void Signal(string name = "TERM")
    {
        using Process kill = Process.Start("kill", ["-" + name, Id.ToString(System.Globalization.CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
    }

    /// <summary>The largest resident memory so far in bytes, from /proc; 0 where there is none.</summary>
    public long PeakMemory()
    {
        try
        {
            string? line = File.ReadLines($"/proc/{Id}/status").FirstOrDefault(text => text.StartsWith("VmHWM:", StringComparison.Ordinal));
            return line is null ? 0 : long.Parse(line.AsSpan(6, line.Length - 6 - 3).Trim(), System.Globalization.CultureInfo.InvariantCulture) * 1024;
        }
        catch (IOException)
        {
            return 0; // it has just ended
        }
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
            _process.WaitForExit();
        }

        _process.Dispose();
    }

    private void Collect(object sender, DataReceivedEventArgs line)
    {
        if (line.Data is not null)
        {
            lock (_lock)
            {
                _output.AppendLine(line.Data);
            }
        }
    }
}
