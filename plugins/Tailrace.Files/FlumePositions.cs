using System.Text.Json;

namespace Tailrace.Files;

/// <summary>What Flume's taildir source has written down in its position file: inode, path and how far the file was read.</summary>
internal sealed class FlumePositions
{
    private const int MaxLength = 64 << 20;
    private readonly Dictionary<(ulong Inode, string Path), long> _positions = [];

    /// <summary>Reads a position file; an empty set if there is none.</summary>
    /// <exception cref="InvalidDataException">It is no position file.</exception>
    /// <exception cref="IOException">It could not be read.</exception>
    public FlumePositions(string? path)
    {
        if (path is null || !File.Exists(path))
        {
            return;
        }

        if (new FileInfo(path).Length > MaxLength)
        {
            throw new InvalidDataException($"{path} is longer than {MaxLength} bytes: it is no position file of Flume's taildir source.");
        }

        try
        {
            using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(path));
            foreach (JsonElement entry in document.RootElement.EnumerateArray())
            {
                _positions[(entry.GetProperty("inode").GetUInt64(), entry.GetProperty("file").GetString()!)] = Math.Max(0, entry.GetProperty("pos").GetInt64());
            }
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw new InvalidDataException($"{path} is no position file of Flume's taildir source (a JSON array of inode, pos and file): {exception.Message} Remove import_taildir, or restore the file.", exception);
        }
    }

    /// <summary>Where Flume stood in a file; 0 if it did not know it, or if the file has become shorter since.</summary>
    public long Find(LogFile file, string path) =>
        file.Identity.File <= ulong.MaxValue && _positions.TryGetValue(((ulong)file.Identity.File, path), out long position) && position <= file.Length ? position : 0;
}
