using System.IO.Compression;
using System.Text;
using Microsoft.Extensions.Time.Testing;
using Tailrace.Core.Storage;

namespace Tailrace.Tests.Storage;

public sealed class StorageSinkTests : IDisposable
{
    private const string Run = "0123456789abcdef";
    private const long Noon = 1_795_348_800_000_000_000; // 2026-11-22T12:00:00Z
    private const long Hour = 3_600_000_000_000;

    private readonly SinkBench _bench = new();

    [Fact]
    public async Task One_bucket_is_published_under_the_documented_name_with_exactly_the_lines()
    {
        _bench.Log.Append(0, "first", "", "third \u00e9");
        _bench.Log.Append(0, "fourth");

        await _bench.DrainAsync();

        Assert.Equal([(Name(0, 4), "first\n\nthird \u00e9\nfourth\n")], _bench.Published());
        Assert.Equal(4, _bench.Log.Cursor);
        Assert.Equal(["out"], Directory.EnumerateFileSystemEntries(_bench.Directory).Select(Path.GetFileName).Where(name => name != "journal"));
        Assert.False(Directory.Exists(Path.Combine(_bench.Out, "_tailrace")));
    }

    [Fact]
    public async Task Buckets_follow_headers_and_the_events_own_time()
    {
        _bench.Options = _bench.Options with { Path = _bench.Out + "/%{app}/dt=%Y-%m-%d/hour=%H", TimeZone = "Europe/Berlin" };
        _bench.Format = "json";
        Append((Noon, "web", "1"), (Noon, "db", "2"), (Noon + Hour, "web", "3"), (Noon, "web", "4"), (Noon, null, "5"));

        await _bench.DrainAsync();

        const string json = """{"timestamp":"2026-11-22T12:00:00.000000000Z","headers":{"app":"web"},"body":"1"}""";
        (string Name, string Content)[] published = _bench.Published();
        Assert.Equal(
            ["-/dt=2026-11-22/hour=13/", "db/dt=2026-11-22/hour=13/", "web/dt=2026-11-22/hour=13/", "web/dt=2026-11-22/hour=14/"],
            published.Select(file => file.Name.Replace(Name(0, 5, "json"), "", StringComparison.Ordinal)));
        Assert.Equal(json + "\n" + json.Replace("\"1\"", "\"4\"", StringComparison.Ordinal) + "\n", published[2].Content);
        Assert.Equal([_bench.Out], _bench.Roots);
    }

    [Fact]
    public async Task A_roll_by_size_cuts_a_batch_behind_the_event_that_reaches_the_size()
    {
        Roll(new RollOptions { Size = new ByteSize(1024) });
        _bench.Log.Append(0, [.. Enumerable.Repeat(new string('x', 99), 25)]);

        await _bench.DrainAsync();

        Assert.Equal([(Name(0, 11), 1100), (Name(11, 22), 1100), (Name(22, 25), 300)], _bench.Published().Select(file => (file.Name, file.Content.Length)));
    }

    [Fact]
    public async Task A_roll_by_count_is_exact()
    {
        Roll(new RollOptions { Count = 3 });
        _bench.Log.Append(0, "1", "2", "3", "4");
        _bench.Log.Append(0, "5", "6", "7");

        await _bench.DrainAsync();

        Assert.Equal([(Name(0, 3), "1\n2\n3\n"), (Name(3, 6), "4\n5\n6\n"), (Name(6, 7), "7\n")], _bench.Published());
    }

    [Fact]
    public async Task Age_counts_from_the_first_event_and_idle_time_from_the_last()
    {
        var time = new FakeTimeProvider();
        _bench.Time = time;
        Roll(new RollOptions { Age = TimeSpan.FromSeconds(60), Idle = TimeSpan.FromSeconds(20) });
        using var abort = new CancellationTokenSource();
        TestSubscriber subscriber = _bench.Log.Open();
        Task run = _bench.Sink(subscriber).RunAsync(CancellationToken.None, abort.Token);

        for (int i = 0; i < 4; i++)
        {
            _bench.Log.Append(0, $"{i}");
            int taken = i + 1;
            await SinkBench.UntilAsync(() => subscriber.Position == taken && subscriber.IsWaiting);
            time.Advance(TimeSpan.FromSeconds(19));
        }

        await PublishedAsync(Name(0, 4)); // 76 s: age, though never idle for 20 s
        _bench.Log.Append(0, "4");
        await SinkBench.UntilAsync(() => subscriber.Position == 5 && subscriber.IsWaiting);
        time.Advance(TimeSpan.FromSeconds(19));
        await SinkBench.UntilAsync(() => subscriber.IsWaiting);
        Assert.Single(_bench.PublishedOnly());
        time.Advance(TimeSpan.FromSeconds(1));
        await PublishedAsync(Name(4, 5));
        await SinkBench.UntilAsync(() => _bench.Log.Cursor == 5);
        await abort.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => run.WaitAsync(TimeSpan.FromSeconds(20)));
    }

    [Fact]
    public async Task Pressure_publishes_what_holds_the_lowest_offsets_at_once()
    {
        _bench.Options = _bench.Options with { Path = _bench.Out + "/%{app}" };
        using var abort = new CancellationTokenSource();
        TestSubscriber subscriber = _bench.Log.Open();
        Task run = _bench.Sink(subscriber).RunAsync(CancellationToken.None, abort.Token);
        Append((0, "a", "1"), (0, "b", "2"), (0, "b", "3"), (0, "c", "4"));
        await SinkBench.UntilAsync(() => subscriber.Position == 4 && subscriber.IsWaiting);

        subscriber.Press();
        await PublishedAsync("a/" + Name(0, 4), "b/" + Name(0, 4));
        await SinkBench.UntilAsync(() => _bench.Log.Cursor == 3);
        subscriber.Press();
        await PublishedAsync("a/" + Name(0, 4), "b/" + Name(0, 4), "c/" + Name(0, 4));
        await SinkBench.UntilAsync(() => _bench.Log.Cursor == 4);
        await abort.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => run.WaitAsync(TimeSpan.FromSeconds(20)));
    }

    [Fact]
    public async Task No_more_files_are_open_than_allowed()
    {
        var world = new FaultyWorld(1, 0, 0);
        using var bench = new SinkBench(_ => new FaultyStore(world, new Client(() => { })));
        bench.Options = new StorageSinkOptions { Path = "root/%{app}", MaxOpenFiles = 3 };
        Append(bench, [.. Enumerable.Range(0, 500).Select(i => (0L, (string?)$"{i % 50}", $"{i}"))]);

        await bench.DrainAsync();

        Assert.InRange(world.MaxOpen, 3, 7);
        Assert.Equal(500, world.Files.Sum(file => Encoding.UTF8.GetString(file.Value).Split('\n').Length - 1));
    }

    [Theory]
    [InlineData(FileCompression.Gzip, "log.gz")]
    [InlineData(FileCompression.Zstd, "log.zst")]
    public async Task Files_are_compressed_as_a_whole(FileCompression compression, string extension)
    {
        _bench.Options = _bench.Options with { Compression = compression, Roll = new RollOptions { Size = new ByteSize(200_000) } };
        var random = new Random(1);
        string[] lines = [.. Enumerable.Range(0, 5000).Select(_ => Convert.ToHexString(Enumerable.Range(0, 100).Select(_ => (byte)random.Next()).ToArray()))];
        _bench.Log.Append(0, lines);

        await _bench.DrainAsync();

        var content = new StringBuilder();
        foreach (string name in _bench.Published().Select(file => file.Name))
        {
            Assert.EndsWith("." + extension, name, StringComparison.Ordinal);
            await using FileStream file = File.OpenRead(Path.Combine(_bench.Out, name));
            Assert.InRange(file.Length, 1, 500_000);
            await using Stream stream = compression == FileCompression.Gzip ? new GZipStream(file, CompressionMode.Decompress) : new ZstdSharp.DecompressionStream(file);
            using var reader = new StreamReader(stream);
            content.Append(await reader.ReadToEndAsync());
        }

        Assert.Equal(string.Join('\n', lines) + "\n", content.ToString());
        Assert.InRange(_bench.Published().Length, 2, 4);
    }

    [Fact]
    public async Task A_second_start_publishes_nothing_again_and_goes_on_behind()
    {
        _bench.Log.Append(0, "a", "b");
        await _bench.DrainAsync();
        _bench.Log.Append(0, "c");
        _bench.Log.Run = 0xfedcba9876543210;
        await _bench.DrainAsync();

        Assert.Equal([(Name(0, 2), "a\nb\n"), (Name(2, 3).Replace(Run, "fedcba9876543210", StringComparison.Ordinal), "c\n")], _bench.Published());
    }

    [Fact]
    public async Task Stopping_publishes_what_is_held_and_aborting_leaves_it_for_the_next_start()
    {
        using var stopping = new CancellationTokenSource();
        _bench.Log.Append(0, "a");
        TestSubscriber subscriber = _bench.Log.Open();
        Task run = _bench.Sink(subscriber).RunAsync(stopping.Token, CancellationToken.None);
        await SinkBench.UntilAsync(() => subscriber.Position == 1 && subscriber.IsWaiting);
        await stopping.CancelAsync();
        await run.WaitAsync(TimeSpan.FromSeconds(20));
        Assert.Equal([(Name(0, 1), "a\n")], _bench.Published());
        Assert.Equal(1, _bench.Log.Cursor);

        using var abort = new CancellationTokenSource();
        _bench.Log.Append(0, "b");
        subscriber = _bench.Log.Open();
        run = _bench.Sink(subscriber).RunAsync(CancellationToken.None, abort.Token);
        await SinkBench.UntilAsync(() => subscriber.Position == 2 && subscriber.IsWaiting);
        await abort.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => run.WaitAsync(TimeSpan.FromSeconds(20)));
        Assert.Equal(1, _bench.Log.Cursor);

        await _bench.DrainAsync();
        Assert.Equal([(Name(0, 1), "a\n"), (Name(1, 2), "b\n")], _bench.Published());
    }

    [Fact]
    public async Task A_file_of_somebody_else_under_our_name_is_an_error_and_never_a_success_not_even_over_a_restart()
    {
        Directory.CreateDirectory(_bench.Out);
        string taken = Path.Combine(_bench.Out, Name(0, 1));
        await File.WriteAllTextAsync(taken, "theirs");
        _bench.Log.Append(0, "ours");
        _bench.Log.Complete();
        for (int start = 0; start < 2; start++)
        {
            _bench.Reports.Clear();
            using var abort = new CancellationTokenSource();
            Task run = _bench.Sink().RunAsync(CancellationToken.None, abort.Token);
            await SinkBench.UntilAsync(() => _bench.LastReport == ComponentStatus.Degraded);
            Assert.Contains("was not written by this sink", _bench.Reports[^1].Reason, StringComparison.Ordinal);
            await abort.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => run.WaitAsync(TimeSpan.FromSeconds(20)));
            Assert.Equal([(Name(0, 1), "theirs")], _bench.PublishedOnly());
            Assert.Equal(0, _bench.Log.Cursor);
        }

        _bench.Reports.Clear();
        Task last = _bench.DrainAsync();
        await SinkBench.UntilAsync(() => _bench.LastReport == ComponentStatus.Degraded);
        File.Move(taken, Path.Combine(_bench.Directory, "moved"));
        await last;
        Assert.Equal([(Name(0, 1), "ours\n")], _bench.Published());
        Assert.Equal(ComponentStatus.Running, _bench.LastReport);
    }

    [Fact]
    public async Task A_store_that_is_down_is_reported_and_nothing_is_lost_or_repeated()
    {
        var world = new FaultyWorld(1, 0.9, 0) { Budget = 25 };
        using var bench = new SinkBench(_ => new FaultyStore(world, new Client(() => { })));
        bench.Time = new SinkProtocolTests.HurriedTime();
        bench.Options = new StorageSinkOptions { Path = "root" };
        bench.Log.Append(0, "a", "b");

        await bench.DrainAsync();

        Assert.Equal(0, world.Budget);
        Assert.Equal("a\nb\n", Encoding.UTF8.GetString(Assert.Single(world.Files, file => !file.Key.StartsWith('_')).Value));
        Assert.Contains(bench.Reports, report => report.Status == ComponentStatus.Degraded && report.Reason!.Contains("injected", StringComparison.Ordinal));
        Assert.Equal(ComponentStatus.Running, bench.LastReport);
        Assert.Equal(0, world.Open);
    }

    [Fact]
    public async Task A_changed_sink_finishes_what_was_begun_the_old_way()
    {
        _bench.Options = _bench.Options with { Path = _bench.Out + "/old/%{app}", Roll = new RollOptions { Count = 2 } };
        Append((0, "a", "0"), (0, "b", "1"), (0, "b", "2"), (0, "a", "3"), (0, "b", "4"));
        TestSubscriber subscriber = _bench.Log.Open();
        using var abort = new CancellationTokenSource();
        Task run = _bench.Sink(subscriber).RunAsync(CancellationToken.None, abort.Token);
        await PublishedAsync("old/a/" + Name(0, 4), "old/b/" + Name(0, 3)); // event 4 is held
        await SinkBench.UntilAsync(() => _bench.Log.Cursor == 4);
        await abort.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => run.WaitAsync(TimeSpan.FromSeconds(20)));

        // As if the run before had been cut off behind its intent for b: the name is not there.
        _bench.Log.Cursor = 0;
        File.Delete(Path.Combine(_bench.Out, "old", "b", Name(0, 3)));
        using (var journal = StorageJournal.Open(_bench.JournalDirectory, _bench.Logger))
        {
            string configuration = journal.State.Configuration!;
            File.Delete(Path.Combine(_bench.JournalDirectory, "journal"));
            using var earlier = StorageJournal.Open(_bench.JournalDirectory, _bench.Logger);
            earlier.State.SetOwner("edge", "main", configuration, 0);
            earlier.State.Intend("b", new JournalIntent(0, 3, 3, Name(0, 3), false));
            earlier.State.Commit("a", 4, 0);
            earlier.Restart();
        }

        _bench.Options = _bench.Options with { Path = _bench.Out + "/new" };
        Append((0, "a", "5"));
        await _bench.DrainAsync();

        Assert.Equal(
            [("new/" + Name(4, 6), "4\n5\n"), ("old/a/" + Name(0, 4), "0\n3\n"), ("old/b/" + Name(0, 3), "1\n2\n")],
            _bench.Published());
    }

    [Fact]
    public async Task An_old_configuration_that_does_not_bind_any_more_is_an_error_that_says_what_to_do()
    {
        using (var journal = StorageJournal.Open(_bench.JournalDirectory, _bench.Logger))
        {
            journal.State.SetOwner("edge", "main", "{\"type\":\"gone\"}", 0);
            journal.State.Intend("", new JournalIntent(0, 1, 1, "x", false));
            journal.Restart();
        }

        _bench.Log.Append(0, "a");
        InvalidOperationException exception = await Assert.ThrowsAsync<InvalidOperationException>(_bench.DrainAsync);
        Assert.Contains("no such configuration", exception.Message, StringComparison.Ordinal);
        Assert.Contains("move the journal out of", exception.Message, StringComparison.Ordinal);
        Assert.Empty(_bench.Published());
    }

    [Fact]
    public async Task A_changed_configuration_without_unfinished_work_simply_takes_over()
    {
        _bench.Log.Append(0, "a");
        await _bench.DrainAsync();
        _bench.Known.Clear();
        _bench.Options = _bench.Options with { Path = _bench.Out + "/new" };
        _bench.Log.Append(0, "b");
        await _bench.DrainAsync();
        Assert.Equal([(Name(0, 1), "a\n"), ("new/" + Name(1, 2), "b\n")], _bench.Published());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Where_the_log_has_lost_its_end_intents_are_clipped_to_what_is_left(bool isPublished)
    {
        _bench.Log.Append(0, "0", "1");
        _bench.Log.Append(0, "2", "3");
        SinkConfigurationIsKnown();
        using (var journal = StorageJournal.Open(_bench.JournalDirectory, _bench.Logger))
        {
            journal.State.SetOwner("edge", "main", _bench.Configure().Json, 0);
            journal.State.Intend("", new JournalIntent(0, 4, 4, Name(0, 4), false));
            journal.State.Intend("", new JournalIntent(4, 6, 6, Name(4, 6), false));
            journal.Restart();
        }

        if (isPublished)
        {
            Directory.CreateDirectory(_bench.Out);
            await File.WriteAllTextAsync(Path.Combine(_bench.Out, Name(0, 4)), "0\n1\n2\n3\n");
        }

        _bench.Log.CutTo(2);
        StorageSink sink = _bench.Sink();
        _bench.Log.Run = 0xfedcba9876543210;
        _bench.Log.Append(0, "other 2", "other 3", "other 4");
        _bench.Log.Complete();
        await sink.RunAsync(CancellationToken.None, CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(20));

        string Renamed(string name) => name.Replace(Run, "fedcba9876543210", StringComparison.Ordinal);
        Assert.Equal(
            [isPublished ? (Name(0, 4), "0\n1\n2\n3\n") : (Renamed(Name(0, 2)), "0\n1\n"), (Renamed(Name(2, 5)), "other 2\nother 3\nother 4\n")],
            _bench.Published());
    }

    [Fact]
    public async Task Without_a_journal_the_sink_goes_on_from_the_cursor()
    {
        _bench.Log.Append(0, "a", "b", "c");
        _bench.Log.Cursor = 1;
        await _bench.DrainAsync();
        Assert.Equal([(Name(1, 3), "b\nc\n")], _bench.Published());
    }

    [Fact]
    public async Task Left_behind_temporary_files_are_deleted_at_the_start_and_only_our_own()
    {
        string ours = Path.Combine(_bench.Out, "_tailrace", "edge-main-out");
        string theirs = Path.Combine(_bench.Out, "_tailrace", "edge-main-other");
        foreach (string directory in new[] { ours, theirs })
        {
            Directory.CreateDirectory(directory);
            await File.WriteAllTextAsync(Path.Combine(directory, "x"), "half");
        }

        await _bench.DrainAsync();

        Assert.Equal([Path.Combine(theirs, "x")], Directory.EnumerateFiles(_bench.Out, "*", SearchOption.AllDirectories));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Routing_and_writing_text_allocates_nothing_per_event(bool hasOwnHeaders)
    {
        const int batches = 200;
        const int events = 2000;
        _bench.Options = _bench.Options with { Path = _bench.Out + (hasOwnHeaders ? "/%{app}/%H" : "/%H") };
        var own = new HeaderBuilder();
        own.Add("app", "web").Add("n", 1L);
        using var builder = new EventBatchBuilder();
        for (int i = 0; i < batches; i++)
        {
            builder.Start();
            for (int j = 0; j < events; j++)
            {
                builder.Add(Noon + j, "a body of some length"u8, hasOwnHeaders ? own.Encoded : default);
            }

            _bench.Log.Append(builder.Build());
        }

        _bench.Log.Complete();
        SinkConfigurationIsKnown();
        using var journal = StorageJournal.Open(_bench.JournalDirectory, _bench.Logger);
        journal.State.SetOwner("edge", "main", "{}", 0);
        journal.Restart();
        await using var destination = new Destination(_bench.Configure(), "edge", "main", _bench);
        await using var loop = new StorageLoop(destination, journal, _bench.Log.Open(), 1, new StoreRetry(_bench), _bench, long.MaxValue);

        // Everything up to the first file that has to be published happens within the call, on this thread.
        long before = GC.GetAllocatedBytesForCurrentThread();
        Task<bool> run = loop.RunAsync([], CancellationToken.None, CancellationToken.None);
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.True(await run);
        Assert.Equal(batches * events * 22, _bench.Published().Single().Content.Length);
        Assert.InRange(allocated, 1, (batches * 500) + 200_000);
    }

    public void Dispose() => _bench.Dispose();

    private static string Name(long start, long end, string extension = "log") => $"edge-main-out-{start:D20}-{end:D20}-{Run}.{extension}";

    private void Roll(RollOptions roll) => _bench.Options = _bench.Options with { Roll = roll };

    private void SinkConfigurationIsKnown() => _bench.Configure();

    private Task PublishedAsync(params string[] names) => SinkBench.UntilAsync(() => names.All(name => File.Exists(Path.Combine(_bench.Out, name))));

    private void Append(params (long Timestamp, string? App, string Body)[] events) => Append(_bench, events);

    private static void Append(SinkBench bench, params (long Timestamp, string? App, string Body)[] events)
    {
        using var builder = new EventBatchBuilder();
        builder.Start();
        foreach ((long timestamp, string? app, string body) in events)
        {
            var headers = new HeaderBuilder();
            if (app is not null)
            {
                headers.Add("app", app);
            }

            builder.Add(timestamp, Encoding.UTF8.GetBytes(body), headers.Encoded);
        }

        bench.Log.Append(builder.Build());
    }
}
