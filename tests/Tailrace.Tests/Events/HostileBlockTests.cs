using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Globalization;
using CsCheck;

namespace Tailrace.Tests.Events;

/// <summary>Bytes from a disk or a peer that lie: they are refused with InvalidDataException, or are a sound block after all.</summary>
public sealed class HostileBlockTests
{
    private const int HeaderSize = 64;

    [Fact]
    public void Random_bytes_are_refused() =>
        Gen.Select(Gen.Byte.Array[0, 300], Gen.Bool).Sample(
            (bytes, marked) =>
            {
                if (marked && bytes.Length >= 16)
                {
                    "TRB1"u8.CopyTo(bytes);
                    bytes[12] = 1;
                    Array.Clear(bytes, 13, 3);
                    Seal(bytes);
                }

                Assert.Throws<InvalidDataException>(() => Batches.Open(bytes));
            },
            iter: 3000,
            threads: 1);

    [Fact]
    public void Any_changed_byte_without_a_new_checksum_is_refused() =>
        Batches.Any.Sample(
            input =>
            {
                byte[] block = Batches.Block(input.Shared, input.Events);
                for (int i = 0; i < block.Length; i++)
                {
                    block[i] ^= 0x10;
                    Assert.Throws<InvalidDataException>(() => Batches.Open(block));
                    block[i] ^= 0x10;
                }

                Batches.Open(block).Dispose();
            },
            iter: 30,
            threads: 1);

    [Fact]
    public void Any_changed_byte_with_a_right_checksum_is_refused_or_harmless()
    {
        var seen = new ConcurrentDictionary<string, int>();
        void ChangeEach((string Name, object Value)[] shared, Event[] events, byte change)
        {
            byte[] block = Batches.Block(shared, events);
            for (int i = 12; i < block.Length; i++)
            {
                byte[] changed = [.. block];
                changed[i] ^= change;
                TryWalk(Seal(changed), seen);
            }
        }

        // One block in all ways, so that every check is reached in every run; then any.
        for (int change = 1; change < 256; change++)
        {
            ChangeEach([("a", "b"), ("i", 1L), ("d", 1.5), ("t", true)], [new(5, "x", ("own", "y")), new(1, ""), new(9, "two\nlines")], (byte)change);
        }

        Gen.Select(Batches.Any, Gen.Byte[1, 255]).Sample((input, change) => ChangeEach(input.Shared, input.Events, change), iter: 60, threads: 1);
        AssertSeen(seen, "sound", "newer one", "do not add up", "point", "variable-length", "LF", "not cover", "unknown", "times");
    }

    [Fact]
    public void A_block_cut_or_lengthened_anywhere_is_refused() =>
        Batches.Any.Sample(
            input =>
            {
                byte[] block = Batches.Block(input.Shared, input.Events);
                for (int length = 0; length < block.Length; length++)
                {
                    byte[] cut = block[..length];
                    Assert.Throws<InvalidDataException>(() => Batches.Open(cut));
                    if (length >= HeaderSize)
                    {
                        Assert.Throws<InvalidDataException>(() => Batches.Open(Seal(cut)));
                        WriteRaw(cut);
                        Assert.Throws<InvalidDataException>(() => Batches.Open(Seal(cut)));

                        // The parts add up again, with the table the shorter one: only the walk can tell.
                        int table = length - HeaderSize - ReadInt(cut, 20) - ReadInt(cut, 24);
                        if (table >= 0)
                        {
                            BinaryPrimitives.WriteInt32LittleEndian(cut.AsSpan(28), table);
                            Assert.Throws<InvalidDataException>(() => Batches.Open(Seal(cut)));
                        }
                    }
                }

                byte[] longer = [.. block, 0];
                BinaryPrimitives.WriteInt32LittleEndian(longer.AsSpan(28), ReadInt(longer, 28) + 1);
                WriteRaw(longer);
                Assert.Throws<InvalidDataException>(() => Batches.Open(Seal(longer)));
            },
            iter: 60,
            threads: 1);

    [Fact]
    public void Parts_made_of_random_bytes_are_refused_or_harmless()
    {
        var seen = new ConcurrentDictionary<string, int>();
        Gen<byte> small = Gen.Frequency((6, Gen.Byte[0, 4]), (1, Gen.Byte[0x7E, 0x82]), (1, Gen.Const((byte)0xFF)));
        Gen.Select(Gen.Frequency((4, Gen.Const(Array.Empty<byte>())), (1, small.Array[1, 6])), Gen.Frequency((5, Gen.Const((byte)'\n')), (1, Gen.Const((byte)'a'))).Array[1, 5], small.Array[1, 6], Gen.UInt[0, 3], Gen.Byte[0, 3], Gen.Long[0, 2]).Sample(
            (headers, bodies, table, count, flags, spread) =>
            {
                byte[] block = new byte[HeaderSize + headers.Length + bodies.Length + table.Length];
                "TRB1"u8.CopyTo(block);
                block[12] = 1;
                block[14] = flags;
                BinaryPrimitives.WriteUInt32LittleEndian(block.AsSpan(16), count);
                BinaryPrimitives.WriteInt32LittleEndian(block.AsSpan(20), headers.Length);
                BinaryPrimitives.WriteInt32LittleEndian(block.AsSpan(24), bodies.Length);
                BinaryPrimitives.WriteInt32LittleEndian(block.AsSpan(28), table.Length);
                BinaryPrimitives.WriteInt64LittleEndian(block.AsSpan(40), spread);
                WriteRaw(block);
                headers.CopyTo(block, HeaderSize);
                bodies.CopyTo(block, HeaderSize + headers.Length);
                table.CopyTo(block, HeaderSize + headers.Length + bodies.Length);
                TryWalk(Seal(block), seen);
            },
            iter: 100_000,
            threads: 1);
        AssertSeen(seen, "sound", "do not add up", "point", "variable-length", "LF", "not cover", "unknown", "times", "before its value");
    }

    [Theory]
    [InlineData(int.MinValue)]
    [InlineData(-1)]
    [InlineData(0)]
    [InlineData(63)]
    [InlineData(EventBatch.MaxBlockLength + 1)]
    [InlineData(int.MaxValue)]
    public void A_length_outside_the_limits_is_refused_before_the_buffer_is_looked_at(int length) =>
        Assert.Throws<InvalidDataException>(() => EventBatch.Open([], length));

    [Theory]
    [InlineData(16)] // count
    [InlineData(20)] // headers
    [InlineData(24)] // bodies
    [InlineData(28)] // table
    [InlineData(48)] // raw length
    public void Any_size_in_the_header_that_does_not_fit_is_refused(int offset)
    {
        byte[] block = Batches.Block([("host", "a")], new Event(1, "abc"), new Event(2, "de", ("level", 1)));
        uint right = BinaryPrimitives.ReadUInt32LittleEndian(block.AsSpan(offset));
        foreach (uint wrong in (uint[])[0, 1, right - 1, right + 1, right + 64, 0x7FFF_FFFF, 0x8000_0000, 0x8000_0000 + right, uint.MaxValue - 63, uint.MaxValue])
        {
            BinaryPrimitives.WriteUInt32LittleEndian(block.AsSpan(offset), wrong);
            if (wrong != right)
            {
                Assert.Throws<InvalidDataException>(() => Batches.Open(Seal(block)));
            }
        }
    }

    [Theory]
    [InlineData(9, 30)] // earlier than any event
    [InlineData(11, 30)]
    [InlineData(10, 29)]
    [InlineData(10, 31)] // later than any event
    [InlineData(long.MinValue, 30)]
    [InlineData(long.MaxValue, 30)]
    [InlineData(10, long.MaxValue)]
    public void Times_that_are_not_those_of_the_events_are_refused(long earliest, long latest)
    {
        byte[] block = Batches.Block([], new Event(20, "b"), new Event(10, "a"), new Event(30, "c"));
        byte[] table = [.. block[^6..]];
        Assert.Equal([1, 10, 1, 0, 1, 20], table);
        BinaryPrimitives.WriteInt64LittleEndian(block.AsSpan(32), earliest);
        BinaryPrimitives.WriteInt64LittleEndian(block.AsSpan(40), latest);
        Assert.Throws<InvalidDataException>(() => Batches.Open(Seal(block)));

        // The events stay where they were: only the header lies.
        table[1] = (byte)(20 - earliest);
        table[3] = (byte)(10 - earliest);
        table[5] = (byte)(30 - earliest);
        if (table.All(value => value < 0x80))
        {
            table.CopyTo(block, block.Length - 6);
            Assert.Throws<InvalidDataException>(() => Batches.Open(Seal(block)));
        }
    }

    [Fact]
    public void A_refused_block_costs_no_memory_whatever_lengths_it_names()
    {
        byte[] buffer = EventBatch.Pool.Rent(1024);
        byte[] block = Batches.Block([], new Event(1, "abc"));
        block.CopyTo(buffer, 0);
        BinaryPrimitives.WriteUInt32LittleEndian(buffer.AsSpan(16), int.MaxValue);
        BinaryPrimitives.WriteUInt32LittleEndian(buffer.AsSpan(24), int.MaxValue);
        BinaryPrimitives.WriteUInt32LittleEndian(buffer.AsSpan(8), Crc32C.Compute(buffer.AsSpan(12, block.Length - 12)));
        Assert.Throws<InvalidDataException>(() => EventBatch.Open(buffer, block.Length));
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Throws<InvalidDataException>(() => EventBatch.Open(buffer, block.Length));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 20_000);
        EventBatch.Pool.Return(buffer);
    }

    [Fact]
    public async Task Many_shared_headers_times_many_events_keep_no_reader_busy()
    {
        byte[] shared = new byte[300_000]; // 100,000 headers of three bytes
        for (int i = 1; i < shared.Length; i += 3)
        {
            shared[i] = (byte)HeaderType.Boolean;
        }

        using var builder = new EventBatchBuilder();
        builder.Start(shared);
        byte[] own = Batches.Encode(("x", true));
        for (int i = 0; i < 300_000; i++)
        {
            builder.Add(0, default, own);
        }

        using EventBatch batch = builder.Build();
        await Task.Run(() => Batches.Open(batch.Block.Span).Dispose()).WaitAsync(TimeSpan.FromSeconds(20));
    }

    [Fact]
    public void A_newer_version_codec_or_flag_is_refused_by_name()
    {
        foreach (int offset in (int[])[12, 13, 14, 15, 52, 63])
        {
            byte[] block = Batches.Block([], new Event(1, "abc"));
            block[offset] |= 0x40;
            InvalidDataException refused = Assert.Throws<InvalidDataException>(() => Batches.Open(Seal(block)));
            Assert.Contains("newer", refused.Message, StringComparison.Ordinal);
            Assert.Contains(string.Create(CultureInfo.InvariantCulture, $"version {block[12]}, codec {block[13]} and flags {block[14] + (256 * block[15])}"), refused.Message, StringComparison.Ordinal);
        }
    }

    private static void TryWalk(byte[] block, ConcurrentDictionary<string, int> seen)
    {
        string outcome = "sound";
        try
        {
            using EventBatch batch = Batches.Open(block);
            _ = Batches.Show(batch);
            for (int i = 0; i <= batch.Count; i++)
            {
                Assert.Equal(batch.All.Lines.Length, batch.All.Take(i).Lines.Length + batch.All.Skip(i).Lines.Length);
            }
        }
        catch (InvalidDataException exception)
        {
            outcome = exception.Message;
        }

        seen.AddOrUpdate(outcome, 1, (_, count) => count + 1);
    }

    /// <summary>A fuzz that never gets past the first check proves nothing: each of these must have been the outcome at least once.</summary>
    private static void AssertSeen(ConcurrentDictionary<string, int> seen, params string[] outcomes) =>
        Assert.All(outcomes, outcome => Assert.Contains(seen.Keys, message => message.Contains(outcome, StringComparison.Ordinal)));

    private static byte[] Seal(byte[] block) => Batches.Seal(block);

    private static void WriteRaw(byte[] block) => BinaryPrimitives.WriteInt32LittleEndian(block.AsSpan(48), block.Length - HeaderSize);

    private static int ReadInt(byte[] block, int offset) => BinaryPrimitives.ReadInt32LittleEndian(block.AsSpan(offset));
}
