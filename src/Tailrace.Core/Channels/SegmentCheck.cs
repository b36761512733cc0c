namespace Tailrace.Core.Channels;

/// <summary>A place in a segment that cannot be read.</summary>
/// <param name="Segment">The segment.</param>
/// <param name="From">The first byte.</param>
/// <param name="To">The byte behind the last.</param>
/// <param name="Frame">The frame, where only its block is damaged; null where its header is.</param>
/// <param name="FromOffset">The first offset that is lost.</param>
/// <param name="ToOffset">The offset behind the last.</param>
internal sealed record Damage(Segment Segment, long From, long To, Frame? Frame, long FromOffset, long ToOffset);

/// <summary>Reads every frame and block of a channel.</summary>
internal sealed class SegmentCheck(ChannelDirectory directory)
{
    private const int Window = 1 << 20;

    public long Batches { get; private set; }

    public long Events { get; private set; }

    /// <summary>Events that are missing, in damaged places or where some were repaired.</summary>
    public long Missing { get; private set; }

    public List<Damage> Found { get; } = [];

    public void Run()
    {
        long expected = directory.First;
        for (int i = 0; i < directory.Log.Segments.Count; i++)
        {
            Segment segment = directory.Log.Segments[i];
            try
            {
                expected = Check(segment, directory.WrittenEnd(i), i + 1 < directory.Log.Segments.Count ? directory.Log.Segments[i + 1].BaseOffset : directory.End, expected);
            }
            catch (FileNotFoundException)
            {
                expected = Math.Max(expected, segment.EndOffset); // a running agent has deleted it meanwhile
            }
        }
    }

    private long Check(Segment segment, long end, long endOffset, long expected)
    {
        using var reader = new SegmentReader(directory.Files, segment.Path, segment.Seed, Window);
        long position = SegmentFormat.HeaderSize;
        expected = Skip(expected, segment.BaseOffset);
        while (position < end)
        {
            if (!TryReadHeader(reader, position, end, out Frame frame))
            {
                bool isFound = reader.TryFind(position + FrameFormat.Alignment, end, out Frame next);
                Found.Add(new Damage(segment, position, isFound ? next.Position : end, null, expected, isFound ? next.BaseOffset : endOffset));
                position = isFound ? next.Position : end;
                continue;
            }

            position = frame.End;
            if (frame.Type != FrameType.Batch)
            {
                continue;
            }

            if (IsSound(reader, frame))
            {
                expected = Math.Max(Skip(expected, frame.BaseOffset), frame.EndOffset);
                Batches += frame.Count > 0 ? 1 : 0;
                Events += frame.Count;
            }
            else
            {
                Found.Add(new Damage(segment, frame.Position, frame.End, frame, frame.BaseOffset, frame.EndOffset));
            }
        }

        return Skip(expected, endOffset);
    }

    private long Skip(long expected, long offset)
    {
        Missing += Math.Max(0, offset - expected);
        return Math.Max(expected, offset);
    }

    // What was read ahead may be older than what a running agent has written since: what seems damaged is looked at twice.
    private static bool TryReadHeader(SegmentReader reader, long position, long end, out Frame frame)
    {
        if (reader.TryReadHeader(position, end, out frame))
        {
            return true;
        }

        reader.Forget();
        return reader.TryReadHeader(position, end, out frame);
    }

    private static bool IsSound(SegmentReader reader, in Frame frame)
    {
        if (frame.Count == 0)
        {
            return reader.IsBlockSound(frame);
        }

        EventBatch? batch = reader.ReadBatch(frame);
        if (batch is null)
        {
            reader.Forget();
            batch = reader.ReadBatch(frame);
        }

        batch?.Dispose();
        return batch is not null;
    }
}
