using Microsoft.Win32.SafeHandles;

namespace Tailrace.Core.Channels;

/// <summary>Every file operation of a file channel in one place, so that tests can make any of them fail, or put a simulated disk behind them.</summary>
internal class SegmentFiles : FileCalls
{
    protected virtual int WriteBuffer => 1 << 20;

    public virtual SequentialFile Create(string path) => SequentialFile.Create(path, WriteBuffer, this);

    public virtual SequentialFile Open(string path, long length) => SequentialFile.Open(path, length, WriteBuffer, this);

    public virtual void Write(SequentialFile file, ReadOnlySpan<byte> bytes) => file.Write(bytes);

    public virtual void Flush(SequentialFile file) => file.Flush();

    public virtual void Sync(SequentialFile file) => file.Sync();

    public virtual void Complete(SequentialFile file) => file.Complete();

    public virtual bool Exists(string path) => File.Exists(path);

    public virtual void Delete(string path) => File.Delete(path);

    public virtual void Rename(string path, string newPath) => DurableFile.Replace(path, newPath);

    /// <summary>Paths of the files in a directory, in no certain order.</summary>
    public virtual IEnumerable<string> List(string directory) => Directory.EnumerateFiles(directory);

    public virtual IEnumerable<string> ListDirectories(string directory) => Directory.EnumerateDirectories(directory);

    /// <summary>Renames a file that cannot be used, so that it is kept for whoever wants to look at it; the new path.</summary>
    public virtual string SetAside(string path)
    {
        string aside = path + ".damaged";
        Rename(path, aside);
        return aside;
    }

    public virtual void CreateDirectory(string path) => DurableFile.CreateDirectory(path);

    public virtual void SyncDirectory(string path) => DurableFile.SyncDirectory(path);

    public virtual IDisposable? TryLock(string path) => DurableFile.TryLock(path);

    public virtual SafeFileHandle OpenToRead(string path) => Open(path, FileMode.Open, FileAccess.Read);

    /// <summary>Segments in a directory.</summary>
    public IEnumerable<string> ListSegments(string directory) => List(directory).Where(path => path.EndsWith(SegmentFormat.Extension, StringComparison.Ordinal));

    public long GetLength(string path)
    {
        using SafeFileHandle file = OpenToRead(path);
        return GetLength(file);
    }

    /// <summary>A small file whole.</summary>
    /// <exception cref="IOException">It could not be read, or is too large to be one.</exception>
    public byte[] ReadAll(string path)
    {
        using SafeFileHandle file = OpenToRead(path);
        long length = GetLength(file);
        if (length > Array.MaxLength)
        {
            throw new IOException($"{path} is {length} bytes long, too much to be one of the channel's small files.");
        }

        var bytes = new byte[length];
        int done = 0;
        while (done < bytes.Length)
        {
            int count = Read(file, bytes.AsSpan(done), done);
            if (count == 0)
            {
                return bytes[..done];
            }

            done += count;
        }

        return bytes;
    }

    /// <summary>Replaces a small file: temporary file, sync, rename, directory sync.</summary>
    public virtual void Replace(string path, ReadOnlySpan<byte> content)
    {
        string temporary = path + ".tmp";
        using (SafeFileHandle file = Open(temporary, FileMode.Create, FileAccess.Write))
        {
            Write(file, content, 0);
            Sync(file);
        }

        Rename(temporary, path);
        SyncDirectory(Path.GetDirectoryName(path)!);
    }

    /// <summary>Whether a write failed because the disk or a quota is full: that passes, and nothing is broken.</summary>
    public static bool IsDiskFull(Exception exception) =>
        exception is IOException && (OperatingSystem.IsWindows() ? (exception.HResult & 0xFFFF) is 39 or 112 : exception.HResult is 28 or 122); // ERROR_HANDLE_DISK_FULL, ERROR_DISK_FULL; ENOSPC, EDQUOT
}
