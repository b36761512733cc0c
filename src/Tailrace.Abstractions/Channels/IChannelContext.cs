namespace Tailrace;

/// <summary>What the host gives a channel.</summary>
public interface IChannelContext : IComponentContext
{
    /// <summary>The channel's own directory below the agent's data directory; made if it is missing.</summary>
    string Directory { get; }
}
