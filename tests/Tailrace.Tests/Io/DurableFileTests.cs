using System.Diagnostics;
using System.IO.Pipes;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using Microsoft.Win32.SafeHandles;

namespace Tailrace.Tests.Io;

public sealed partial class DurableFileTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("tailrace-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [LinuxFact]
    public void A_sync_that_fails_is_reported()
    {
        // .NET's own flush drops this error; the first half is the reason why DurableFile exists at all.
        using var pipe = new AnonymousPipeServerStream(PipeDirection.Out);
        using var handle = new SafeFileHandle(pipe.SafePipeHandle.DangerousGetHandle(), ownsHandle: false);
        Assert.Null(Record.Exception(() => RandomAccess.FlushToDisk(handle)));
        IOException failed = Assert.Throws<IOException>(() => DurableFile.SyncData(handle));
        Assert.Equal(22, failed.HResult);
        Assert.Contains("fdatasync", failed.Message, StringComparison.Ordinal);

        using SafeFileHandle device = File.OpenHandle("/dev/full", FileMode.Open, FileAccess.Write);
        Assert.Equal(22, Assert.Throws<IOException>(() => DurableFile.SyncData(device)).HResult);
    }

    [Fact]
    public void Files_and_directories_are_synced()
    {
        string path = Make("a", "content");
        using SafeFileHandle file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite);
        DurableFile.SyncData(file);
        DurableFile.StartWriteback(file, 0, 7);
        DurableFile.SyncDirectory(_folder);
    }

    [LinuxFact]
    public void A_missing_directory_cannot_be_synced_and_one_without_sync_is_let_be()
    {
        IOException missing = Assert.Throws<IOException>(() => DurableFile.SyncDirectory(Path.Combine(_folder, "none")));
        Assert.Contains("none", missing.Message, StringComparison.Ordinal);
        DurableFile.SyncDirectory("/proc/self"); // fsync answers EINVAL there, as on CIFS
    }

    [Fact]
    public void Directories_are_made_with_their_parents_and_found_again()
    {
        string path = Path.Combine(_folder, "a", "b", "c");
        DurableFile.CreateDirectory(path + Path.DirectorySeparatorChar);
        Assert.True(Directory.Exists(path));
        DurableFile.CreateDirectory(path);
        DurableFile.CreateDirectory(Path.GetPathRoot(path)!);
    }

    [Fact]
    public void A_file_in_the_way_of_a_directory_is_an_error()
    {
        Make("a", "");
        Assert.ThrowsAny<IOException>(() => DurableFile.CreateDirectory(Path.Combine(_folder, "a")));
        Assert.ThrowsAny<IOException>(() => DurableFile.CreateDirectory(Path.Combine(_folder, "a", "b")));
    }

    [LinuxFact(Unprivileged = true)]
    [UnsupportedOSPlatform("windows")]
    public void A_directory_below_one_that_cannot_be_listed_is_found()
    {
        string outer = Directory.CreateDirectory(Path.Combine(_folder, "outer")).FullName;
        Directory.CreateDirectory(Path.Combine(outer, "inner"));
        Chmod(outer, "100");
        try
        {
            DurableFile.CreateDirectory(Path.Combine(outer, "inner"));
            Assert.Throws<IOException>(() => DurableFile.SyncDirectory(outer));
        }
        finally
        {
            Chmod(outer, "700");
        }
    }

    [Fact]
    public void A_move_to_a_free_name_moves()
    {
        string source = Make("source", "new");
        string destination = Path.Combine(_folder, "destination");
        Assert.True(DurableFile.MoveWithoutReplacing(source, destination));
        Assert.False(File.Exists(source));
        Assert.Equal("new", File.ReadAllText(destination));
    }

    [Fact]
    public void A_move_to_a_taken_name_changes_nothing()
    {
        string source = Make("source", "new");
        string destination = Make("destination", "old");
        Assert.False(DurableFile.MoveWithoutReplacing(source, destination));
        Assert.Equal(("new", "old"), (File.ReadAllText(source), File.ReadAllText(destination)));
    }

    [Fact]
    public void A_move_of_a_missing_file_says_so_and_of_one_without_destination_folder_does_not()
    {
        string missing = Path.Combine(_folder, "missing");
        Assert.Equal(missing, Assert.Throws<FileNotFoundException>(() => DurableFile.MoveWithoutReplacing(missing, Path.Combine(_folder, "b"))).FileName);
        IOException failed = Assert.Throws<IOException>(() => DurableFile.MoveWithoutReplacing(Make("a", ""), Path.Combine(_folder, "none", "b")));
        Assert.Contains("none", failed.Message, StringComparison.Ordinal);
        if (OperatingSystem.IsLinux())
        {
            Assert.Equal(2, failed.HResult); // the rename's own error, not that of the look whether the source exists
        }

        string folder = Directory.CreateDirectory(Path.Combine(_folder, "folder")).FullName;
        Assert.Throws<IOException>(() => DurableFile.MoveWithoutReplacing(folder, Path.Combine(_folder, "none", "b")));
    }

    [Fact]
    public async Task Of_many_moves_to_one_name_one_wins()
    {
        string destination = Path.Combine(_folder, "destination");
        string[] sources = [.. Enumerable.Range(0, 8).Select(i => Make($"source-{i}", $"{i}"))];
        bool[] won = await Task.WhenAll(sources.Select(source => Task.Run(() => DurableFile.MoveWithoutReplacing(source, destination))));
        Assert.Single(won, true);
        Assert.Equal($"{Array.IndexOf(won, true)}", await File.ReadAllTextAsync(destination));
        Assert.Equal(won.Select(moved => !moved), sources.Select(File.Exists));
    }

    [LinuxFact]
    public void Where_the_file_system_has_no_such_rename_a_link_does_the_same()
    {
        // No file system at hand lacks it, so the way round is called by its name.
        MethodInfo method = typeof(DurableFile).Assembly.GetType("Tailrace.LinuxFile")!.GetMethod("LinkAndUnlink", BindingFlags.NonPublic | BindingFlags.Static)!;
        Func<string, string, bool> move = method.CreateDelegate<Func<string, string, bool>>();
        string source = Make("source", "new");
        string taken = Make("taken", "old");
        string free = Path.Combine(_folder, "free");
        Assert.False(move(source, taken));
        Assert.Equal(("new", "old"), (File.ReadAllText(source), File.ReadAllText(taken)));
        Assert.True(move(source, free));
        Assert.False(File.Exists(source));
        Assert.Equal("new", File.ReadAllText(free));
        Assert.Throws<FileNotFoundException>(() => move(source, Path.Combine(_folder, "other")));
        Assert.Equal(2, Assert.Throws<IOException>(() => move(free, Path.Combine(_folder, "none", "b"))).HResult);
    }

    [Fact]
    public void Replace_puts_one_file_in_the_place_of_another()
    {
        string source = Make("source", "new");
        string destination = Make("destination", "old");
        DurableFile.Replace(source, destination);
        Assert.False(File.Exists(source));
        Assert.Equal("new", File.ReadAllText(destination));
    }

    [Fact]
    public void A_lock_is_held_once_and_free_again_after_dispose()
    {
        string path = Path.Combine(_folder, "lock");
        IDisposable? held = DurableFile.TryLock(path);
        Assert.NotNull(held);
        Assert.Null(DurableFile.TryLock(path));
        Assert.Null(DurableFile.TryLock(path)); // the failed try has not taken the first one's lock away
        held.Dispose();
        using IDisposable? again = DurableFile.TryLock(path);
        Assert.NotNull(again);
    }

    [Fact]
    public void A_lock_in_a_missing_folder_is_an_error() =>
        Assert.ThrowsAny<IOException>(() => DurableFile.TryLock(Path.Combine(_folder, "none", "lock")));

    [PeerFact("flock")]
    public async Task Another_process_is_kept_out_and_keeps_out()
    {
        string path = Path.Combine(_folder, "lock");
        using (DurableFile.TryLock(path))
        {
            using Process refused = Flock(path, "true");
            await refused.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(20));
            Assert.Equal(1, refused.ExitCode);
        }

        // The shell takes the lock, says so, and holds it until its input ends or it is killed.
        using Process holder = Flock(path, "echo locked; read line");
        Assert.Equal("locked", await holder.StandardOutput.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(20)));
        Assert.Null(DurableFile.TryLock(path));
        holder.Kill(entireProcessTree: true);
        await holder.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(20));
        using IDisposable? free = await WaitForLockAsync(path);
        Assert.NotNull(free);
    }

    [Fact]
    public void An_identity_follows_the_file_through_renames_and_tells_others_apart()
    {
        string path = Make("a", "1");
        using SafeFileHandle first = Open(path);
        using SafeFileHandle second = Open(path);
        using SafeFileHandle other = Open(Make("b", "1"));
        FileIdentity identity = DurableFile.Identify(first);
        Assert.True(identity.IsRegular);
        Assert.Equal(1u, identity.Links);
        Assert.Equal(identity, DurableFile.Identify(second));
        Assert.NotEqual(identity.File, DurableFile.Identify(other).File);
        Assert.Equal(identity.Device, DurableFile.Identify(other).Device);

        File.Move(path, Path.Combine(_folder, "c"));
        Make("a", "in its place");
        Assert.Equal(identity, DurableFile.Identify(first));
        using SafeFileHandle renamed = Open(Path.Combine(_folder, "c"));
        using SafeFileHandle successor = Open(path);
        Assert.Equal(identity, DurableFile.Identify(renamed));
        Assert.NotEqual(identity.File, DurableFile.Identify(successor).File);
    }

    [Fact]
    public void A_deleted_file_has_no_links()
    {
        string path = Make("a", "1");
        using SafeFileHandle file = Open(path);
        FileIdentity identity = DurableFile.Identify(file);
        File.Delete(path);
        Assert.Equal(identity with { Links = 0 }, DurableFile.Identify(file));
    }

    [LinuxFact]
    public void Hard_links_are_one_file_and_counted()
    {
        string path = Make("a", "1");
        Assert.Equal(0, Link(path, Path.Combine(_folder, "b")));
        using SafeFileHandle first = Open(path);
        using SafeFileHandle second = Open(Path.Combine(_folder, "b"));
        Assert.Equal(DurableFile.Identify(first), DurableFile.Identify(second));
        Assert.Equal(2u, DurableFile.Identify(first).Links);
        using SafeFileHandle device = Open("/dev/null");
        Assert.False(DurableFile.Identify(device).IsRegular);
    }

    private static SafeFileHandle Open(string path) => File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);

    private static Process Flock(string path, string command) => Process.Start(new ProcessStartInfo("flock", ["-xn", path, "sh", "-c", command])
    {
        RedirectStandardInput = true,
        RedirectStandardOutput = true,
    })!;

    // The system releases a killed process's lock when its last descriptor is closed, which may be a moment after the exit is seen.
    private static async Task<IDisposable?> WaitForLockAsync(string path)
    {
        using var timeout = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        IDisposable? taken;
        while ((taken = DurableFile.TryLock(path)) is null && !timeout.IsCancellationRequested)
        {
            await Task.Yield();
        }

        return taken;
    }

    [UnsupportedOSPlatform("windows")]
    private static void Chmod(string path, string mode) => File.SetUnixFileMode(path, (UnixFileMode)Convert.ToInt32(mode, 8));

    private string Make(string name, string content)
    {
        string path = Path.Combine(_folder, name);
        File.WriteAllText(path, content);
        return path;
    }

    [LibraryImport("libc", EntryPoint = "link", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Link(string source, string destination);
}
