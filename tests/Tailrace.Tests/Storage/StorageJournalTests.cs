using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Tailrace.Core.Storage;

namespace Tailrace.Tests.Storage;

public sealed class StorageJournalTests : IDisposable
{
    /// <summary>A journal of version 1, byte by byte; it must be read for ever.</summary>
    private const string Golden =
        "5452534A0100000000000000410FA8B3"
        + "2C00000098B40A490164000000000000000400000065646765040000006D61696E100000007B2274797065223A2266696C6573227D"
        + "3D000000ABEDCFA90264000000000000002C010000000000002C01000000000000000B00000064743D323032362F68C3A911000000656467652D6D61696E2D6F75742E6C6F67"
        + "1F000000AC5D65AE032C0100000000000096000000000000000B00000064743D323032362F68C3A9"
        + "27000000EF111D98029600000000000000900100000000000086010000000000000100000000060000007365636F6E64"
        + "08000000F321E8D804A000000000000000";

    private readonly string _directory = Path.Combine(Path.GetTempPath(), $"tailrace-journal-{Guid.NewGuid():N}");

    private string JournalPath => Path.Combine(_directory, "journal");

    [Fact]
    public async Task What_was_recorded_is_read_again()
    {
        await WriteAsync();
        using var journal = StorageJournal.Open(_directory, NullLogger.Instance);
        Assert.Equal(Expected(4), Describe(journal.State));
        Assert.Equal(390, journal.State.Highest);
    }

    [Fact]
    public async Task A_journal_cut_at_any_byte_holds_the_records_that_are_whole()
    {
        long[] ends = await WriteAsync();
        byte[] whole = await File.ReadAllBytesAsync(JournalPath);
        Assert.Equal(ends[^1], whole.Length);
        for (long length = ends[0]; length <= whole.Length; length++)
        {
            await File.WriteAllBytesAsync(JournalPath, whole[..(int)length]);
            var log = new CountingLogger();
            using var journal = StorageJournal.Open(_directory, log);
            Assert.Equal(Expected(ends.Count(end => end <= length) - 1), Describe(journal.State));
            Assert.Equal(0, log.Errors);
        }
    }

    [Fact]
    public async Task A_flipped_bit_ends_the_journal_before_it_and_is_reported()
    {
        long[] ends = await WriteAsync();
        byte[] whole = await File.ReadAllBytesAsync(JournalPath);
        for (int at = 0; at < whole.Length; at++)
        {
            byte[] damaged = [.. whole];
            damaged[at] ^= 0x10;
            await File.WriteAllBytesAsync(JournalPath, damaged);
            var log = new CountingLogger();
            using var journal = StorageJournal.Open(_directory, log);
            if (at >= ends[0])
            {
                Assert.Equal(Expected(ends.Count(end => end <= at) - 1), Describe(journal.State));
            }
            else
            {
                Assert.Null(journal.State.Configuration);
            }

            Assert.Equal(at < ends[^2] ? 1 : 0, log.Errors);
            Assert.True(log.Errors == 0 || (await File.ReadAllBytesAsync(JournalPath + ".damaged")).AsSpan().SequenceEqual(damaged));
        }
    }

    [Fact]
    public async Task The_bytes_are_those_of_version_1()
    {
        await WriteAsync();
        Assert.Equal(Golden, Convert.ToHexString(await File.ReadAllBytesAsync(JournalPath)));
        await File.WriteAllBytesAsync(JournalPath, Convert.FromHexString(Golden));
        using var journal = StorageJournal.Open(_directory, NullLogger.Instance);
        Assert.Equal(Expected(4), Describe(journal.State));
    }

    [Fact]
    public async Task A_newer_version_is_refused()
    {
        await WriteAsync();
        byte[] bytes = await File.ReadAllBytesAsync(JournalPath);
        bytes[4] = 2;
        System.Buffers.Binary.BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(12), Crc32C.Compute(bytes.AsSpan(0, 12)));
        await File.WriteAllBytesAsync(JournalPath, bytes);
        Assert.Contains("newer", Assert.Throws<InvalidDataException>(() => StorageJournal.Open(_directory, NullLogger.Instance)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_journal_that_grows_is_replaced_by_what_it_adds_up_to()
    {
        using (var journal = StorageJournal.Open(_directory, NullLogger.Instance))
        {
            journal.State.SetOwner("edge", "main", "{}", 0);
            journal.Restart();
            for (int i = 0; i < 30_000; i++)
            {
                journal.Intend("a", new JournalIntent(i, i + 1, i + 1, $"name-{i}", false));
                journal.Commit("a", i + 1, i);
                if (i % 100 == 0)
                {
                    await journal.SyncAsync(CancellationToken.None);
                }
            }

            await journal.SyncAsync(CancellationToken.None);
        }

        Assert.InRange(new FileInfo(JournalPath).Length, 100, StorageJournal.SnapshotLength);
        using var again = StorageJournal.Open(_directory, NullLogger.Instance);
        Assert.Equal("edge main {} low 29999 | a 30000", Describe(again.State));
    }

    [Fact]
    public async Task Callers_at_the_same_time_find_their_records_durable()
    {
        using var journal = StorageJournal.Open(_directory, NullLogger.Instance);
        journal.State.SetOwner("edge", "main", "{}", 0);
        journal.Restart();
        await Task.WhenAll(Enumerable.Range(0, 20).Select(i => Task.Run(async () =>
        {
            for (int j = 0; j < 10; j++)
            {
                journal.Intend($"b{i}", new JournalIntent(j, j + 1, j + 1, $"n{i}-{j}", false));
                await journal.SyncAsync(CancellationToken.None);
                using var reader = StorageJournal.Open(_directory, NullLogger.Instance);
                Assert.Equal(j + 1, reader.State.Buckets[$"b{i}"].Intents.Count);
            }
        })));
    }

    [Theory]
    [InlineData(0, 1000, "low 100 | a 300 [300,350)350 [350,400)400 | b 0 [100,200)200")]
    [InlineData(150, 1000, "low 150 | a 300 [300,350)350 [350,400)400 | b 0 [100,200)200")]
    [InlineData(360, 1000, "low 360 | a 300 [350,400)400")]
    [InlineData(0, 380, "low 100 | a 300 [300,350)350 [350,400)380 | b 0 [100,200)200")]
    [InlineData(0, 320, "low 100 | a 300 [300,350)320 | b 0 [100,200)200")]
    [InlineData(0, 150, "low 100 | a 150 | b 0 [100,200)150")]
    [InlineData(0, 50, "low 50")]
    public void Cursor_and_end_of_the_log_clip_what_is_known(long cursor, long end, string expected)
    {
        var state = new JournalState();
        state.SetOwner("edge", "main", "{}", 100);
        state.Commit("a", 300, 100);
        state.Intend("a", new JournalIntent(300, 350, 350, "x", false));
        state.Intend("a", new JournalIntent(350, 400, 400, "y", false));
        state.Intend("b", new JournalIntent(100, 200, 200, "z", false));
        state.Clip(cursor, end);
        Assert.Equal("edge main {} " + expected, string.Join(" | ", Describe(state).Split(" | ").Select(part => string.Join(' ', part.Split(' ').Where(word => word is not ("x" or "y" or "z"))))));
    }

    public void Dispose()
    {
        if (Directory.Exists(_directory))
        {
            Directory.Delete(_directory, recursive: true);
        }
    }

    /// <summary>Writes a snapshot and four records; gives the length of the file behind each.</summary>
    private async Task<long[]> WriteAsync()
    {
        using var journal = StorageJournal.Open(_directory, NullLogger.Instance);
        List<long> ends = [];
        journal.State.SetOwner("edge", "main", "{\"type\":\"files\"}", 100);
        journal.Restart();
        ends.Add(new FileInfo(JournalPath).Length);
        Action[] records =
        [
            () => journal.Intend("dt=2026/h\u00e9", new JournalIntent(100, 300, 300, "edge-main-out.log", false)),
            () => journal.Commit("dt=2026/h\u00e9", 300, 150),
            () => journal.Intend("", new JournalIntent(150, 400, 390, "second", true)),
            () => journal.Advance(160),
        ];
        foreach (Action record in records)
        {
            record();
            await journal.SyncAsync(CancellationToken.None);
            ends.Add(new FileInfo(JournalPath).Length);
        }

        return [.. ends];
    }

    private static string Expected(int records) => "edge main {\"type\":\"files\"} " + records switch
    {
        0 => "low 100",
        1 => "low 100 | dt=2026/h\u00e9 0 [100,300)300 edge-main-out.log",
        2 => "low 150 | dt=2026/h\u00e9 300",
        3 => "low 150 |  0 [150,400)390 second! | dt=2026/h\u00e9 300",
        _ => "low 160 |  0 [150,400)390 second! | dt=2026/h\u00e9 300",
    };

    private static string Describe(JournalState state) => string.Join(
        " | ",
        state.Buckets.OrderBy(bucket => bucket.Key, StringComparer.Ordinal)
            .Select(bucket => $"{bucket.Key} {bucket.Value.End}" + string.Concat(bucket.Value.Intents.Select(intent => $" [{intent.Start},{intent.End}){intent.Limit} {intent.Name}{(intent.Foreign ? "!" : "")}")))
            .Prepend($"{state.Agent} {state.Channel} {state.Configuration} low {state.Low}"));

    private sealed class CountingLogger : ILogger
    {
        public int Errors { get; private set; }

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Errors += logLevel >= LogLevel.Error ? 1 : 0;
    }
}
