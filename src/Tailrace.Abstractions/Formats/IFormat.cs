namespace Tailrace;

/// <summary>How events become the bytes of a file: text, JSON lines, Parquet.</summary>
public interface IFormat
{
    /// <summary>The extension of a file of this format, without a dot: <c>log</c>, <c>json</c>.</summary>
    string Extension { get; }

    /// <summary>True if the file may be compressed as a whole (gzip, zstd); false if the format compresses inside.</summary>
    bool Compressible { get; }

    /// <summary>Starts a file.</summary>
    /// <param name="output">Where its bytes go. The serializer does not dispose it.</param>
    IEventSerializer CreateSerializer(Stream output);
}

/// <summary>Writes the events of one file. One thread at a time.</summary>
public interface IEventSerializer : IDisposable
{
    /// <summary>Bytes of events taken that have not reached the output yet; what a roll by size adds to the bytes written.</summary>
    long Buffered { get; }

    /// <summary>Writes a run of events. May keep them until <see cref="Finish"/>, but not the batch itself beyond the call.</summary>
    void Write(EventRange events);

    /// <summary>Writes what is left, footers included. Called once, last.</summary>
    void Finish();
}
