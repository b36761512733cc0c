using Microsoft.Win32.SafeHandles;
using Tailrace.Core.Channels;

namespace Tailrace.Tests.Channels;

/// <summary>File operations that can be watched, held up or made to fail; syncs are left out where only what stands in the files matters.</summary>
internal sealed class TestFiles : SegmentFiles
{
    private readonly Dictionary<string, int> _counts = [];

    /// <summary>Asked before each operation with its name and path; what it returns is thrown.</summary>
    public Func<string, string, Exception?>? Fault { get; set; }

    public static IOException Broken => new("Input/output error", 5);

    public static IOException Full => new("No space left on device", OperatingSystem.IsWindows() ? unchecked((int)0x80070070) : 28);

    public int Count(string operation)
    {
        lock (_counts)
        {
            return _counts.GetValueOrDefault(operation);
        }
    }

    public override SequentialFile Create(string path) => Do("create", path, () => base.Create(path));

    public override SequentialFile Open(string path, long length) => Do("open", path, () => base.Open(path, length));

    public override void Write(SequentialFile file, ReadOnlySpan<byte> bytes)
    {
        Check("write", file.Path);
        base.Write(file, bytes);
    }

    public override void Flush(SequentialFile file)
    {
        Check("flush", file.Path);
        base.Flush(file);
    }

    public override void Sync(SequentialFile file)
    {
        Check("sync", file.Path);
        base.Flush(file);
    }

    public override void Sync(SafeFileHandle file) => Check("cursor", "");

    public override void CreateDirectory(string path) => Directory.CreateDirectory(path);

    public override void Complete(SequentialFile file)
    {
        Check("complete", file.Path);
        base.Flush(file);
        using SafeFileHandle handle = File.OpenHandle(file.Path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
        RandomAccess.SetLength(handle, file.Length);
    }

    public override void Delete(string path)
    {
        Check("delete", path);
        base.Delete(path);
    }

    public override void SyncDirectory(string path) => Check("directory", path);

    public override int Read(SafeFileHandle file, Span<byte> bytes, long position)
    {
        Check("read", "");
        return base.Read(file, bytes, position);
    }

    public override void Replace(string path, ReadOnlySpan<byte> content)
    {
        Check("replace", path);
        File.WriteAllBytes(path, content);
    }

    private T Do<T>(string operation, string path, Func<T> act)
    {
        Check(operation, path);
        return act();
    }

    private void Check(string operation, string path)
    {
        lock (_counts)
        {
            _counts[operation] = _counts.GetValueOrDefault(operation) + 1;
        }

        if (Fault?.Invoke(operation, path) is { } exception)
        {
            throw exception;
        }
    }
}

/// <summary>Opens file channels and looks into their segments.</summary>
internal static class TestFileChannel
{
    public static FileChannel OpenFile(this TestContext context, TestFiles? files = null, long capacity = 64 << 20, string sync = "batch", long cache = 8 << 20) =>
        FileChannel.Open(new FileChannelOptions { Capacity = new ByteSize(capacity), Sync = sync, Cache = new ByteSize(cache), SegmentSize = new ByteSize(1 << 20) }, context, files ?? new TestFiles());

    /// <summary>The frames of a segment that are whole.</summary>
    public static List<Frame> Frames(string path)
    {
        var frames = new List<Frame>();
        var files = new SegmentFiles();
        SegmentHeader header = Recovery.ReadHeader(files, path)!.Value;
        using var reader = new SegmentReader(files, path, FrameFormat.Seed(header.Channel, header.Number), 64 << 10);
        long position = SegmentFormat.HeaderSize;
        while (reader.TryReadHeader(position, reader.FileLength, out Frame frame))
        {
            frames.Add(frame);
            position = frame.End;
        }

        return frames;
    }
}
