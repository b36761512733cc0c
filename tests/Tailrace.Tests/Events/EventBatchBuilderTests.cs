using System.Text;
using CsCheck;

namespace Tailrace.Tests.Events;

public sealed class EventBatchBuilderTests
{
    [Fact]
    public void A_builder_used_again_carries_nothing_over() =>
        Batches.Any.Array[1, 6].Sample(
            rounds =>
            {
                using var builder = new EventBatchBuilder(1024);
                foreach ((int index, ((string Name, object Value)[] shared, Event[] events)) in rounds.Index())
                {
                    if (index % 2 == 1)
                    {
                        // An unfinished batch, with everything a batch can have and bytes nobody claimed, is dropped by Start.
                        builder.Start(Batches.Encode(("dropped", "x")));
                        builder.Add(long.MinValue, "dropped"u8, Batches.Encode(("dropped", 1)));
                        builder.Add(long.MaxValue, "dropped"u8);
                        "pending"u8.CopyTo(builder.GetBodySpan(7).Span);
                        builder.AdvanceBodies(7);
                    }

                    builder.Start(Batches.Encode(shared));
                    foreach (Event one in events)
                    {
                        builder.Add(one.Timestamp, one.Body, Batches.Encode(one.Headers));
                    }

                    using EventBatch batch = builder.Build();
                    Assert.Equal(Batches.Block(shared, events), batch.Block.ToArray());
                    Assert.Equal((0, 0), (builder.Count, builder.EncodedLength));
                }
            },
            iter: 300,
            threads: 1);

    [Fact]
    public void Lines_read_into_the_block_give_the_same_bytes_as_bodies_added() =>
        Gen.Select(Gen.OneOf('\n', 'a', 'b').Array[1, 3000], Gen.Int[1, 500]).Sample(
            (text, chunk) =>
            {
                byte[] input = [.. text.Select(c => (byte)c), (byte)'\n'];
                using var builder = new EventBatchBuilder(1024);
                builder.Start(Batches.Encode(("host", "a")));
                for (int at = 0; at < input.Length; at += chunk)
                {
                    byte[] piece = input[at..Math.Min(at + chunk, input.Length)];
                    piece.CopyTo(builder.GetBodySpan(piece.Length).Span);
                    builder.AdvanceBodies(piece.Length);
                    int end;
                    while ((end = builder.Pending.IndexOf((byte)'\n')) >= 0)
                    {
                        builder.AddLine(7, end);
                    }
                }

                using EventBatch batch = builder.Build();
                Event[] expected = [.. Encoding.ASCII.GetString(input[..^1]).Split('\n').Select(line => new Event(7, line))];
                Assert.Equal(Batches.Block([("host", "a")], expected), batch.Block.ToArray());
                Assert.Equal(input, batch.All.Lines.ToArray());
            },
            iter: 200,
            threads: 1);

    [Fact]
    public void A_line_may_hold_line_feeds_and_must_end_in_one()
    {
        using var builder = new EventBatchBuilder();
        builder.Start();
        "a\nb\nrest"u8.CopyTo(builder.GetBodySpan(8).Span);
        builder.AdvanceBodies(8);
        Assert.Throws<ArgumentException>(() => builder.AddLine(0, 2));
        Assert.Throws<ArgumentException>(() => builder.AddLine(0, 8));
        Assert.Throws<ArgumentException>(() => builder.AddLine(0, -1));
        builder.AddLine(0, 3);
        Assert.Equal("rest"u8.ToArray(), builder.Pending.ToArray());
        Assert.Throws<ArgumentException>(() => builder.AddLine(0, 4));
        using EventBatch batch = builder.Build();
        Assert.Equal("a\nb\n"u8.ToArray(), batch.All.Lines.ToArray());
        Assert.Equal(1, batch.Count);
    }

    [Fact]
    public void Growing_past_the_largest_pooled_buffer_keeps_all_bytes()
    {
        using var builder = new EventBatchBuilder(1024);
        builder.Start(Batches.Encode(("host", "a")));
        byte[] body = new byte[1 << 20];
        for (int i = 0; i < 20; i++)
        {
            Array.Fill(body, (byte)i);
            builder.Add(i, body);
        }

        using EventBatch built = builder.Build();
        using EventBatch batch = Batches.Open(built.Block.Span);
        Assert.InRange(batch.BlockLength, 20 << 20, (20 << 20) + 1000);
        int index = 0;
        foreach (LogEvent one in batch)
        {
            Assert.Equal(1 << 20, one.Body.Length);
            Assert.False(one.Body.ContainsAnyExcept((byte)index++));
        }
    }

    [Fact]
    public void What_was_added_before_a_refusal_can_be_built()
    {
        byte[] own = Batches.Encode(("a", 1));
        using var builder = new EventBatchBuilder();
        builder.Start();
        builder.Add(long.MinValue, default, own);
        int added = 1;
        void AddForEver()
        {
            for (; ; added++)
            {
                builder.Add(long.MaxValue, default, own);
            }
        }

        Assert.Throws<InvalidOperationException>(AddForEver);
        Assert.Throws<InvalidOperationException>(() => builder.AddLine(0, Read(builder, "a line that is too long by now\n"u8)));
        Assert.Equal(added, builder.Count);
        using EventBatch batch = builder.Build();
        Assert.Equal(added, batch.Count);
        Assert.InRange(batch.BlockLength, EventBatch.MaxBlockLength / 2, EventBatch.MaxBlockLength);
        using EventBatch opened = Batches.Open(batch.Block.Span);
        Assert.Equal(added, opened.Count);
    }

    [Fact]
    public void The_largest_event_fills_the_largest_block_and_one_byte_more_is_refused()
    {
        byte[] body = new byte[EventBatch.MaxBlockLength - EventBatch.BlockOverhead - 1 - 4]; // its LF, its length in the table
        using var builder = new EventBatchBuilder();
        builder.Start();
        Assert.Throws<InvalidOperationException>(() => builder.Add(0, [.. body, 1]));
        builder.Add(0, body);
        using EventBatch batch = builder.Build();
        Assert.Equal(EventBatch.MaxBlockLength, batch.BlockLength);
        using EventBatch opened = Batches.Open(batch.Block.Span);
        Assert.Equal(body.Length + 1, opened.All.Lines.Length);
    }

    [Fact]
    public void A_body_or_shared_headers_past_the_largest_block_are_refused_before_memory_is_taken()
    {
        byte[] huge = new byte[EventBatch.MaxBlockLength];
        using var builder = new EventBatchBuilder();
        Assert.Throws<InvalidOperationException>(() => builder.Start(huge));
        builder.Start();
        builder.Add(0, "kept"u8);
        Assert.Throws<InvalidOperationException>(() => builder.Add(0, huge));
        Assert.Throws<InvalidOperationException>(() => builder.Add(0, default, huge));
        Assert.Throws<InvalidOperationException>(() => builder.GetBodySpan(int.MaxValue));
        using EventBatch batch = builder.Build();
        Assert.Equal("kept\n"u8.ToArray(), batch.All.Lines.ToArray());
    }

    [Fact]
    public void Nothing_can_be_added_before_start_or_after_build()
    {
        using var builder = new EventBatchBuilder();
        Assert.Throws<InvalidOperationException>(() => builder.Add(0, "a"u8));
        Assert.True(builder.Pending.IsEmpty);
        builder.Start();
        Read(builder, "pending"u8);
        using EventBatch none = builder.Build(new Advance(OriginId.New(), 0, 1, default));
        Assert.Equal((0, 1), (none.Count, none.Advances.Length));
        Assert.True(builder.Pending.IsEmpty);
        Assert.Throws<InvalidOperationException>(() => builder.Add(0, "a"u8));
        builder.Start();
        builder.Add(0, "a"u8);
        using EventBatch one = builder.Build();
        Assert.Throws<InvalidOperationException>(() => builder.GetBodySpan(1));
    }

    [Fact]
    public void The_estimated_length_is_near_the_built_one() =>
        Batches.Any.Sample(
            input =>
            {
                using var builder = new EventBatchBuilder();
                builder.Start(Batches.Encode(input.Shared));
                Array.ForEach(input.Events, one => builder.Add(one.Timestamp, one.Body, Batches.Encode(one.Headers)));
                int estimate = builder.EncodedLength;
                using EventBatch batch = builder.Build();
                Assert.InRange(batch.BlockLength - estimate, -6 * input.Events.Length, 6 * input.Events.Length);
            },
            iter: 500,
            threads: 1);

    private static int Read(EventBatchBuilder builder, ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(builder.GetBodySpan(bytes.Length).Span);
        builder.AdvanceBodies(bytes.Length);
        return bytes.Length - 1;
    }
}
