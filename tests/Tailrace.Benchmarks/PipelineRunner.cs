using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace Tailrace.Benchmarks;

/// <summary>
/// The whole agent on a YAML file and an input: runs it with --once and prints MB/s, events/s, CPU seconds per GB and peak memory, whether the
/// output equals the input, and the medians. Peers of a bench folder ($BENCH_HOME, default ~/.tailrace-bench) run in turn with it, A B A B.
/// </summary>
internal static partial class PipelineRunner
{
    private const int Children = -1;

    /// <summary>One run.</summary>
    private sealed record Row(string Name, double Seconds, double MegabytesPerSecond, double EventsPerSecond, double CpuPerGigabyte, double PeakMegabytes, string Verdict);

    public static async Task<int> RunAsync(string[] arguments)
    {
        string? yaml = null, input = null;
        string agent = Path.Combine(AppContext.BaseDirectory, "..", "..", "Tailrace.Agent", "release", "tailrace");
        int rounds = 3;
        var peers = new List<string>();
        for (int i = 0; i + 1 < arguments.Length; i += 2)
        {
            switch (arguments[i])
            {
                case "--yaml": yaml = arguments[i + 1]; break;
                case "--input": input = Path.GetFullPath(arguments[i + 1]); break;
                case "--agent": agent = arguments[i + 1]; break;
                case "--rounds": rounds = int.Parse(arguments[i + 1], CultureInfo.InvariantCulture); break;
                case "--peer": peers.Add(arguments[i + 1]); break;
                default:
                    await Console.Error.WriteLineAsync($"{arguments[i]} is not known.");
                    return 64;
            }
        }

        if (yaml is null || input is null)
        {
            await Console.Error.WriteLineAsync("--yaml and --input are needed.");
            return 64;
        }

        var rows = new List<Row>();
        long lines = CountLines(input);
        Console.WriteLine($"{"name",-28} {"s",7} {"MB/s",7} {"events/s",10} {"CPU s/GB",8} {"peak MB",8}  output");
        for (int round = 0; round < rounds; round++)
        {
            Print(rows, await RunAgentAsync(agent, yaml, input, lines));
            foreach (string peer in peers)
            {
                Print(rows, await RunPeerAsync(peer, input));
            }
        }

        foreach (IGrouping<string, Row> group in rows.GroupBy(row => row.Name))
        {
            Console.WriteLine($"{group.Key + " (median)",-28} {Median(group, r => r.Seconds),7:F2} {Median(group, r => r.MegabytesPerSecond),7:F0} {Median(group, r => r.EventsPerSecond),10:F0} {Median(group, r => r.CpuPerGigabyte),8:F2} {Median(group, r => r.PeakMegabytes),8:F0}  {string.Join(", ", group.Select(r => r.Verdict).Distinct())}");
        }

        return rows.TrueForAll(row => row.Verdict == "equal" || !row.Name.StartsWith("tailrace", StringComparison.Ordinal)) ? 0 : 1;
    }

    private static async Task<Row> RunAgentAsync(string agent, string yaml, string input, long lines)
    {
        string place = Path.Combine(Environment.GetEnvironmentVariable("TAILRACE_BENCH_DIR") ?? Path.GetTempPath(), $"tailrace-bench-{Guid.NewGuid():N}");
        Directory.CreateDirectory(place);
        try
        {
            var start = new ProcessStartInfo(agent, ["run", yaml, "--once"]) { RedirectStandardError = true };
            start.Environment["IN"] = input;
            start.Environment["OUT"] = Path.Combine(place, "out");
            start.Environment["DATA"] = Path.Combine(place, "data");
            double cpuBefore = ChildrenCpuSeconds();
            long started = Stopwatch.GetTimestamp();
            using Process process = Process.Start(start)!;
            Task<string> errors = process.StandardError.ReadToEndAsync();
            long peak = 0;
            using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
            while (!process.HasExited)
            {
                peak = Math.Max(peak, PeakMemory(process.Id));
                await timer.WaitForNextTickAsync();
            }

            double seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
            process.WaitForExit();
            double cpu = ChildrenCpuSeconds() - cpuBefore;
            long bytes = new FileInfo(input).Length;
            string verdict = process.ExitCode == 0 ? (Same(input, Path.Combine(place, "out")) ? "equal" : "NOT EQUAL") : $"exit {process.ExitCode}: {await errors}";
            return new Row($"tailrace {Path.GetFileNameWithoutExtension(yaml)}", seconds, bytes / 1e6 / seconds, lines / seconds, cpu / (bytes / 1e9), peak / 1e6, verdict);
        }
        finally
        {
            Directory.Delete(place, recursive: true);
        }
    }

    /// <summary>Runs one scenario of the bench folder's bench.py, such as tail/fluent-bit-mem-tuned; it brings its own input of the same make.</summary>
    private static async Task<Row> RunPeerAsync(string peer, string input)
    {
        string home = Environment.GetEnvironmentVariable("BENCH_HOME") ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".tailrace-bench");
        string results = Path.GetTempFileName();
        try
        {
            var start = new ProcessStartInfo("python3", [Path.Combine(home, "tools", "bench.py"), "run", results, "1", peer]) { RedirectStandardOutput = true, RedirectStandardError = true };
            start.Environment["TRIES"] = "1";
            start.Environment["WAIT"] = "20";
            using Process process = Process.Start(start)!;
            Task<string> output = process.StandardOutput.ReadToEndAsync();
            Task<string> errors = process.StandardError.ReadToEndAsync();
            await process.WaitForExitAsync();
            string? line = File.ReadLines(results).LastOrDefault();
            if (line is null)
            {
                return new Row(peer, 0, 0, 0, 0, 0, $"did not run: {await output} {await errors}");
            }

            using JsonDocument json = JsonDocument.Parse(line);
            JsonElement row = json.RootElement;
            if (row.TryGetProperty("error", out JsonElement error))
            {
                return new Row(peer, 0, 0, 0, 0, 0, error.ToString());
            }

            double rate = row.GetProperty("mb_s").GetDouble();
            double gigabytes = new FileInfo(input).Length / 1e9;
            return new Row(peer, row.GetProperty("sec").GetDouble(), rate, row.GetProperty("lines_s").GetDouble(), row.GetProperty("cpu").GetDouble() / gigabytes, row.GetProperty("rss").GetDouble(), $"missing {row.GetProperty("missing")}, repeated {row.GetProperty("dup")}");
        }
        finally
        {
            File.Delete(results);
        }
    }

    private static void Print(List<Row> rows, Row row)
    {
        rows.Add(row);
        Console.WriteLine($"{row.Name,-28} {row.Seconds,7:F2} {row.MegabytesPerSecond,7:F0} {row.EventsPerSecond,10:F0} {row.CpuPerGigabyte,8:F2} {row.PeakMegabytes,8:F0}  {row.Verdict}");
    }

    private static double Median(IEnumerable<Row> rows, Func<Row, double> figure)
    {
        double[] sorted = [.. rows.Select(figure).Order()];
        return sorted[sorted.Length / 2];
    }

    private static long CountLines(string path)
    {
        using FileStream file = File.OpenRead(path);
        byte[] buffer = new byte[1 << 20];
        long lines = 0;
        int count;
        while ((count = file.Read(buffer)) > 0)
        {
            lines += buffer.AsSpan(0, count).Count((byte)'\n');
        }

        return lines;
    }

    private static bool Same(string input, string output)
    {
        using FileStream expected = File.OpenRead(input);
        byte[] left = new byte[1 << 20];
        byte[] right = new byte[1 << 20];
        foreach (string file in Directory.EnumerateFiles(output, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
        {
            using FileStream actual = File.OpenRead(file);
            int count;
            while ((count = actual.Read(right)) > 0)
            {
                if (expected.ReadAtLeast(left.AsSpan(0, count), count, throwOnEndOfStream: false) != count || !left.AsSpan(0, count).SequenceEqual(right.AsSpan(0, count)))
                {
                    return false;
                }
            }
        }

        return expected.Position == expected.Length;
    }

    private static long PeakMemory(int process)
    {
        try
        {
            string? line = File.ReadLines($"/proc/{process}/status").FirstOrDefault(text => text.StartsWith("VmHWM:", StringComparison.Ordinal));
            return line is null ? 0 : long.Parse(line.AsSpan(6, line.Length - 9).Trim(), CultureInfo.InvariantCulture) * 1024;
        }
        catch (IOException)
        {
            return 0; // it has just ended
        }
    }

    private static double ChildrenCpuSeconds()
    {
        Span<long> usage = stackalloc long[18]; // struct rusage: user and system time as seconds and microseconds first
        return getrusage(Children, ref usage[0]) == 0 ? usage[0] + usage[2] + ((usage[1] + usage[3]) / 1e6) : 0;
    }

    [LibraryImport("libc")]
    private static partial int getrusage(int who, ref long usage);
}
