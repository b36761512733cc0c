namespace Tailrace;

/// <summary>
/// Where events come from: a minted 128-bit id, one per generation of a file, per upstream channel, per partition. What it stands for
/// (path, device, inode, fingerprint) are attributes of it, which may grow.
/// </summary>
public readonly record struct OriginId(Guid Value)
{
    /// <summary>The encoded length in bytes.</summary>
    public const int Size = 16;

    /// <summary>Mints a new, random origin.</summary>
    public static OriginId New() => new(Guid.NewGuid());

    /// <summary>Reads an id from its 16 bytes.</summary>
    public static OriginId Read(ReadOnlySpan<byte> source) => new(new Guid(source[..Size], bigEndian: true));

    /// <summary>Writes the id as 16 bytes.</summary>
    public void Write(Span<byte> destination) => Value.TryWriteBytes(destination, bigEndian: true, out _);

    /// <summary>32 hexadecimal digits.</summary>
    public override string ToString() => Value.ToString("N");
}

/// <summary>
/// A stretch of an origin that a batch covers. Appending it is a compare-and-set: <paramref name="From"/> must be what the channel
/// has stored for the origin (0 for one it has never seen), and <paramref name="To"/> is stored in the same write as the events.
/// </summary>
/// <param name="Origin">Whose position advances.</param>
/// <param name="From">The position the batch starts at.</param>
/// <param name="To">The position behind the batch; at least <paramref name="From"/>. Equal to it where only attributes change.</param>
/// <param name="Attributes">Attributes to set, by name, encoded by <see cref="HeaderBuilder"/>; those not named stay as they are.</param>
public readonly record struct Advance(OriginId Origin, long From, long To, ReadOnlyMemory<byte> Attributes);

/// <summary>What a source's channels remember of an origin.</summary>
/// <param name="Origin">The origin.</param>
/// <param name="Position">Where to go on: the lowest position among the source's channels.</param>
/// <param name="Cuts">Higher positions that some of the channels stand at after a crash, ascending. A batch must end at each of them, so that every channel sees each event once.</param>
/// <param name="Attributes">The attributes, encoded; read them with <see cref="HeaderList"/>.</param>
/// <param name="LastSeen">When the origin last advanced.</param>
public sealed record OriginState(OriginId Origin, long Position, IReadOnlyList<long> Cuts, ReadOnlyMemory<byte> Attributes, DateTimeOffset LastSeen);
