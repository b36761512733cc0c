using System.ComponentModel;

namespace Tailrace.Files;

/// <summary>The options of the <c>files</c> store.</summary>
public sealed record FilesStoreOptions : IValidatedOptions
{
    /// <summary>Who may read and write published files, as an octal number; no effect on Windows.</summary>
    [Description("Who may read and write published files, as an octal number such as \"0640\". No effect on Windows.")]
    public string Permissions { get; init; } = "0644";

    /// <inheritdoc/>
    public IEnumerable<OptionProblem> Validate()
    {
        if (ParsePermissions() is null)
        {
            yield return new OptionProblem("permissions", $"'{Permissions}' is no file mode; write three octal digits, such as \"0644\". The owner needs read and write (6).");
        }
    }

    /// <summary>The permissions; null if they cannot be used.</summary>
    internal UnixFileMode? ParsePermissions()
    {
        string digits = Permissions.Length == 4 && Permissions[0] == '0' ? Permissions[1..] : Permissions;
        if (digits.Length != 3 || digits.AsSpan().IndexOfAnyExceptInRange('0', '7') >= 0)
        {
            return null;
        }

        var mode = (UnixFileMode)Convert.ToInt32(digits, 8);
        const UnixFileMode needed = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        return (mode & needed) == needed ? mode : null;
    }
}
