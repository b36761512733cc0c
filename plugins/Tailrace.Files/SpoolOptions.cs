using System.ComponentModel;

namespace Tailrace.Files;

/// <summary>What becomes of a file that is read and delivered.</summary>
public enum DoneAction
{
    /// <summary>It gets a suffix.</summary>
    Rename,

    /// <summary>It goes to another directory.</summary>
    Move,

    /// <summary>It is deleted.</summary>
    Delete,
}

/// <summary>The options of the <c>spool</c> source.</summary>
public sealed record SpoolOptions : IValidatedOptions
{
    /// <summary>The directory that files are dropped into.</summary>
    [Description("The directory that whole files are dropped into; best by renaming them into it.")]
    public required string Path { get; init; }

    /// <summary>Which files of it are taken.</summary>
    [Description("Patterns of the names of the files to take. A wildcard does not match a leading dot.")]
    public IReadOnlyList<string> Include { get; init; } = ["*"];

    /// <summary>Which files of it are left alone.</summary>
    [Description("Patterns of the names of files to leave alone, such as those that are still being written.")]
    public IReadOnlyList<string> Exclude { get; init; } = ["*.tmp", "*.part"];

    /// <summary>What becomes of a file that is read and delivered.</summary>
    [Description("What becomes of a file once every sink has delivered its events: rename adds suffix to its name, move puts it into done_directory, delete deletes it.")]
    public DoneAction Done { get; init; } = DoneAction.Rename;

    /// <summary>What is added to the names of files that are done.</summary>
    [Description("What is added to the name of a file that is done. Files with this suffix are not taken.")]
    public string Suffix { get; init; } = ".completed";

    /// <summary>Where files go that are done.</summary>
    [Description("With done: move: the directory that files go to, on the same file system.")]
    public string? DoneDirectory { get; init; }

    /// <summary>How long a file must be unchanged before it counts as whole; 0 to 1 h.</summary>
    [Description("How long a file must be unchanged before its end counts as its end. From 0s to 1h.")]
    public TimeSpan Settle { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>How the files are read.</summary>
    [Description("Adds the header file, the path an event was read from. Costs nothing per event.")]
    public bool AddFileHeader { get; init; }

    /// <summary>The longest event; 1 KiB to 16 MiB.</summary>
    [Description("The longest event. A longer line is split. From 1KiB to 16MiB.")]
    public ByteSize MaxEventSize { get; init; } = new(1 << 20);

    /// <summary>How often the directory is looked at; 10 ms to 1 h.</summary>
    [Description("How often the directory is looked at, hints of the system apart. From 10ms to 1h.")]
    public TimeSpan PollInterval { get; init; } = TimeSpan.FromMilliseconds(250);

    /// <inheritdoc/>
    public IEnumerable<OptionProblem> Validate()
    {
        if (Done == DoneAction.Rename && (Suffix.Length == 0 || Suffix.AsSpan().IndexOfAny('/', '\\') >= 0))
        {
            yield return new OptionProblem("suffix", "It must be a part of a file name, such as .completed.");
        }

        if ((Done == DoneAction.Move) != (DoneDirectory is not null))
        {
            yield return new OptionProblem("done_directory", "It is needed with done: move, and goes with nothing else.");
        }

        if (Settle < TimeSpan.Zero || Settle > TimeSpan.FromHours(1))
        {
            yield return new OptionProblem("settle", "It must be from 0s to 1h.");
        }

        foreach (OptionProblem problem in ToTail().Validate())
        {
            yield return problem.Key == "paths" ? new OptionProblem("include", problem.Message) : problem;
        }
    }

    /// <summary>The same as what <c>tail</c> is told.</summary>
    internal TailOptions ToTail() => new()
    {
        Paths = [.. Include.Select(name => System.IO.Path.Combine(Path, name))],
        Exclude = Done == DoneAction.Rename ? [.. Exclude, "*" + Suffix, $"*{Suffix}.*"] : Exclude,
        AddFileHeader = AddFileHeader,
        MaxEventSize = MaxEventSize,
        PollInterval = PollInterval,
        RotateWait = TimeSpan.Zero,
        ReadCopies = true,
    };
}
