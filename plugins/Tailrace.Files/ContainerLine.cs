using System.Buffers.Text;
using System.Text.Json;

namespace Tailrace.Files;

/// <summary>How container run times write a container's output to a file.</summary>
public enum ContainerFormat
{
    /// <summary>The file's lines are the events.</summary>
    None,

    /// <summary>Docker's json-file: one JSON object a line.</summary>
    Docker,

    /// <summary>Kubernetes' CRI: <c>time stream P|F text</c>.</summary>
    Cri,
}

/// <summary>One line as a container run time wrote it.</summary>
internal readonly ref struct ContainerLine
{
    /// <summary>What the container wrote.</summary>
    public ReadOnlySpan<byte> Text { get; private init; }

    /// <summary>Whether it wrote it to stderr.</summary>
    public bool IsError { get; private init; }

    /// <summary>Whether the container's line goes on in the next line of the same stream.</summary>
    public bool IsPartial { get; private init; }

    /// <summary>When, in nanoseconds since 1970.</summary>
    public long Timestamp { get; private init; }

    /// <summary>Reads a line; false if it is not what the format says.</summary>
    /// <param name="format">The format.</param>
    /// <param name="bytes">The line.</param>
    /// <param name="room">At least as long as the line: may get the text.</param>
    /// <param name="line">What was read.</param>
    public static bool TryRead(ContainerFormat format, ReadOnlySpan<byte> bytes, Span<byte> room, out ContainerLine line) =>
        format == ContainerFormat.Cri ? TryReadCri(bytes, out line) : TryReadDocker(bytes, room, out line);

    private static bool TryReadCri(ReadOnlySpan<byte> bytes, out ContainerLine line)
    {
        line = default;
        int time = bytes.IndexOf((byte)' ');
        if (time < 0 || !TryReadTime(bytes[..time], out long timestamp))
        {
            return false;
        }

        ReadOnlySpan<byte> rest = bytes[(time + 1)..];
        bool isError = rest.StartsWith("stderr "u8);
        if (!isError && !rest.StartsWith("stdout "u8))
        {
            return false;
        }

        rest = rest["stdout ".Length..];
        int tags = rest.IndexOf((byte)' ');
        ReadOnlySpan<byte> tag = tags < 0 ? rest : rest[..tags];
        if (tag is not ([(byte)'P' or (byte)'F'] or [(byte)'P' or (byte)'F', (byte)':', ..]))
        {
            return false;
        }

        line = new ContainerLine { Text = tags < 0 ? default : rest[(tags + 1)..], IsError = isError, IsPartial = tag[0] == 'P', Timestamp = timestamp };
        return true;
    }

    private static bool TryReadDocker(ReadOnlySpan<byte> bytes, Span<byte> room, out ContainerLine line)
    {
        line = default;
        var reader = new Utf8JsonReader(bytes);
        int length = -1;
        bool isError = false;
        long timestamp = 0;
        try
        {
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            {
                return false;
            }

            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                bool isText = reader.ValueTextEquals("log"u8);
                bool isStream = reader.ValueTextEquals("stream"u8);
                bool isTime = reader.ValueTextEquals("time"u8);
                reader.Read();
                if (reader.TokenType != JsonTokenType.String)
                {
                    reader.Skip();
                }
                else if (isText)
                {
                    length = reader.CopyString(room);
                }
                else if (isStream)
                {
                    isError = reader.ValueTextEquals("stderr"u8);
                }
                else if (isTime && !TryReadTime(reader.ValueSpan, out timestamp))
                {
                    return false;
                }
            }

            if (length < 0 || timestamp == 0 || reader.TokenType != JsonTokenType.EndObject || reader.Read())
            {
                return false;
            }
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return false; // torn by a crash, or not JSON at all; the caller keeps the bytes
        }

        ReadOnlySpan<byte> text = room[..length];
        bool isPartial = text is not [.., (byte)'\n'];
        text = isPartial ? text : text[..^1];
        text = !isPartial && text is [.., (byte)'\r'] ? text[..^1] : text;
        line = new ContainerLine { Text = text, IsError = isError, IsPartial = isPartial, Timestamp = timestamp };
        return true;
    }

    /// <summary>Reads a time of RFC 3339 with up to nine digits of a second.</summary>
    private static bool TryReadTime(ReadOnlySpan<byte> text, out long timestamp)
    {
        timestamp = 0;
        int end = 19;
        long nanoseconds = 0;
        if (text.Length > end && text[end] == '.')
        {
            long unit = 1_000_000_000;
            for (end++; end < text.Length && char.IsAsciiDigit((char)text[end]); end++)
            {
                unit /= 10;
                nanoseconds += unit * (text[end] - '0');
            }
        }

        Span<byte> seconds = stackalloc byte[25];
        ReadOnlySpan<byte> zone = text.Length > end ? text[end..] : default;
        zone = zone is [(byte)'Z'] ? "+00:00"u8 : zone;
        if (text.Length < 20 || zone.Length != 6)
        {
            return false;
        }

        text[..19].CopyTo(seconds);
        zone.CopyTo(seconds[19..]);
        seconds[10] = (byte)'T';
        Span<byte> standard = stackalloc byte[33];
        seconds[..19].CopyTo(standard);
        ".0000000"u8.CopyTo(standard[19..]);
        zone.CopyTo(standard[27..]);
        if (!Utf8Parser.TryParse(standard, out DateTimeOffset time, out int used, 'O') || used != standard.Length)
        {
            return false;
        }

        timestamp = LogEvent.ToTimestamp(time) + nanoseconds;
        return true;
    }
}
