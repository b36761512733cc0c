using System.Text;

namespace Tailrace.Tests.Events;

/// <summary>
/// Blocks as released versions wrote them: they must be read for ever, and the writer must still make exactly these bytes.
/// Each .bin has a .txt beside it that says what it must decode to.
/// </summary>
public sealed class GoldenTests
{
    private const string Folder = "tests/Tailrace.Tests/Events/Golden";

    public static TheoryData<string> Names => [.. Cases.Keys];

    private static Dictionary<string, ((string Name, object Value)[] Shared, Event[] Events)> Cases { get; } = new()
    {
        ["one-event"] = ([], [new(1_750_000_000_123_456_789, "hello")]),
        ["empty-body"] = ([], [new(0, "")]),
        ["same-timestamp"] = ([("host", "web-01"), ("file", "/var/log/app.log")], [new(1_750_000_000_000_000_000, "one"), new(1_750_000_000_000_000_000, "two"), new(1_750_000_000_000_000_000, "three")]),
        ["header-types"] = ([("text", "grün"), ("empty", ""), ("most", long.MaxValue), ("least", long.MinValue), ("zero", 0), ("pi", 3.141592653589793), ("nan", double.NaN), ("minus-zero", -0.0), ("yes", true), ("no", false)], [new(1, "x")]),
        ["timestamps"] = ([], [new(-1, "before 1970"), new(long.MaxValue, "2262"), new(0, "1970"), new(long.MinValue, "1677"), new(1_750_000_000_000_000_000, "2025")]),
        ["own-headers"] = (
            [("host", "web-01"), ("level", "info")],
            [new(10, "plain"), new(10, "hides level", ("level", 7)), new(12, "hides both", ("level", 1.5), ("added", true), ("host", "")), new(12, "plain again")]),
        ["line-feeds"] = ([], [new(5, "a\nb"), new(5, "\n"), new(5, "\n\n\r\n"), new(5, ""), new(5, "end\n")]),
        ["bytes"] = ([], [new(5, [.. Enumerable.Range(0, 256).Select(i => (byte)i)], []), new(6, [0xFF, 0xFE, 0x00], [])]),
        ["many"] = (
            [("host", "web-01")],
            [.. Enumerable.Range(0, 300).Select(i => new Event(1_750_000_000_000_000_000 + (i * 37L * i), new string((char)('a' + (i % 26)), i), i % 3 == 0 ? [("i", i)] : []))]),
    };

    [Theory]
    [MemberData(nameof(Names))]
    public void A_golden_block_decodes_to_what_its_description_says(string name)
    {
        using EventBatch batch = Batches.Open(File.ReadAllBytes(Path.Combine(Repository.Root, Folder, name + ".bin")));
        Repository.AssertEqualsFile($"{Folder}/{name}.txt", Encoding.UTF8.GetBytes(Batches.Show(batch)), "A released block is read differently: that loses data. If the case is new, check the description by hand, then:");
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void The_writer_still_makes_exactly_the_golden_bytes(string name) =>
        Repository.AssertEqualsFile($"{Folder}/{name}.bin", Batches.Block(Cases[name].Shared, Cases[name].Events), "The writer has changed: raise the version and teach readers one release before. If the case is new:");

    [Fact]
    public void Every_golden_file_belongs_to_a_case() =>
        Assert.Equal(
            Cases.Keys.SelectMany(name => new[] { name + ".bin", name + ".txt" }).Order(StringComparer.Ordinal),
            Directory.GetFiles(Path.Combine(Repository.Root, Folder)).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal));
}
