using System.Buffers;
using System.Buffers.Text;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Unicode;

namespace Tailrace.Core.Formats;

/// <summary>The <c>json</c> format has no options.</summary>
public sealed record JsonFormatOptions;

/// <summary>
/// One JSON object a line: <c>{"timestamp":"...","headers":{...},"body":"..."}</c>. A body that is not UTF-8 becomes <c>body_base64</c>.
/// Headers keep their types: a double always has a fraction or an exponent, NaN and the infinities are strings.
/// </summary>
internal sealed class JsonFormat : IFormat
{
    public string Extension => "json";

    public bool Compressible => true;

    public IEventSerializer CreateSerializer(Stream output) => new Serializer(output);

    /// <summary>Written by hand into a fixed buffer: Utf8JsonWriter would escape characters beyond the BMP and hold a whole body.</summary>
    private sealed class Serializer(Stream output) : IEventSerializer
    {
        private const int Capacity = 64 << 10;
        private const int Room = 64; // the most that is written between two checks for room
        private const int Base64Chunk = 3 << 10;

        private static readonly SearchValues<byte> Escaped = SearchValues.Create([.. Enumerable.Range(0, 0x20).Select(i => (byte)i), (byte)'"', (byte)'\\']);

        private readonly byte[] _second = new byte[19]; // yyyy-MM-ddTHH:mm:ss of the last timestamp written
        private byte[] _buffer = ArrayPool<byte>.Shared.Rent(Capacity);
        private int _filled;
        private long _lastSecond = long.MinValue;

        public long Buffered => _filled;

        public void Write(EventRange events)
        {
            foreach (LogEvent current in events)
            {
                Add("{\"timestamp\":\""u8);
                AddTimestamp(current.Timestamp);
                Add("\",\"headers\":{"u8);
                AddHeaders(current.Headers);
                if (Utf8.IsValid(current.Body))
                {
                    Add("},\"body\":\""u8);
                    AddEscaped(current.Body);
                }
                else
                {
                    Add("},\"body_base64\":\""u8);
                    AddBase64(current.Body);
                }

                Add("\"}\n"u8);
            }
        }

        public void Finish() => Flush();

        public void Dispose()
        {
            ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = [];
        }

        private void AddHeaders(HeaderList headers)
        {
            bool first = true;
            foreach (EventHeader header in headers)
            {
                // Where a name stands more than once the first counts: an object must not name a key twice.
                if (headers.TryGet(header.Name, out EventHeader counted) && !Same(counted.Name, header.Name))
                {
                    continue;
                }

                Add(first ? "\""u8 : ",\""u8);
                first = false;
                AddText(header.Name);
                Add("\":"u8);
                AddValue(header);
            }
        }

        private void AddValue(EventHeader header)
        {
            switch (header.Type)
            {
                case HeaderType.String:
                    Add("\""u8);
                    AddText(header.Text);
                    Add("\""u8);
                    break;
                case HeaderType.Integer:
                    Reserve();
                    header.Integer.TryFormat(_buffer.AsSpan(_filled), out int digits, default, CultureInfo.InvariantCulture);
                    _filled += digits;
                    break;
                case HeaderType.Double:
                    AddDouble(header.Double);
                    break;
                default:
                    Add(header.Boolean ? "true"u8 : "false"u8);
                    break;
            }
        }

        private void AddDouble(double value)
        {
            if (!double.IsFinite(value))
            {
                Add(double.IsNaN(value) ? "\"NaN\""u8 : value > 0 ? "\"Infinity\""u8 : "\"-Infinity\""u8);
                return;
            }

            Reserve();
            value.TryFormat(_buffer.AsSpan(_filled), out int length, "R", CultureInfo.InvariantCulture);
            ReadOnlySpan<byte> text = _buffer.AsSpan(_filled, length);
            _filled += length;
            if (text.IndexOfAny((byte)'.', (byte)'E') < 0)
            {
                Add(".0"u8);
            }
        }

        private void AddTimestamp(long timestamp)
        {
            (long second, long nanoseconds) = Math.DivRem(timestamp, 1_000_000_000);
            if (nanoseconds < 0)
            {
                second--;
                nanoseconds += 1_000_000_000;
            }

            if (second != _lastSecond)
            {
                DateTimeOffset.FromUnixTimeSeconds(second).TryFormat(_second, out _, "yyyy-MM-dd'T'HH:mm:ss", CultureInfo.InvariantCulture);
                _lastSecond = second;
            }

            Add(_second);
            Add("."u8);
            Reserve();
            nanoseconds.TryFormat(_buffer.AsSpan(_filled), out int digits, "D9", CultureInfo.InvariantCulture);
            _filled += digits;
            Add("Z"u8);
        }

        /// <summary>Text that should be UTF-8; what is not becomes U+FFFD.</summary>
        private void AddText(ReadOnlySpan<byte> text)
        {
            int start = 0;
            int end = Utf8.IsValid(text) ? text.Length : 0;
            while (end < text.Length)
            {
                if (Rune.DecodeFromUtf8(text[end..], out _, out int size) != OperationStatus.Done)
                {
                    AddEscaped(text[start..end]);
                    Add("\uFFFD"u8);
                    start = end + size;
                }

                end += size;
            }

            AddEscaped(text[start..]);
        }

        private void AddEscaped(ReadOnlySpan<byte> text)
        {
            while (!text.IsEmpty)
            {
                int plain = text.IndexOfAny(Escaped);
                Add(plain < 0 ? text : text[..plain]);
                if (plain < 0)
                {
                    return;
                }

                AddEscape(text[plain]);
                text = text[(plain + 1)..];
            }
        }

        private void AddEscape(byte value)
        {
            switch (value)
            {
                case (byte)'"':
                    Add("\\\""u8);
                    break;
                case (byte)'\\':
                    Add("\\\\"u8);
                    break;
                case (byte)'\n':
                    Add("\\n"u8);
                    break;
                case (byte)'\r':
                    Add("\\r"u8);
                    break;
                case (byte)'\t':
                    Add("\\t"u8);
                    break;
                default:
                    Add("\\u00"u8);
                    Add([Hex(value >> 4), Hex(value & 15)]);
                    break;
            }
        }

        private void AddBase64(ReadOnlySpan<byte> bytes)
        {
            while (!bytes.IsEmpty)
            {
                int count = Math.Min(bytes.Length, Base64Chunk);
                if (_buffer.Length - _filled < 2 * Base64Chunk)
                {
                    Flush();
                }

                Base64.EncodeToUtf8(bytes[..count], _buffer.AsSpan(_filled), out _, out int written);
                _filled += written;
                bytes = bytes[count..];
            }
        }

        private void Add(ReadOnlySpan<byte> bytes)
        {
            if (bytes.Length > _buffer.Length - _filled)
            {
                Flush();
                if (bytes.Length > _buffer.Length)
                {
                    output.Write(bytes);
                    return;
                }
            }

            bytes.CopyTo(_buffer.AsSpan(_filled));
            _filled += bytes.Length;
        }

        private void Reserve()
        {
            if (_buffer.Length - _filled < Room)
            {
                Flush();
            }
        }

        private void Flush()
        {
            output.Write(_buffer, 0, _filled);
            _filled = 0;
        }

        private static byte Hex(int digit) => (byte)(digit < 10 ? '0' + digit : 'a' + digit - 10);

        private static bool Same(ReadOnlySpan<byte> left, ReadOnlySpan<byte> right) => Unsafe.AreSame(ref MemoryMarshal.GetReference(left), ref MemoryMarshal.GetReference(right));
    }
}
