using System.Buffers;
using System.Buffers.Binary;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;

namespace Tailrace.Core.Storage;

/// <summary>
/// The file in which a storage sink writes down what it is about to publish and what it has published. Appended records are durable when
/// <see cref="SyncAsync"/> after them has completed; callers that wait at the same time share one sync. Safe to call from any thread.
/// A failed write or sync is final: the sink starts again and with it a new file, since a file whose sync has failed proves nothing.
/// </summary>
internal sealed partial class StorageJournal : IDisposable
{
    /// <summary>The longest a journal may grow before it is replaced by a snapshot (or to twice its last snapshot).</summary>
    public const int SnapshotLength = 1 << 20;

    private const int HeaderLength = 16;
    private const uint Magic = 0x4A53_5254; // "TRSJ", little-endian
    private const byte Version = 1;
    private const int MaxFile = 1 << 30;

    private readonly string _directory;
    private readonly string _path;
    private readonly Lock _gate = new();
    private readonly SemaphoreSlim _writing = new(1, 1);
    private readonly ArrayBufferWriter<byte> _pending = new();
    private readonly JournalState _state = new();
    private SafeFileHandle? _file;
    private long _length;
    private long _snapshotAbove = SnapshotLength;
    private long _appended;
    private long _synced;
    private Exception? _failure;

    private StorageJournal(string directory)
    {
        _directory = directory;
        _path = Path.Combine(directory, "journal");
    }

    /// <summary>What has been read and recorded. To be read and changed only between <see cref="Open"/> and the first record, by one thread.</summary>
    public JournalState State => _state;

    /// <summary>
    /// Reads the journal of a directory; an empty one if there is none. A record that is not whole ends it: at the end of the file that is
    /// what a crash leaves; elsewhere it is damage, which is reported, and the damaged file is kept beside it. What is known is then older
    /// than what was published, so that events may be published twice, but none is lost. Nothing is written before <see cref="Restart"/>.
    /// </summary>
    /// <exception cref="IOException">It could not be read.</exception>
    /// <exception cref="InvalidDataException">It was written by a newer Tailrace.</exception>
    public static StorageJournal Open(string directory, ILogger logger)
    {
        var journal = new StorageJournal(directory);
        if (File.Exists(journal._path))
        {
            if (new FileInfo(journal._path).Length > MaxFile)
            {
                throw new InvalidDataException($"{journal._path} is larger than any storage sink's journal. Move it away; the sink then goes on from the channel's cursor and may publish some events twice.");
            }

            journal.Load(File.ReadAllBytes(journal._path), logger);
        }

        return journal;
    }

    /// <summary>Replaces the file by one that holds the state and nothing else, durably. Called once the state is what it shall be, before the first record.</summary>
    /// <exception cref="IOException">It could not be written.</exception>
    public void Restart()
    {
        DurableFile.CreateDirectory(_directory);
        _state.Prune();
        Replace(Snapshot());
    }

    /// <summary>Records that a file is about to be published.</summary>
    public void Intend(string bucket, JournalIntent intent)
    {
        lock (_gate)
        {
            _state.Intend(bucket, intent);
            JournalState.WriteIntent(_pending, bucket, intent);
            _appended++;
        }
    }

    /// <summary>Records that everything of a bucket below <paramref name="end"/> is published.</summary>
    public void Commit(string bucket, long end, long low)
    {
        lock (_gate)
        {
            _state.Commit(bucket, end, low);
            JournalState.WriteCommit(_pending, bucket, end, low);
            _appended++;
        }
    }

    /// <summary>Records that nothing is left to publish below <paramref name="low"/>.</summary>
    public void Advance(long low)
    {
        lock (_gate)
        {
            _state.Advance(low);
            JournalState.WriteLow(_pending, low);
            _appended++;
        }
    }

    /// <summary>Completes when everything recorded before the call is durable.</summary>
    /// <exception cref="IOException">It could not be written; the journal is of no more use.</exception>
    public async Task SyncAsync(CancellationToken cancellationToken)
    {
        long wanted;
        lock (_gate)
        {
            wanted = _appended;
        }

        await _writing.WaitAsync(cancellationToken);
        try
        {
            if (_synced < wanted)
            {
                WriteOut();
            }
        }
        finally
        {
            _writing.Release();
        }
    }

    public void Dispose()
    {
        _file?.Dispose();
        _writing.Dispose();
    }

    private void WriteOut()
    {
        if (_failure is not null)
        {
            throw new IOException($"{_path} could not be written earlier: {_failure.Message}", _failure);
        }

        byte[] bytes;
        bool replace;
        long upTo;
        lock (_gate)
        {
            upTo = _appended;
            replace = _length + _pending.WrittenCount > _snapshotAbove;
            if (replace)
            {
                _state.Prune();
            }

            bytes = replace ? Snapshot() : _pending.WrittenSpan.ToArray();
            _pending.ResetWrittenCount();
        }

        try
        {
            if (replace)
            {
                Replace(bytes);
            }
            else
            {
                RandomAccess.Write(_file!, bytes, _length);
                DurableFile.SyncData(_file!);
                _length += bytes.Length;
            }
        }
        catch (Exception exception)
        {
            _failure = exception;
            throw;
        }

        _synced = upTo;
    }

    private byte[] Snapshot()
    {
        var output = new ArrayBufferWriter<byte>(4096);
        Span<byte> header = output.GetSpan(HeaderLength)[..HeaderLength];
        header.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(header, Magic);
        header[4] = Version;
        BinaryPrimitives.WriteUInt32LittleEndian(header[12..], Crc32C.Compute(header[..12]));
        output.Advance(HeaderLength);
        _state.WriteSnapshot(output);
        return output.WrittenSpan.ToArray();
    }

    private void Replace(byte[] bytes)
    {
        string next = _path + ".new";
        var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, Share = FileShare.Read, BufferSize = 0 };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite; // the configuration may hold secrets
        }

        using (var file = new FileStream(next, options))
        {
            file.Write(bytes);
            DurableFile.SyncData(file.SafeFileHandle);
        }

        _file?.Dispose(); // Windows replaces no open file
        _file = null;
        DurableFile.Replace(next, _path);
        DurableFile.SyncDirectory(_directory);
        _file = File.OpenHandle(_path, FileMode.Open, FileAccess.Write, FileShare.Read);
        _length = bytes.Length;
        _snapshotAbove = Math.Max(SnapshotLength, 2L * bytes.Length);
    }

    private void Load(ReadOnlySpan<byte> bytes, ILogger logger)
    {
        int position = HeaderLength;
        bool sound = bytes.Length >= HeaderLength
            && BinaryPrimitives.ReadUInt32LittleEndian(bytes) == Magic
            && BinaryPrimitives.ReadUInt32LittleEndian(bytes[12..]) == Crc32C.Compute(bytes[..12]);
        if (sound && bytes[4] != Version)
        {
            throw new InvalidDataException($"{_path} has version {bytes[4]}; this Tailrace reads version {Version}. It was written by a newer one.");
        }

        while (sound && position < bytes.Length && _state.TryApply(bytes[position..], out int length))
        {
            position += length;
        }

        if (!sound || _state.Configuration is null || (position < bytes.Length && HasRecord(bytes[(position + 1)..])))
        {
            // A replaced file is whole before it gets its name, so its start is never torn.
            File.Copy(_path, _path + ".damaged", overwrite: true);
            Log.Damaged(logger, _path, sound ? position : 0, bytes.Length);
        }
        else if (position < bytes.Length)
        {
            Log.Torn(logger, _path, bytes.Length - position, position);
        }
    }

    private static bool HasRecord(ReadOnlySpan<byte> bytes)
    {
        for (int i = 0; i + JournalState.RecordOverhead <= bytes.Length; i++)
        {
            if (bytes[i + 3] == 0 && JournalState.TryFrame(bytes[i..], out _))
            {
                return true;
            }
        }

        return false;
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Error, "{Path} is damaged at byte {Position} of {Length}: what is recorded behind it is not known, and files published since then may be published again. The damaged file is kept with the ending .damaged.")]
        public static partial void Damaged(ILogger logger, string path, int position, int length);

        [LoggerMessage(2, LogLevel.Information, "The last {Length} bytes of {Path}, from byte {Position}, are a record that a crash cut off; they are dropped.")]
        public static partial void Torn(ILogger logger, string path, int length, int position);
    }
}
