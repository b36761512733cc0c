using System.ComponentModel;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Tailrace;

/// <summary>The Linux side of <see cref="DurableFile"/>: libc calls whose results are checked.</summary>
internal static unsafe partial class LinuxFile
{
    private const int ENoEntry = 2;
    private const int EInterrupted = 4;
    private const int EWouldBlock = 11;
    private const int EAccess = 13;
    private const int EExists = 17;
    private const int EInvalid = 22;
    private const int ENoSystemCall = 38;
    private const int ENotSupported = 95;
    private const int AtCurrentDirectory = -100;
    private const int AtEmptyPath = 0x1000;
    private const uint RenameNoReplace = 1;
    private const uint StatxTypeLinksInode = 0x1 | 0x4 | 0x100;
    private const ushort FileTypeMask = 0xF000;
    private const ushort RegularFile = 0x8000;
    private const int LockExclusive = 2;
    private const int LockNonBlocking = 4;
    private const uint SyncFileRangeWrite = 2;

    public static void SyncData(SafeFileHandle file)
    {
        while (fdatasync(file) != 0)
        {
            ThrowUnlessInterrupted("fdatasync", null);
        }
    }

    public static void SyncDirectory(string path)
    {
        using SafeFileHandle directory = OpenForReading(path);
        while (fsync(directory) != 0)
        {
            if (Marshal.GetLastPInvokeError() == EInvalid)
            {
                return; // CIFS and the like have no sync of directories: they keep their names by themselves or not at all
            }

            ThrowUnlessInterrupted("fsync", path);
        }
    }

    /// <summary>Whether a sync failed because the directory may be written to but not listed, so that it cannot be opened.</summary>
    public static bool IsNotReadable(IOException exception) => exception.HResult == EAccess;

    public static bool MoveWithoutReplacing(string source, string destination)
    {
        while (renameat2(AtCurrentDirectory, source, AtCurrentDirectory, destination, RenameNoReplace) != 0)
        {
            int error = Marshal.GetLastPInvokeError();
            switch (error)
            {
                case EInterrupted:
                    continue;
                case EExists:
                    return false;
                case ENoEntry when !Path.Exists(source):
                    throw Gone(source);
                case EInvalid or ENoSystemCall or ENotSupported:
                    return LinkAndUnlink(source, destination); // NFS and some FUSE file systems have no RENAME_NOREPLACE
                default:
                    throw Failed("renameat2", $"{source} to {destination}", error);
            }
        }

        return true;
    }

    public static void StartWriteback(SafeFileHandle file, long offset, long length) => _ = sync_file_range(file, offset, length, SyncFileRangeWrite);

    /// <summary>Switches O_DIRECT on an open file; false where the file system has none.</summary>
    public static bool TrySetDirect(SafeFileHandle file, bool on)
    {
        const int setFlags = 4;
        int direct = RuntimeInformation.ProcessArchitecture is Architecture.Arm64 or Architecture.Arm ? 0x10000 : 0x4000;
        return fcntl(file, setFlags, on ? direct : 0) == 0;
    }

    public static IDisposable? TryLock(string path)
    {
        SafeFileHandle file = File.OpenHandle(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
        while (flock(file, LockExclusive | LockNonBlocking) != 0)
        {
            int error = Marshal.GetLastPInvokeError();
            switch (error)
            {
                case EInterrupted:
                    continue;
                case EWouldBlock:
                    file.Dispose();
                    return null;
                default:
                    file.Dispose();
                    throw Failed("flock", path, error);
            }
        }

        return file;
    }

    public static FileIdentity Identify(SafeFileHandle file)
    {
        // struct statx has one layout on all architectures: mask 0, nlink 16, mode 28, ino 32, dev_major 136, dev_minor 140; 256 bytes
        byte* result = stackalloc byte[256];
        while (statx(file, "", AtEmptyPath, StatxTypeLinksInode, result) != 0)
        {
            ThrowUnlessInterrupted("statx", null);
        }

        return new FileIdentity(
            ((ulong)*(uint*)(result + 136) << 32) | *(uint*)(result + 140),
            *(ulong*)(result + 32),
            (*(ushort*)(result + 28) & FileTypeMask) == RegularFile,
            *(uint*)(result + 16));
    }

    private static bool LinkAndUnlink(string source, string destination)
    {
        if (link(source, destination) != 0)
        {
            int error = Marshal.GetLastPInvokeError();
            return error switch
            {
                EExists => false,
                ENoEntry when !Path.Exists(source) => throw Gone(source),
                _ => throw Failed("link", $"{source} to {destination}", error),
            };
        }

        return unlink(source) == 0 ? true : throw Failed("unlink", source, Marshal.GetLastPInvokeError());
    }

    private static FileNotFoundException Gone(string source) => new($"{source} is gone.", source);

    private static SafeFileHandle OpenForReading(string path)
    {
        const int readOnlyCloseOnExec = 0x80000; // the same value on x64 and arm64, unlike O_DIRECTORY
        int descriptor;
        while ((descriptor = open(path, readOnlyCloseOnExec)) < 0)
        {
            ThrowUnlessInterrupted("open", path);
        }

        return new SafeFileHandle(descriptor, ownsHandle: true);
    }

    private static void ThrowUnlessInterrupted(string call, string? path)
    {
        int error = Marshal.GetLastPInvokeError();
        if (error != EInterrupted)
        {
            throw Failed(call, path, error);
        }
    }

    // The error is handed in: any call in between, even a look whether a file exists, overwrites the last one.
    private static IOException Failed(string call, string? path, int error)
    {
        string where = path is null ? "" : $" of {path}";
        return new IOException($"{call}{where} failed: {new Win32Exception(error).Message} (errno {error}).", error);
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fdatasync(SafeFileHandle file);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fsync(SafeFileHandle file);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int open(string path, int flags);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int renameat2(int sourceDirectory, string source, int destinationDirectory, string destination, uint flags);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int link(string source, string destination);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int unlink(string path);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int flock(SafeFileHandle file, int operation);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fcntl(SafeFileHandle file, int command, int argument);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int sync_file_range(SafeFileHandle file, long offset, long length, uint flags);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int statx(SafeFileHandle file, string path, int flags, uint mask, byte* result);
}
