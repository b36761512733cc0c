using System.Text.RegularExpressions;

namespace Tailrace.Tests.Events;

/// <summary>The example in the format's documentation is a real block.</summary>
public sealed partial class ReadmeTests
{
    [Fact]
    public void The_worked_example_decodes_and_is_what_the_writer_makes()
    {
        string text = File.ReadAllText(Path.Combine(Repository.Root, "src/Tailrace.Abstractions/Events/README.md"));
        string example = Example().Match(text).Groups["lines"].Value;
        byte[] block = [];
        foreach (string line in example.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            Match match = Line().Match(line);
            Assert.True(match.Success, line);
            Assert.Equal(block.Length, int.Parse(match.Groups["offset"].Value, System.Globalization.CultureInfo.InvariantCulture));
            block = [.. block, .. Convert.FromHexString(match.Groups["hex"].Value.Replace(" ", "", StringComparison.Ordinal))];
        }

        (string, object)[] shared = [("host", "web-01")];
        Event[] events = [new(1_750_000_000_000_000_300, "GET /a"), new(1_750_000_000_000_000_000, "two\nlines", ("level", -3))];
        using EventBatch batch = Batches.Open(block);
        Assert.EndsWith(Batches.Expect(shared, events), Batches.Show(batch), StringComparison.Ordinal);
        Assert.Equal(Batches.Block(shared, events), block);
    }

    [GeneratedRegex("## A worked example.*?```text\n(?<lines>.*?)```", RegexOptions.Singleline)]
    private static partial Regex Example();

    [GeneratedRegex("^ *(?<offset>[0-9]+)  (?<hex>([0-9a-f]{2} )*[0-9a-f]{2})(  .*)?$")]
    private static partial Regex Line();
}
