using System.IO.Compression;

namespace Tailrace.Core.Storage;

/// <summary>A store, or the format on the way to it, refused a call. The same events are tried again.</summary>
internal sealed class StoreFailedException(string message, Exception innerException) : Exception(message, innerException);

/// <summary>A temporary file while events are written to it: serializer, compression, the store's stream. One thread at a time.</summary>
internal sealed class BucketFile : IAsyncDisposable
{
    private readonly IStoreFile _file;
    private readonly CountingStream _output;
    private readonly Stream? _compressor;
    private readonly IEventSerializer _serializer;
    private long _bodies;
    private bool _isClosed;

    private BucketFile(string temporaryPath, IStoreFile file, IFormat format, FileCompression compression, long first, long now)
    {
        TemporaryPath = temporaryPath;
        First = first;
        OpenedAt = WrittenAt = now;
        _file = file;
        _output = new CountingStream(file.Content);
        _compressor = compression switch
        {
            FileCompression.Gzip => new GZipStream(_output, CompressionLevel.Optimal, leaveOpen: true),
            FileCompression.Zstd => new ZstdSharp.CompressionStream(_output, level: 1, leaveOpen: true),
            _ => null,
        };
        try
        {
            _serializer = format.CreateSerializer(_compressor ?? _output);
        }
        catch
        {
            _output.IsAbandoned = true;
            _compressor?.Dispose();
            throw;
        }
    }

    public string TemporaryPath { get; }

    /// <summary>The offset of the first event.</summary>
    public long First { get; }

    /// <summary>When it was opened, as <see cref="TimeProvider.GetTimestamp"/> tells it.</summary>
    public long OpenedAt { get; }

    /// <summary>When an event was last written to it.</summary>
    public long WrittenAt { get; private set; }

    /// <summary>Events written.</summary>
    public long Count { get; private set; }

    /// <summary>Bytes the store was given, and those the serializer holds.</summary>
    public long Length => _output.Count + _serializer.Buffered;

    /// <summary>A write failed: what it holds is undefined.</summary>
    public bool IsFailed { get; private set; }

    /// <summary>Bytes that a byte of bodies has become so far; at least 1, since compression only shows late.</summary>
    public double Inflation => _bodies == 0 ? 1 : Math.Max(1, (double)Length / _bodies);

    /// <summary>Makes the file in the store.</summary>
    /// <exception cref="StoreFailedException">The store or the format refused.</exception>
    public static async ValueTask<BucketFile> CreateAsync(Destination destination, string bucket, long first, long now, CancellationToken cancellationToken)
    {
        string path = destination.NewTemporaryPath(bucket);
        IStoreFile? file = null;
        try
        {
            file = await destination.Store.CreateAsync(path, cancellationToken);
            return new BucketFile(path, file, destination.Format, destination.Options.Compression, first, now);
        }
        catch (Exception exception)
        {
            if (file is not null)
            {
                await file.DisposeAsync();
            }

            cancellationToken.ThrowIfCancellationRequested();
            throw new StoreFailedException($"{path} could not be created: {exception.Message}", exception);
        }
    }

    /// <summary>Writes a run of events.</summary>
    /// <exception cref="StoreFailedException">What the file holds is undefined from then on.</exception>
    public void Write(EventRange events, long now)
    {
        try
        {
            _serializer.Write(events);
        }
        catch (Exception exception)
        {
            IsFailed = true;
            throw new StoreFailedException($"{TemporaryPath} could not be written: {exception.Message}", exception);
        }

        Count += events.Count;
        _bodies += events.Lines.Length;
        WrittenAt = now;
    }

    /// <summary>Ends the file: whole and durable. It is closed then, also where that failed.</summary>
    /// <exception cref="StoreFailedException">It is not whole; its range has to be read again.</exception>
    public async ValueTask CompleteAsync(CancellationToken cancellationToken)
    {
        try
        {
            _serializer.Finish();
            _serializer.Dispose();
            if (_compressor is not null)
            {
                await _compressor.DisposeAsync();
            }

            await _file.CompleteAsync(cancellationToken);
            _isClosed = true;
            await _file.DisposeAsync();
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            throw new StoreFailedException($"{TemporaryPath} could not be completed: {exception.Message}", exception);
        }
        finally
        {
            await CloseAsync();
        }
    }

    /// <summary>Closes a file that is not to be published, if that has not been done. Throws nothing: what cannot be closed is of no more use to anyone.</summary>
    public async ValueTask<Exception?> CloseAsync()
    {
        if (_isClosed)
        {
            return null;
        }

        _isClosed = true;
        _output.IsAbandoned = true;
        try
        {
            _serializer.Dispose();
            _compressor?.Dispose();
            await _file.DisposeAsync();
            return null;
        }
        catch (Exception exception)
        {
            return exception;
        }
    }

    public async ValueTask DisposeAsync() => await CloseAsync();

    /// <summary>Counts what passes; drops it once the file is abandoned, since compressors write when they are disposed.</summary>
    private sealed class CountingStream(Stream inner) : Stream
    {
        public long Count { get; private set; }

        public bool IsAbandoned { get; set; }

        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => Count;
            set => throw new NotSupportedException();
        }

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            if (!IsAbandoned)
            {
                inner.Write(buffer);
                Count += buffer.Length;
            }
        }

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (!IsAbandoned)
            {
                await inner.WriteAsync(buffer, cancellationToken);
                Count += buffer.Length;
            }
        }

        public override void Flush()
        {
            // Serializers and compressors flush when they like; the store's file decides by itself when bytes go out.
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();
    }
}
