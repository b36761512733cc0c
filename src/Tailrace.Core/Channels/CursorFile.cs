using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;

namespace Tailrace.Core.Channels;

/// <summary>
/// A subscriber's durable cursor: a ring of records in a file that is written in full once and never grows, so that a full disk cannot
/// stop a commit. Each commit overwrites the oldest record; the sound record with the highest sequence counts, so a torn write costs the
/// last commit and no more.
/// </summary>
internal sealed class CursorFile : IDisposable
{
    public const int RecordSize = 64;
    private const int Slots = 128;
    private const byte Version = 1;
    private const int ContentLength = 48;

    private readonly Lock _gate = new();
    private readonly SegmentFiles _files;
    private readonly SafeFileHandle _file;
    private readonly uint _seed;
    private readonly byte[] _record = new byte[RecordSize];
    private long _sequence;
    private bool _dirty;
    private bool _isDoubtful; // a sync of the last record failed, or may have before this start: the system may call it clean

    private CursorFile(SegmentFiles files, SafeFileHandle file, uint seed)
    {
        _files = files;
        _file = file;
        _seed = seed;
    }

    /// <summary>The offset found at opening; null if no record could be read.</summary>
    public long? Found { get; private set; }

    /// <summary>Events below were retained, not waited for, when the cursor was set: having them read again makes no append wait. Written with the next cursor.</summary>
    public long Free { get; set; }

    /// <summary>Whether it holds something, but no record that can be read.</summary>
    public bool IsDamaged { get; private set; }

    /// <summary>Opens or makes the file.</summary>
    /// <exception cref="IOException">It could not be made, read or written.</exception>
    public static CursorFile Open(SegmentFiles files, string path, Guid channel)
    {
        SafeFileHandle handle = files.Open(path, FileMode.OpenOrCreate, FileAccess.ReadWrite);
        var cursor = new CursorFile(files, handle, FrameFormat.Seed(channel, 0));
        try
        {
            cursor.Load();
            if (cursor.Found is null)
            {
                // Also where the file is there: who made it may have been killed before its name was durable.
                files.Sync(handle);
                files.SyncDirectory(Path.GetDirectoryName(path)!);
            }

            return cursor;
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>What a cursor file says, without opening it for writing; null if there is none or no record can be read.</summary>
    /// <exception cref="IOException">It could not be read.</exception>
    public static CursorRecord? Read(string path, Guid channel) => File.Exists(path) ? Find(File.ReadAllBytes(path), FrameFormat.Seed(channel, 0)) : null;

    /// <summary>Notes the cursor. Survives the process, and a power cut once synced.</summary>
    /// <exception cref="IOException">The write failed; the cursor on disk is an earlier one.</exception>
    public void Write(long offset, ulong run, long time)
    {
        lock (_gate)
        {
            long sequence = _sequence + 1;
            Span<byte> record = _record;
            record.Clear();
            record[4] = Version;
            BinaryPrimitives.WriteInt64LittleEndian(record[8..], sequence);
            BinaryPrimitives.WriteInt64LittleEndian(record[16..], offset);
            BinaryPrimitives.WriteUInt64LittleEndian(record[24..], run);
            BinaryPrimitives.WriteInt64LittleEndian(record[32..], time);
            BinaryPrimitives.WriteInt64LittleEndian(record[40..], Free);
            BinaryPrimitives.WriteUInt32LittleEndian(record, Crc32C.Append(_seed, record[4..ContentLength]));
            WriteRecord(sequence);
        }
    }

    /// <summary>Makes the last cursor written survive a power cut.</summary>
    /// <exception cref="IOException">The sync failed.</exception>
    public void Sync()
    {
        lock (_gate)
        {
            if (_isDoubtful)
            {
                long sequence = _sequence + 1;
                Span<byte> record = _record;
                BinaryPrimitives.WriteInt64LittleEndian(record[8..], sequence);
                BinaryPrimitives.WriteUInt32LittleEndian(record, Crc32C.Append(_seed, record[4..ContentLength]));
                WriteRecord(sequence);
            }

            if (_dirty)
            {
                _isDoubtful = true;
                _files.Sync(_file);
                _isDoubtful = false;
                _dirty = false;
            }
        }
    }

    public void Dispose() => _file.Dispose();

    // Neighbouring records stand in different 4 KiB blocks: one bad block leaves the cursor one commit older.
    private static long Place(long sequence) => ((sequence % 2 * (Slots / 2)) + (sequence / 2 % (Slots / 2))) * RecordSize;

    private void WriteRecord(long sequence)
    {
        _files.Write(_file, _record, Place(sequence));
        _sequence = sequence;
        _dirty = true;
        _isDoubtful = false;
    }

    private void Load()
    {
        var content = new byte[Slots * RecordSize];
        int length = 0;
        while (length < content.Length)
        {
            int count = _files.Read(_file, content.AsSpan(length), length);
            if (count == 0)
            {
                break;
            }

            length += count;
        }

        if (Find(content, _seed) is { } found)
        {
            _sequence = found.Sequence;
            Found = found.Offset;
            Free = found.Free;
            content.AsSpan((int)Place(found.Sequence), RecordSize).CopyTo(_record);
            _isDoubtful = true;
        }

        IsDamaged = Found is null && content.AsSpan().ContainsAnyExcept((byte)0);
        if (length < content.Length)
        {
            _files.Write(_file, content.AsSpan(length), length);
        }
    }

    /// <summary>The newest sound record in the content of a file; null if there is none.</summary>
    private static CursorRecord? Find(ReadOnlySpan<byte> content, uint seed)
    {
        CursorRecord? newest = null;
        for (; content.Length >= RecordSize; content = content[RecordSize..])
        {
            ReadOnlySpan<byte> record = content[..RecordSize];
            long sequence = BinaryPrimitives.ReadInt64LittleEndian(record[8..]);
            if (record[4] == Version && sequence > (newest?.Sequence ?? 0) && BinaryPrimitives.ReadUInt32LittleEndian(record) == Crc32C.Append(seed, record[4..ContentLength]))
            {
                newest = new CursorRecord(
                    sequence,
                    BinaryPrimitives.ReadInt64LittleEndian(record[16..]),
                    BinaryPrimitives.ReadUInt64LittleEndian(record[24..]),
                    BinaryPrimitives.ReadInt64LittleEndian(record[32..]),
                    BinaryPrimitives.ReadInt64LittleEndian(record[40..]));
            }
        }

        return newest;
    }
}

/// <summary>A record of a cursor file.</summary>
/// <param name="Sequence">Grows by one with each.</param>
/// <param name="Offset">The cursor.</param>
/// <param name="Run">The run of the channel that wrote it.</param>
/// <param name="Time">When, in nanoseconds since 1970.</param>
/// <param name="Free">See <see cref="CursorFile.Free"/>.</param>
internal readonly record struct CursorRecord(long Sequence, long Offset, ulong Run, long Time, long Free);
