using System.ComponentModel;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using Microsoft.Win32.SafeHandles;

namespace Tailrace;

/// <summary>The Windows side of <see cref="DurableFile"/>.</summary>
[SupportedOSPlatform("windows")]
internal static unsafe partial class WindowsFile
{
    private const int ErrorFileNotFound = 2;
    private const int ErrorPathNotFound = 3;
    private const int ErrorSharingViolation = 32;
    private const int ErrorFileExists = 80;
    private const int ErrorAlreadyExists = 183;
    private const uint MoveWriteThrough = 8;
    private const int FileIdInfo = 18;
    private const int FileStandardInfo = 1;

    public static void Sync(SafeFileHandle file) => RandomAccess.FlushToDisk(file); // reports its errors on Windows

    public static bool MoveWithoutReplacing(string source, string destination)
    {
        if (MoveFileExW(Extended(source), Extended(destination), MoveWriteThrough))
        {
            return true;
        }

        int error = Marshal.GetLastPInvokeError();
        return error switch
        {
            ErrorFileExists or ErrorAlreadyExists => false,
            ErrorFileNotFound or ErrorPathNotFound when !File.Exists(source) => throw new FileNotFoundException($"{source} is gone.", source),
            _ => throw Failed("MoveFileEx", $"{source} to {destination}", error),
        };
    }

    public static IDisposable? TryLock(string path)
    {
        try
        {
            return File.OpenHandle(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException exception) when ((exception.HResult & 0xFFFF) == ErrorSharingViolation)
        {
            return null;
        }
    }

    public static FileIdentity Identify(SafeFileHandle file)
    {
        ulong* id = stackalloc ulong[3]; // FILE_ID_INFO: volume serial number, 128-bit id
        if (!GetFileInformationByHandleEx(file, FileIdInfo, id, 24))
        {
            throw Failed("GetFileInformationByHandleEx", "a file", Marshal.GetLastPInvokeError());
        }

        byte* standard = stackalloc byte[24]; // FILE_STANDARD_INFO: links at 16, delete pending at 20, directory at 21
        if (!GetFileInformationByHandleEx(file, FileStandardInfo, standard, 24))
        {
            throw Failed("GetFileInformationByHandleEx", "a file", Marshal.GetLastPInvokeError());
        }

        uint links = standard[20] != 0 ? 0 : *(uint*)(standard + 16);
        return new FileIdentity(id[0], new UInt128(id[2], id[1]), standard[21] == 0, links);
    }

    private static string Extended(string path)
    {
        path = Path.GetFullPath(path);
        return path.Length < 240 || path.StartsWith(@"\\", StringComparison.Ordinal) ? path : @"\\?\" + path; // beyond MAX_PATH
    }

    private static IOException Failed(string call, string what, int error) =>
        new($"{call} of {what} failed: {new Win32Exception(error).Message} (error {error}).", unchecked((int)0x80070000) | error);

    [LibraryImport("kernel32", SetLastError = true, StringMarshalling = StringMarshalling.Utf16)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool MoveFileExW(string source, string destination, uint flags);

    [LibraryImport("kernel32", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool GetFileInformationByHandleEx(SafeFileHandle file, int kind, void* buffer, uint size);
}
