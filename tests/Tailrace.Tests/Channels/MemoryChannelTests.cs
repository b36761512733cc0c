using Tailrace.Core.Channels;
using static Tailrace.Tests.Channels.TestBatch;

namespace Tailrace.Tests.Channels;

/// <summary>The contract, kept by the memory channel.</summary>
public sealed class MemoryChannelContractTests : ChannelContract
{
    protected override bool IsDurable => false;

    // Buffers are counted whole, and a batch of the suite's 1,000 bytes stands in one of 2 KiB.
    private protected override IChannel Open(TestContext context, long capacity) =>
        new MemoryChannel(new MemoryChannelOptions { Capacity = new ByteSize(2 * capacity) }, context);
}

public sealed class MemoryChannelTests : IDisposable
{
    private static readonly OriginId A = Origin(1);
    private readonly TestContext _context = new();
    private readonly TestFiles _files = new();

    public void Dispose() => _context.Dispose();

    [Fact]
    public async Task Sources_are_told_what_every_subscriber_has_delivered()
    {
        await using MemoryChannel channel = Open();
        ISubscriber one = channel.Subscribe("one", SubscriberStart.Beginning);
        ISubscriber two = channel.Subscribe("two", SubscriberStart.Beginning);
        await channel.PutAsync(Numbers(A, 0, 10));
        await channel.PutAsync(Numbers(A, 10, 20));
        Assert.Empty(channel.GetOrigins());
        await one.CommitAsync(20, CancellationToken.None);
        Assert.Empty(channel.GetOrigins());
        await two.CommitAsync(9, CancellationToken.None);
        Assert.Empty(channel.GetOrigins());
        await two.CommitAsync(15, CancellationToken.None);
        Assert.Equal(10, Assert.Single(channel.GetOrigins()).Position);
        await two.CommitAsync(20, CancellationToken.None);
        Assert.Equal(20, Assert.Single(channel.GetOrigins()).Position);
        Assert.Equal(0, channel.UsedBytes);

        // With nothing before it undelivered, a position alone is delivered as it comes.
        await channel.PutAsync(EventBatch.PositionsOnly(new Advance(A, 20, 25, default)));
        Assert.Equal(25, Assert.Single(channel.GetOrigins()).Position);
    }

    [Fact]
    public async Task Positions_are_written_at_most_once_a_second_and_at_the_end()
    {
        MemoryChannel channel = Open();
        ISubscriber subscriber = channel.Subscribe("out", SubscriberStart.Beginning);
        for (int i = 0; i < 50; i++)
        {
            await channel.PutAsync(Numbers(A, i, i + 1));
            await subscriber.CommitAsync(i + 1, CancellationToken.None);
        }

        Assert.Equal(0, _files.Count("replace"));
        _context.Clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(1, _files.Count("replace"));
        _context.Clock.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal(1, _files.Count("replace"));
        await channel.PutAsync(Numbers(A, 50, 60));
        await subscriber.CommitAsync(60, CancellationToken.None);
        using TestContext killed = _context.Copy();
        await channel.DisposeAsync();
        Assert.Equal(2, _files.Count("replace"));

        await using (MemoryChannel again = Open())
        {
            Assert.Equal((60, 60L), (again.End, Assert.Single(again.GetOrigins()).Position));
        }

        // After a kill everything goes back to what was written last: offsets too, so that names sort across restarts.
        await using var revived = new MemoryChannel(new MemoryChannelOptions(), killed, _files);
        Assert.Equal((50, 50L), (revived.End, Assert.Single(revived.GetOrigins()).Position));
        Assert.Equal(50, revived.Subscribe("out", SubscriberStart.Beginning).Cursor);
        Assert.Equal(new AppendResult(AppendStatus.Stored, 50, 0), await revived.PutAsync(Numbers(A, 50, 60)));
    }

    [Fact]
    public async Task What_was_not_delivered_is_read_again_after_a_stop()
    {
        MemoryChannel channel = Open();
        ISubscriber subscriber = channel.Subscribe("out", SubscriberStart.Beginning);
        await channel.PutAsync(Numbers(A, 0, 10));
        await channel.PutAsync(Numbers(A, 10, 20));
        await subscriber.CommitAsync(13, CancellationToken.None);
        await channel.DisposeAsync();
        await using MemoryChannel again = Open();
        Assert.Equal((13, 10L), (again.End, Assert.Single(again.GetOrigins()).Position));
    }

    [Fact]
    public async Task Damaged_positions_are_reported_and_a_directory_that_cannot_be_written_is_tried_again()
    {
        Directory.CreateDirectory(_context.Directory);
        await File.WriteAllTextAsync(Path.Combine(_context.Directory, "positions"), "nonsense");
        await using MemoryChannel channel = Open();
        Assert.Contains(_context.Lines, line => line.StartsWith("Error", StringComparison.Ordinal));
        ISubscriber subscriber = channel.Subscribe("out", SubscriberStart.Beginning);
        _files.Fault = (operation, _) => operation == "replace" ? TestFiles.Full : null;
        await channel.PutAsync(Numbers(A, 0, 10));
        await subscriber.CommitAsync(10, CancellationToken.None);
        _context.Clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Contains(_context.Lines, line => line.Contains("tries again", StringComparison.Ordinal));
        _files.Fault = null;
        _context.Clock.Advance(TimeSpan.FromSeconds(1));
        using TestContext killed = _context.Copy();
        await using var again = new MemoryChannel(new MemoryChannelOptions(), killed, _files);
        Assert.Equal(10, Assert.Single(again.GetOrigins()).Position);
    }

    private MemoryChannel Open() => new(new MemoryChannelOptions(), _context, _files);
}
