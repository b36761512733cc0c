using System.Diagnostics;

namespace Tailrace.EndToEnd.Tests;

/// <summary>The file channel in a real agent: killed under load, on a disk that is full, on one that answers with errors.</summary>
[Collection("processes")]
public sealed class ChannelTortureTests : IDisposable
{
    private const string Shim = """
        #define _GNU_SOURCE
        #include <errno.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        #include <sys/syscall.h>
        #include <sys/types.h>
        #include <unistd.h>

        static int fails(int fd)
        {
            char link[64], path[4096];
            const char *flag = getenv("TAILRACE_EIO");
            if (flag == NULL || access(flag, F_OK) != 0) return 0;
            snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
            ssize_t length = readlink(link, path, sizeof path - 1);
            return length > 4 && memcmp(path + length - 4, ".trl", 4) == 0;
        }

        static ssize_t do_write(int fd, const void *bytes, size_t count, off_t at)
        {
            if (fails(fd)) { errno = EIO; return -1; }
            return syscall(SYS_pwrite64, fd, bytes, count, at);
        }

        ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) { return do_write(fd, bytes, count, at); }
        ssize_t pwrite64(int fd, const void *bytes, size_t count, off_t at) { return do_write(fd, bytes, count, at); }
        """;

    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(3);
    private static readonly bool Long = Environment.GetEnvironmentVariable("TAILRACE_LONG") == "1";

    private readonly Workplace _place = new();

    public void Dispose() => _place.Dispose();

    [Fact]
    public async Task Killed_again_and_again_under_load_it_publishes_every_number_once_and_in_order()
    {
        int kills = Long ? 200 : 10;
        int seed = Environment.TickCount;
        var random = new Random(seed);
        string pipeline = Pipeline("10GiB", "1MiB");
        int number = 0;
        for (int i = 0; i < kills; i++)
        {
            using AgentProcess agent = AgentProcess.Start(["run", pipeline], _place.Variables);
            long started = Stopwatch.GetTimestamp();
            int life = random.Next(150, 900);
            while (Stopwatch.GetElapsedTime(started).TotalMilliseconds < life)
            {
                number = Workplace.WriteNumberedLines(_place.Input, 100_000, number);
                using var pause = new PeriodicTimer(TimeSpan.FromMilliseconds(5));
                await pause.WaitForNextTickAsync();
            }

            Assert.False(agent.HasExited, agent.Output);
            await agent.KillAsync();
        }

        (int code, string output) = await AgentProcess.RunAsync(["run", pipeline, "--once"], Deadline, _place.Variables);
        Assert.True(code == 0, $"seed {seed}: {output}");
        Assert.DoesNotContain("damaged", output, StringComparison.Ordinal);
        _place.AssertPublishedEqualsInput();
    }

    [SmallDiskFact]
    public async Task On_a_full_disk_the_source_waits_and_once_the_sink_works_the_channel_drains_and_everything_arrives_once()
    {
        Directory.CreateDirectory(_place.Data);
        Run("mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", _place.Data);
        try
        {
            Workplace.WriteNumberedLines(_place.Input, 40_000_000);
            File.WriteAllText(_place.Output, "a file where the directory should be");
            using AgentProcess agent = AgentProcess.Start(["run", Pipeline("10GiB", "1MiB")], _place.Variables);
            await agent.WaitUntilAsync(() => agent.Output.Contains("disk is full", StringComparison.Ordinal), "the disk to be full", TimeSpan.FromSeconds(60));
            File.Delete(_place.Output);
            await agent.WaitUntilAsync(() => Workplace.HashOf(Workplace.PublishedFiles(_place.Output)) == Workplace.HashOf([_place.Input]), "everything to arrive", Deadline);
            agent.Signal();
            Assert.Equal(0, await agent.WaitForExitAsync(TimeSpan.FromSeconds(30)));
            _place.AssertPublishedEqualsInput();
        }
        finally
        {
            Run("umount", "-l", _place.Data);
        }
    }

    [PeerFact("gcc")]
    public async Task A_disk_that_answers_writes_with_errors_for_a_while_loses_and_repeats_nothing()
    {
        string source = Path.Combine(_place.Root, "shim.c");
        string shim = Path.Combine(_place.Root, "shim.so");
        string flag = Path.Combine(_place.Root, "eio");
        File.WriteAllText(source, Shim);
        Run("gcc", "-shared", "-fPIC", "-O1", "-o", shim, source);
        int number = Workplace.WriteNumberedLines(_place.Input, 2_000_000);
        string pipeline = Pipeline("10GiB", "1MiB");

        // Only .NET's own calls can be caught this way; the syncs are bound to the C library itself, so their errors are left to the simulated disk.
        using (AgentProcess agent = AgentProcess.Start(["run", pipeline], [.. _place.Variables, ("LD_PRELOAD", shim), ("TAILRACE_EIO", flag)]))
        {
            await agent.WaitUntilAsync(() => Workplace.PublishedFiles(_place.Output).Count > 0, "a first file", TimeSpan.FromSeconds(60));
            for (int i = 0; i < 3; i++)
            {
                int told = Count(agent.Output);
                File.WriteAllText(flag, "");
                number = Workplace.WriteNumberedLines(_place.Input, 1_000_000, number);
                await agent.WaitUntilAsync(() => Count(agent.Output) > told, "a word about the error", TimeSpan.FromSeconds(60));
                File.Delete(flag);
                number = Workplace.WriteNumberedLines(_place.Input, 1_000_000, number);
            }

            await agent.WaitUntilAsync(() => Workplace.HashOf(Workplace.PublishedFiles(_place.Output)) == Workplace.HashOf([_place.Input]), "everything to arrive", Deadline);
            await agent.KillAsync();
        }

        (int code, string output) = await AgentProcess.RunAsync(["run", pipeline, "--once"], Deadline, _place.Variables);
        Assert.True(code == 0, output);
        _place.AssertPublishedEqualsInput();
    }

    private static int Count(string output) => output.Split("could not store").Length - 1;

    private static void Run(string program, params string[] arguments)
    {
        using Process process = Process.Start(program, arguments);
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
    }

    private string Pipeline(string capacity, string segment)
    {
        string path = Path.Combine(_place.Root, "pipeline.yaml");
        File.WriteAllText(
            path,
            File.ReadAllText(Repository.Pipeline("tail-files.yaml"))
                .Replace("capacity: 10GiB", $"capacity: {capacity}\n    segment_size: {segment}", StringComparison.Ordinal)
                .Replace("roll: { size: 256MiB, age: 30s, idle: 2s }", "roll: { size: 4MiB, age: 5s, idle: 1s }", StringComparison.Ordinal));
        return path;
    }
}

/// <summary>A test that mounts a small disk of its own.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class SmallDiskFactAttribute : FactAttribute
{
    public SmallDiskFactAttribute() => Skip = !OperatingSystem.IsLinux() ? "needs Linux" : CanMount() ? null : "needs the right to mount a tmpfs";

    private static bool CanMount()
    {
        if (!Environment.IsPrivilegedProcess)
        {
            return false;
        }

        string place = Directory.CreateTempSubdirectory("tailrace-mount-").FullName;
        try
        {
            using var mount = Process.Start(new ProcessStartInfo("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", place]) { RedirectStandardError = true });
            mount!.WaitForExit();
            if (mount.ExitCode != 0)
            {
                return false;
            }

            using Process unmount = Process.Start("umount", [place]);
            unmount.WaitForExit();
            return true;
        }
        finally
        {
            Directory.Delete(place);
        }
    }
}
