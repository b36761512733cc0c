using System.Diagnostics;
using System.Text;
using Tailrace.Files;

namespace Tailrace.Tests.Tail;

/// <summary>A directory of files and a source that follows them.</summary>
public abstract class TailTest : IDisposable
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);
    private CancellationTokenSource _stop = new();
    private Task? _run;

    internal string Folder { get; } = Directory.CreateTempSubdirectory("tailrace-tail-").FullName;

    internal TailContext Context { get; set; } = new();

    internal TailOptions Options { get; set; }

    protected TailTest() => Options = new TailOptions { Paths = [At("*.log")], PollInterval = TimeSpan.FromMilliseconds(20) };

    public void Dispose()
    {
        StopAsync().GetAwaiter().GetResult();
        _stop.Dispose();
        Directory.Delete(Folder, recursive: true);
        GC.SuppressFinalize(this);
    }

    internal string At(string name) => Path.Combine(Folder, name);

    internal string Write(string name, string text) => WriteBytes(name, Encoding.Latin1.GetBytes(text));

    internal string WriteBytes(string name, byte[] bytes)
    {
        File.WriteAllBytes(At(name), bytes);
        return At(name);
    }

    internal void Append(string name, string text)
    {
        using var file = new FileStream(At(name), FileMode.Append, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete);
        file.Write(Encoding.Latin1.GetBytes(text));
    }

    internal async Task OnceAsync()
    {
        Context.Once = true;
        await new TailSource(Options, Context).RunAsync(CancellationToken.None).WaitAsync(Deadline);
        Context.Once = false;
    }

    internal void Start()
    {
        _stop.Dispose();
        _stop = new CancellationTokenSource();
        _run = new TailSource(Options, Context).RunAsync(_stop.Token);
    }

    internal async Task StopAsync()
    {
        if (_run is not null)
        {
            await _stop.CancelAsync();
            await _run.WaitAsync(Deadline);
            _run = null;
            Assert.Equal(0, Context.Appending);
        }
    }

    /// <summary>Waits for a condition; fails with what was delivered if it does not come.</summary>
    internal async Task WaitForAsync(Func<bool> condition, string what)
    {
        long start = Stopwatch.GetTimestamp();
        while (!condition())
        {
            if (_run is { IsCompleted: true })
            {
                await _run;
            }

            Assert.True(Stopwatch.GetElapsedTime(start) < Deadline, $"Never came: {what}. Delivered: {string.Join('|', Context.Bodies)}. Log: {string.Join(Environment.NewLine, Context.Messages)}");
            await Task.Delay(1);
        }
    }

    internal async Task ExpectAsync(params string[] bodies)
    {
        await WaitForAsync(() => Context.Bodies.Length >= bodies.Length, $"{bodies.Length} events");
        Assert.Equal(bodies, Context.Bodies);
    }

    /// <summary>Waits until the source has surely looked at everything at least once more.</summary>
    internal async Task SettleAsync()
    {
        string marker = $"marker {Guid.NewGuid():N}";
        Write($"{marker}.log", marker + "\n");
        await WaitForAsync(() => Context.Bodies.Contains(marker), "the marker");
    }
}
