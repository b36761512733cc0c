using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Tailrace;

/// <summary>
/// A file that is only ever appended to, written past the page cache where the system allows (O_DIRECT on Linux). A page-cache write costs
/// about ten times the processor time of a direct one and leaves the disk a backlog for the next sync; nobody reads this data back soon.
/// Bytes gather in an aligned buffer; a flush in the middle of a block writes the block padded with zeros and writes it again, longer,
/// next time, so a torn write can only harm bytes that no sync has covered. Not thread-safe.
/// </summary>
public sealed unsafe class SequentialFile : IDisposable
{
    private const int Alignment = 4096;
    private const int InvalidArgument = 22;

    private readonly FileCalls _calls;
    private readonly SafeFileHandle _file;
    private readonly int _capacity;
    private byte* _buffer;
    private long _start;    // where in the file the buffer starts; a multiple of the alignment
    private int _filled;
    private int _flushed;   // bytes of the buffer that the file has
    private bool _direct;
    private bool _syncFailed;

    private SequentialFile(string path, FileCalls calls, SafeFileHandle file, long length, int bufferSize)
    {
        _calls = calls;
        Path = path;
        _file = file;
        _capacity = Math.Max(Alignment, bufferSize / Alignment * Alignment);
        _buffer = (byte*)NativeMemory.AlignedAlloc((nuint)_capacity, Alignment);
        _start = length / Alignment * Alignment;
        _filled = _flushed = (int)(length - _start);
    }

    /// <summary>The file's path.</summary>
    public string Path { get; }

    /// <summary>Bytes appended, flushed or not, with what the file held when it was opened.</summary>
    public long Length => _start + _filled;

    /// <summary>Creates a file, readable by its owner and group only.</summary>
    /// <param name="path">Its path; nothing may stand there.</param>
    /// <param name="bufferSize">Bytes gathered before a write; rounded down to a multiple of 4 KiB, at least 4 KiB.</param>
    /// <exception cref="IOException">It exists or could not be made.</exception>
    public static SequentialFile Create(string path, int bufferSize) => Create(path, bufferSize, FileCalls.Real);

    internal static SequentialFile Create(string path, int bufferSize, FileCalls calls)
    {
        var file = new SequentialFile(path, calls, calls.Open(path, FileMode.CreateNew, FileAccess.ReadWrite), 0, bufferSize);
        file.GoDirect();
        return file;
    }

    /// <summary>Opens a file to go on behind its first <paramref name="length"/> bytes; what stands behind them is cut off.</summary>
    /// <exception cref="IOException">It could not be opened, read or cut, or is shorter than <paramref name="length"/>.</exception>
    public static SequentialFile Open(string path, long length, int bufferSize) => Open(path, length, bufferSize, FileCalls.Real);

    internal static SequentialFile Open(string path, long length, int bufferSize, FileCalls calls)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        SafeFileHandle handle = calls.Open(path, FileMode.Open, FileAccess.ReadWrite);
        var file = new SequentialFile(path, calls, handle, length, bufferSize);
        try
        {
            long found = calls.GetLength(handle);
            if (found < length)
            {
                throw new IOException($"{path} is {found} bytes long; {length} bytes are known to have been written. It was cut, or is another file.");
            }

            if (found > length)
            {
                calls.SetLength(handle, length);
            }

            file.ReadTail();
            file.GoDirect();
            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Appends bytes; they reach the file when the buffer is full or flushed.</summary>
    /// <exception cref="IOException">A write failed; the file's end is undefined from then on.</exception>
    public void Write(ReadOnlySpan<byte> bytes)
    {
        ObjectDisposedException.ThrowIf(_buffer is null, this);
        while (!bytes.IsEmpty)
        {
            int count = Math.Min(bytes.Length, _capacity - _filled);
            bytes[..count].CopyTo(new Span<byte>(_buffer + _filled, count));
            _filled += count;
            bytes = bytes[count..];
            if (_filled == _capacity)
            {
                WriteOut(_capacity);
                _start += _capacity;
                _filled = _flushed = 0;
            }
        }
    }

    /// <summary>Writes what has gathered, the last block padded with zeros: the file may be up to 4,095 bytes longer than <see cref="Length"/>.</summary>
    /// <exception cref="IOException">A write failed; the file's end is undefined from then on.</exception>
    public void Flush()
    {
        ObjectDisposedException.ThrowIf(_buffer is null, this);
        if (_filled == _flushed)
        {
            return;
        }

        int whole = _filled / Alignment * Alignment;
        int padded = (_filled + Alignment - 1) / Alignment * Alignment;
        new Span<byte>(_buffer + _filled, padded - _filled).Clear();
        WriteOut(padded);
        new Span<byte>(_buffer + whole, _filled - whole).CopyTo(new Span<byte>(_buffer, Alignment));
        _start += whole;
        _filled = _flushed = _filled - whole;
    }

    /// <summary>Flushes and syncs: what was appended survives a power cut.</summary>
    /// <exception cref="IOException">A write or the sync failed, or an earlier sync did; see <see cref="DurableFile.SyncData"/>.</exception>
    public void Sync()
    {
        Flush();
        SyncOnce();
    }

    /// <summary>Flushes, cuts the padding off and syncs: the file is exactly <see cref="Length"/> bytes long.</summary>
    /// <exception cref="IOException">A write, the cut or the sync failed, or an earlier sync did.</exception>
    public void Complete()
    {
        Flush();
        _calls.SetLength(_file, Length);
        SyncOnce();
    }

    /// <summary>Closes the file. What was not flushed is dropped.</summary>
    public void Dispose()
    {
        if (_buffer is not null)
        {
            NativeMemory.AlignedFree(_buffer);
            _buffer = null;
            _file.Dispose();
        }
    }

    // Only once the tail has been read: a file system may take the flag and then refuse reads that are not aligned to its liking.
    private void GoDirect() => _direct = _calls.TrySetDirect(_file, true);

    // After a failed sync the system may call the pages clean, and the next sync would succeed without having written them.
    private void SyncOnce()
    {
        if (_syncFailed)
        {
            throw new IOException($"An earlier sync of {Path} failed: nothing more can be made durable in it.");
        }

        _syncFailed = true;
        _calls.Sync(_file);
        _syncFailed = false;
    }

    private void ReadTail()
    {
        int read = 0;
        while (read < _filled)
        {
            int count = _calls.Read(_file, new Span<byte>(_buffer + read, _filled - read), _start + read);
            if (count == 0)
            {
                throw new IOException($"{Path} is shorter than it was a moment ago.");
            }

            read += count;
        }
    }

    private void WriteOut(int count)
    {
        var bytes = new ReadOnlySpan<byte>(_buffer, count);
        try
        {
            _calls.Write(_file, bytes, _start);
        }
        catch (IOException exception) when (_direct && exception.HResult == InvalidArgument)
        {
            // The file system or device wants another alignment: go on through the page cache.
            _calls.TrySetDirect(_file, false);
            _direct = false;
            _calls.Write(_file, bytes, _start);
        }
    }
}
