using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using CsCheck;

namespace Tailrace.Tests.Events;

/// <summary>An event as a test thinks of it.</summary>
internal sealed record Event(long Timestamp, byte[] Body, (string Name, object Value)[] Headers)
{
    public Event(long timestamp, string body, params (string Name, object Value)[] headers)
        : this(timestamp, Encoding.UTF8.GetBytes(body), headers)
    {
    }
}

/// <summary>Makes, opens and shows batches.</summary>
internal static class Batches
{
    private static readonly Gen<object> Value = Gen.OneOf<object>(new IGen<object>[]
    {
        Gen.String[0, 6].Select(s => (object)s), Gen.Long.Select(l => (object)l), Gen.Double.Select(d => (object)d), Gen.Bool.Select(b => (object)b),
    });

    private static readonly Gen<(string Name, object Value)[]> Headers =
        Gen.Select(Gen.OneOf("", "host", "level", "größe", "a.b"), Value).Array[0, 4].Select(list => list.DistinctBy(h => h.Item1).ToArray());

    private static readonly Gen<long> Timestamp = Gen.OneOf(
        Gen.Const(1_750_000_000_000_000_000), Gen.Int[-1000, 1000].Select(i => 1_750_000_000_000_000_000 + i), Gen.Long, Gen.OneOf(long.MinValue, -1, 0, long.MaxValue));

    private static readonly Gen<byte[]> Body = Gen.OneOf(Gen.Byte.Array[0, 20], Gen.OneOf((byte)'\n', (byte)'\r', (byte)'a').Array[0, 5], Gen.Byte.Array[120, 300]);

    public static Gen<Event[]> Events { get; } = Gen.OneOf(
        Gen.Select(Timestamp, Body, Headers).Select(e => new Event(e.Item1, e.Item2, e.Item3)).Array[1, 12],
        Gen.Select(Gen.Const(-5L), Body).Select(e => new Event(e.Item1, e.Item2, [])).Array[1, 12]);

    public static Gen<((string Name, object Value)[] Shared, Event[] Events)> Any { get; } = Gen.Select(Headers, Events);

    public static byte[] Encode(params (string Name, object Value)[] headers)
    {
        var builder = new HeaderBuilder();
        foreach ((string name, object value) in headers)
        {
            _ = value switch
            {
                string text => builder.Add(name, text),
                long integer => builder.Add(name, integer),
                int integer => builder.Add(name, integer),
                double number => builder.Add(name, number),
                bool flag => builder.Add(name, flag),
                _ => throw new ArgumentException($"{value} is no header value."),
            };
        }

        return builder.Encoded.ToArray();
    }

    public static EventBatch Build((string Name, object Value)[] shared, params Event[] events)
    {
        using var builder = new EventBatchBuilder(1024);
        builder.Start(Encode(shared));
        foreach (Event one in events)
        {
            builder.Add(one.Timestamp, one.Body, Encode(one.Headers));
        }

        return builder.Build();
    }

    public static byte[] Block((string Name, object Value)[] shared, params Event[] events)
    {
        using EventBatch batch = Build(shared, events);
        return batch.Block.ToArray();
    }

    /// <summary>Opens bytes the way a reader does; gives the buffer back where they are refused.</summary>
    public static EventBatch Open(ReadOnlySpan<byte> block)
    {
        byte[] buffer = EventBatch.Pool.Rent(Math.Max(block.Length, 1));
        Array.Fill(buffer, (byte)0xA5); // what stands behind the block must make no difference
        block.CopyTo(buffer);
        try
        {
            return EventBatch.Open(buffer, block.Length);
        }
        catch
        {
            EventBatch.Pool.Return(buffer);
            throw;
        }
    }

    /// <summary>Makes length and checksum right, so that what stands inside is looked at.</summary>
    public static byte[] Seal(byte[] block)
    {
        BinaryPrimitives.WriteInt32LittleEndian(block.AsSpan(4), block.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(block.AsSpan(8), Crc32C.Compute(block.AsSpan(12)));
        return block;
    }

    /// <summary>All that is in a batch, as text: one line per header and event.</summary>
    public static string Show(EventBatch batch)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"events {batch.Count}, block {batch.BlockLength} bytes, crc {batch.Checksum:x8}\n");
        text.Append(CultureInfo.InvariantCulture, $"times {batch.MinTimestamp} to {batch.MaxTimestamp}\n");
        ShowHeaders(text, "shared", batch.SharedHeaders);
        foreach (LogEvent one in batch)
        {
            text.Append(CultureInfo.InvariantCulture, $"event {one.Timestamp} {Escape(one.Body)}\n");
            ShowHeaders(text, " ", one.Headers);
        }

        return text.ToString();
    }

    /// <summary>What <see cref="Show"/> must say of these events, without its first line.</summary>
    public static string Expect((string Name, object Value)[] shared, Event[] events)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"times {events.Min(e => e.Timestamp)} to {events.Max(e => e.Timestamp)}\n");
        ShowHeaders(text, "shared", new HeaderList(Encode(shared)));
        foreach (Event one in events)
        {
            text.Append(CultureInfo.InvariantCulture, $"event {one.Timestamp} {Escape(one.Body)}\n");
            (string Name, object Value)[] all = [.. shared.Where(s => one.Headers.All(own => own.Name != s.Name)), .. one.Headers];
            ShowHeaders(text, " ", new HeaderList(Encode(all)));
        }

        return text.ToString();
    }

    private static void ShowHeaders(StringBuilder text, string lead, HeaderList headers)
    {
        foreach (EventHeader header in headers)
        {
            string value = header.Type == HeaderType.String ? Escape(header.Text) : header.ToString();
            text.Append(CultureInfo.InvariantCulture, $"{lead} {Escape(header.Name)} {header.Type} {value}\n");
        }
    }

    private static string Escape(ReadOnlySpan<byte> bytes)
    {
        var text = new StringBuilder("\"");
        foreach (byte b in bytes)
        {
            _ = b is >= 0x20 and < 0x7F and not (byte)'"' and not (byte)'\\' ? text.Append((char)b) : text.Append(CultureInfo.InvariantCulture, $"\\x{b:x2}");
        }

        return text.Append('"').ToString();
    }
}
