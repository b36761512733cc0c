using System.Text;
using CsCheck;
using Tailrace.Core.Configuration;

namespace Tailrace.Tests.Configuration;

/// <summary>Whatever stands in a file, loading it ends, does not throw, and gives either a configuration or positioned errors.</summary>
public sealed class ConfigurationFuzzTests : IDisposable
{
    private static readonly string[] Pieces =
    [
        "agent", "sources", "channels", "sinks", "type", "tail", "main", ": ", ":", ",", " ", "  ", "\n", "\n  ", "\n    ", "- ", "[", "]", "{", "}", "\"", "'", "&a ", "*a", "!!str ", "! ", "!x ",
        "|\n ", ">-\n ", "\t", "${X}", "${IN}", "$${", "${", "#", " #", "? ", "<<: ", "---\n", "...\n", "%YAML 1.2\n", "\r\n", "é", "\u2028", "\u0085", "null", "~", "true", "1e999", "007", "\\", "\"\\uD800\"", "@", "`",
    ];

    private static readonly string[] Samples =
        [.. Directory.GetFiles(Path.Combine(AppContext.BaseDirectory, "Configuration", "Samples")).Select(File.ReadAllText)];

    private readonly string _file = Path.Combine(Path.GetTempPath(), $"tailrace-{Guid.NewGuid():N}.yaml");

    [Fact]
    public void Any_bytes() => Gen.Byte.Array[0, 200].Sample(Check, iter: 2000, threads: 1);

    [Fact]
    public void Any_sequence_of_what_yaml_is_made_of() =>
        Gen.Int[0, Pieces.Length - 1].Array[0, 60].Sample(pieces => Check(Encoding.UTF8.GetBytes(string.Concat(pieces.Select(piece => Pieces[piece])))), iter: 4000, threads: 1);

    [Fact]
    public void Any_change_of_a_sound_file() =>
        Gen.Select(Gen.Int[0, Samples.Length - 1], Gen.Select(Gen.Int[0, 3], Gen.Int[0, 10_000], Gen.Int[0, 30], Gen.Int[0, Pieces.Length - 1]).Array[1, 4])
            .Sample(
                (sample, changes) =>
                {
                    string text = Samples[sample];
                    foreach ((int kind, int position, int length, int piece) in changes)
                    {
                        int at = position % (text.Length + 1);
                        int end = Math.Min(text.Length, at + length);
                        text = kind switch
                        {
                            0 => text[..at] + text[end..],
                            1 => text[..at] + Pieces[piece] + text[at..],
                            2 => text[..at] + Pieces[piece] + text[end..],
                            _ => text[..end] + text[at..],
                        };
                    }

                    Check(Encoding.UTF8.GetBytes(text));
                },
                iter: 4000,
                threads: 1);

    [Fact]
    public void Files_made_to_be_slow_are_read_in_time()
    {
        string[] texts =
        [
            string.Concat(Enumerable.Repeat("[", 1 << 20)),
            string.Concat(Enumerable.Repeat("{a: ", 1 << 18)),
            string.Concat(Enumerable.Repeat("? ", 1 << 19)),
            string.Concat(Enumerable.Repeat("- ", 1 << 19)),
            "a: [" + string.Concat(Enumerable.Repeat("a,", 1 << 18)) + "]",
            "agent:\n" + string.Concat(Enumerable.Range(0, 40_000).Select(i => $"  name{i}: x\n")),
            "sinks:\n" + string.Concat(Enumerable.Range(0, 9_000).Select(i => $"  s{i}: {{ type: relay, channel: nowhere{i}, to: [a], nope: 1 }}\n")),
            "agent: { name: \"" + string.Concat(Enumerable.Repeat("${IN}", 200_000)) + "\" }",
            "agent: &a\n  name: " + new string('x', 1_000_000),
        ];
        foreach (string text in texts)
        {
            long start = TimeProvider.System.GetTimestamp();
            Check(Encoding.UTF8.GetBytes(text));
            Assert.True(TimeProvider.System.GetElapsedTime(start) < TimeSpan.FromSeconds(20), text[..20]);
        }
    }

    public void Dispose() => File.Delete(_file);

    private void Check(byte[] bytes)
    {
        File.WriteAllBytes(_file, bytes);
        var loader = new ConfigurationLoader(FakeComponents.Catalog(), variable => variable == "X" ? null : "value");

        (AgentConfiguration? configuration, IReadOnlyList<ConfigurationError> errors) = loader.Load([_file]);

        Assert.Equal(configuration is null, errors.Count > 0);
        int lines = Encoding.UTF8.GetString(bytes).ReplaceLineEndings("\n").Count(letter => letter is '\n' or '\r' or '\u0085' or '\u2028' or '\u2029') + 2;
        Assert.All(errors, error =>
        {
            Assert.Equal(_file, error.File);
            Assert.InRange(error.Line, 1, lines);
            Assert.InRange(error.Column, 1, bytes.Length + 2);
            Assert.DoesNotContain(error.Message, char.IsControl);
            Assert.DoesNotContain("cannot be used", error.Message, StringComparison.Ordinal);
        });
        Assert.Equal(errors.OrderBy(error => (error.Line, error.Column)), errors);
    }
}
