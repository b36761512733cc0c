using System.Diagnostics;
using System.Text;

namespace Tailrace.Tests.Tail;

/// <summary>How fast files are read and encoded, and what idle files cost. Run with TAILRACE_BENCH=1 on a release build.</summary>
public sealed class TailBench : TailTest
{
    private const string Switch = "TAILRACE_BENCH";

    [Theory]
    [InlineData(80)]
    [InlineData(258)]
    [InlineData(1_000)]
    [InlineData(100_000)]
    [InlineData(900_000)]
    public async Task Reading_and_encoding(int line)
    {
        if (!long.TryParse(Environment.GetEnvironmentVariable(Switch), out long mebibytes))
        {
            Console.WriteLine($"Skipped: {Switch} is not set to a number of MiB.");
            return;
        }

        byte[] bytes = Encoding.ASCII.GetBytes(new string('x', line - 1) + "\n");
        await using (var file = new FileStream(At("a.log"), FileMode.Create, FileAccess.Write, FileShare.Read, 1 << 20))
        {
            for (long written = 0; written < mebibytes << 20; written += line)
            {
                await file.WriteAsync(bytes);
            }
        }

        for (int round = 0; round < 2; round++) // the first warms up
        {
            Context = new TailContext { OnStored = _ => { } };
            long start = Stopwatch.GetTimestamp();
            TimeSpan cpu = Environment.CpuUsage.TotalTime;
            Context.Once = true;
            await new Tailrace.Files.TailSource(Options, Context).RunAsync(CancellationToken.None);
            double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
            cpu = Environment.CpuUsage.TotalTime - cpu;
            Console.WriteLine($"{line} B: {Context.Stored / seconds / 1e6:F0} MB/s, {cpu.TotalSeconds / (Context.Stored / 1e9):F2} CPU s/GB");
        }
    }

    [Fact]
    public async Task Ten_thousand_idle_files()
    {
        if (Environment.GetEnvironmentVariable(Switch) is not { Length: > 0 })
        {
            Console.WriteLine($"Skipped: {Switch} is not set.");
            return;
        }

        for (int i = 0; i < 10_000; i++)
        {
            Directory.CreateDirectory(At($"{i % 100}"));
            Write($"{i % 100}/{i}.log", $"{i}\n");
        }

        Options = Options with { Paths = [At("*/*.log")], PollInterval = TimeSpan.FromMilliseconds(250) };
        Start();
        await WaitForAsync(() => Context.Bodies.Length == 10_000, "the first lines");
        await Task.Delay(TimeSpan.FromSeconds(3));
        TimeSpan cpu = Environment.CpuUsage.TotalTime;
        await Task.Delay(TimeSpan.FromSeconds(10));
        cpu = Environment.CpuUsage.TotalTime - cpu;
        GC.Collect();
        using var process = Process.GetCurrentProcess();
        Console.WriteLine($"10,000 idle files: {cpu.TotalSeconds * 10:F2} % of a core, working set {process.WorkingSet64 >> 20} MiB, heap {GC.GetTotalMemory(true) >> 20} MiB");
    }
}
