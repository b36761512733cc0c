using System.Globalization;
using Microsoft.Win32.SafeHandles;

namespace Tailrace.Core.Channels;

/// <summary>
/// Makes a stopped channel sound again. A damaged stretch is copied aside and filled with frames that hold nothing, so that nothing else
/// in the segment moves; readers count the offsets that are missing then. Under the channel's lock. Every step leaves either the damage
/// or the repair, so a repair that was cut off is simply run again.
/// </summary>
internal sealed class ChannelRepair(string directory, long now)
{
    private readonly List<string> _actions = [];
    private readonly SegmentFiles _files = new();
    private long _lost;

    public RepairReport Run()
    {
        ChannelDirectory channel = ChannelDirectory.Read(directory);
        SegmentCheck check = ChannelTools.Check(channel);
        if (channel.Problems.Count + check.Found.Count == 0)
        {
            return new RepairReport(0, []);
        }

        RepairIdentity(channel);
        foreach (IGrouping<Segment, Damage> segment in check.Found.GroupBy(damage => damage.Segment))
        {
            RepairSegment(channel, segment.Key, segment);
        }

        RepairHeaders(channel);
        foreach (string path in channel.Problems.Select(problem => problem.File).Where(path => path.EndsWith(SegmentFormat.Extension, StringComparison.Ordinal) && !channel.Log.Segments.Exists(segment => segment.Path == path)))
        {
            _actions.Add($"{path} is set aside as {_files.SetAside(path)}.");
        }

        _files.SyncDirectory(ChannelDirectory.SegmentsOf(directory));
        RepairState();
        RepairCursors();
        return new RepairReport(_lost, _actions);
    }

    private void RepairIdentity(ChannelDirectory channel)
    {
        string path = Path.Combine(directory, ChannelIdentity.FileName);
        if (channel.Problems.Exists(problem => problem.File == path))
        {
            _files.Replace(path, ChannelIdentity.Encode(channel.Id, now));
            _actions.Add($"{path} is made again.");
        }
    }

    private void RepairSegment(ChannelDirectory channel, Segment segment, IEnumerable<Damage> damages)
    {
        string aside = Path.Combine(directory, "damaged");
        _files.CreateDirectory(aside);
        using SafeFileHandle file = File.OpenHandle(segment.Path, FileMode.Open, FileAccess.ReadWrite, FileShare.Read);
        foreach (Damage damage in damages)
        {
            string copy = Path.Combine(aside, string.Create(CultureInfo.InvariantCulture, $"{Path.GetFileName(segment.Path)}-{damage.From}"));
            if (!File.Exists(copy))
            {
                CopyAside(file, damage, copy);
            }

            if (damage.Frame is { } frame)
            {
                // The header is sound, and with it the positions of its origins: they stay.
                byte[] header = new byte[frame.HeaderLength];
                using (var reader = new SegmentReader(channel.Files, segment.Path, segment.Seed, 64 << 10))
                {
                    reader.Header(frame).CopyTo(header);
                }

                Fill(file, segment, frame.Position + frame.HeaderLength, frame.End, frame.EndOffset);
                DurableFile.SyncData(file);
                Advance[] advances = FrameFormat.ReadAdvances(header, frame.Advances);
                FrameFormat.Write(header, frame with { BlockLength = 0, Count = 0, BlockChecksum = 0 }, advances, segment.Seed);
                RandomAccess.Write(file, header, frame.Position);
            }
            else
            {
                Fill(file, segment, damage.From, damage.To, damage.ToOffset);
            }

            _lost += damage.ToOffset - damage.FromOffset;
            _actions.Add($"{segment.Path}: bytes {damage.From} to {damage.To} are cut out; offsets {damage.FromOffset} to {damage.ToOffset} are given up. What stood there is kept in {copy}.");
        }

        DurableFile.SyncData(file);
        _files.SyncDirectory(aside);
    }

    private static void CopyAside(SafeFileHandle file, Damage damage, string copy)
    {
        var bytes = new byte[Math.Min(damage.To - damage.From, 1 << 20)];
        using SafeFileHandle target = File.OpenHandle(copy, FileMode.CreateNew, FileAccess.Write, FileShare.Read);
        for (long at = damage.From; at < damage.To; at += bytes.Length)
        {
            int length = (int)Math.Min(bytes.Length, damage.To - at);
            int count = 0;
            try
            {
                count = RandomAccess.Read(file, bytes.AsSpan(0, length), at);
            }
            catch (IOException)
            {
                continue; // the disk does not give it back: there is nothing to keep
            }

            RandomAccess.Write(target, bytes.AsSpan(0, count), at - damage.From);
        }

        DurableFile.SyncData(target);
    }

    /// <summary>Writes frames without events or positions over a stretch.</summary>
    private static void Fill(SafeFileHandle file, Segment segment, long from, long to, long offset)
    {
        while (from < to)
        {
            // A frame is at least a header long: none may leave less than that behind it.
            long left = to - from;
            int length = (int)(left <= FrameFormat.MaxHeaderLength ? left : Math.Min(FrameFormat.MaxHeaderLength, left - FrameFormat.HeaderSize));
            var header = new byte[length];
            FrameFormat.Write(header, new Frame(FrameType.Batch, from, length, 0, offset, 0, 0, segment.Header.Created, from, 0), [], segment.Seed);
            RandomAccess.Write(file, header, from);
            from += length;
        }
    }

    private void RepairHeaders(ChannelDirectory channel)
    {
        List<Segment> segments = channel.Log.Segments;
        for (int i = 0; i < segments.Count; i++)
        {
            Segment segment = segments[i];
            bool isGap = i > 0 && segment.Header.Previous > segments[i - 1].Number;
            if (!segment.IsHeaderDamaged && !isGap)
            {
                continue;
            }

            if (isGap)
            {
                _lost += Math.Max(0, segment.BaseOffset - segments[i - 1].EndOffset);
            }

            long created = segment.Header.Created != 0 ? segment.Header.Created : i > 0 ? segments[i - 1].Header.Created : now;
            SegmentHeader header = i > 0
                ? segment.Header with { Created = created, Previous = segments[i - 1].Number, PreviousEnd = channel.WrittenEnd(i - 1) }
                : segment.Header with { Created = created };
            byte[] bytes = new byte[SegmentFormat.HeaderSize];
            SegmentFormat.Write(bytes, header);
            using SafeFileHandle file = File.OpenHandle(segment.Path, FileMode.Open, FileAccess.ReadWrite, FileShare.Read);
            RandomAccess.Write(file, bytes, 0);
            DurableFile.SyncData(file);
            _actions.Add($"{segment.Path}: its header is written again.");
        }
    }

    /// <summary>The snapshot is made again from what the segments say now.</summary>
    private void RepairState()
    {
        ChannelDirectory channel = ChannelDirectory.Read(directory);
        Segment? last = channel.Log.Segments.Count > 0 ? channel.Log.Segments[^1] : null;
        if (last is not null)
        {
            using SafeFileHandle file = File.OpenHandle(last.Path, FileMode.Open, FileAccess.ReadWrite, FileShare.Read);
            DurableFile.SyncData(file); // a snapshot never speaks for what a power cut could take
        }

        var state = new ChannelState
        {
            Channel = channel.Id,
            NextOffset = channel.End,
            Segment = last?.Number ?? 0,
            Position = last?.End ?? 0,
            Runs = [.. channel.Log.Runs.TakeLast(ChannelState.MaxRuns)],
            Origins = channel.Log.Origins,
        };
        state.Segments.AddRange(channel.Log.Segments.Select(each => new SegmentSummary(each.Number, each.BaseOffset, each.EndOffset, each.End)));
        _files.Replace(Path.Combine(directory, "state"), state.Encode().Span);
    }

    private void RepairCursors()
    {
        ChannelDirectory channel = ChannelDirectory.Read(directory);
        foreach ((string name, CursorRecord? cursor) in channel.Cursors)
        {
            if (cursor is { } known && known.Offset <= channel.End)
            {
                continue;
            }

            long offset = cursor is null ? channel.First : channel.End;
            using CursorFile file = CursorFile.Open(_files, ChannelDirectory.CursorOf(directory, name), channel.Id);
            file.Free = Math.Min(file.Free, offset);
            file.Write(offset, 0, now);
            file.Sync();
            _actions.Add($"The cursor of {name} is set to {offset}.");
        }
    }
}
