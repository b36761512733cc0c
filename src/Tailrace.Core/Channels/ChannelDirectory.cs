using Microsoft.Extensions.Logging.Abstractions;

namespace Tailrace.Core.Channels;

/// <summary>A file channel's directory as it stands: what recovery would make of it, found out without a lock and without changing a byte.</summary>
internal sealed class ChannelDirectory
{
    private const int Tries = 5;
    private const long IndexStep = 64 << 10;

    private readonly ReadOnlyFiles _files = new();

    private ChannelDirectory(string path) => Root = path;

    public string Root { get; }

    public Guid Id { get; private set; }

    public ChannelState? State { get; private set; }

    public Recovered Log { get; private set; } = null!;

    /// <summary>The offset behind the last event.</summary>
    public long End => Log.NextOffset;

    /// <summary>The oldest offset there is.</summary>
    public long First => Log.Segments.Count > 0 ? Log.Segments[0].BaseOffset : End;

    /// <summary>Subscribers by name; null for a cursor that cannot be read.</summary>
    public SortedDictionary<string, CursorRecord?> Cursors { get; } = new(StringComparer.Ordinal);

    public List<ChannelProblem> Problems { get; } = [];

    public SegmentFiles Files => _files;

    public static string SegmentsOf(string directory) => Path.Combine(directory, "segments");

    public static string CursorOf(string directory, string subscriber) => Path.Combine(directory, "subscribers", subscriber, "cursor");

    /// <summary>Reads a directory.</summary>
    /// <exception cref="ChannelException">It holds no file channel, or could not be read.</exception>
    public static ChannelDirectory Read(string path)
    {
        path = Path.GetFullPath(path);
        if (!Directory.Exists(SegmentsOf(path)))
        {
            throw new ChannelException($"{path} is no file channel: there is no directory {SegmentsOf(path)}. A channel lies in DATA/channels/NAME.");
        }

        for (int i = 1; ; i++)
        {
            try
            {
                var directory = new ChannelDirectory(path);
                directory.Load();
                return directory;
            }
            catch (FileNotFoundException) when (i < Tries)
            {
                continue; // a running agent has deleted a segment meanwhile
            }
            catch (Exception exception) when (exception is (IOException or UnauthorizedAccessException) and not ChannelException)
            {
                throw new ChannelException($"{path} could not be read. {exception.Message}", exception);
            }
        }
    }

    /// <summary>How far a segment is known to have been written: what does not stand before that is damage.</summary>
    public long WrittenEnd(int index)
    {
        Segment segment = Log.Segments[index];
        long known = index + 1 < Log.Segments.Count && Log.Segments[index + 1].Header.Previous == segment.Number ? Log.Segments[index + 1].Header.PreviousEnd : 0;
        return Math.Max(segment.End, Math.Max(known, State?.Segment == segment.Number ? State.Position : 0));
    }

    /// <summary>Walks the batches that hold offsets from <paramref name="from"/> to below <paramref name="to"/>; each is given back when the next is asked for. What is damaged is passed over.</summary>
    public IEnumerable<(EventRange Events, long Offset)> ReadEvents(long from, long to)
    {
        for (int i = 0; i < Log.Segments.Count; i++)
        {
            Segment segment = Log.Segments[i];
            if (segment.EndOffset <= from || segment.BaseOffset >= to)
            {
                continue;
            }

            using var reader = new SegmentReader(_files, segment.Path, segment.Seed, 1 << 20);
            long position = segment.Floor(from);
            while (position < segment.End && (reader.TryReadHeader(position, segment.End, out Frame frame) || reader.TryFind(position, segment.End, out frame)) && frame.BaseOffset < to)
            {
                position = frame.End;
                if (frame.Count == 0 || frame.EndOffset <= from || reader.ReadBatch(frame) is not { } batch)
                {
                    continue;
                }

                using (batch)
                {
                    long start = Math.Max(from, frame.BaseOffset);
                    yield return (batch.All.Skip((int)(start - frame.BaseOffset)).Take((int)(Math.Min(to, frame.EndOffset) - start)), start);
                }
            }
        }
    }

    private void Load()
    {
        string identity = Path.Combine(Root, ChannelIdentity.FileName);
        string segments = SegmentsOf(Root);
        if (!File.Exists(identity) || !ChannelIdentity.TryRead(File.ReadAllBytes(identity), out Guid id, out byte version))
        {
            id = ChannelIdentity.FindInSegments(_files, segments)
                ?? throw new ChannelException($"{identity} is missing or damaged, and no segment tells whose it is: nothing can be read.");
            Problems.Add(new ChannelProblem(identity, 0, 0, "It is missing or damaged. It is made again from the segments."));
        }
        else if (version != ChannelIdentity.Version)
        {
            throw new ChannelException($"{identity} has version {version}; this Tailrace reads version {ChannelIdentity.Version}. It was made by a newer one.");
        }

        Id = id;
        LoadCursors(); // before the log, which only grows
        State = LoadState();
        Log = new Recovery(_files, segments, id, State, IndexStep, NullLogger.Instance).Run();
        Problems.AddRange(_files.Unusable.Select(path => new ChannelProblem(path, 0, new FileInfo(path).Length, "Nothing in it can be read.")));
        for (int i = 0; i < Log.Segments.Count; i++)
        {
            Segment segment = Log.Segments[i];
            if (segment.IsHeaderDamaged)
            {
                Problems.Add(new ChannelProblem(segment.Path, 0, SegmentFormat.HeaderSize, "Its header is damaged; its frames can be read."));
            }
            else if (i > 0 && segment.Header.Previous > Log.Segments[i - 1].Number)
            {
                Problems.Add(new ChannelProblem(segment.Path, 0, 0, $"A segment before it is missing: offsets {Log.Segments[i - 1].EndOffset} to {segment.BaseOffset} are lost where they were not delivered."));
            }
        }

        foreach ((string name, CursorRecord? cursor) in Cursors)
        {
            if (cursor is null)
            {
                Problems.Add(new ChannelProblem(CursorOf(Root, name), 0, 0, $"It is damaged: {name} starts again at the oldest event retained."));
            }
            else if (cursor.Value.Offset > End)
            {
                Problems.Add(new ChannelProblem(CursorOf(Root, name), 0, 0, $"The cursor stands at {cursor.Value.Offset}, beyond the log's end {End}: the log has lost its tail."));
            }
        }
    }

    private void LoadCursors()
    {
        string subscribers = Path.Combine(Root, "subscribers");
        foreach (string each in Directory.Exists(subscribers) ? Directory.GetDirectories(subscribers) : [])
        {
            string name = Path.GetFileName(each);
            if (File.Exists(CursorOf(Root, name)))
            {
                Cursors.Add(name, CursorFile.Read(CursorOf(Root, name), Id));
            }
        }
    }

    private ChannelState? LoadState()
    {
        string path = Path.Combine(Root, "state");
        if (!File.Exists(path))
        {
            return null;
        }

        try
        {
            ChannelState state = ChannelState.Decode(File.ReadAllBytes(path));
            if (state.Channel == Id)
            {
                return state;
            }

            Problems.Add(new ChannelProblem(path, 0, 0, "It belongs to another channel. It is made again from the segments."));
        }
        catch (InvalidDataException exception)
        {
            Problems.Add(new ChannelProblem(path, 0, 0, $"{exception.Message} It is made again from the segments; origins that only it knew start anew."));
        }

        return null;
    }

    /// <summary>Lets recovery look without touching.</summary>
    private sealed class ReadOnlyFiles : SegmentFiles
    {
        public List<string> Unusable { get; } = [];

        public override void Delete(string path)
        {
            // what recovery would delete was never acknowledged or is delivered
        }

        public override string SetAside(string path)
        {
            Unusable.Add(path);
            return path;
        }
    }
}
