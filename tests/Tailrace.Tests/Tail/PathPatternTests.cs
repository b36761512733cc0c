using Tailrace.Files;

namespace Tailrace.Tests.Tail;

public sealed class PathPatternTests : TailTest
{
    [Theory]
    [InlineData("*.log", "a.log", true)]
    [InlineData("*.log", ".log", false)]
    [InlineData(".*", ".log", true)]
    [InlineData("*.log", "a.log.1", false)]
    [InlineData("*.log*", "a.log.1", true)]
    [InlineData("a?c", "abc", true)]
    [InlineData("a?c", "ac", false)]
    [InlineData("[a-c]x", "bx", true)]
    [InlineData("[a-c]x", "dx", false)]
    [InlineData("[!a-c]x", "dx", true)]
    [InlineData("[]]x", "]x", true)]
    [InlineData("[abc", "[abc", true)]
    [InlineData("a*b*c", "a1b2b3c", true)]
    [InlineData("a*b*c", "a1b2b3", false)]
    [InlineData("**", "abc", true)]
    [InlineData("", "", true)]
    public void A_name_matches_its_pattern(string pattern, string name, bool matches) => Assert.Equal(matches, PathPattern.NameMatches(pattern, name));

    [Theory]
    [InlineData("*.log", "a.log")]
    [InlineData("a.log", "a.log")]
    [InlineData("gone.log", "")]
    [InlineData("*/*.log", "x/b.log")]
    [InlineData("x/*", "x/b.log x/c.txt")]
    [InlineData("**/*.log", "a.log x/b.log x/y/d.log")]
    [InlineData("**", "a.log x/b.log x/c.txt x/y/d.log")]
    [InlineData("x/**/d.log", "x/y/d.log")]
    [InlineData("**/**/d.log", "x/y/d.log")]
    [InlineData("[x-z]/?.log", "x/b.log")]
    [InlineData("none/*.log", "")]
    public void Files_are_found_and_told_apart_by_their_patterns(string pattern, string expected)
    {
        Directory.CreateDirectory(At("x/y"));
        Directory.CreateDirectory(At(".hidden"));
        foreach (string name in (string[])["a.log", ".b.log", "x/b.log", "x/c.txt", "x/y/d.log", ".hidden/e.log"])
        {
            Write(name, "");
        }

        var found = new SortedSet<string>(StringComparer.Ordinal);
        var directories = new HashSet<string>();
        var compiled = new PathPattern(At(pattern));
        compiled.AddMatches(found, directories, (path, problem) => Assert.Fail($"{path}: {problem}"));
        found.RemoveWhere(path => !File.Exists(path)); // a plain name is tried whether it is there or not
        Assert.Equal(expected, string.Join(' ', found.Select(path => Path.GetRelativePath(Folder, path).Replace('\\', '/'))));
        Assert.All(found, path => Assert.True(compiled.IsMatch(path), path));
        Assert.All(found, path => Assert.Contains(Path.GetDirectoryName(path)!, directories));
    }

    [Fact]
    public async Task Excluded_files_are_left_alone()
    {
        Options = Options with { Paths = [At("**/*")], Exclude = ["*.tmp", At("x/**")] };
        Directory.CreateDirectory(At("x/y"));
        Write("a.tmp", "no\n");
        Write("x/y/b.log", "no\n");
        Write("c.log", "yes\n");
        await OnceAsync();
        Assert.Equal(["yes"], Context.Bodies);
    }

    [Theory]
    [InlineData("app.log", "app.log.1", true)]
    [InlineData("app.log", "app.log-20261122", true)]
    [InlineData("app.log", "app-20261122.log", true)]
    [InlineData("app.log", "app.1.log", true)]
    [InlineData("app.log.1", "app.log.2", true)]
    [InlineData("app.log", "app.log", false)]
    [InlineData("app.log", "application.log", false)]
    [InlineData("app.log.1", "app.log", false)]
    [InlineData("app.log", "other.log", false)]
    public void Rotated_names_are_known(string original, string path, bool rotated) =>
        Assert.Equal(rotated, RememberedFiles.IsRotatedName(At(original), At(path)));

    [Fact]
    public void Options_out_of_range_are_told_by_their_key()
    {
        var options = new TailOptions
        {
            Paths = [],
            Exclude = [""],
            MaxEventSize = new ByteSize(1),
            PollInterval = TimeSpan.Zero,
            RotateWait = TimeSpan.FromDays(2),
            BatchSize = new ByteSize(1),
            MaxOpenFiles = -1,
        };
        Assert.Equal(["paths", "exclude", "max_event_size", "poll_interval", "rotate_wait", "batch_size", "max_open_files"], options.Validate().Select(problem => problem.Key));
        Assert.Empty(new TailOptions { Paths = ["a"] }.Validate());
    }
}
