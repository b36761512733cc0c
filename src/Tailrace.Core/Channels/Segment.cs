namespace Tailrace.Core.Channels;

/// <summary>A segment of the log as readers may see it. Changed only under the channel's gate.</summary>
internal sealed class Segment(SegmentHeader header, string path)
{
    private readonly List<(long Offset, long Position)> _index = [(header.BaseOffset, SegmentFormat.HeaderSize)];

    public string Path { get; } = path;

    public SegmentHeader Header { get; } = header;

    public long Number => Header.Number;

    public long BaseOffset => Header.BaseOffset;

    public uint Seed { get; } = FrameFormat.Seed(header.Channel, header.Number);

    /// <summary>Whether its header could not be read; nothing is appended to it then.</summary>
    public bool IsHeaderDamaged { get; init; }

    /// <summary>The offset behind its last event.</summary>
    public long EndOffset { get; set; } = header.BaseOffset;

    /// <summary>The file position behind its last frame.</summary>
    public long End { get; set; } = SegmentFormat.HeaderSize;

    /// <summary>How far it is known to have been synced before this start.</summary>
    public long Synced { get; set; }

    /// <summary>Frame bytes of all segments made before it, counted from an arbitrary zero: places in the log can be compared and subtracted.</summary>
    public long BytesBefore { get; set; }

    public long Bytes => End - SegmentFormat.HeaderSize;

    /// <summary>Notes where an offset's frame starts; ones closer than <paramref name="step"/> bytes to the last noted are left out.</summary>
    public void Note(long offset, long position, long step)
    {
        (long lastOffset, long lastPosition) = _index[^1];
        if (position - lastPosition >= step && offset > lastOffset)
        {
            _index.Add((offset, position));
        }
    }

    /// <summary>The start of a frame at or before the one that holds <paramref name="offset"/>.</summary>
    public long Floor(long offset)
    {
        int low = 0;
        int high = _index.Count - 1;
        while (low < high)
        {
            int middle = (low + high + 1) / 2;
            if (_index[middle].Offset <= offset)
            {
                low = middle;
            }
            else
            {
                high = middle - 1;
            }
        }

        return _index[low].Position;
    }
}
