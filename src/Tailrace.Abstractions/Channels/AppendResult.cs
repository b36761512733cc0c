namespace Tailrace;

/// <summary>What became of an append.</summary>
public enum AppendStatus
{
    /// <summary>Stored, and as safe as the channel promises.</summary>
    Stored,

    /// <summary>The channel had it already; nothing was stored, and what it had is safe.</summary>
    Duplicate,

    /// <summary>The batch does not start where the channel stands; nothing was stored. Go on from <see cref="AppendResult.Position"/>.</summary>
    Mismatch,
}

/// <summary>The answer to an append.</summary>
/// <param name="Status">What became of it.</param>
/// <param name="Offset">For <see cref="AppendStatus.Stored"/>: the offset of the batch's first event.</param>
/// <param name="Position">For <see cref="AppendStatus.Mismatch"/>: the position the channel has stored for the first advance that does not fit.</param>
public readonly record struct AppendResult(AppendStatus Status, long Offset, long Position);

/// <summary>A channel could not store or read; the message names the channel, the file and the cause, and what to do.</summary>
public sealed class ChannelException : IOException
{
    /// <summary>Makes the error.</summary>
    public ChannelException()
    {
    }

    /// <summary>Makes the error.</summary>
    public ChannelException(string message)
        : base(message)
    {
    }

    /// <summary>Makes the error with its cause.</summary>
    public ChannelException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
