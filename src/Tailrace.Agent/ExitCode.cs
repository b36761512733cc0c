namespace Tailrace.Agent;

/// <summary>What the process answers when it ends; docs/operating.md lists them. Numbers above 63 follow BSD's sysexits.</summary>
internal static class ExitCode
{
    /// <summary>Done, or stopped as asked.</summary>
    public const int Success = 0;

    /// <summary>A fault in Tailrace itself: the log says which.</summary>
    public const int Crash = 1;

    /// <summary>The command line is wrong.</summary>
    public const int Usage = 64;

    /// <summary>A channel that was looked into is not sound; every problem was printed.</summary>
    public const int Damaged = 65;

    /// <summary>With <c>--once</c>: not everything could be read or delivered.</summary>
    public const int NotDelivered = 69;

    /// <summary>The data directory cannot be used: another agent has it, or it cannot be written.</summary>
    public const int DataDirectory = 73;

    /// <summary>The configuration is wrong; every error was printed.</summary>
    public const int Configuration = 78;
}
