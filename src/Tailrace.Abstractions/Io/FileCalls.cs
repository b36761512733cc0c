using Microsoft.Win32.SafeHandles;

namespace Tailrace;

/// <summary>The calls on files that durable writing rests on, in one place, so that a simulated disk can stand behind them.</summary>
internal class FileCalls
{
    /// <summary>The real ones.</summary>
    public static FileCalls Real { get; } = new();

    /// <summary>Opens a file. A new one can be read by its owner and group only; what is written has one writer, what is read may be written meanwhile.</summary>
    public virtual SafeFileHandle Open(string path, FileMode mode, FileAccess access)
    {
        SafeFileHandle handle = File.OpenHandle(path, mode, access, access == FileAccess.Read ? FileShare.ReadWrite | FileShare.Delete : FileShare.Read | FileShare.Delete);
        if (mode == FileMode.CreateNew && !OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(handle, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead);
        }

        return handle;
    }

    public virtual int Read(SafeFileHandle file, Span<byte> bytes, long position) => RandomAccess.Read(file, bytes, position);

    public virtual void Write(SafeFileHandle file, ReadOnlySpan<byte> bytes, long position) => RandomAccess.Write(file, bytes, position);

    public virtual long GetLength(SafeFileHandle file) => RandomAccess.GetLength(file);

    public virtual void SetLength(SafeFileHandle file, long length) => RandomAccess.SetLength(file, length);

    public virtual void Sync(SafeFileHandle file) => DurableFile.SyncData(file);

    /// <summary>Writes past the page cache from now on, or no more; false where the system cannot.</summary>
    public virtual bool TrySetDirect(SafeFileHandle file, bool on) => OperatingSystem.IsLinux() && LinuxFile.TrySetDirect(file, on);
}
