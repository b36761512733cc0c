using System.Text;
using CsCheck;
using Tailrace.Core.Storage;

namespace Tailrace.Tests.Storage;

public sealed class PathTemplateTests
{
    private const long Millisecond = 1_000_000;

    /// <summary>What Flume 1.11 makes of these: pattern, timestamp in milliseconds, time zone, path.</summary>
    public static TheoryData<string, long, string, string> FlumePaths => new()
    {
        { "%c", 1340459193234, "UTC", "Sat Jun 23 13:46:33 2012" },
        { "%n-%e", 1415886393000, "UTC", "11-13" },
        { "%a", 1340459193234, "UTC", "Sat" },
        { "%B", 1340459193234, "UTC", "June" },
        { "%d", 1340459193234, "UTC", "23" },
        { "%j", 1340459193234, "UTC", "175" },
        { "%k", 1340459193234, "UTC", "13" },
        { "%l", 1340459193234, "UTC", "1" },
        { "%M", 1340459193234, "UTC", "46" },
        { "%p", 1340459193234, "UTC", "PM" },
        { "%s", 1340459193234, "UTC", "1340459193" },
        { "%t", 1340459193234, "UTC", "1340459193234" },
        { "%y", 1340459193234, "UTC", "12" },
        { "%%", 1340459193234, "UTC", "%" },
        { "%z", 1340459193234, "Asia/Kolkata", "+0530" },
        { "%H", 1340459193234, "America/Los_Angeles", "06" },
        { "%j", 1340459193234, "Asia/Kolkata", "175" },
        { "/x/%Y-%m-%d", 1340459193, "UTC", "/x/1970-01-16" },
        { "/x/%Y", -1, "UTC", "/x/1969" },
        { "/x/100%", 1340459193234, "UTC", "/x/100%" },
        { "%A %b %D %I %S", 1340459193234, "UTC", "Saturday Jun 06/23/12 01 33" },
        { "a%%/%F-%L", 1340459193234, "UTC", "a%/2012-06-23-234" },
    };

    [Theory]
    [MemberData(nameof(FlumePaths))]
    public void Escapes_give_what_they_give_in_Flume(string pattern, long milliseconds, string zone, string expected)
    {
        var template = PathTemplate.Parse(pattern, TimeZoneInfo.FindSystemTimeZoneById(zone));
        string bucket = Render(template, milliseconds * Millisecond);
        Assert.Equal(expected, string.Join('/', new[] { template.Root, bucket }.Where(text => text.Length > 0)));
    }

    [Theory]
    [InlineData("/logs/%{source}/dt=%Y", "/logs")]
    [InlineData("/%Y", "/")]
    [InlineData("%Y/x", "")]
    [InlineData("/a/b/", "/a/b")]
    [InlineData("/a/b%%/c", "/a/b%/c")]
    [InlineData("/a/x-%{h}/c", "/a")]
    public void The_root_is_everything_before_the_first_part_with_an_escape(string path, string root) => Assert.Equal(root, PathTemplate.Parse(path, TimeZoneInfo.Utc).Root);

    [Theory]
    [InlineData("/a/%{h", "closing brace")]
    [InlineData("/a/%{}", "names no header")]
    [InlineData("/a/%Q", "%Q is no escape")]
    [InlineData("/a/%[localhost]", "%[ is no escape")]
    [InlineData("/a/%Y/../b", "starts with")]
    [InlineData("/a/%Y/_b", "starts with")]
    [InlineData("", "empty")]
    public void A_bad_template_is_told_apart(string path, string message)
    {
        Assert.Contains(message, PathTemplate.Check(path), StringComparison.Ordinal);
        Assert.Contains(message, Assert.Throws<FormatException>(() => PathTemplate.Parse(path, TimeZoneInfo.Utc)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/a/b")]
    [InlineData("/a/_x/%Y/%{a.b-c}/x%H")]
    [InlineData("/a/.x/y%")]
    public void A_good_template_is_accepted(string path) => Assert.Null(PathTemplate.Check(path));

    [Theory]
    [InlineData("web-01", "web-01")]
    [InlineData("../../etc", "-._.._etc")]
    [InlineData("..", "-_")]
    [InlineData(".", "-")]
    [InlineData("", "-")]
    [InlineData("_temporary", "-temporary")]
    [InlineData("/var/log/x", "-var_log_x")]
    [InlineData("C:\\logs", "C__logs")]
    [InlineData("a\nb\0c\u007fd\u0085e", "a_b_c_d_e")]
    [InlineData("a*b?c\"d<e>f|g", "a_b_c_d_e_f_g")]
    [InlineData("end.", "end_")]
    [InlineData("end ", "end_")]
    [InlineData("con", "con_")]
    [InlineData("LPT1.txt", "LPT1_.txt")]
    [InlineData("console", "console")]
    [InlineData("caf\u00e9 \U0001F600", "caf\u00e9 \U0001F600")]
    public void A_header_becomes_one_safe_part(string value, string expected) =>
        Assert.Equal(expected, Render(PathTemplate.Parse("/r/%{h}", TimeZoneInfo.Utc), 0, ("h", value)));

    [Fact]
    public void A_missing_header_is_empty_text_and_leaves_no_empty_part()
    {
        Assert.Equal("source=/-/x", Render(PathTemplate.Parse("/r/source=%{h}/%{i}/x", TimeZoneInfo.Utc), 0));
        Assert.Equal("-", Render(PathTemplate.Parse("/r/%{h}.", TimeZoneInfo.Utc), 0));
    }

    [Fact]
    public void Numbers_and_booleans_are_written_as_in_JSON()
    {
        var headers = new HeaderBuilder();
        headers.Add("i", -5L).Add("d", 1.5).Add("b", true);
        Assert.Equal("-5/1.5/true", Render(PathTemplate.Parse("/r/%{i}/%{d}/%{b}", TimeZoneInfo.Utc), 0, headers));
    }

    [Fact]
    public void Long_parts_are_cut_and_still_told_apart()
    {
        var template = PathTemplate.Parse("/r/%{h}", TimeZoneInfo.Utc);
        foreach (int length in new[] { 201, 1024, 5000 })
        {
            string a = Render(template, 0, ("h", new string('\u00e9', length) + "a"));
            string b = Render(template, 0, ("h", new string('\u00e9', length) + "b"));
            Assert.NotEqual(a, b);
            Assert.InRange(Encoding.UTF8.GetByteCount(a), 180, PathBuilder.MaxPart);
        }

        Assert.Equal(new string('x', 200), Render(template, 0, ("h", new string('x', 200))));
    }

    [Fact]
    public void Whatever_headers_hold_the_parts_stay_safe_and_their_number_the_same()
    {
        var template = PathTemplate.Parse("/r/%{a}/x%{b}/%{a}%{b}.", TimeZoneInfo.Utc);
        Gen<string> hostile = Gen.OneOf(Gen.String, Gen.String[Gen.Char["./\\_: \0\ud800Aé"], 0, 300], OneOf("..", ".", "~", "CON", "nul.x", "...", " ", "_"));
        Gen.Select(hostile, hostile).Sample(
            (a, b) =>
            {
                string[] parts = Render(template, 0, ("a", a), ("b", b)).Split('/');
                Assert.Equal(3, parts.Length);
                Assert.All(parts, part =>
                {
                    Assert.NotEmpty(part);
                    Assert.DoesNotContain(part[0], "._");
                    Assert.DoesNotContain(part[^1], ". ");
                    Assert.InRange(Encoding.UTF8.GetByteCount(part), 1, PathBuilder.MaxPart);
                    Assert.Equal(-1, part.AsSpan().IndexOfAny("\\:*?\"<>|"));
                    Assert.DoesNotContain(part, char.IsControl);
                });
            },
            iter: 3000,
            threads: 1);
    }

    [Fact]
    public void Within_a_slot_the_text_is_the_same()
    {
        string[] zones = ["UTC", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "America/St_Johns", "Pacific/Apia"];
        string[] patterns = ["%Y", "%d", "%Y-%m-%d/%H", "%H%M", "%S", "%s", "%L", "%z", "%p%l", "%j", "%c"];
        Gen.Select(OneOf(zones), OneOf(patterns), Gen.Long[-2_000_000_000, 4_000_000_000], Gen.Long[0, 999_999_999], Gen.Double[0, 1]).Sample(
            (zone, pattern, second, nanosecond, at) =>
            {
                var template = PathTemplate.Parse(pattern, TimeZoneInfo.FindSystemTimeZoneById(zone));
                long timestamp = (second * 1_000_000_000) + nanosecond;
                (long from, long to) = template.GetSlot(timestamp);
                Assert.InRange(timestamp, from, to - 1);
                string expected = Render(template, timestamp);
                Assert.Equal(expected, Render(template, from));
                Assert.Equal(expected, Render(template, to - 1));
                Assert.Equal(expected, Render(template, from + (long)((to - 1 - from) * at)));
            },
            iter: 3000,
            threads: 1);
    }

    private static Gen<string> OneOf(params string[] values) => Gen.Int[0, values.Length - 1].Select(i => values[i]);

    private static string Render(PathTemplate template, long timestamp, params (string Name, string Value)[] headers)
    {
        var builder = new HeaderBuilder();
        foreach ((string name, string value) in headers)
        {
            builder.Add(name, value);
        }

        return Render(template, timestamp, builder);
    }

    private static string Render(PathTemplate template, long timestamp, HeaderBuilder headers)
    {
        using var events = new EventBatchBuilder();
        events.Start();
        events.Add(timestamp, "body"u8, headers.Encoded);
        using EventBatch batch = events.Build();
        var output = new PathBuilder();
        foreach (LogEvent current in batch)
        {
            template.Render(current, output);
        }

        return output.Path.ToString();
    }
}
