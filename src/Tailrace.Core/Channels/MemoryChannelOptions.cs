using System.ComponentModel;

namespace Tailrace.Core.Channels;

/// <summary>The options of the <c>memory</c> channel.</summary>
internal sealed record MemoryChannelOptions : IValidatedOptions
{
    [Description("How much memory may be held for the slowest subscriber, buffers counted whole; when it is full, sources wait. At least 4KiB.")]
    public ByteSize Capacity { get; init; } = new(64 << 20);

    public IEnumerable<OptionProblem> Validate()
    {
        if (Capacity.Bytes < 4096)
        {
            yield return new OptionProblem("capacity", $"{Capacity} is too small; at least 4KiB.");
        }
    }
}
