namespace Tailrace.Tests;

/// <summary>A test of what only Linux has.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class LinuxFactAttribute : FactAttribute
{
    private bool _unprivileged;

    public LinuxFactAttribute() => Skip = OperatingSystem.IsLinux() ? null : "needs Linux";

    /// <summary>True for a test that permissions must hold for, as they do not for root.</summary>
    public bool Unprivileged
    {
        get => _unprivileged;
        set
        {
            _unprivileged = value;
            Skip ??= value && Environment.IsPrivilegedProcess ? "needs a user whom permissions bind: root may do everything" : null;
        }
    }
}

/// <summary>A test that runs a Windows build under Wine.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class WineFactAttribute : FactAttribute
{
    private const string Loader = "/usr/lib/wine/wine64";

    public WineFactAttribute()
    {
        if (Services is null)
        {
            Skip = "needs TAILRACE_SERVICES to name the folder with the wine script";
        }
        else if (!File.Exists(Script))
        {
            Skip = $"needs {Script}";
        }
        else if (!File.Exists(Loader))
        {
            Skip = $"needs {Loader}";
        }
    }

    /// <summary>The script that runs a Windows program.</summary>
    public static string Script => Path.Combine(Services ?? "", "wine");

    private static string? Services => Environment.GetEnvironmentVariable("TAILRACE_SERVICES") is { Length: > 0 } folder ? folder : null;
}

/// <summary>A run that takes minutes.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class LongFactAttribute : FactAttribute
{
    public LongFactAttribute() => Skip = Environment.GetEnvironmentVariable("TAILRACE_LONG") == "1" ? null : "takes minutes: set TAILRACE_LONG=1";
}

/// <summary>A test against another program, found through PATH.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class PeerFactAttribute : FactAttribute
{
    public PeerFactAttribute(string program)
    {
        Program = program;
        Skip = Find(program) is null ? $"needs the program {program} in PATH" : null;
    }

    public string Program { get; }

    /// <summary>Where a program is; null if it is nowhere in PATH.</summary>
    public static string? Find(string program) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
            .SelectMany(folder => new[] { Path.Combine(folder, program), Path.Combine(folder, program + ".exe") })
            .FirstOrDefault(File.Exists);
}
