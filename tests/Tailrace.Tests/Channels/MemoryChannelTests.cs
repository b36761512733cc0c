using Tailrace.Core.Channels;

namespace Tailrace.Tests.Channels;

/// <summary>The contract, kept by the memory channel.</summary>
public sealed class MemoryChannelContractTests : ChannelContract
{
    protected override bool IsDurable => false;

    private protected override IChannel Open(TestContext context, long capacity) =>
        new MemoryChannel(new MemoryChannelOptions { Capacity = new ByteSize(capacity) }, context);
}
