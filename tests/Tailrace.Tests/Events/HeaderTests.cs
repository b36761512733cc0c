using System.Text;
using CsCheck;

namespace Tailrace.Tests.Events;

public sealed class HeaderTests
{
    [Fact]
    public void An_own_header_hides_a_shared_one_and_stands_behind_the_others()
    {
        using EventBatch batch = Batches.Build(
            [("host", "web-01"), ("level", "info"), ("file", "a")], new Event(0, "", ("level", 7), ("new", true)));
        EventRange.Enumerator events = batch.GetEnumerator();
        Assert.True(events.MoveNext());
        var names = new List<string>();
        foreach (EventHeader header in events.Current.Headers)
        {
            names.Add($"{Encoding.UTF8.GetString(header.Name)}={header.ToString()}");
        }

        Assert.Equal(["host=web-01", "file=a", "level=7", "new=true"], names);
        Assert.True(events.Current.Headers.TryGet("level"u8, out EventHeader level));
        Assert.Equal((HeaderType.Integer, 7), (level.Type, level.Integer));
        Assert.False(events.Current.Headers.TryGet("lev"u8, out _));
    }

    [Fact]
    public void A_header_copied_from_an_event_encodes_to_the_same_bytes() =>
        Batches.Any.Sample(
            input =>
            {
                byte[] encoded = Batches.Encode(input.Shared);
                var copy = new HeaderBuilder();
                foreach (EventHeader header in new HeaderList(encoded))
                {
                    copy.Add(header);
                }

                Assert.Equal(encoded, copy.Encoded.ToArray());
            },
            iter: 500);

    [Fact]
    public void A_builder_grows_and_forgets()
    {
        var builder = new HeaderBuilder();
        string text = new('ü', 100_000);
        builder.Add("long", text).Clear();
        Assert.True(builder.Encoded.IsEmpty);
        builder.Add("long", text).Add("b"u8, "\xFF"u8).Add("d", double.NegativeInfinity);
        var list = new HeaderList(builder.Encoded);
        Assert.True(list.TryGet("long"u8, out EventHeader header) && header.ToString() == text);
        Assert.True(list.TryGet("b"u8, out header) && header.Text.SequenceEqual("\xFF"u8));
        Assert.True(list.TryGet("d"u8, out header) && double.IsNegativeInfinity(header.Double));
    }

    [Fact]
    public void A_refused_header_leaves_nothing_behind()
    {
        var builder = new HeaderBuilder();
        Assert.Throws<ArgumentNullException>(() => builder.Add("name", (string)null!));
        Assert.Throws<ArgumentNullException>(() => builder.Add(null!, 1));
        Assert.True(builder.Encoded.IsEmpty);
    }

    [Fact]
    public void Headers_cut_anywhere_inside_one_are_refused()
    {
        byte[] encoded = Batches.Encode(("ab", "text"), ("i", long.MinValue), ("d", 1.5), ("b", true));
        int[] ends = [0, 9, 22, 33, 37];
        for (int length = 0; length <= encoded.Length; length++)
        {
            byte[] cut = encoded[..length];
            Exception? refused = Record.Exception(() =>
            {
                foreach (EventHeader header in new HeaderList(cut))
                {
                    _ = header.Integer;
                }
            });
            Assert.Equal(ends.Contains(length) ? null : typeof(InvalidDataException), refused?.GetType());
        }
    }

    [Theory]
    [InlineData(new byte[] { 0, 4, 0 })] // unknown type
    [InlineData(new byte[] { 0, 3, 2 })] // boolean that is neither
    [InlineData(new byte[] { 0, 255 })]
    [InlineData(new byte[] { 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 0 })] // a name of 2^64-1 bytes
    public void A_malformed_header_is_refused(byte[] encoded) =>
        Assert.Throws<InvalidDataException>(() =>
        {
            foreach (EventHeader header in new HeaderList(encoded))
            {
                _ = header.Integer;
            }
        });
}
