using Microsoft.Win32.SafeHandles;

namespace Tailrace;

/// <summary>
/// What a promise to keep data needs of the operating system and .NET does not give: checked syncs (on Linux, .NET 10 reports success when
/// fsync fails with EIO), directory syncs, renames that never replace, file identities and locks. One class per system does the work.
/// </summary>
public static class DurableFile
{
    /// <summary>Writes a file's data, and what is needed to find it again, to disk.</summary>
    /// <exception cref="IOException">The sync failed. The pages may be marked clean all the same: never retry on the same file as if nothing had happened.</exception>
    public static void SyncData(SafeFileHandle file)
    {
        if (OperatingSystem.IsWindows())
        {
            WindowsFile.Sync(file);
        }
        else
        {
            LinuxFile.SyncData(file);
        }
    }

    /// <summary>Makes the names in a directory durable. On Windows, and on file systems without a sync of directories, that is the file system's own affair.</summary>
    /// <exception cref="IOException">The directory could not be opened, or the sync failed.</exception>
    public static void SyncDirectory(string path)
    {
        if (!OperatingSystem.IsWindows())
        {
            LinuxFile.SyncDirectory(path);
        }
    }

    /// <summary>Creates a directory and missing parents, and makes their names durable, also where it exists: who made it may have been killed before the sync.</summary>
    /// <exception cref="IOException">It could not be made or synced.</exception>
    /// <exception cref="UnauthorizedAccessException">The parent may not be written to.</exception>
    public static void CreateDirectory(string path)
    {
        path = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        string? parent = Path.GetDirectoryName(path);
        bool exists = Directory.Exists(path);
        if (!exists)
        {
            if (parent is not null)
            {
                CreateDirectory(parent);
            }

            Directory.CreateDirectory(path);
        }

        if (parent is not null)
        {
            try
            {
                SyncDirectory(parent);
            }
            catch (IOException exception) when (exists && LinuxFile.IsNotReadable(exception))
            {
                // The name was there before and stands where this process may not look: somebody else's to keep.
            }
        }
    }

    /// <summary>Renames a file, atomically, never replacing another. False if the destination exists. The caller syncs the directory.</summary>
    /// <exception cref="FileNotFoundException">The source is gone.</exception>
    /// <exception cref="IOException">The rename failed for another reason.</exception>
    public static bool MoveWithoutReplacing(string source, string destination) =>
        OperatingSystem.IsWindows() ? WindowsFile.MoveWithoutReplacing(source, destination) : LinuxFile.MoveWithoutReplacing(source, destination);

    /// <summary>Replaces a file by another, atomically: readers see the old or the new one, whole. The caller syncs source and directory.</summary>
    /// <exception cref="IOException">The rename failed.</exception>
    public static void Replace(string source, string destination) => File.Move(source, destination, overwrite: true);

    /// <summary>Starts writing a stretch of a file to disk without waiting, so that a later sync finds little left. A hint; does nothing where the system has no such call.</summary>
    public static void StartWriteback(SafeFileHandle file, long offset, long length)
    {
        if (OperatingSystem.IsLinux())
        {
            LinuxFile.StartWriteback(file, offset, length);
        }
    }

    /// <summary>Takes the lock file at <paramref name="path"/>; null if it is held, by another process or by this one. Released by disposing, and by the system when the process ends.</summary>
    /// <exception cref="IOException">The lock file could not be made.</exception>
    /// <exception cref="UnauthorizedAccessException">The lock file may not be written to.</exception>
    public static IDisposable? TryLock(string path) => OperatingSystem.IsWindows() ? WindowsFile.TryLock(path) : LinuxFile.TryLock(path);

    /// <summary>Which file an open handle stands for, whatever its name is now.</summary>
    /// <exception cref="IOException">The system could not say.</exception>
    public static FileIdentity Identify(SafeFileHandle file) => OperatingSystem.IsWindows() ? WindowsFile.Identify(file) : LinuxFile.Identify(file);
}

/// <summary>A file's identity while it exists. Numbers are used again after a delete, so it proves nothing alone.</summary>
/// <param name="Device">The device (Linux: major and minor) or volume serial number.</param>
/// <param name="File">The inode or the 128-bit file id.</param>
/// <param name="IsRegular">True for a regular file, not a directory, pipe or device.</param>
/// <param name="Links">How many names the file has; 0 once it is deleted.</param>
public readonly record struct FileIdentity(ulong Device, UInt128 File, bool IsRegular, uint Links);
