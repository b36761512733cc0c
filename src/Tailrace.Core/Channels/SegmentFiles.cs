using Microsoft.Win32.SafeHandles;

namespace Tailrace.Core.Channels;

/// <summary>Every file operation of a file channel in one place, so that tests can make any of them fail.</summary>
internal class SegmentFiles
{
    private const int WriteBuffer = 1 << 20;

    public virtual SequentialFile Create(string path) => SequentialFile.Create(path, WriteBuffer);

    public virtual SequentialFile Open(string path, long length) => SequentialFile.Open(path, length, WriteBuffer);

    public virtual void Write(SequentialFile file, ReadOnlySpan<byte> bytes) => file.Write(bytes);

    public virtual void Flush(SequentialFile file) => file.Flush();

    public virtual void Sync(SequentialFile file) => file.Sync();

    public virtual void Sync(SafeFileHandle file) => DurableFile.SyncData(file);

    public virtual void Complete(SequentialFile file) => file.Complete();

    public virtual bool Exists(string path) => File.Exists(path);

    public virtual void Delete(string path) => File.Delete(path);

    public virtual void CreateDirectory(string path) => DurableFile.CreateDirectory(path);

    public virtual void SyncDirectory(string path) => DurableFile.SyncDirectory(path);

    public virtual SafeFileHandle OpenToRead(string path) => File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);

    public virtual int Read(SafeFileHandle file, Span<byte> bytes, long position) => RandomAccess.Read(file, bytes, position);

    /// <summary>Replaces a small file: temporary file, sync, rename, directory sync.</summary>
    public virtual void Replace(string path, ReadOnlySpan<byte> content)
    {
        string temporary = path + ".tmp";
        using (SafeFileHandle file = File.OpenHandle(temporary, FileMode.Create, FileAccess.Write, FileShare.Read | FileShare.Delete))
        {
            RandomAccess.Write(file, content, 0);
            DurableFile.SyncData(file);
        }

        DurableFile.Replace(temporary, path);
        DurableFile.SyncDirectory(Path.GetDirectoryName(path)!);
    }

    /// <summary>Whether a write failed because the disk or a quota is full: that passes, and nothing is broken.</summary>
    public static bool IsDiskFull(Exception exception) =>
        exception is IOException && (OperatingSystem.IsWindows() ? (exception.HResult & 0xFFFF) is 39 or 112 : exception.HResult is 28 or 122); // ERROR_HANDLE_DISK_FULL, ERROR_DISK_FULL; ENOSPC, EDQUOT
}
