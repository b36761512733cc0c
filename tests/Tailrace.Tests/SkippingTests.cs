namespace Tailrace.Tests;

public sealed class SkippingTests
{
    [Fact]
    public void A_missing_program_is_a_reason_that_names_it()
    {
        Assert.Equal("needs the program no-such-program in PATH", new PeerFactAttribute("no-such-program").Skip);
        string found = OperatingSystem.IsWindows() ? "cmd" : "sh";
        Assert.Null(new PeerFactAttribute(found).Skip);
    }

    [Fact]
    public void A_linux_test_is_skipped_elsewhere_only() =>
        Assert.Equal(OperatingSystem.IsLinux(), new LinuxFactAttribute().Skip is null);

    [Fact]
    public void A_wine_test_without_wine_says_what_is_missing()
    {
        string? skip = new WineFactAttribute().Skip;
        Assert.True(skip is null ? File.Exists(WineFactAttribute.Script) : skip.StartsWith("needs ", StringComparison.Ordinal));
    }
}
