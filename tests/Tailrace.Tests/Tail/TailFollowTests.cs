using System.Text;
using Tailrace.Files;

namespace Tailrace.Tests.Tail;

public sealed class TailFollowTests : TailTest
{
    [Fact]
    public async Task A_new_line_on_an_idle_source_comes_at_once_where_the_system_gives_hints()
    {
        if (!OperatingSystem.IsLinux() && !OperatingSystem.IsWindows())
        {
            Console.WriteLine("Skipped: no change notifications on this system.");
            return;
        }

        Options = Options with { PollInterval = TimeSpan.FromMinutes(30) };
        Write("a.log", "one\n");
        Start();
        await ExpectAsync("one");
        for (int i = 0; i < 20; i++)
        {
            Append("a.log", $"{i}\n");
            int count = i + 2;
            await WaitForAsync(() => Context.Bodies.Length == count, "the line, long before the next poll");
        }

        Write("b.log", "new file\n");
        await WaitForAsync(() => Context.Bodies.Length == 22, "the new file, long before the next poll");
    }

    [Fact]
    public async Task With_from_end_a_file_that_appears_while_running_is_read_from_its_start()
    {
        Options = Options with { From = TailFrom.End };
        Write("old.log", "old\n");
        Start();
        await WaitForAsync(() => Context.GetOrigins().Count == 1, "a position of the old file");
        Write("a.log", "first\n");
        await ExpectAsync("first");
    }

    [Fact]
    public async Task A_restart_goes_on_where_the_channel_stands_and_sends_attributes_that_know_the_file()
    {
        Write("a.log", "one\ntwo\nthr");
        Start();
        await ExpectAsync("one", "two");
        await StopAsync();
        OriginState origin = Assert.Single(Context.GetOrigins());
        Assert.Equal(8, origin.Position);
        Assert.Equal("logs", Context.Attribute(origin.Origin, "source"));
        Assert.Equal("tail", Context.Attribute(origin.Origin, "kind"));
        Assert.Equal(At("a.log"), Context.Attribute(origin.Origin, "path"));
        Assert.Equal(8L, Context.Attribute(origin.Origin, "head_length"));
        Assert.Equal(8L, Context.Attribute(origin.Origin, "anchor_length"));
        Append("a.log", "ee\n");
        Start();
        await ExpectAsync("one", "two", "three");
        Assert.Single(Context.GetOrigins());
        await StopAsync();

        // Only what changed is sent again.
        var names = new List<string>();
        foreach (EventHeader header in new HeaderList(Context.Advances[^1].Attributes.Span))
        {
            names.Add(Encoding.UTF8.GetString(header.Name));
        }

        Assert.Equal(["head_length", "head_hash", "anchor_position", "anchor_length", "anchor_hash"], names);
    }

    [Fact]
    public async Task Batches_end_at_the_cuts_where_another_channel_stands()
    {
        Write("a.log", "one\n");
        await OnceAsync();
        OriginId origin = Context.GetOrigins()[0].Origin;
        Append("a.log", "two\nthree\nfour\nfive\n");
        Context.Cuts[origin] = [8, 19];
        await OnceAsync();
        Assert.Equal(["one", "two", "three", "four", "five"], Context.Bodies);
        Assert.Equal([(0, 4), (4, 8), (8, 19), (19, 24)], Context.Advances.Select(advance => (advance.From, advance.To)));
    }

    [Fact]
    public async Task A_cut_within_a_line_ends_an_event_there()
    {
        Write("a.log", "one\n");
        await OnceAsync();
        Append("a.log", "abcdef\n");
        Context.Cuts[Context.GetOrigins()[0].Origin] = [7];
        Start();
        await ExpectAsync("one", "abc", "def");
    }

    [Fact]
    public async Task A_channel_that_stands_elsewhere_tells_where_to_go_on()
    {
        Write("a.log", string.Concat(Enumerable.Range(0, 500).Select(i => $"line {i:D4} {new string('x', 90)}\n")));
        Options = Options with { BatchSize = new ByteSize(4096) };
        int appends = 0;
        Context.BeforeAppend = (batch, _) =>
        {
            if (++appends == 4)
            {
                Context.Rewind(batch.Advances[0].Origin, 101 * 10);
            }

            return Task.CompletedTask;
        };
        await OnceAsync();
        int[] lines = [.. Context.Bodies.Select(body => int.Parse(body.AsSpan(5, 4), System.Globalization.CultureInfo.InvariantCulture))];
        int first = lines.Length - 490;
        Assert.InRange(first, 11, 499);
        Assert.Equal(Enumerable.Range(0, first), lines[..first]);
        Assert.Equal(Enumerable.Range(10, 490), lines[first..]);
        Assert.Contains(Context.Messages, message => message.Contains("stands at 1010", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_failing_append_ends_the_run_after_the_others_ended_and_the_next_run_loses_and_repeats_nothing()
    {
        string[] lines = [.. Enumerable.Range(0, 2000).Select(i => $"line {i:D4} {new string('x', 90)}")];
        Write("a.log", string.Join('\n', lines) + "\n");
        Options = Options with { BatchSize = new ByteSize(4096) };
        int appends = 0;
        Context.BeforeAppend = async (_, _) =>
        {
            int number = Interlocked.Increment(ref appends);
            await Task.Yield();
            if (number == 10)
            {
                throw new ChannelException("disk full");
            }
        };
        Start();
        Assert.Equal("disk full", (await Assert.ThrowsAsync<ChannelException>(EndAsync)).Message);
        Assert.InRange(Context.Bodies.Length, 1, 1999);
        Context.BeforeAppend = null;
        await OnceAsync();
        Assert.Equal(lines, Context.Bodies);
    }

    [Fact]
    public async Task Several_batches_are_in_flight_while_the_channel_is_slow_but_not_more_than_the_window()
    {
        Write("a.log", string.Concat(Enumerable.Repeat(new string('x', 99) + "\n", 5_000)));
        Options = Options with { BatchSize = new ByteSize(4096) };
        using var gate = new SemaphoreSlim(0);
        Context.BeforeAppend = async (_, token) => await gate.WaitAsync(token);
        Context.OnStored = _ => { };
        Start();
        await WaitForAsync(() => Context.MostAppending == 8, "eight appends under way");
        gate.Release(1000);
        await WaitForAsync(() => Context.Stored == 500_000, "everything");
        Assert.Equal(8, Context.MostAppending);
    }

    [Fact]
    public async Task Files_take_turns()
    {
        Options = Options with { BatchSize = new ByteSize(4096), Paths = [At("*.log")] };
        Write("a.log", string.Concat(Enumerable.Repeat("a" + new string('x', 98) + "\n", 1_000)));
        Write("b.log", string.Concat(Enumerable.Repeat("b" + new string('x', 98) + "\n", 1_000)));
        await OnceAsync();
        OriginId[] origins = [.. Context.Advances.Select(advance => advance.Origin)];
        Assert.All(Enumerable.Range(0, 40).Chunk(2), pair => Assert.NotEqual(origins[pair[0]], origins[pair[1]]));
    }

    [Fact]
    public async Task The_files_path_is_a_header_only_when_asked_for()
    {
        Write("a.log", "one\n");
        var headers = new List<string>();
        Context.OnStored = batch =>
        {
            foreach (EventHeader header in batch.SharedHeaders)
            {
                headers.Add($"{Encoding.UTF8.GetString(header.Name)}={header.ToString()}");
            }
        };
        await OnceAsync();
        Assert.Empty(headers);
        Options = Options with { AddFileHeader = true };
        Append("a.log", "two\n");
        await OnceAsync();
        Assert.Equal([$"file={At("a.log")}"], headers);
    }


    [LinuxFact]
    public async Task Flumes_positions_are_taken_over_for_files_never_seen_before()
    {
        Write("a.log", "one\ntwo\n");
        Write("b.log", "three\nfour\n");
        Write("c.log", "five\n");
        using LogFile a = LogFile.TryOpen(At("a.log"), out _)!;
        using LogFile b = LogFile.TryOpen(At("b.log"), out _)!;
        Write("taildir_position.json", $"[{{\"inode\":{a.Identity.File},\"pos\":4,\"file\":\"{At("a.log")}\"}},{{\"inode\":{b.Identity.File},\"pos\":400,\"file\":\"{At("b.log")}\"}}]");
        Options = Options with { ImportTaildir = At("taildir_position.json") };
        await OnceAsync();
        await OnceAsync();
        Assert.Equal(["five", "four", "three", "two"], Context.Bodies.Order());
        Write("taildir_position.json", "{}");
        InvalidDataException refused = await Assert.ThrowsAsync<InvalidDataException>(OnceAsync);
        Assert.Contains("import_taildir", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Headers_are_added_as_asked_for()
    {
        Options = Options with { AddFileHeader = true, AddHostHeader = true, AddOffsetHeader = true };
        Write("a.log", "one\r\ntwo\n");
        await OnceAsync();
        Assert.Equal([$"file={At("a.log")} host={Environment.MachineName} offset=0", $"file={At("a.log")} host={Environment.MachineName} offset=5"], Context.Headers);
    }
}
