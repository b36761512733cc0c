using System.Collections.Concurrent;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Tailrace.Core.Channels;
using Tailrace.Core.Configuration;
using Tailrace.Core.Plugins;
using Tailrace.Core.Runtime;

namespace Tailrace.Tests.Runtime;

/// <summary>A source with its channels: real file channels, a source made of lambdas.</summary>
public sealed class SourceRunnerTests : IAsyncDisposable
{
    private static readonly OriginId Origin = OriginId.New();

    private readonly string _place = Path.Combine(Path.GetTempPath(), $"tailrace-{Guid.NewGuid():N}");
    private readonly ComponentCatalog _catalog = new();
    private readonly List<IChannel> _channels = [];

    public SourceRunnerTests() => BuiltInChannels.Register(_catalog);

    [Fact]
    public async Task A_batch_goes_to_every_channel()
    {
        IChannel[] channels = [Open("a"), Open("b")];
        await RunAsync(channels, context => AppendAsync(context, 0, 3));
        Assert.Equal(["0", "1", "2"], await ReadAsync(channels[0]));
        Assert.Equal(["0", "1", "2"], await ReadAsync(channels[1]));
    }

    [Fact]
    public async Task A_source_that_fails_is_made_anew_and_goes_on_where_the_channels_stand()
    {
        IChannel channel = Open("a");
        int runs = 0;
        await RunAsync(
            [channel],
            async context =>
            {
                long from = context.GetOrigins().SingleOrDefault()?.Position ?? 0;
                await AppendAsync(context, (int)from, (int)from + 2);
                if (++runs < 3)
                {
                    throw new IOException("for the test");
                }
            });
        Assert.Equal(["0", "1", "2", "3", "4", "5"], await ReadAsync(channel));
    }

    [Fact]
    public async Task Channels_at_different_positions_after_a_crash_each_get_every_event_once()
    {
        IChannel[] channels = [Open("a"), Open("b")];
        await RunAsync(channels, context => AppendAsync(context, 0, 2));
        using (EventBatch ahead = Batch(2, 5))
        {
            await channels[0].AppendAsync(ahead, CancellationToken.None); // then the crash: b never got it
        }

        await RunAsync(
            channels,
            async context =>
            {
                OriginState state = Assert.Single(context.GetOrigins());
                Assert.Equal(2, state.Position);
                Assert.Equal([5L], state.Cuts);
                await AppendAsync(context, 2, 5);
                await AppendAsync(context, 5, 7);
            });
        Assert.Equal(["0", "1", "2", "3", "4", "5", "6"], await ReadAsync(channels[0]));
        Assert.Equal(["0", "1", "2", "3", "4", "5", "6"], await ReadAsync(channels[1]));
    }

    [Fact]
    public async Task A_channel_that_is_new_to_the_source_starts_where_the_others_stand()
    {
        IChannel first = Open("a");
        await RunAsync([first], context => AppendAsync(context, 0, 4));
        IChannel second = Open("b");
        await RunAsync(
            [first, second],
            async context =>
            {
                OriginState state = Assert.Single(context.GetOrigins());
                Assert.Equal(4, state.Position);
                Assert.Empty(state.Cuts);
                await AppendAsync(context, 4, 6);
            });
        Assert.Equal(["0", "1", "2", "3", "4", "5"], await ReadAsync(first));
        Assert.Equal(["4", "5"], await ReadAsync(second));
    }

    [Fact]
    public async Task A_channel_that_a_crash_kept_from_the_first_batch_gets_it()
    {
        IChannel[] channels = [Open("a"), Open("b")];
        await RunAsync(channels, _ => Task.CompletedTask); // both are known to the source now
        using (EventBatch first = Batch(0, 3))
        {
            await channels[0].AppendAsync(first, CancellationToken.None);
        }

        await RunAsync(
            channels,
            async context =>
            {
                // b has never stored anything for the origin: that is position 0, not where a stands
                long from = context.GetOrigins().Single().Position;
                await AppendAsync(context, (int)from, 3);
                await AppendAsync(context, 3, 4);
            });
        Assert.Equal(["0", "1", "2", "3"], await ReadAsync(channels[0]));
        Assert.Equal(["0", "1", "2", "3"], await ReadAsync(channels[1]));
    }

    [Fact]
    public async Task A_batch_that_does_not_fit_is_told_where_to_go_on()
    {
        IChannel channel = Open("a");
        await RunAsync(
            [channel],
            async context =>
            {
                await AppendAsync(context, 0, 3);
                PositionMismatchException mismatch = await Assert.ThrowsAsync<PositionMismatchException>(() => AppendAsync(context, 5, 6));
                Assert.Equal(3, mismatch.Position);
            });
    }

    [Fact]
    public async Task Origins_of_other_sources_are_not_seen()
    {
        IChannel channel = Open("a");
        await RunAsync([channel], context => AppendAsync(context, 0, 3));
        await RunAsync(
            [channel],
            context =>
            {
                Assert.Empty(context.GetOrigins());
                return Task.CompletedTask;
            },
            name: "other");
    }

    public async ValueTask DisposeAsync()
    {
        foreach (IChannel channel in _channels)
        {
            await channel.DisposeAsync();
        }

        Directory.Delete(_place, recursive: true);
    }

    private static EventBatch Batch(int from, int to)
    {
        using var builder = new EventBatchBuilder();
        builder.Start();
        for (int i = from; i < to; i++)
        {
            builder.Add(i, Encoding.UTF8.GetBytes(i.ToString(System.Globalization.CultureInfo.InvariantCulture)));
        }

        return builder.Build(new Advance(Origin, from, to, new HeaderBuilder().Add("source", "logs").Add("kind", "test").Encoded.ToArray()));
    }

    private static async Task AppendAsync(ISourceContext context, int from, int to)
    {
        using EventBatch batch = Batch(from, to);
        await context.AppendAsync(batch, CancellationToken.None);
    }

    private IChannel Open(string name)
    {
        string directory = Path.Combine(_place, name);
        Directory.CreateDirectory(directory);
        ComponentRegistration registration = _catalog.Find(ComponentKind.Channel, "file")!;
        var state = new ComponentState("channels", name, "file", NullLoggerFactory.Instance, TimeProvider.System);
        var channel = (IChannel)registration.Create(new FileChannelOptions(), null, new ComponentContext(state, "agent", TimeProvider.System, directory));
        _channels.Add(channel);
        return channel;
    }

    private static async Task RunAsync(IReadOnlyList<IChannel> channels, Func<ISourceContext, Task> body, string name = "logs")
    {
        var failures = new ConcurrentQueue<Exception>();
        var catalog = new ComponentCatalog();
        catalog.AddSource<object>("test", "A test.", (_, context) => new LambdaSource(() => body(context), failures));
        var configuration = new SourceConfiguration(name, new ComponentReference(catalog.Find(ComponentKind.Source, "test")!, new object()), [.. channels.Select(channel => channel.Name)], [], null);
        var state = new ComponentState("sources", name, "test", NullLoggerFactory.Instance, TimeProvider.System);
        await new SourceRunner(configuration, state, "agent", TimeProvider.System, once: true, channels, []).RunAsync(CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(30));
        Assert.All(failures, failure => Assert.Equal("for the test", failure.Message));
    }

    private static async Task<IReadOnlyList<string>> ReadAsync(IChannel channel)
    {
        var bodies = new List<string>();
        await using ISubscriber subscriber = channel.Subscribe("reader", SubscriberStart.Beginning);
        while (subscriber.Position < channel.End)
        {
            using ChannelTransaction? transaction = await subscriber.TakeAsync(CancellationToken.None);
            foreach (LogEvent item in transaction!.Events)
            {
                bodies.Add(Encoding.UTF8.GetString(item.Body));
            }
        }

        return bodies;
    }

    private sealed class LambdaSource(Func<Task> body, ConcurrentQueue<Exception> failures) : ISource
    {
        public async Task RunAsync(CancellationToken cancellationToken)
        {
            try
            {
                await body();
            }
            catch (Exception exception)
            {
                failures.Enqueue(exception);
                if (exception is IOException)
                {
                    throw;
                }
            }
        }
    }
}
