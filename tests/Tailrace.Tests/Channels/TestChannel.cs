using System.Collections.Concurrent;
using System.Text;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;

namespace Tailrace.Tests.Channels;

/// <summary>What a channel under test is given: a directory of its own, a clock that stands still, and a log that can be read.</summary>
internal sealed class TestContext : IChannelContext, ILogger, IDisposable
{
    public TestContext(string? directory = null) => Directory = directory ?? Path.Combine(Path.GetTempPath(), $"tailrace-{Guid.NewGuid():N}");

    public string Name => "main";

    public string Agent => "edge";

    public string Directory { get; }

    public ILogger Logger => this;

    public FakeTimeProvider Clock { get; } = new(new DateTimeOffset(2026, 11, 22, 10, 0, 0, TimeSpan.Zero));

    public TimeProvider Time => Clock;

    public ConcurrentQueue<string> Lines { get; } = new();

    public ConcurrentQueue<ComponentStatus> Reports { get; } = new();

    /// <summary>Files of the directory's segments, oldest first.</summary>
    public string[] Segments => [.. System.IO.Directory.GetFiles(Path.Combine(Directory, "segments"), "*.trl").Order(StringComparer.Ordinal)];

    public void Report(ComponentStatus status, string? reason = null) => Reports.Enqueue(status);

    public TestContext Copy()
    {
        var copy = new TestContext();
        foreach (string file in System.IO.Directory.GetFiles(Directory, "*", SearchOption.AllDirectories))
        {
            string target = Path.Combine(copy.Directory, Path.GetRelativePath(Directory, file));
            System.IO.Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(file, target);
        }

        return copy;
    }

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
        Lines.Enqueue($"{logLevel}: {formatter(state, exception)}");

    public bool IsEnabled(LogLevel logLevel) => true;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public void Dispose()
    {
        if (System.IO.Directory.Exists(Directory))
        {
            System.IO.Directory.Delete(Directory, recursive: true);
        }
    }
}

/// <summary>Batches whose events tell their number, and what reading them back gives.</summary>
internal static class TestBatch
{
    public static OriginId Origin(byte number) => new(new Guid(number, 0, 0, [1, 2, 3, 4, 5, 6, 7, 8]));

    /// <summary>Events numbered from <paramref name="from"/> to below <paramref name="to"/>; the numbers are the origin's positions too.</summary>
    public static EventBatch Numbers(OriginId origin, long from, long to, int padding = 0, string? attribute = null)
    {
        byte[] attributes = attribute is null ? [] : new HeaderBuilder().Add("path", attribute).Encoded.ToArray();
        using EventBatchBuilder builder = Fill(from, to, padding);
        return builder.Build(new Advance(origin, from, to, attributes));
    }

    /// <summary>The same without an origin.</summary>
    public static EventBatch Numbers(long from, long to, int padding = 0)
    {
        using EventBatchBuilder builder = Fill(from, to, padding);
        return builder.Build();
    }

    public static async Task<AppendResult> PutAsync(this IChannel channel, EventBatch batch)
    {
        using (batch)
        {
            return await channel.AppendAsync(batch, CancellationToken.None).AsTask().WaitAsync(Deadline);
        }
    }

    /// <summary>Takes until <paramref name="count"/> events are read, checking that offsets have no gap.</summary>
    public static async Task<List<long>> ReadAsync(this ISubscriber subscriber, int count)
    {
        var read = new List<long>();
        while (read.Count < count)
        {
            long position = subscriber.Position;
            using ChannelTransaction? transaction = await subscriber.TakeAsync(CancellationToken.None).AsTask().WaitAsync(Deadline);
            Assert.NotNull(transaction);
            Assert.Equal(position, transaction.Start);
            Assert.Equal(transaction.End, subscriber.Position);
            read.AddRange(transaction.Numbers());
        }

        return read;
    }

    /// <summary>Reads all there is, whether or not there are gaps; ends where a take would wait.</summary>
    public static async Task<List<long>> DrainAsync(this ISubscriber subscriber, IChannel channel)
    {
        var read = new List<long>();
        while (subscriber.Position < channel.End)
        {
            using var patience = new CancellationTokenSource(Deadline);
            using var cancellation = CancellationTokenSource.CreateLinkedTokenSource(patience.Token);
            ValueTask<ChannelTransaction?> take = subscriber.TakeAsync(cancellation.Token);
            if (!take.IsCompleted && subscriber.Position >= channel.End)
            {
                await cancellation.CancelAsync();
                await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await take);
                break;
            }

            using ChannelTransaction? transaction = await take;
            read.AddRange(transaction!.Numbers());
        }

        return read;
    }

    public static List<long> Numbers(this ChannelTransaction transaction)
    {
        var numbers = new List<long>();
        foreach (LogEvent each in transaction.Events)
        {
            numbers.Add(long.Parse(Encoding.ASCII.GetString(each.Body).Split(' ')[0], System.Globalization.CultureInfo.InvariantCulture));
        }

        return numbers;
    }

    public static IEnumerable<long> Range(long from, long to) => Enumerable.Range(0, (int)(to - from)).Select(i => from + i);

    public static async Task UntilAsync(Func<bool> condition, string what)
    {
        for (int i = 0; !condition(); i++)
        {
            Assert.True(i < 5000, $"waited too long: {what}");
            await Task.Delay(2);
        }
    }

    public static TimeSpan Deadline { get; } = TimeSpan.FromSeconds(20);

    private static EventBatchBuilder Fill(long from, long to, int padding)
    {
        var builder = new EventBatchBuilder();
        builder.Start(new HeaderBuilder().Add("host", "web-01").Encoded);
        string tail = padding == 0 ? "" : " " + new string('x', padding);
        for (long number = from; number < to; number++)
        {
            builder.Add(1_000_000 + number, Encoding.ASCII.GetBytes(number.ToString(System.Globalization.CultureInfo.InvariantCulture) + tail));
        }

        return builder;
    }
}
