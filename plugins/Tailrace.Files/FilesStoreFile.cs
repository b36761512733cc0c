namespace Tailrace.Files;

/// <summary>A temporary file of <see cref="FilesStore"/>: a stream over a <see cref="SequentialFile"/>.</summary>
internal sealed class FilesStoreFile(SequentialFile file, Action closed) : Stream, IStoreFile
{
    private bool _isClosed;

    public Stream Content => this;

    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => file.Length;

    public override long Position
    {
        get => file.Length;
        set => throw new NotSupportedException();
    }

    public ValueTask CompleteAsync(CancellationToken cancellationToken)
    {
        file.Complete();
        return default;
    }

    public override void Write(byte[] buffer, int offset, int count) => file.Write(buffer.AsSpan(offset, count));

    public override void Write(ReadOnlySpan<byte> buffer) => file.Write(buffer);

    public override void Flush()
    {
        // Bytes gather until the buffer is full or the file is complete.
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override ValueTask DisposeAsync()
    {
        Dispose();
        return base.DisposeAsync();
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing && !_isClosed)
        {
            _isClosed = true;
            file.Dispose();
            closed();
        }

        base.Dispose(disposing);
    }
}
