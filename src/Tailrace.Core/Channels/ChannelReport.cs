namespace Tailrace.Core.Channels;

/// <summary>What a channel's directory holds, as the commands show it.</summary>
public sealed record ChannelReport
{
    /// <summary>The channel's name: that of its directory.</summary>
    public required string Name { get; init; }

    /// <summary>The directory.</summary>
    public required string Path { get; init; }

    /// <summary><c>file</c> or <c>memory</c>.</summary>
    public required string Type { get; init; }

    /// <summary>The channel's random id; null for a memory channel.</summary>
    public Guid? Id { get; init; }

    /// <summary>Since when no configuration names the channel; null if one does.</summary>
    public DateTimeOffset? OrphanedSince { get; init; }

    /// <summary>The oldest offset retained.</summary>
    public long FirstOffset { get; init; }

    /// <summary>The offset the next event gets.</summary>
    public long NextOffset { get; init; }

    /// <summary>Bytes of frames in all segments.</summary>
    public long Bytes { get; init; }

    /// <summary>Whole batches that were read; null where nothing was verified.</summary>
    public long? Batches { get; init; }

    /// <summary>Events of them.</summary>
    public long? Events { get; init; }

    /// <summary>Events that are missing between the first and the next offset.</summary>
    public long? Missing { get; init; }

    /// <summary>The segments, oldest first.</summary>
    public IReadOnlyList<SegmentReport> Segments { get; init; } = [];

    /// <summary>The last starts of the channel.</summary>
    public IReadOnlyList<RunReport> Runs { get; init; } = [];

    /// <summary>Who reads it.</summary>
    public IReadOnlyList<SubscriberReport> Subscribers { get; init; } = [];

    /// <summary>Where events come from, and how far.</summary>
    public IReadOnlyList<OriginReport> Origins { get; init; } = [];

    /// <summary>What is not sound; empty if all is.</summary>
    public IReadOnlyList<ChannelProblem> Problems { get; init; } = [];
}

/// <summary>A segment of a channel.</summary>
/// <param name="File">Its path.</param>
/// <param name="Number">Its number.</param>
/// <param name="FirstOffset">The offset of its first event.</param>
/// <param name="NextOffset">The offset behind its last event.</param>
/// <param name="Bytes">Bytes of its frames.</param>
/// <param name="Created">When it was begun.</param>
public sealed record SegmentReport(string File, long Number, long FirstOffset, long NextOffset, long Bytes, DateTimeOffset Created);

/// <summary>A start of a channel.</summary>
/// <param name="Id">Its random id, as it stands in names of published files.</param>
/// <param name="FirstOffset">The offset of its first event.</param>
public sealed record RunReport(string Id, long FirstOffset);

/// <summary>A subscriber of a channel.</summary>
/// <param name="Name">Its name: that of its sink.</param>
/// <param name="Cursor">Everything below is delivered; null if its file cannot be read.</param>
/// <param name="Behind">Events it has yet to deliver.</param>
/// <param name="BytesBehind">Bytes of their frames, to about 64 KiB.</param>
/// <param name="CommittedAt">When it last moved.</param>
public sealed record SubscriberReport(string Name, long? Cursor, long Behind, long BytesBehind, DateTimeOffset? CommittedAt);

/// <summary>An origin that a channel remembers.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Position">Everything of it below is stored.</param>
/// <param name="LastSeen">When it last advanced.</param>
/// <param name="Attributes">What is known of it.</param>
public sealed record OriginReport(string Id, long Position, DateTimeOffset LastSeen, IReadOnlyDictionary<string, string> Attributes);

/// <summary>Something in a channel that is not sound.</summary>
/// <param name="File">The file.</param>
/// <param name="From">The first byte of it that is harmed.</param>
/// <param name="To">The byte behind the last.</param>
/// <param name="Message">What is wrong and what it means.</param>
public sealed record ChannelProblem(string File, long From, long To, string Message)
{
    /// <summary><c>FILE: bytes FROM to TO: message</c>.</summary>
    public override string ToString() => From == To ? $"{File}: {Message}" : $"{File}: bytes {From} to {To}: {Message}";
}

/// <summary>What moving a subscriber did.</summary>
/// <param name="Subscriber">Its name.</param>
/// <param name="From">Where it stood; null if that could not be read.</param>
/// <param name="To">Where it stands.</param>
/// <param name="JournalSetAside">Where the journal of its storage sink lies now; null if there was none or it still holds.</param>
public sealed record ReplayReport(string Subscriber, long? From, long To, string? JournalSetAside);

/// <summary>What a repair did.</summary>
/// <param name="Lost">Events that were in what could not be read. Some may have been delivered before.</param>
/// <param name="Actions">What was done, in order; empty if all was sound.</param>
public sealed record RepairReport(long Lost, IReadOnlyList<string> Actions);
