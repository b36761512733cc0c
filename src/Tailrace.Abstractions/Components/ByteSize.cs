using System.Globalization;

namespace Tailrace;

/// <summary>A number of bytes as configuration writes it: <c>512B</c>, <c>64KiB</c>, <c>10GiB</c>, <c>5MB</c>. A unit is required.</summary>
public readonly record struct ByteSize(long Bytes)
{
    private static readonly (string Unit, long Factor)[] Units =
    [
        ("KiB", 1L << 10), ("MiB", 1L << 20), ("GiB", 1L << 30), ("TiB", 1L << 40),
        ("kB", 1_000), ("KB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000), ("B", 1),
    ];

    /// <summary>Reads a size; false if the text is none, is negative or exceeds 8 EiB.</summary>
    public static bool TryParse(string text, out ByteSize size)
    {
        ArgumentNullException.ThrowIfNull(text);
        foreach ((string unit, long factor) in Units)
        {
            if (text.EndsWith(unit, StringComparison.Ordinal)
                && decimal.TryParse(text.AsSpan(0, text.Length - unit.Length).TrimEnd(), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out decimal number)
                && number <= long.MaxValue / (decimal)factor)
            {
                size = new ByteSize((long)(number * factor));
                return true;
            }
        }

        size = default;
        return false;
    }

    /// <summary>The size in the largest binary unit that leaves no fraction, as configuration reads it.</summary>
    public override string ToString()
    {
        foreach ((string unit, long factor) in Units.Take(4).Reverse())
        {
            if (Bytes >= factor && Bytes % factor == 0)
            {
                return string.Create(CultureInfo.InvariantCulture, $"{Bytes / factor}{unit}");
            }
        }

        return string.Create(CultureInfo.InvariantCulture, $"{Bytes}B");
    }
}
