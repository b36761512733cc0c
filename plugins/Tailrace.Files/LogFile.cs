using Microsoft.Win32.SafeHandles;

namespace Tailrace.Files;

/// <summary>
/// A file that others write, open for reading: never blocking on a pipe, never keeping the writer from renaming, deleting or writing.
/// One that was packed by gzip is read as what it unpacks to; all positions are those of the unpacked bytes.
/// </summary>
internal sealed class LogFile : IDisposable
{
    private readonly SafeFileHandle _handle;
    private GzipContent? _unpacked;

    private LogFile(SafeFileHandle handle, FileIdentity identity, bool isPacked)
    {
        _handle = handle;
        Identity = identity;
        IsPacked = isPacked;
    }

    /// <summary>Which file it is.</summary>
    public FileIdentity Identity { get; }

    /// <summary>Whether its bytes are packed by gzip, as its name and its first bytes say.</summary>
    public bool IsPacked { get; }

    /// <summary>How long it is on disk.</summary>
    public long StoredLength => RandomAccess.GetLength(_handle);

    /// <summary>How many bytes can be read; of a packed file those told by <see cref="Unpack"/>.</summary>
    public long Length => IsPacked ? _unpacked?.Length ?? 0 : RandomAccess.GetLength(_handle);

    /// <summary>When it was last written to, by its own word.</summary>
    public DateTime Written => File.GetLastWriteTimeUtc(_handle);

    /// <summary>When it was made, in nanoseconds since 1970; 0 if the system does not say, or says what others may set.</summary>
    public long Born => OperatingSystem.IsWindows() ? 0 : LinuxLogFile.BornAt(_handle); // Windows gives a file made anew the time of the one deleted before

    /// <summary>Whether it has no name any more.</summary>
    public bool IsDeleted => DurableFile.Identify(_handle).Links == 0;

    /// <summary>Opens a regular file for reading.</summary>
    /// <param name="path">Its path.</param>
    /// <param name="problem">Why it cannot be read; null if it is just not there.</param>
    /// <returns>The file; null if there is none or it cannot be read.</returns>
    public static LogFile? TryOpen(string path, out string? problem)
    {
        SafeFileHandle? handle = OperatingSystem.IsWindows() ? WindowsLogFile.TryOpen(path, out problem) : LinuxLogFile.TryOpen(path, out problem);
        if (handle is null)
        {
            return null;
        }

        try
        {
            FileIdentity identity = DurableFile.Identify(handle);
            if (identity.IsRegular)
            {
                return new LogFile(handle, identity, path.EndsWith(".gz", StringComparison.OrdinalIgnoreCase) && GzipContent.IsGzip(handle));
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

    /// <summary>Looks at a file without opening it, where the system can: which it is, how long and when written to.</summary>
    public static bool TryLook(string path, out FileIdentity identity, out (long Length, DateTime Written) look)
    {
        (identity, look) = (default, default);
        return !OperatingSystem.IsWindows() && LinuxLogFile.TryLook(path, out identity, out look); // sizes in directories of Windows are late
    }

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

    /// <summary>Lets a packed file be read, now that it is known to how many bytes it unpacks.</summary>
    public void Unpack(long length) => _unpacked = new GzipContent(_handle, length);

    /// <summary>Measures to how many bytes a packed file unpacks, and checks that it is whole.</summary>
    /// <exception cref="InvalidDataException">It is damaged, or still being written.</exception>
    public long MeasureUnpacked() => GzipContent.Measure(_handle);

    /// <summary>Reads until <paramref name="buffer"/> is full or the file ends; how many bytes it was.</summary>
    public int Read(Span<byte> buffer, long offset)
    {
        if (IsPacked)
        {
            return _unpacked?.Read(buffer, offset) ?? 0;
        }

        int filled = 0;
        while (filled < buffer.Length)
        {
            int read = RandomAccess.Read(_handle, buffer[filled..], offset + filled);
            if (read == 0)
            {
                break;
            }

            filled += read;
        }

        return filled;
    }

    /// <summary>The end of the hole that begins at or before <paramref name="offset"/>, as far as the system knows holes; the offset itself where it knows none there.</summary>
    public long FindData(long offset) => IsPacked || OperatingSystem.IsWindows() ? offset : LinuxLogFile.FindData(_handle, offset);

    /// <summary>Whether another file's first bytes, up to its end at <paramref name="length"/>, are this one's.</summary>
    public bool StartsWithAllOf(LogFile other, long length)
    {
        byte[] mine = new byte[64 << 10];
        byte[] others = new byte[mine.Length];
        for (long at = 0; at < length; at += mine.Length)
        {
            int wanted = (int)Math.Min(mine.Length, length - at);
            if (Read(mine.AsSpan(0, wanted), at) != wanted || other.Read(others.AsSpan(0, wanted), at) != wanted || !mine.AsSpan(0, wanted).SequenceEqual(others.AsSpan(0, wanted)))
            {
                return false;
            }
        }

        return true;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _unpacked?.Dispose();
        _handle.Dispose();
    }
}
