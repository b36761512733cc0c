using Tailrace.Core.Channels;

namespace Tailrace.Tests.Channels;

/// <summary>The contract, kept by the file channel reading from memory at the tail.</summary>
public class FileChannelContractTests : ChannelContract
{
    protected override bool IsDurable => true;

    private protected override IChannel Open(TestContext context, long capacity) =>
        FileChannel.Open(new FileChannelOptions { Capacity = new ByteSize(capacity), Cache = new ByteSize(Cache) }, context);

    private protected virtual long Cache => 8 << 20;
}

/// <summary>The contract, kept by the file channel reading everything from disk.</summary>
public sealed class UncachedFileChannelContractTests : FileChannelContractTests
{
    private protected override long Cache => 0;
}
