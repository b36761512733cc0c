using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Tailrace.Files;

/// <summary>The Linux side of <see cref="LogFile"/>: .NET's own open blocks on a pipe without a writer and cannot tell one beforehand.</summary>
internal static unsafe partial class LinuxLogFile
{
    private const int CurrentDirectory = -100;
    private const int TypeMask = 0xF000;
    private const int RegularFile = 0x8000;
    private const int NoEntry = 2;
    private const int Interrupted = 4;
    private const int NotADirectory = 20;
    private const int NonBlockingCloseOnExec = 0x800 | 0x80000; // the same values on x64 and arm64

    public static SafeFileHandle? TryOpen(string path, out string? problem)
    {
        problem = null;
        if (TypeOf(path) is not (RegularFile or 0))
        {
            problem = "it is not a regular file"; // opening it would be noticed: a pipe's writer goes on and finds nobody
            return null;
        }

        int descriptor;
        while ((descriptor = open(path, NonBlockingCloseOnExec)) < 0)
        {
            switch (Marshal.GetLastPInvokeError())
            {
                case Interrupted:
                    continue;
                case NoEntry or NotADirectory:
                    return null;
                default:
                    problem = Marshal.GetLastPInvokeErrorMessage();
                    return null;
            }
        }

        return new SafeFileHandle(descriptor, ownsHandle: true);
    }

    public static bool TryLook(string path, out FileIdentity identity, out (long Length, DateTime Written) look)
    {
        // struct statx as below; besides nlink 16, ino 32, size 40, mtime 112 (seconds) and 120 (nanoseconds), dev_major 136, dev_minor 140
        const uint basic = 0x7FF;
        byte* result = stackalloc byte[256];
        (identity, look) = (default, default);
        if (statx(CurrentDirectory, path, 0, basic, result) != 0 || (*(uint*)result & basic) != basic || (*(ushort*)(result + 28) & TypeMask) != RegularFile)
        {
            return false;
        }

        identity = new FileIdentity(((ulong)*(uint*)(result + 136) << 32) | *(uint*)(result + 140), *(ulong*)(result + 32), true, *(uint*)(result + 16));
        look = (*(long*)(result + 40), DateTime.UnixEpoch.AddTicks((*(long*)(result + 112) * TimeSpan.TicksPerSecond) + (*(uint*)(result + 120) / 100)));
        return true;
    }

    private static int TypeOf(string path)
    {
        const uint type = 0x1;
        byte* result = stackalloc byte[256];
        return statx(CurrentDirectory, path, 0, type, result) == 0 ? *(ushort*)(result + 28) & TypeMask : 0;
    }

    public static long BornAt(SafeFileHandle handle)
    {
        // struct statx has one layout on all architectures: mask 0, birth time 80 (seconds) and 88 (nanoseconds); 256 bytes
        const int atEmptyPath = 0x1000;
        const uint birthTime = 0x800;
        byte* result = stackalloc byte[256];
        return statx(handle, "", atEmptyPath, birthTime, result) == 0 && (*(uint*)result & birthTime) != 0
            ? unchecked((*(long*)(result + 80) * 1_000_000_000) + *(uint*)(result + 88))
            : 0;
    }

    /// <summary>Where data begin at or behind an offset; the offset itself if the file system does not say.</summary>
    public static long FindData(SafeFileHandle handle, long offset)
    {
        const int seekData = 3;
        long data = lseek(handle, offset, seekData);
        return data > offset ? data : offset;
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial long lseek(SafeFileHandle file, long offset, int whence);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int statx(int directory, string path, int flags, uint mask, byte* result);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int statx(SafeFileHandle file, string path, int flags, uint mask, byte* result);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int open(string path, int flags);
}
