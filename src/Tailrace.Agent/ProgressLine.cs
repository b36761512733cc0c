using System.Globalization;
using Tailrace.Core.Runtime;

namespace Tailrace.Agent;

/// <summary>The progress of a <c>--once</c> run on a terminal: one line on standard error, written again twice a second.</summary>
internal sealed class ProgressLine : IDisposable
{
    private readonly Topology _topology;
    private readonly long _started;
    private readonly ITimer _timer;

    /// <summary>Starts showing progress.</summary>
    public ProgressLine(Topology topology)
    {
        _topology = topology;
        _started = TimeProvider.System.GetTimestamp();
        _timer = TimeProvider.System.CreateTimer(_ => Show("\r"), null, TimeSpan.FromMilliseconds(500), TimeSpan.FromMilliseconds(500));
    }

    /// <summary>True if standard error is a terminal.</summary>
    public static bool CanShow => !Console.IsErrorRedirected;

    /// <summary>Shows the last figures and ends the line.</summary>
    public void Dispose()
    {
        _timer.Dispose();
        Show("\r");
        Console.Error.WriteLine();
    }

    private void Show(string start)
    {
        (long done, long known) = _topology.Progress;
        double seconds = Math.Max(0.001, TimeProvider.System.GetElapsedTime(_started).TotalSeconds);
        if (known == 0)
        {
            return; // nothing is known yet, or there is nothing new
        }

        double part = 100.0 * done / known;
        Console.Error.Write(string.Create(CultureInfo.InvariantCulture, $"{start}{done / 1e6,10:N1} of {known / 1e6:N1} MB taken in ({part:F0} %), {_topology.Accepted.Events:N0} events, {done / 1e6 / seconds:F0} MB/s   "));
    }
}
