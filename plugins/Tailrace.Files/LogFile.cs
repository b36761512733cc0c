using Microsoft.Win32.SafeHandles;

namespace Tailrace.Files;

/// <summary>Opens files that others write: never blocking on a pipe, never keeping the writer from renaming, deleting or writing.</summary>
internal static class LogFile
{
    /// <summary>Opens a regular file for reading.</summary>
    /// <param name="path">Its path.</param>
    /// <param name="identity">Which file it is.</param>
    /// <param name="problem">Why it cannot be read; null if it is just not there.</param>
    /// <returns>The handle; null if there is no such file or it cannot be read.</returns>
    public static SafeFileHandle? TryOpen(string path, out FileIdentity identity, out string? problem)
    {
        identity = default;
        SafeFileHandle? handle = OperatingSystem.IsWindows() ? WindowsLogFile.TryOpen(path, out problem) : LinuxLogFile.TryOpen(path, out problem);
        if (handle is null)
        {
            return null;
        }

        try
        {
            identity = DurableFile.Identify(handle);
            if (identity.IsRegular)
            {
                return handle;
            }

            problem = "it is not a regular file";
        }
        catch (IOException exception)
        {
            problem = exception.Message;
        }

        handle.Dispose();
        return null;
    }

    /// <summary>When a file was made, in nanoseconds since 1970; 0 if the system does not say, or says what others may set.</summary>
    public static long BornAt(SafeFileHandle handle) => OperatingSystem.IsWindows() ? 0 : LinuxLogFile.BornAt(handle); // Windows gives a file made anew the time of the one deleted before

    /// <summary>Where a symbolic link leads in the end; null if the path is none.</summary>
    public static string? FindTarget(string path)
    {
        try
        {
            return File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null; // gone again, or in a circle: polling sees what there is
        }
    }

    /// <summary>Reads until <paramref name="buffer"/> is full or the file ends; how many bytes it was.</summary>
    public static int Read(SafeFileHandle handle, Span<byte> buffer, long offset)
    {
        int filled = 0;
        while (filled < buffer.Length)
        {
            int read = RandomAccess.Read(handle, buffer[filled..], offset + filled);
            if (read == 0)
            {
                break;
            }

            filled += read;
        }

        return filled;
    }
}
