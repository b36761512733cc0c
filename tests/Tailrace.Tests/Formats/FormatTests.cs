using System.Text;
using System.Text.Json;
using CsCheck;
using Tailrace.Core.Formats;

namespace Tailrace.Tests.Formats;

public sealed class FormatTests
{
    private const long Timestamp = 1_795_341_600_123_456_789; // 2026-11-22T10:00:00.123456789Z

    [Fact]
    public void Text_is_the_body_and_a_line_feed()
    {
        Assert.Equal("a\n\nb\n"u8.ToArray(), Serialize(new TextFormat(), Batch(default, (0, "a"u8.ToArray(), null), (0, [], null), (0, "b"u8.ToArray(), null))));
        Assert.Equal("log", new TextFormat().Extension);
    }

    [Fact]
    public void Json_is_one_object_a_line()
    {
        var shared = new HeaderBuilder();
        shared.Add("host", "web-01").Add("n", 1L);
        var own = new HeaderBuilder();
        own.Add("n", -9223372036854775808L).Add("d", 2.0).Add("e", 1e300).Add("nan", double.NaN).Add("b", false).Add("n", 3L);
        byte[] bytes = Serialize(new JsonFormat(), Batch(shared.Encoded, (Timestamp, "GET /"u8.ToArray(), null), (-1, "\"\\\n\u0001\u007f\u00e9\u2028\U0001F600"u8.ToArray(), own)));
        Assert.Equal(
            """{"timestamp":"2026-11-22T10:00:00.123456789Z","headers":{"host":"web-01","n":1},"body":"GET /"}""" + "\n"
            + """{"timestamp":"1969-12-31T23:59:59.999999999Z","headers":{"host":"web-01","n":-9223372036854775808,"d":2.0,"e":1E+300,"nan":"NaN","b":false},"body":"\"\\\n\u0001""" + "\u007f\u00e9\u2028\U0001F600\"}\n",
            Encoding.UTF8.GetString(bytes));
    }

    [Fact]
    public void A_body_that_is_not_UTF8_is_written_as_base64()
    {
        byte[] bytes = Serialize(new JsonFormat(), Batch(default, (Timestamp, [0xff, 0xfe, 0x00], null)));
        Assert.Equal("""{"timestamp":"2026-11-22T10:00:00.123456789Z","headers":{},"body_base64":"//4A"}""" + "\n", Encoding.UTF8.GetString(bytes));
    }

    [Fact]
    public void Any_event_can_be_read_back_from_JSON()
    {
        Gen<byte[]> body = Gen.OneOf(Gen.Byte.Array[0, 200], Gen.String.Select(Encoding.UTF8.GetBytes), Gen.Int[60_000, 140_000].Select(n => Enumerable.Range(0, n).Select(i => (byte)(i % 251)).ToArray()), Gen.Int[60_000, 140_000].Select(n => Encoding.UTF8.GetBytes(new string('"', n))));
        Gen.Select(Gen.Long, body, Gen.Byte.Array[0, 60], Gen.Double, Gen.Long).Array[1, 5].Sample(
            events =>
            {
                var headers = events.Select(e => new HeaderBuilder().Add("text"u8, e.Item3).Add("double", e.Item4).Add("long", e.Item5)).ToArray();
                byte[] bytes = Serialize(new JsonFormat(), Batch(default, [.. events.Select((e, i) => (e.Item1, e.Item2, (HeaderBuilder?)headers[i]))]));
                string[] lines = Encoding.UTF8.GetString(bytes).Split('\n');
                Assert.Equal(events.Length + 1, lines.Length);
                for (int i = 0; i < events.Length; i++)
                {
                    using var json = JsonDocument.Parse(lines[i]);
                    JsonElement root = json.RootElement;
                    byte[] read = root.TryGetProperty("body_base64", out JsonElement base64) ? base64.GetBytesFromBase64() : Encoding.UTF8.GetBytes(root.GetProperty("body").GetString()!);
                    Assert.Equal(events[i].Item2, read);
                    Assert.Equal(Encoding.UTF8.GetString(events[i].Item3), root.GetProperty("headers").GetProperty("text").GetString());
                    Assert.Equal(events[i].Item5, root.GetProperty("headers").GetProperty("long").GetInt64());
                    JsonElement number = root.GetProperty("headers").GetProperty("double");
                    Assert.Equal(events[i].Item4, number.ValueKind == JsonValueKind.String ? double.Parse(number.GetString()!, System.Globalization.CultureInfo.InvariantCulture) : number.GetDouble());
                    Assert.Equal(LogEvent.ToTime(events[i].Item1), DateTimeOffset.Parse(root.GetProperty("timestamp").GetString()![..27] + "Z", System.Globalization.CultureInfo.InvariantCulture));
                }
            },
            iter: 200,
            threads: 1);
    }

    [Fact]
    public void Serializing_allocates_nothing_per_event()
    {
        var own = new HeaderBuilder();
        own.Add("n", 1L).Add("s", "text").Add("d", 1.5);
        using EventBatch batch = Batch(default, [.. Enumerable.Range(0, 1000).Select(i => (Timestamp + (i * 1_000_000_000L), "a body of some length"u8.ToArray(), (HeaderBuilder?)own))]);
        foreach (IFormat format in new IFormat[] { new TextFormat(), new JsonFormat() })
        {
            using IEventSerializer serializer = format.CreateSerializer(Stream.Null);
            serializer.Write(batch.All);
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int i = 0; i < 10; i++)
            {
                serializer.Write(batch.All);
            }

            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1000);
        }
    }

    private static byte[] Serialize(IFormat format, EventBatch batch)
    {
        using var output = new MemoryStream();
        using (batch)
        using (IEventSerializer serializer = format.CreateSerializer(output))
        {
            serializer.Write(batch.All);
            long before = output.Length + serializer.Buffered;
            serializer.Finish();
            Assert.Equal(before, output.Length);
        }

        return output.ToArray();
    }

    private static EventBatch Batch(ReadOnlySpan<byte> shared, params (long Timestamp, byte[] Body, HeaderBuilder? Own)[] events)
    {
        using var builder = new EventBatchBuilder();
        builder.Start(shared);
        foreach ((long timestamp, byte[] body, HeaderBuilder? own) in events)
        {
            builder.Add(timestamp, body, own is null ? default : own.Encoded);
        }

        return builder.Build();
    }
}
