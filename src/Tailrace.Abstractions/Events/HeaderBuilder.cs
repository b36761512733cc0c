using System.Buffers.Binary;
using System.Text;

namespace Tailrace;

/// <summary>Encodes headers. Made once and used again after <see cref="Clear"/>, it allocates nothing per event. Not thread-safe.</summary>
public sealed class HeaderBuilder
{
    private byte[] _buffer = new byte[256];
    private int _length;

    /// <summary>The encoded headers so far; valid until the next change.</summary>
    public ReadOnlySpan<byte> Encoded => _buffer.AsSpan(0, _length);

    /// <summary>Forgets all headers.</summary>
    public void Clear() => _length = 0;

    /// <summary>Adds a text header.</summary>
    public HeaderBuilder Add(string name, string value)
    {
        ArgumentNullException.ThrowIfNull(value); // before the name is written: no half header
        AddName(name, HeaderType.String);
        AddText(value);
        return this;
    }

    /// <summary>Adds a text header from UTF-8 bytes.</summary>
    public HeaderBuilder Add(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        AddBytes(name);
        AddByte((byte)HeaderType.String);
        AddBytes(value);
        return this;
    }

    /// <summary>Adds an integer header.</summary>
    public HeaderBuilder Add(string name, long value)
    {
        AddName(name, HeaderType.Integer);
        AddVarInt(VarInt.ZigZag(value));
        return this;
    }

    /// <summary>Adds a floating-point header.</summary>
    public HeaderBuilder Add(string name, double value)
    {
        AddName(name, HeaderType.Double);
        BinaryPrimitives.WriteDoubleLittleEndian(Reserve(8), value);
        _length += 8;
        return this;
    }

    /// <summary>Adds a boolean header.</summary>
    public HeaderBuilder Add(string name, bool value)
    {
        AddName(name, HeaderType.Boolean);
        AddByte(value ? (byte)1 : (byte)0);
        return this;
    }

    /// <summary>Adds a header as it was read from another event.</summary>
    public HeaderBuilder Add(EventHeader header)
    {
        AddBytes(header.Name);
        AddByte((byte)header.Type);
        switch (header.Type)
        {
            case HeaderType.String:
                AddBytes(header.Text);
                break;
            case HeaderType.Integer:
                AddVarInt(VarInt.ZigZag(header.Integer));
                break;
            case HeaderType.Double:
                BinaryPrimitives.WriteDoubleLittleEndian(Reserve(8), header.Double);
                _length += 8;
                break;
            default:
                AddByte(header.Boolean ? (byte)1 : (byte)0);
                break;
        }

        return this;
    }

    private void AddName(string name, HeaderType type)
    {
        AddText(name);
        AddByte((byte)type);
    }

    private void AddText(string text)
    {
        AddVarInt((ulong)Encoding.UTF8.GetByteCount(text));
        _length += Encoding.UTF8.GetBytes(text, Reserve(Encoding.UTF8.GetMaxByteCount(text.Length)));
    }

    private void AddBytes(ReadOnlySpan<byte> bytes)
    {
        AddVarInt((ulong)bytes.Length);
        bytes.CopyTo(Reserve(bytes.Length));
        _length += bytes.Length;
    }

    private void AddByte(byte value)
    {
        Reserve(1)[0] = value;
        _length++;
    }

    private void AddVarInt(ulong value) => _length += VarInt.Write(Reserve(VarInt.MaxLength), value);

    private Span<byte> Reserve(int size)
    {
        if (_buffer.Length - _length < size)
        {
            Array.Resize(ref _buffer, Math.Max(_buffer.Length * 2, _length + size));
        }

        return _buffer.AsSpan(_length);
    }
}
