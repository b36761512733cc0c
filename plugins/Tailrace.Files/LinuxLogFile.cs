using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Tailrace.Files;

/// <summary>The Linux side of <see cref="LogFile"/>: .NET's own open blocks on a pipe without a writer and cannot tell one beforehand.</summary>
internal static partial class LinuxLogFile
{
    private const int NoEntry = 2;
    private const int Interrupted = 4;
    private const int NotADirectory = 20;
    private const int NonBlockingCloseOnExec = 0x800 | 0x80000; // the same values on x64 and arm64

    public static SafeFileHandle? TryOpen(string path, out string? problem)
    {
        problem = null;
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

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int open(string path, int flags);
}
