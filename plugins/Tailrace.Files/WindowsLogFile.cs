using Microsoft.Win32.SafeHandles;

namespace Tailrace.Files;

/// <summary>The Windows side of <see cref="LogFile"/>.</summary>
internal static class WindowsLogFile
{
    public static SafeFileHandle? TryOpen(string path, out string? problem)
    {
        problem = null;
        try
        {
            return File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            problem = exception.Message;
            return null;
        }
    }
}
