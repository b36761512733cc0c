namespace Tailrace.Files;

/// <summary>
/// One way to rotate is to copy a file and truncate it. The copy must not be read as a new file, so one that may be such a copy is left alone
/// until the other is truncated, it turns out to differ, or nothing has happened for a while.
/// </summary>
internal sealed class SuspectedCopies(TimeProvider time)
{
    /// <summary>How long a file that looks like a copy is left alone after it last grew.</summary>
    private static readonly TimeSpan CopyWait = TimeSpan.FromSeconds(5);

    /// <summary>How long after a truncation a copy of what was truncated is recognised by its first bytes alone.</summary>
    private static readonly TimeSpan TruncatedFor = TimeSpan.FromMinutes(1);

    private readonly Dictionary<string, (long Length, long Since)> _held = [];
    private readonly List<(RememberedFile File, long When)> _truncated = [];

    /// <summary>A file was truncated; this is what was read of it.</summary>
    public void AddTruncated(RememberedFile file) => _truncated.Add((file, time.GetTimestamp()));

    /// <summary>Forgets files that are not among those just found, and truncations of long ago.</summary>
    public void Keep(IEnumerable<string> found)
    {
        if (_held.Count > 0)
        {
            foreach (string path in _held.Keys.Except(found).ToList())
            {
                _held.Remove(path);
            }
        }

        _truncated.RemoveAll(file => time.GetElapsedTime(file.When) > TruncatedFor);
    }

    /// <summary>The file truncated a moment ago of which this is a copy, made while it was shorter than what was read of it in the end; null if there is none.</summary>
    public RememberedFile? FindTruncated(string path, LogFile copy, long length) =>
        _truncated.Select(truncated => truncated.File).FirstOrDefault(file => RememberedFiles.IsRotatedName(file.Marks.Path, path) && file.Position >= length && file.BeginsLike(copy, length));

    /// <summary>Whether a file that looks like a copy has grown a moment ago, or is empty yet: then it is too early to tell.</summary>
    public bool IsTooEarly(string path, long length)
    {
        long now = time.GetTimestamp();
        if (!_held.TryGetValue(path, out (long Length, long Since) held) || held.Length != length)
        {
            held = _held[path] = (length, now);
        }

        return length == 0 || time.GetElapsedTime(held.Since, now) < CopyWait;
    }

    /// <summary>Whether a file begins like a followed one, as far as it goes; also if the followed one was truncated and nobody has noticed yet.</summary>
    public static bool BeginsLike(TailedFile file, LogFile other, long length)
    {
        if (file.Handle!.Length < file.Position || !file.AnchorHolds())
        {
            return true;
        }

        Span<byte> head = stackalloc byte[(int)Math.Min(length, FileMarks.MaxHead)];
        Span<byte> otherHead = stackalloc byte[head.Length];
        return file.Handle!.Read(head, 0) == head.Length && other.Read(otherHead, 0) == head.Length && head.SequenceEqual(otherHead);
    }
}
