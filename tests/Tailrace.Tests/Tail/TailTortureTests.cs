using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace Tailrace.Tests.Tail;

/// <summary>
/// Writers at full speed that rotate by renaming, by copying and truncating, and by deleting, and a source that is stopped and made anew every
/// second. Runs for 10 minutes, with TAILRACE_LONG=1 alone.
/// </summary>
public sealed class TailTortureTests : TailTest
{
    private const int Kept = 4; // rotated files
    private static readonly TimeSpan Duration = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    private readonly Dictionary<char, Lines> _lines = new() { ['r'] = new Lines(), ['t'] = new Lines(), ['d'] = new Lines() };
    private volatile bool _failed;

    [LongFact]
    public async Task Nothing_is_lost_or_repeated_but_what_a_truncation_destroys()
    {
        Options = Options with { Paths = [At("*.log*")], PollInterval = TimeSpan.FromMilliseconds(50), BatchSize = new ByteSize(256 << 10), RotateWait = TimeSpan.FromSeconds(2) };
        Context = new TailContext
        {
            BeforeAppend = async (_, token) => await Task.Delay(Random.Shared.Next(3), token), // a stop leaves some appends undone
            OnStored = batch =>
            {
                foreach (LogEvent item in batch)
                {
                    _lines[(char)item.Body[0]].Take(int.Parse(item.Body[1..item.Body.IndexOf((byte)' ')], NumberStyles.None, CultureInfo.InvariantCulture));
                }
            },
        };
        long start = Stopwatch.GetTimestamp();
        bool IsOver() => Stopwatch.GetElapsedTime(start) > Duration || _failed;
        Task[] writers = [Task.Run(() => WriteAsync('r', IsOver, RenameAsync)), Task.Run(() => WriteAsync('t', IsOver, CopyTruncateAsync)), Task.Run(() => WriteAsync('d', IsOver, DeleteAsync))];
        Start();
        Task all = Task.WhenAll(writers);
        int restarts = 0;
        while (!all.IsCompleted)
        {
            await Task.WhenAny(all, Task.Delay(TimeSpan.FromSeconds(1)));
            await StopAsync();
            restarts++;
            Start();
        }

        await all;
        foreach ((char name, Lines lines) in _lines)
        {
            await WaitForAsync(() => lines.Missing().Count == 0, $"all lines of {name}: {lines}");
        }

        await StopAsync();
        await OnceAsync();
        Console.WriteLine($"{restarts} restarts; {string.Join("; ", _lines.Select(pair => $"{pair.Key}: {pair.Value}"))}");
        Assert.All(_lines.Values, lines => Assert.Equal((0, 0), (lines.Repeated, lines.Missing().Count)));
    }

    private async Task WriteAsync(char name, Func<bool> isOver, Func<char, int, Task> rotateAsync)
    {
        Lines lines = _lines[name];
        var random = new Random(name);
        string padding = new('x', 200);
        try
        {
            for (int rotation = 1; !isOver(); rotation++)
            {
                for (int i = random.Next(40); i >= 0; i--)
                {
                    Write(name, lines, random.Next(1, 500), padding.AsSpan(0, random.Next(padding.Length)));
                }

                await rotateAsync(name, rotation);
            }
        }
        catch
        {
            _failed = true;
            throw;
        }
    }

    private void Write(char name, Lines lines, int count, ReadOnlySpan<char> padding)
    {
        var text = new StringBuilder();
        for (int i = 0; i < count; i++)
        {
            text.Append(name).Append(lines.Written++).Append(' ').Append(padding).Append('\n');
        }

        Append($"{name}.log", text.ToString());
    }

    private async Task RenameAsync(char name, int rotation)
    {
        File.Move(At($"{name}.log"), At($"{name}.log.{rotation}"));
        await DropAsync(name, rotation);
    }

    private async Task CopyTruncateAsync(char name, int rotation)
    {
        Lines lines = _lines[name];
        File.Copy(At($"{name}.log"), At($"{name}.log.{rotation}"));
        int from = lines.Written;
        Write(name, lines, 3, "in the window between copy and truncation");
        lines.Destroy(from, lines.Written);
        Truncate($"{name}.log");
        await DropAsync(name, rotation);
    }

    /// <summary>What was deleted unread is lost while nobody holds it: an operator deletes what is delivered.</summary>
    private async Task DeleteAsync(char name, int rotation)
    {
        await CaughtUpAsync(_lines[name], _lines[name].Written);
        File.Delete(At($"{name}.log"));
    }

    /// <summary>Deletes the rotated file that is one too many, once all is read that was written so far.</summary>
    private async Task DropAsync(char name, int rotation)
    {
        if (rotation % Kept == 0)
        {
            await CaughtUpAsync(_lines[name], _lines[name].Written);
            for (int old = Math.Max(1, rotation - (2 * Kept)); old <= rotation - Kept; old++)
            {
                File.Delete(At($"{name}.log.{old}"));
            }
        }
    }

    private async Task CaughtUpAsync(Lines lines, int written)
    {
        long start = Stopwatch.GetTimestamp();
        while (!lines.HasAll(written))
        {
            Assert.False(_failed, "Another writer has failed.");
            Assert.True(Stopwatch.GetElapsedTime(start) < Deadline, $"Never came: {lines}. Log: {string.Join(Environment.NewLine, Context.Messages.TakeLast(60))}");
            await Task.Delay(5);
        }
    }

    /// <summary>Which lines of a log have come.</summary>
    private sealed class Lines
    {
        private readonly Lock _lock = new();
        private byte[] _seen = new byte[1 << 16];
        private int _firstMissing;

        public int Written { get; set; }

        public int Repeated { get; private set; }

        public HashSet<int> Destroyed { get; } = [];

        public void Take(int line)
        {
            lock (_lock)
            {
                if (line >= _seen.Length)
                {
                    Array.Resize(ref _seen, line * 2);
                }

                Repeated += _seen[line]++ == 0 ? 0 : 1;
            }
        }

        public void Destroy(int from, int to)
        {
            lock (_lock)
            {
                Destroyed.UnionWith(Enumerable.Range(from, to - from));
            }
        }

        public bool HasAll(int written)
        {
            lock (_lock)
            {
                while (_firstMissing < written && ((_firstMissing < _seen.Length && _seen[_firstMissing] > 0) || Destroyed.Contains(_firstMissing)))
                {
                    _firstMissing++;
                }

                return _firstMissing >= written;
            }
        }

        public List<int> Missing()
        {
            lock (_lock)
            {
                return [.. Enumerable.Range(0, Written).Where(line => (line >= _seen.Length || _seen[line] == 0) && !Destroyed.Contains(line)).Take(10)];
            }
        }

        public override string ToString() => $"{Written} written, missing {string.Join(',', Missing())}, {Repeated} repeated, {Destroyed.Count} in the window";
    }
}
