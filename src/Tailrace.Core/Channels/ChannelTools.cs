using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging.Abstractions;
using Tailrace.Core.Configuration;
using Tailrace.Core.Formats;
using Tailrace.Core.Storage;

namespace Tailrace.Core.Channels;

/// <summary>What the <c>channel</c> commands do. Looking takes no lock and changes nothing, so it works beside a running agent; replay and repair need the channel stopped.</summary>
public static class ChannelTools
{
    internal const string OrphanFile = "orphaned";

    /// <summary>The channels of a data directory, by name.</summary>
    /// <exception cref="ChannelException">The directory is no data directory of an agent, or a channel could not be read.</exception>
    public static IReadOnlyList<ChannelReport> List(string data)
    {
        string channels = Path.Combine(Path.GetFullPath(data), "channels");
        return Directory.Exists(channels)
            ? [.. Directory.GetDirectories(channels).Order(StringComparer.Ordinal).Where(IsChannel).Select(Describe)]
            : throw new ChannelException($"{data} is no data directory of an agent: there is no directory {channels}.");
    }

    /// <summary>Reads every frame and block of a channel.</summary>
    /// <exception cref="ChannelException">The directory holds no channel, or could not be read.</exception>
    public static ChannelReport Verify(string directory)
    {
        if (IsMemory(directory))
        {
            return Describe(directory);
        }

        ChannelDirectory channel = ChannelDirectory.Read(directory);
        SegmentCheck check = Check(channel);
        return DescribeFile(channel) with
        {
            Batches = check.Batches,
            Events = check.Events,
            Missing = check.Missing,
            Problems = [.. channel.Problems, .. check.Found.Select(damage => new ChannelProblem(
                damage.Segment.Path,
                damage.From,
                damage.To,
                $"Damaged: offsets {damage.FromOffset} to {damage.ToOffset} are lost where they were not delivered{(damage.Frame is null ? "" : "; the positions of their origins are known")}."))],
        };
    }

    /// <summary>Writes events with offsets from <paramref name="from"/> to below <paramref name="to"/>: bodies, one a line, or JSON objects with their offsets.</summary>
    /// <exception cref="ChannelException">The directory holds no file channel, or could not be read.</exception>
    public static void Cat(string directory, long from, long to, bool json, Stream output)
    {
        ArgumentNullException.ThrowIfNull(output);
        var lines = new MemoryStream();
        foreach ((EventRange events, long offset) in ChannelDirectory.Read(directory).ReadEvents(from, to))
        {
            if (!json)
            {
                output.Write(events.Lines.Span);
                continue;
            }

            lines.SetLength(0);
            using (IEventSerializer serializer = new JsonFormat().CreateSerializer(lines))
            {
                serializer.Write(events);
                serializer.Finish();
            }

            long number = offset;
            ReadOnlySpan<byte> rest = lines.GetBuffer().AsSpan(0, (int)lines.Length);
            while (!rest.IsEmpty)
            {
                int end = rest.IndexOf((byte)'\n') + 1;
                output.Write(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{{\"offset\":{number++},")));
                output.Write(rest[1..end]);
                rest = rest[end..];
            }
        }
    }

    /// <summary>
    /// Moves a subscriber of a stopped channel. Where it moves back behind what its storage sink has published, the sink's journal is set
    /// aside: it would keep these events from being delivered again. They get new names, as the next start is a new run.
    /// </summary>
    /// <param name="directory">The channel's directory.</param>
    /// <param name="subscriber">The subscriber's name.</param>
    /// <param name="to"><c>start</c>, <c>end</c>, an offset, or a time with its offset from UTC.</param>
    /// <exception cref="ArgumentException"><paramref name="to"/> is none of these.</exception>
    /// <exception cref="ChannelException">The channel is in use, has no such subscriber, or could not be read or written.</exception>
    public static ReplayReport Replay(string directory, string subscriber, string to)
    {
        directory = Path.GetFullPath(directory);
        long? offset = long.TryParse(to, NumberStyles.None, CultureInfo.InvariantCulture, out long number) ? number : null;
        SubscriberStart start = offset is null ? ParseStart(to) : default;
        return Locked(directory, () =>
        {
            ChannelDirectory channel = ChannelDirectory.Read(directory);
            if (!channel.Cursors.TryGetValue(subscriber, out CursorRecord? old))
            {
                throw new ChannelException($"{directory} has no subscriber {subscriber}. It has: {string.Join(", ", channel.Cursors.Keys)}.");
            }

            long target = Math.Clamp(offset ?? Resolve(channel, start), channel.First, channel.End);
            string home = Path.Combine(directory, "subscribers", subscriber);
            long delivered = old?.Offset ?? channel.First;
            bool hasJournal = File.Exists(Path.Combine(home, "journal"));
            if (hasJournal)
            {
                using var journal = StorageJournal.Open(home, NullLogger.Instance);
                delivered = Math.Max(delivered, journal.State.Low);
            }

            // The cursor first: if only that is done, the journal still says what is published and nothing is repeated by halves.
            using (CursorFile file = CursorFile.Open(channel.Files, ChannelDirectory.CursorOf(directory, subscriber), channel.Id))
            {
                file.Free = Math.Min(channel.End, Math.Max(file.Free, delivered));
                file.Write(target, channel.Log.Runs.Count > 0 ? channel.Log.Runs[^1].Id : 0, Now);
                file.Sync();
            }

            return new ReplayReport(subscriber, old?.Offset, target, hasJournal && target < delivered ? SetJournalAside(home) : null);
        });
    }

    /// <summary>Makes a stopped channel sound: what is damaged is copied to its directory <c>damaged</c> and cut out, and its events are given up.</summary>
    /// <exception cref="ChannelException">The channel is in use, or could not be read or written.</exception>
    public static RepairReport Repair(string directory)
    {
        directory = Path.GetFullPath(directory);
        return Locked(directory, () => new ChannelRepair(directory, Now).Run());
    }

    internal static SegmentCheck Check(ChannelDirectory channel)
    {
        var check = new SegmentCheck(channel);
        check.Run();
        return check;
    }

    /// <summary>The positions a channel remembers; false where the directory holds no channel.</summary>
    /// <exception cref="IOException">It could not be read.</exception>
    /// <exception cref="InvalidDataException">The positions of a memory channel are damaged.</exception>
    internal static bool TryGetOrigins(string directory, out IReadOnlyList<OriginState> origins)
    {
        bool isChannel = IsChannel(directory);
        origins = !isChannel ? []
            : IsMemory(directory) ? ChannelState.Decode(File.ReadAllBytes(Path.Combine(directory, MemoryChannel.PositionsFile))).Origins.GetStates()
            : ChannelDirectory.Read(directory).Log.Origins.GetStates();
        return isChannel;
    }

    private static long Now => LogEvent.ToTimestamp(TimeProvider.System.GetUtcNow());

    private static T Locked<T>(string directory, Func<T> act)
    {
        if (!Directory.Exists(ChannelDirectory.SegmentsOf(directory)))
        {
            throw new ChannelException($"{directory} is no file channel: there is no directory {ChannelDirectory.SegmentsOf(directory)}. A channel lies in DATA/channels/NAME.");
        }

        try
        {
            using IDisposable held = DurableFile.TryLock(Path.Combine(directory, "lock"))
                ?? throw new ChannelException($"{directory} is in use. Stop the agent first.");
            return act();
        }
        catch (Exception exception) when (exception is (IOException or UnauthorizedAccessException) and not ChannelException)
        {
            throw new ChannelException($"{directory} could not be read or written. {exception.Message}", exception);
        }
    }

    private static SubscriberStart ParseStart(string text)
    {
        try
        {
            return JsonValue.Create(text == "start" ? "beginning" : text).Deserialize<SubscriberStart>(OptionTypes.Json);
        }
        catch (JsonException exception)
        {
            throw new ArgumentException($"\"{text}\" is neither start nor end nor an offset nor a time with its offset from UTC, such as 2026-11-22T10:00:00Z.", nameof(text), exception);
        }
    }

    private static long Resolve(ChannelDirectory channel, SubscriberStart start) => start.Kind switch
    {
        SubscriberStartKind.Beginning => channel.First,
        SubscriberStartKind.End => channel.End,
        _ => SegmentReader.FindTime(channel.Files, [.. channel.Log.Segments], [.. channel.Log.Segments.Select(segment => segment.End)], start.Timestamp) ?? channel.End,
    };

    private static string SetJournalAside(string home)
    {
        string journal = Path.Combine(home, "journal");
        string aside = string.Create(CultureInfo.InvariantCulture, $"{journal}.{TimeProvider.System.GetUtcNow():yyyyMMdd'T'HHmmssfff}");
        DurableFile.Replace(journal, aside);
        DurableFile.SyncDirectory(home);
        return aside;
    }

    private static bool IsChannel(string directory) => IsMemory(directory) || Directory.Exists(ChannelDirectory.SegmentsOf(directory));

    private static bool IsMemory(string directory) => File.Exists(Path.Combine(directory, MemoryChannel.PositionsFile));

    private static ChannelReport Describe(string directory) => IsMemory(directory) ? DescribeMemory(directory) : DescribeFile(ChannelDirectory.Read(directory));

    private static ChannelReport DescribeMemory(string directory)
    {
        string path = Path.Combine(directory, MemoryChannel.PositionsFile);
        ChannelState state;
        List<ChannelProblem> problems = [];
        try
        {
            state = ChannelState.Decode(File.ReadAllBytes(path));
        }
        catch (InvalidDataException exception)
        {
            state = new ChannelState();
            problems.Add(new ChannelProblem(path, 0, 0, $"{exception.Message} Sources start as if nothing had been delivered."));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new ChannelException($"{path} could not be read. {exception.Message}", exception);
        }

        return new ChannelReport
        {
            Name = Path.GetFileName(directory),
            Path = directory,
            Type = "memory",
            OrphanedSince = OrphanedSince(directory),
            FirstOffset = state.NextOffset,
            NextOffset = state.NextOffset,
            Runs = [.. state.Runs.Select(Describe)],
            Origins = [.. state.Origins.GetStates().Select(Describe)],
            Problems = problems,
        };
    }

    private static ChannelReport DescribeFile(ChannelDirectory channel)
    {
        List<Segment> segments = channel.Log.Segments;
        using var log = new SegmentLog(channel.Files, ChannelDirectory.SegmentsOf(channel.Root), channel.Id, 0, 0, segments, 0);
        return new ChannelReport
        {
            Name = Path.GetFileName(channel.Root),
            Path = channel.Root,
            Type = "file",
            Id = channel.Id,
            OrphanedSince = OrphanedSince(channel.Root),
            FirstOffset = channel.First,
            NextOffset = channel.End,
            Bytes = segments.Sum(segment => segment.Bytes),
            Segments = [.. segments.Select(each => new SegmentReport(each.Path, each.Number, each.BaseOffset, each.EndOffset, each.Bytes, LogEvent.ToTime(each.Header.Created)))],
            Runs = [.. channel.Log.Runs.Select(Describe)],
            Subscribers =
            [
                .. channel.Cursors.Select(each => each.Value is { } cursor
                    ? new SubscriberReport(each.Key, cursor.Offset, Math.Max(0, channel.End - cursor.Offset), log.BytesFrom(cursor.Offset), LogEvent.ToTime(cursor.Time))
                    : new SubscriberReport(each.Key, null, channel.End - channel.First, log.BytesFrom(channel.First), null)),
            ],
            Origins = [.. channel.Log.Origins.GetStates().Select(Describe)],
            Problems = channel.Problems,
        };
    }

    private static RunReport Describe(ChannelRun run) => new(run.Id.ToString("x16", CultureInfo.InvariantCulture), run.FirstOffset);

    private static OriginReport Describe(OriginState origin)
    {
        var attributes = new SortedDictionary<string, string>(StringComparer.Ordinal);
        try
        {
            foreach (EventHeader header in new HeaderList(origin.Attributes.Span))
            {
                attributes.TryAdd(Encoding.UTF8.GetString(header.Name), header.ToString());
            }
        }
        catch (InvalidDataException exception)
        {
            attributes["damaged"] = exception.Message;
        }

        return new OriginReport(origin.Origin.ToString(), origin.Position, origin.LastSeen, attributes);
    }

    private static DateTimeOffset? OrphanedSince(string directory)
    {
        string path = Path.Combine(directory, OrphanFile);
        return File.Exists(path) ? new DateTimeOffset(File.GetLastWriteTimeUtc(path), TimeSpan.Zero) : null;
    }
}
