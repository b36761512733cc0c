using System.Buffers.Binary;
using System.IO.Compression;
using Microsoft.Win32.SafeHandles;

namespace Tailrace.Files;

/// <summary>
/// What a gzip file unpacks to, readable at any offset. Reading onward is cheap; going back further than the last read, the first kibibyte
/// apart, unpacks from the start again.
/// </summary>
internal sealed class GzipContent(SafeFileHandle handle, long length) : IDisposable
{
    private const int Step = 64 << 10;
    private const int TrailerLength = 8;
    private readonly byte[] _head = new byte[(int)Math.Min(length, FileMarks.MaxHead)];
    private GZipStream? _stream;
    private byte[] _window = [];
    private long _windowStart;
    private int _filled;

    /// <summary>How many bytes there are.</summary>
    public long Length => length;

    /// <summary>Whether a file begins as gzip files do.</summary>
    public static bool IsGzip(SafeFileHandle handle)
    {
        Span<byte> magic = stackalloc byte[3];
        return RandomAccess.Read(handle, magic, 0) == 3 && magic is [0x1F, 0x8B, 8];
    }

    /// <summary>Unpacks everything to see how much it is, and that it is whole.</summary>
    /// <exception cref="InvalidDataException">It is damaged, or still being written.</exception>
    public static long Measure(SafeFileHandle handle)
    {
        long size = RandomAccess.GetLength(handle);
        byte[] buffer = new byte[Step];
        using var stream = Open(handle);
        long length = 0;
        uint last = 0; // a member's length modulo 2^32 ends the file; with one member it must be the whole
        int read;
        while ((read = stream.Read(buffer)) > 0)
        {
            length += read;
        }

        Span<byte> trailer = stackalloc byte[TrailerLength];
        if (size > TrailerLength && RandomAccess.Read(handle, trailer, size - TrailerLength) == TrailerLength)
        {
            last = BinaryPrimitives.ReadUInt32LittleEndian(trailer[4..]);
        }

        return last <= length || length > uint.MaxValue ? length : throw new InvalidDataException("its last bytes are no gzip trailer: it is damaged or still being written");
    }

    /// <summary>Reads at an offset until the buffer is full or the content ends.</summary>
    public int Read(Span<byte> buffer, long offset)
    {
        int wanted = (int)Math.Clamp(length - offset, 0, buffer.Length);
        if (wanted == 0)
        {
            return 0;
        }

        if (_stream is null || offset < _windowStart)
        {
            if (_stream is not null && offset + wanted <= _head.Length)
            {
                _head.AsSpan((int)offset, wanted).CopyTo(buffer);
                return wanted;
            }

            _stream?.Dispose();
            _stream = Open(handle);
            _windowStart = 0;
            _filled = 0;
        }

        while (_windowStart + _filled < offset + wanted && Fill(offset))
        {
        }

        int available = (int)Math.Clamp(_windowStart + _filled - offset, 0, wanted);
        _window.AsSpan((int)(offset - _windowStart), available).CopyTo(buffer);
        return available;
    }

    /// <inheritdoc/>
    public void Dispose() => _stream?.Dispose();

    /// <summary>Unpacks a bit more, and drops what lies further than an anchor before the offset.</summary>
    private bool Fill(long offset)
    {
        if (_filled + Step > _window.Length)
        {
            int drop = (int)Math.Clamp(offset - FileMarks.MaxAnchor - _windowStart, 0, _filled);
            _window.AsSpan(drop, _filled - drop).CopyTo(_window);
            _windowStart += drop;
            _filled -= drop;
            if (_filled + Step > _window.Length)
            {
                Array.Resize(ref _window, Math.Max(2 * _window.Length, _filled + Step));
            }
        }

        int read = _stream!.Read(_window, _filled, Step);
        if (_windowStart + _filled < _head.Length)
        {
            int at = (int)(_windowStart + _filled);
            int count = Math.Min(read, _head.Length - at);
            _window.AsSpan(_filled, count).CopyTo(_head.AsSpan(at));
        }

        _filled += read;
        return read > 0;
    }

    private static GZipStream Open(SafeFileHandle handle) => new(new PositionedStream(handle), CompressionMode.Decompress);

    /// <summary>Reads a handle from its start without moving the position that all its users share.</summary>
    private sealed class PositionedStream(SafeFileHandle handle) : Stream
    {
        private long _position;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => _position;
            set => throw new NotSupportedException();
        }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override int Read(Span<byte> buffer)
        {
            int read = RandomAccess.Read(handle, buffer, _position);
            _position += read;
            return read;
        }

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
