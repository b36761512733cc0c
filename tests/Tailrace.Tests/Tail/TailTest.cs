using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Text;
using Tailrace.Files;

namespace Tailrace.Tests.Tail;

/// <summary>A directory of files and a source that follows them.</summary>
[SuppressMessage("Design", "CA1001:Types that own disposable fields should be disposable", Justification = "DisposeAsync does it.")]
[SuppressMessage("Usage", "VSTHRD003:Avoid awaiting foreign Tasks", Justification = "The run awaited is the test's own.")]
public abstract class TailTest : IAsyncLifetime
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);
    private CancellationTokenSource _stop = new();
    private Task? _run;

    internal string Folder { get; } = Directory.CreateTempSubdirectory("tailrace-tail-").FullName;

    internal TailContext Context { get; set; } = new();

    internal TailOptions Options { get; set; }

    protected TailTest() => Options = new TailOptions { Paths = [At("*.log")], PollInterval = TimeSpan.FromMilliseconds(20) };

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        await StopAsync();
        _stop.Dispose();
        Directory.Delete(Folder, recursive: true);
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

    internal void Start() => Start(Options, null);

    internal void Start(TailOptions options, DoneFiles? done)
    {
        _stop.Dispose();
        _stop = new CancellationTokenSource();
        _run = new TailSource(options, Context, done).RunAsync(_stop.Token);
    }

    internal async Task StopAsync()
    {
        if (_run is not null)
        {
            await _stop.CancelAsync();
            await EndAsync();
        }
    }

    /// <summary>Waits for the run to end by itself; throws what it threw.</summary>
    internal async Task EndAsync()
    {
        Task run = _run!;
        _run = null;
        await run.WaitAsync(Deadline);
        Assert.Equal(0, Context.Appending);
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

    internal Task WaitForLogAsync(string text) => WaitForAsync(() => Context.Messages.Any(message => message.Contains(text, StringComparison.Ordinal)), $"log line with '{text}'");

    internal async Task ExpectAsync(params string[] bodies)
    {
        await WaitForAsync(() => Context.Bodies.Length >= bodies.Length, $"{bodies.Length} events");
        Assert.Equal(bodies, Context.Bodies);
    }

    /// <summary>Waits until the source has surely looked at everything once more: for a line appended to a file it follows.</summary>
    internal async Task SettleAsync(string? name = null)
    {
        string marker = $"marker {Guid.NewGuid():N}";
        Append(name ?? $"{marker}.log", marker + "\n");
        await WaitForAsync(() => Context.Bodies.Contains(marker), "the marker");
    }

    /// <summary>Writes over a file's bytes in one write, so that its size is never less than the new content's.</summary>
    internal void Overwrite(string name, string text)
    {
        using var file = new FileStream(At(name), FileMode.Open, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete);
        file.Write(Encoding.Latin1.GetBytes(text));
        file.SetLength(text.Length);
    }

    internal void Truncate(string name)
    {
        using var file = new FileStream(At(name), FileMode.Open, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete);
        file.SetLength(0);
    }
}
