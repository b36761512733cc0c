using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;

namespace Tailrace.Core.Channels;

/// <summary>What a channel's directory says at start.</summary>
/// <param name="Segments">The segments, oldest first.</param>
/// <param name="Origins">The positions of all origins.</param>
/// <param name="Runs">The starts of the channel.</param>
/// <param name="NextOffset">The offset the next event gets.</param>
/// <param name="LastNumber">The highest segment number ever used.</param>
/// <param name="CanContinue">Whether the newest segment can be appended to; false where it is damaged in the middle, or there is none.</param>
internal sealed record Recovered(List<Segment> Segments, OriginTable Origins, List<ChannelRun> Runs, long NextOffset, long LastNumber, bool CanContinue);

/// <summary>Finds out what a channel's directory holds. Reports damage and works around it; never refuses because of it.</summary>
internal sealed partial class Recovery(SegmentFiles files, string directory, Guid channel, ChannelState? state, long indexStep, ILogger logger)
{
    private const int Window = 1 << 20;
    private const int HeaderWindow = 64 << 10; // where blocks are passed over

    private readonly SegmentFiles _files = files;
    private readonly string _directory = directory;
    private readonly Guid _channel = channel;
    private readonly ChannelState? _state = state;
    private readonly long _indexStep = indexStep;
    private readonly ILogger _logger = logger;
    private readonly OriginTable _origins = state?.Origins ?? new OriginTable();
    private readonly List<ChannelRun> _runs = state?.Runs ?? [];
    private long _lastSeen;

    public static SegmentHeader? ReadHeader(SegmentFiles files, string path)
    {
        using SafeFileHandle file = files.OpenToRead(path);
        var bytes = new byte[SegmentFormat.HeaderSize];
        try
        {
            int count = files.Read(file, bytes, 0);
            return SegmentFormat.TryRead(bytes.AsSpan(0, count), out SegmentHeader header) ? header : null;
        }
        catch (IOException)
        {
            return null; // judged as damaged by the caller, who reports it
        }
    }

    public Recovered Run()
    {
        List<Segment> segments = Chain(List());
        long before = 0;
        bool canContinue = segments.Count > 0;
        long next = _state?.NextOffset ?? 0;
        for (int i = 0; i < segments.Count; i++)
        {
            Segment segment = segments[i];
            segment.BytesBefore = before;
            bool isNewest = i == segments.Count - 1;
            SegmentSummary summary = _state?.Segments.Find(known => known.Number == segment.Number) ?? default;
            if (!isNewest && summary.Number != 0 && segment.Number < _state!.Segment)
            {
                segment.EndOffset = summary.EndOffset;
                segment.End = summary.End;
            }
            else
            {
                long? limit = !isNewest && segments[i + 1].Header.Previous == segment.Number ? segments[i + 1].Header.PreviousEnd : null;
                canContinue = Scan(segment, limit, isNewest) && !segment.IsHeaderDamaged;
            }

            before += segment.Bytes;
            next = Math.Max(next, Math.Max(segment.EndOffset, segment.BaseOffset));
        }

        if (segments.Count > 0 && segments[^1].EndOffset < next)
        {
            Log.EndsEarly(_logger, segments[^1].Path, segments[^1].EndOffset, next);
        }

        long last = Math.Max(segments.Count > 0 ? segments[^1].Number : 0, Math.Max(_state?.Segment ?? 0, _lastSeen));
        return new Recovered(segments, _origins, _runs, next, last, canContinue);
    }

    private List<Segment> List()
    {
        var segments = new List<Segment>();
        var damaged = new List<string>();
        foreach (string path in _files.ListSegments(_directory).Order(StringComparer.Ordinal))
        {
            if (SegmentFormat.BaseOffset(path) < 0)
            {
                continue;
            }

            SegmentHeader? header = ReadHeader(_files, path);
            if (header is { } found && found.Channel == _channel && IsNameOf(path, found))
            {
                segments.Add(new Segment(found, path));
            }
            else
            {
                damaged.Add(path);
            }
        }

        foreach (string path in damaged)
        {
            if (Rescue(path, segments) is { } segment)
            {
                segments.Add(segment);
            }
        }

        segments.Sort((one, other) => one.Number.CompareTo(other.Number));
        return segments;
    }

    // A header that a disk has put into the wrong file is as sound as any.
    private static bool IsNameOf(string path, in SegmentHeader header) =>
        Path.GetFileName(path) is var name && (name == SegmentFormat.FileName(header.BaseOffset) || name == SegmentFormat.FileName(header.BaseOffset, header.Number));

    /// <summary>A segment whose header is damaged: its number is guessed from its neighbours, and its frames' checksums prove the guess.</summary>
    private Segment? Rescue(string path, List<Segment> segments)
    {
        long baseOffset = SegmentFormat.BaseOffset(path);
        long below = segments.Where(other => other.BaseOffset <= baseOffset).Select(other => other.Number).DefaultIfEmpty().Max();
        long above = segments.Where(other => other.BaseOffset > baseOffset).Select(other => other.Number).DefaultIfEmpty().Min();
        long known = _state?.Segments.Find(other => other.BaseOffset == baseOffset).Number ?? 0;
        long length = _files.GetLength(path);
        foreach (long number in new[] { known, below + 1, above - 1, 1 })
        {
            if (number <= 0)
            {
                continue;
            }

            var segment = new Segment(new SegmentHeader(_channel, number, baseOffset, 0, 0, 0), path) { IsHeaderDamaged = true };
            using var reader = new SegmentReader(_files, path, segment.Seed, Window);
            if (reader.TryFind(SegmentFormat.HeaderSize, length, out _))
            {
                Log.HeaderDamaged(_logger, path);
                return segment;
            }
        }

        // A segment that was being made at a crash holds nothing yet; anything else is kept for whoever wants to look at it.
        using (var reader = new SegmentReader(_files, path, 0, Window))
        {
            if (length <= SegmentFormat.HeaderSize || reader.IsZero(SegmentFormat.HeaderSize, length))
            {
                _files.Delete(path);
                return null;
            }
        }

        Log.SetAside(_logger, path, _files.SetAside(path));
        return null;
    }

    /// <summary>Follows the headers from the newest segment back: what they pass over was never acknowledged, what the snapshot has left behind was delivered.</summary>
    private List<Segment> Chain(List<Segment> found)
    {
        var chain = new List<Segment>();
        long expected = 0;
        for (int i = found.Count - 1; i >= 0; i--)
        {
            Segment segment = found[i];
            _lastSeen = Math.Max(_lastSeen, segment.Number);
            bool isPassedOver = expected != 0 && segment.Number > expected;
            bool isLeftOver = _state is not null && segment.Number < _state.Segment && !_state.Segments.Exists(known => known.Number == segment.Number);
            if (isPassedOver || isLeftOver)
            {
                _files.Delete(segment.Path);
                continue;
            }

            chain.Add(segment);
            expected = segment.Header.Previous;
        }

        chain.Reverse();
        foreach (SegmentSummary known in _state?.Segments ?? [])
        {
            if (!chain.Exists(segment => segment.Number == known.Number))
            {
                Log.SegmentMissing(_logger, known.Number, _directory, known.BaseOffset, known.EndOffset);
            }
        }

        return chain;
    }

    /// <summary>Reads the frames that the snapshot does not cover; in the newest segment all of them, blocks too. True if the segment ends well.</summary>
    private bool Scan(Segment segment, long? end, bool isNewest)
    {
        using var reader = new SegmentReader(_files, segment.Path, segment.Seed, isNewest ? Window : HeaderWindow);
        long limit = Math.Min(end ?? long.MaxValue, reader.FileLength);
        long covered = _state is null || segment.Number > _state.Segment ? 0 : segment.Number == _state.Segment ? _state.Position : long.MaxValue;
        segment.Synced = Math.Min(covered, limit);
        long position = SegmentFormat.HeaderSize;
        long proven = -1; // how far later frames, or the snapshot, prove the segment to have been synced; found out when it matters
        bool isSound = true;
        while (position < limit)
        {
            bool isHeader = reader.TryReadHeader(position, limit, out Frame frame);
            if (isHeader && (!isNewest || reader.IsBlockSound(frame)))
            {
                position = Accept(reader, segment, frame, covered);
                continue;
            }

            if (proven < 0)
            {
                proven = isNewest ? Math.Max(GetProven(reader, position, limit), Math.Min(covered, limit)) : limit;
            }

            if (position >= proven)
            {
                break; // never synced: a torn tail
            }

            isSound = false;
            if (isHeader)
            {
                Log.Damaged(_logger, segment.Path, position, frame.End, frame.BaseOffset, frame.EndOffset);
                position = Accept(reader, segment, frame, covered);
                continue;
            }

            if (!reader.TryFind(position + FrameFormat.Alignment, limit, out Frame next))
            {
                Log.Damaged(_logger, segment.Path, position, limit, segment.EndOffset, segment.EndOffset);
                break;
            }

            Log.Damaged(_logger, segment.Path, position, next.Position, segment.EndOffset, next.BaseOffset);
            position = next.Position;
        }

        if (isNewest && isSound && position < limit && !reader.IsZero(position, limit))
        {
            Log.TornTail(_logger, segment.Path, position, limit);
        }

        return isSound && reader.Error is null;
    }

    private long Accept(SegmentReader reader, Segment segment, in Frame frame, long covered)
    {
        segment.Note(frame.BaseOffset, frame.Position, _indexStep);
        segment.End = frame.End;
        segment.Synced = Math.Max(segment.Synced, frame.Durable);
        segment.EndOffset = Math.Max(segment.EndOffset, frame.EndOffset);
        if (frame.Position < covered)
        {
            return frame.End;
        }

        if (frame.Type == FrameType.Run)
        {
            _runs.Add(new ChannelRun(FrameFormat.ReadRun(reader.Header(frame)), frame.BaseOffset));
            return frame.End;
        }

        try
        {
            foreach (Advance advance in FrameFormat.ReadAdvances(reader.Header(frame), frame.Advances))
            {
                _origins.Set(advance.Origin, advance.To, advance.Attributes, frame.Time);
            }
        }
        catch (InvalidDataException)
        {
            Log.Damaged(_logger, segment.Path, frame.Position, frame.Position + frame.HeaderLength, frame.BaseOffset, frame.BaseOffset);
        }

        return frame.End;
    }

    private static long GetProven(SegmentReader reader, long position, long limit)
    {
        long proven = 0;
        position += FrameFormat.Alignment;
        while (reader.TryReadHeader(position, limit, out Frame frame) || reader.TryFind(position, limit, out frame))
        {
            proven = Math.Max(proven, frame.Durable);
            position = frame.End;
        }

        return proven;
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Warning, Message = "{File} ends in bytes {From} to {To} of a write that was cut off; they were never acknowledged and are cut.")]
        public static partial void TornTail(ILogger logger, string file, long from, long to);

        [LoggerMessage(Level = LogLevel.Error, Message = "{File} is damaged from byte {From} to {To}: offsets {FromOffset} to {ToOffset} are lost where they were not delivered yet. The file is kept as it is; the disk should be checked.")]
        public static partial void Damaged(ILogger logger, string file, long from, long to, long fromOffset, long toOffset);

        [LoggerMessage(Level = LogLevel.Error, Message = "The header of {File} is damaged; its frames can be read. The disk should be checked.")]
        public static partial void HeaderDamaged(ILogger logger, string file);

        [LoggerMessage(Level = LogLevel.Error, Message = "{File} holds nothing that can be read and is set aside as {Aside}. The disk should be checked.")]
        public static partial void SetAside(ILogger logger, string file, string aside);

        [LoggerMessage(Level = LogLevel.Error, Message = "Segment {Number} is missing in {Directory}: offsets {From} to {To} are lost where they were not delivered yet.")]
        public static partial void SegmentMissing(ILogger logger, long number, string directory, long from, long to);

        [LoggerMessage(Level = LogLevel.Error, Message = "{File} ends at offset {Found}, but the snapshot knows offsets up to {Next}: the events between are lost. New events go on from {Next}.")]
        public static partial void EndsEarly(ILogger logger, string file, long found, long next);
    }
}
