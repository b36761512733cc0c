using Tailrace.Core.Channels;
using static Tailrace.Tests.Channels.TestBatch;

namespace Tailrace.Tests.Channels;

/// <summary>Every file operation of a short life fails once, each in its turn.</summary>
public sealed class FileChannelFaultTests
{
    private const int Batches = 12;
    private static readonly OriginId A = Origin(1);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Whichever_operation_fails_once_nothing_acknowledged_is_lost_and_nothing_comes_twice(bool isFull)
    {
        // Every other operation each, to keep the run short: their order shifts with every change of the code.
        for (int failing = isFull ? 2 : 1; await LiveAsync(failing, isFull); failing += 2)
        {
        }
    }

    /// <summary>A life in which one operation fails; false if it ended before that operation.</summary>
    private static async Task<bool> LiveAsync(int failing, bool isFull)
    {
        using var context = new TestContext();
        int count = 0;
        string failed = "";
        var files = new TestFiles
        {
            Fault = (operation, path) =>
            {
                if (Interlocked.Increment(ref count) != failing)
                {
                    return null;
                }

                failed = $"{operation} {Path.GetFileName(path)} ({failing})";
                return isFull ? TestFiles.Full : TestFiles.Broken;
            },
        };
        FileChannel channel = Open(context, files);
        ISubscriber subscriber = Subscribe(channel);
        long acknowledged = 0;
        var read = new List<long>();
        for (int i = 0; i < Batches; i++)
        {
            acknowledged = await PutAsync(context, channel, acknowledged);
            if (i is 6 or 9)
            {
                while (read.Count < acknowledged)
                {
                    try
                    {
                        read.AddRange(await subscriber.ReadAsync(1));
                    }
                    catch (ChannelException)
                    {
                        // tried again, as a runner does
                    }
                }

                await subscriber.CommitAsync(channel.End, CancellationToken.None);
            }

            if (i == 7)
            {
                await channel.DisposeAsync();
                channel = Open(context, files);
                subscriber = Subscribe(channel);
            }

            if (i == 10)
            {
                await channel.AbandonAsync();
                channel = Open(context, files);
                subscriber = Subscribe(channel);
            }
        }

        read.AddRange(await RetryAsync(() => subscriber.DrainAsync(channel)));
        Assert.True(Range(0, acknowledged).SequenceEqual(read), $"{failed}: read {string.Join(' ', read)}");
        await channel.AbandonAsync();

        channel = Open(context, new TestFiles());
        Assert.Equal((acknowledged, acknowledged, failed), (channel.End, Assert.Single(channel.GetOrigins()).Position, failed));
        subscriber = Subscribe(channel);
        Assert.Equal(Range(subscriber.Cursor, acknowledged), await subscriber.DrainAsync(channel));
        Assert.Equal(0, channel.Skipped + channel.Damaged);
        await channel.DisposeAsync();
        return count >= failing;
    }

    /// <summary>Appends the next event as a source does: after an error it asks where to go on.</summary>
    private static async Task<long> PutAsync(TestContext context, FileChannel channel, long from)
    {
        while (true)
        {
            using EventBatch batch = Numbers(A, from, from + 1, 250_000);
            Task<AppendResult> append = channel.AppendAsync(batch, CancellationToken.None).AsTask();
            try
            {
                while (await Task.WhenAny(append, Task.Delay(10)) != append)
                {
                    context.Clock.Advance(TimeSpan.FromMinutes(1)); // ends a wait for space
                }

                AppendResult result = await append;
                Assert.Equal(new AppendResult(AppendStatus.Stored, from, 0), result);
                return from + 1;
            }
            catch (ChannelException)
            {
                Assert.Equal(from, channel.GetOrigins().SingleOrDefault()?.Position ?? 0);
            }
        }
    }

    private static async Task<T> RetryAsync<T>(Func<Task<T>> act)
    {
        try
        {
            return await act();
        }
        catch (ChannelException)
        {
            return await act();
        }
    }

    private static FileChannel Open(TestContext context, TestFiles files)
    {
        try
        {
            return context.OpenFile(files, cache: 0);
        }
        catch (ChannelException)
        {
            return context.OpenFile(files, cache: 0);
        }
    }

    private static ISubscriber Subscribe(FileChannel channel)
    {
        try
        {
            return channel.Subscribe("out", SubscriberStart.Beginning);
        }
        catch (ChannelException)
        {
            return channel.Subscribe("out", SubscriberStart.Beginning);
        }
    }
}
