using System.CommandLine;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Tailrace.Core.Channels;

namespace Tailrace.Agent;

/// <summary><c>tailrace channel</c>: look into channels, move their subscribers, repair them.</summary>
internal static class ChannelCommands
{
    private static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        WriteIndented = true,
    };

    /// <summary>Makes the command with its subcommands.</summary>
    public static Command Create()
    {
        var json = new Option<bool>("--json") { Description = "Print JSON for scripts." };
        var data = new Argument<string>("DATA") { Description = "The agent's data directory." };
        var directory = new Argument<string>("DIR") { Description = "A channel's directory, DATA/channels/NAME." };
        var subscriber = new Argument<string>("SUBSCRIBER") { Description = "A subscriber: the name of its sink." };
        var from = new Option<long>("--from") { Description = "The first offset." };
        var to = new Option<long>("--to") { Description = "The offset behind the last.", DefaultValueFactory = _ => long.MaxValue };
        var place = new Option<string>("--to") { Description = "start, end, an offset, or a time such as 2026-11-22T10:00:00Z.", Required = true };

        var ls = new Command("ls", "List channels: what they hold, what each subscriber has read, which are configured no more. Works beside a running agent.") { data, json };
        ls.SetAction(arguments => Run(() => List(arguments.GetValue(data)!, arguments.GetValue(json))));
        var verify = new Command("verify", "Read every frame and block; exit 0 only if all is sound. Works beside a running agent.") { directory, json };
        verify.SetAction(arguments => Run(() => Verify(arguments.GetValue(directory)!, arguments.GetValue(json))));
        var cat = new Command("cat", "Print events: bodies, or with --json objects with their offsets. Works beside a running agent.") { directory, from, to, json };
        cat.SetAction(arguments => Run(() => Cat(arguments.GetValue(directory)!, arguments.GetValue(from), arguments.GetValue(to), arguments.GetValue(json))));
        var replay = new Command("replay", "Move a subscriber of a stopped channel; what lies behind it is delivered again.") { directory, subscriber, place, json };
        replay.SetAction(arguments => Run(() => Replay(arguments.GetValue(directory)!, arguments.GetValue(subscriber)!, arguments.GetValue(place)!, arguments.GetValue(json))));
        var repair = new Command("repair", "Cut damage out of a stopped channel. What stood there is kept in DIR/damaged.") { directory, json };
        repair.SetAction(arguments => Run(() => Repair(arguments.GetValue(directory)!, arguments.GetValue(json))));
        return new Command("channel", "Look into channels, move their subscribers, repair them.") { ls, verify, cat, replay, repair };
    }

    private static int Run(Func<int> command)
    {
        try
        {
            return command();
        }
        catch (ArgumentException exception)
        {
            Console.Error.WriteLine($"tailrace: {exception.Message}");
            return ExitCode.Usage;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            Console.Error.WriteLine($"tailrace: {exception.Message}");
            return ExitCode.DataDirectory;
        }
    }

    private static int List(string data, bool json)
    {
        IReadOnlyList<ChannelReport> channels = ChannelTools.List(data);
        if (json)
        {
            Print(channels);
        }
        else
        {
            foreach (ChannelReport channel in channels)
            {
                Print(channel, withOrigins: false);
            }
        }

        return channels.All(channel => channel.Problems.Count == 0) ? ExitCode.Success : ExitCode.Damaged;
    }

    private static int Verify(string directory, bool json)
    {
        ChannelReport channel = ChannelTools.Verify(directory);
        if (json)
        {
            Print(channel);
        }
        else
        {
            Print(channel, withOrigins: true);
            string missing = channel.Missing > 0 ? $", {channel.Missing} missing" : "";
            Console.Out.WriteLine(channel.Problems.Count > 0 ? $"NOT SOUND: {channel.Problems.Count} problems{missing}" : $"sound: {channel.Events ?? 0} events in {channel.Batches ?? 0} batches{missing}");
        }

        return channel.Problems.Count == 0 ? ExitCode.Success : ExitCode.Damaged;
    }

    private static int Cat(string directory, long from, long to, bool json)
    {
        using Stream output = new BufferedStream(Console.OpenStandardOutput(), 1 << 16);
        ChannelTools.Cat(directory, from, to, json, output);
        return ExitCode.Success;
    }

    private static int Replay(string directory, string subscriber, string to, bool json)
    {
        ReplayReport moved = ChannelTools.Replay(directory, subscriber, to);
        if (json)
        {
            Print(moved);
        }
        else
        {
            Console.Out.WriteLine($"{moved.Subscriber}: from {moved.From?.ToString(CultureInfo.InvariantCulture) ?? "an unknown offset"} to {moved.To}");
            if (moved.JournalSetAside is not null)
            {
                Console.Out.WriteLine($"its journal is set aside as {moved.JournalSetAside}: everything from {moved.To} on is published again, under new names");
            }
        }

        return ExitCode.Success;
    }

    private static int Repair(string directory, bool json)
    {
        RepairReport report = ChannelTools.Repair(directory);
        if (json)
        {
            Print(report);
            return ExitCode.Success;
        }

        foreach (string action in report.Actions)
        {
            Console.Out.WriteLine(action);
        }

        Console.Out.WriteLine(report.Actions.Count == 0 ? "sound: nothing to repair" : $"repaired; {report.Lost} events are lost where they were not delivered");
        return ExitCode.Success;
    }

    private static void Print<T>(T report) => Console.Out.WriteLine(JsonSerializer.Serialize(report, Json));

    private static void Print(ChannelReport channel, bool withOrigins)
    {
        string orphan = channel.OrphanedSince is { } since ? $", ORPHANED: configured no more since {since:u}" : "";
        Console.Out.WriteLine($"{channel.Name} ({channel.Type}{orphan})");
        Console.Out.WriteLine($"  offsets {channel.FirstOffset} to {channel.NextOffset}, {channel.Bytes / 1e6:F1} MB in {channel.Segments.Count} segments, {channel.Origins.Count} origins, {channel.Runs.Count} runs{(channel.Runs.Count > 0 ? $", the last {channel.Runs[^1].Id} from {channel.Runs[^1].FirstOffset}" : "")}");
        foreach (SubscriberReport subscriber in channel.Subscribers)
        {
            Console.Out.WriteLine($"  subscriber {subscriber.Name}: {(subscriber.Cursor is { } cursor ? $"at {cursor}" : "cursor damaged")}, {subscriber.Behind} events and {subscriber.BytesBehind / 1e6:F1} MB behind{(subscriber.CommittedAt is { } time ? $", moved {time:u}" : "")}");
        }

        foreach (OriginReport origin in withOrigins ? channel.Origins : [])
        {
            Console.Out.WriteLine($"  origin {origin.Id}: {origin.Position}, seen {origin.LastSeen:u} {string.Join(' ', origin.Attributes.Select(each => $"{each.Key}={each.Value}"))}");
        }

        foreach (ChannelProblem problem in channel.Problems)
        {
            Console.Out.WriteLine($"  {problem}");
        }
    }
}
