using System.ComponentModel;

namespace Tailrace.Files;

/// <summary>Where <c>tail</c> starts in files it sees for the first time.</summary>
public enum TailFrom
{
    /// <summary>At their first byte.</summary>
    Beginning,

    /// <summary>At their end, for files in directories the source knows nothing of yet; a file that appears later is read from its first byte.</summary>
    End,
}

/// <summary>What becomes of a line that is longer than an event may be.</summary>
public enum LongLines
{
    /// <summary>Several events, in order, numbered by the header <c>tailrace.part</c>.</summary>
    Split,

    /// <summary>Its beginning, with the header <c>tailrace.truncated</c>; the rest of the line is dropped.</summary>
    Truncate,
}

/// <summary>The options of the <c>tail</c> source.</summary>
public sealed record TailOptions : IValidatedOptions
{
    /// <summary>Patterns of the files to follow.</summary>
    [Description("The files to follow: paths or patterns with *, ?, [a-z] and ** (any depth of directories). A wildcard does not match a leading dot.")]
    public required IReadOnlyList<string> Paths { get; init; }

    /// <summary>Patterns of files to leave alone; one without a directory is held against the file's name alone.</summary>
    [Description("Patterns of files to leave alone; one without a directory is held against the file's name alone. Default: compressed files.")]
    public IReadOnlyList<string> Exclude { get; init; } = ["*.gz", "*.bz2", "*.xz", "*.zst", "*.lz4", "*.zip"];

    /// <summary>Where to start in files seen for the first time.</summary>
    [Description("Where to start in files that the source sees for the first time: beginning or end. With end, files in a directory it has followed before, and files that appear later, are still read from their beginning.")]
    public TailFrom From { get; init; } = TailFrom.Beginning;

    /// <summary>Files not written to for so long when the source first sees them are not read, only what is added to them; null for no limit.</summary>
    [Description("Files that the source sees for the first time and that were last written to longer ago than this are not read; what is added to them later is. Default: all are read.")]
    public TimeSpan? IgnoreOlder { get; init; }

    /// <summary>A position file of Flume's taildir source to go on from; null for none.</summary>
    [Description("The position file of a Flume taildir source: files that it lists and that this source has never seen are read from where Flume stood. Linux only; stop Flume first.")]
    public string? ImportTaildir { get; init; }

    /// <summary>The longest event, in bytes of the file; 1 KiB to 16 MiB.</summary>
    [Description("The longest event; long_lines says what becomes of a longer line. From 1KiB to 16MiB.")]
    public ByteSize MaxEventSize { get; init; } = new(1 << 20);

    /// <summary>What becomes of a line that is longer than an event may be.</summary>
    [Description("What becomes of a line longer than max_event_size: split makes several events of it, numbered by the header tailrace.part; truncate keeps its beginning, with the header tailrace.truncated, and drops the rest.")]
    public LongLines LongLines { get; init; }

    /// <summary>Which lines make one event together; null: each line is one.</summary>
    [Description("Which lines make one event together, as those of a stack trace. Default: every line is an event.")]
    public MultilineOptions? Multiline { get; init; }

    /// <summary>How a container run time wrote the files.</summary>
    [Description("How a container run time wrote the files: docker (json-file) or cri (Kubernetes). The events are what the container wrote, with its time and the header stream; lines that were cut into pieces are whole again. none: files as they are.")]
    public ContainerFormat Container { get; init; }

    /// <summary>Reads files that turn out to be copies of files already read.</summary>
    [Description("Reads a file with a rotated name of another (app.log.1, app-2026.log of app.log) also if it begins with the very bytes that were read of the other: a copy. Default: copies are not read again.")]
    public bool ReadCopies { get; init; }

    /// <summary>Deletes a file that was read to its end and delivered by every sink, once it has not changed for so long; null to keep files.</summary>
    [Description("Deletes a file when it has been read to its end, every sink has delivered its events, and it has not changed for this long. From 1s. Default: files are never deleted.")]
    public TimeSpan? DeleteAfterDelivery { get; init; }

    /// <summary>How many bytes deleted files may hold on disk until they are read; null for no limit.</summary>
    [Description("How much space deleted files may hold on disk because they are still being read. Beyond it the oldest are given up, with an error in the log: that loses what was not read of them. Default: no limit.")]
    public ByteSize? MaxPinnedBytes { get; init; }

    /// <summary>How often files and directories are looked at where the system gives no hint; 10 ms to 1 h.</summary>
    [Description("How often files and directories are looked at. Hints of the system make it faster where there are any. From 10ms to 1h.")]
    public TimeSpan PollInterval { get; init; } = TimeSpan.FromMilliseconds(250);

    /// <summary>How long a rotated or deleted file is still watched after its end was reached; 0 to 24 h.</summary>
    [Description("How long a rotated or deleted file is kept open and watched after its end was reached; then a last line without a line end is taken as it is. From 0s to 24h.")]
    public TimeSpan RotateWait { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Bytes read at once from a file that has many; 4 KiB to 8 MiB. The default leaves room for the table of a block in a 1 MiB buffer.</summary>
    [Description("How much is read at once from a file that has much to read: the size of its batches. From 4KiB to 8MiB.")]
    public ByteSize BatchSize { get; init; } = new(960 << 10);

    /// <summary>How many files are kept open; idle ones beyond are closed and opened again when they grow. Rotated ones with something left to read are never closed. 0 to 1,000,000.</summary>
    [Description("How many files are kept open. Idle ones beyond it are closed and opened again when they grow; with 0 every file is closed after each look, for writers that cannot rotate while a reader is there. From 0 to 1000000.")]
    public int MaxOpenFiles { get; init; } = 512;

    /// <summary>Adds the file's path to its events as header <c>file</c>, stored once per batch.</summary>
    [Description("Adds the header file, the path an event was read from. Costs nothing per event.")]
    public bool AddFileHeader { get; init; }

    /// <summary>Adds the host's name to events as header <c>host</c>, stored once per batch.</summary>
    [Description("Adds the header host, the name of this host. Costs nothing per event.")]
    public bool AddHostHeader { get; init; }

    /// <summary>Adds to each event the position of its first byte in the file, as header <c>offset</c>.</summary>
    [Description("Adds the header offset, the position in the file at which an event begins (of a gzip file: of what it unpacks to).")]
    public bool AddOffsetHeader { get; init; }

    /// <inheritdoc/>
    public IEnumerable<OptionProblem> Validate()
    {
        if (Paths.Count == 0)
        {
            yield return new OptionProblem("paths", "At least one path or pattern is needed.");
        }

        foreach (string pattern in Paths.Concat(Exclude))
        {
            if (PathPattern.Problem(pattern) is { } problem)
            {
                yield return new OptionProblem(Paths.Contains(pattern) ? "paths" : "exclude", problem);
            }
        }

        if (MaxEventSize.Bytes is < 1 << 10 or > 16 << 20)
        {
            yield return new OptionProblem("max_event_size", $"{MaxEventSize} is outside 1KiB to 16MiB.");
        }

        foreach (OptionProblem problem in Multiline?.Validate() ?? [])
        {
            yield return problem;
        }

        if (DeleteAfterDelivery < TimeSpan.FromSeconds(1))
        {
            yield return new OptionProblem("delete_after_delivery", "It must be at least 1s.");
        }

        if (IgnoreOlder < TimeSpan.Zero)
        {
            yield return new OptionProblem("ignore_older", "It must not be negative.");
        }

        if (PollInterval < TimeSpan.FromMilliseconds(10) || PollInterval > TimeSpan.FromHours(1))
        {
            yield return new OptionProblem("poll_interval", "It must be from 10ms to 1h.");
        }

        if (RotateWait < TimeSpan.Zero || RotateWait > TimeSpan.FromDays(1))
        {
            yield return new OptionProblem("rotate_wait", "It must be from 0s to 24h.");
        }

        if (BatchSize.Bytes is < 4 << 10 or > 8 << 20)
        {
            yield return new OptionProblem("batch_size", $"{BatchSize} is outside 4KiB to 8MiB.");
        }

        if (MaxOpenFiles is < 0 or > 1_000_000)
        {
            yield return new OptionProblem("max_open_files", "It must be from 0 to 1000000.");
        }
    }
}
