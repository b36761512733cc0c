using System.Globalization;
using CsCheck;

namespace Tailrace.Tests.Tail;

/// <summary>Random schedules of writing, rotating and restarting: every line comes once, in order within its file.</summary>
public sealed class TailScheduleTests : TailTest
{
    private enum Step
    {
        Write,
        WritePart,
        Rename,
        CopyTruncate,
        Restart,
        Slow,
        CatchUp,
        Pause,
    }

    private static Gen<(Step Step, int Amount)[]> Schedules(params (int Weight, Step Step)[] weights) =>
        Gen.Select(Gen.Frequency([.. weights.Select(pair => (pair.Weight, (IGen<Step>)Gen.Const(pair.Step)))]), Gen.Int[1, 60]).Array[1, 30];

    [Theory]
    [InlineData("app.log*", 1024)]
    [InlineData("app*", 8)]
    public async Task Nothing_is_lost_or_repeated_over_renames_restarts_and_kills(string pattern, int openFiles) => await CheckAsync(
        Schedules((8, Step.Write), (4, Step.WritePart), (3, Step.Rename), (2, Step.Restart), (3, Step.Slow), (2, Step.CatchUp), (2, Step.Pause)),
        pattern,
        openFiles);

    [Fact]
    public async Task Nothing_is_lost_or_repeated_where_files_are_copied_and_truncated() => await CheckAsync(
        Schedules((8, Step.Write), (2, Step.CopyTruncate), (2, Step.Restart), (2, Step.Slow), (4, Step.CatchUp), (2, Step.Pause)),
        "app.log*",
        1024);

    private async Task CheckAsync(Gen<(Step Step, int Amount)[]> schedules, string pattern, int openFiles)
    {
        Options = Options with { Paths = [At(pattern)], PollInterval = TimeSpan.FromMilliseconds(10), BatchSize = new ByteSize(4096), MaxEventSize = new ByteSize(1024), MaxOpenFiles = openFiles };
        await schedules.SampleAsync(RunAsync, iter: 25, threads: 1);
    }

    private async Task RunAsync((Step Step, int Amount)[] schedule)
    {
        await StopAsync();
        foreach (string path in Directory.GetFiles(Folder))
        {
            File.Delete(path);
        }

        var lines = new Dictionary<OriginId, List<int>>();
        int stored = 0;
        var random = new Random(schedule.Length);
        Context = new TailContext
        {
            OnStored = batch =>
            {
                OriginId origin = batch.Advances[0].Origin;
                if (!lines.TryGetValue(origin, out List<int>? of))
                {
                    lines.Add(origin, of = []);
                }

                foreach (LogEvent item in batch)
                {
                    of.Add(int.Parse(item.Body[..item.Body.IndexOf((byte)' ')], CultureInfo.InvariantCulture));
                    stored++;
                }
            },
        };
        int written = 0;
        int rotations = 0;
        Start();
        foreach ((Step step, int amount) in schedule)
        {
            switch (step)
            {
                case Step.Write:
                case Step.WritePart:
                    string text = string.Concat(Enumerable.Range(written, amount).Select(i => $"{i} {new string('x', random.Next(100))}\n"));
                    written += amount;
                    int cut = step == Step.Write ? text.Length : random.Next(text.Length);
                    Append("app.log", text[..cut]);
                    if (cut < text.Length)
                    {
                        await Task.Delay(random.Next(20)); // half a line stands there for a while
                        Append("app.log", text[cut..]);
                    }

                    break;
                case Step.Rename when File.Exists(At("app.log")):
                    File.Move(At("app.log"), At($"app.log.{++rotations}"));
                    break;
                case Step.CopyTruncate when File.Exists(At("app.log")):
                    File.Copy(At("app.log"), At($"app.log.{++rotations}"));
                    Truncate("app.log");
                    break;
                case Step.Restart:
                    await StopAsync();
                    Start();
                    break;
                case Step.Slow:
                    Context.BeforeAppend = amount < 20 ? null : async (_, token) => await Task.Delay(Random.Shared.Next(amount / 2), token); // a stop then leaves some appends undone
                    break;
                case Step.CatchUp:
                    await WaitForAsync(() => stored >= written, $"{written} lines, have {stored}, schedule {string.Join(' ', schedule)}");
                    break;
                case Step.Pause:
                    await Task.Delay(amount / 4);
                    break;
                default:
                    break;
            }
        }

        await WaitForAsync(() => stored >= written, $"{written} lines, have {stored}, schedule {string.Join(' ', schedule)}");
        await StopAsync();
        await OnceAsync();
        Assert.Equal(Enumerable.Range(0, written), lines.Values.SelectMany(of => of).Order());
        Assert.All(lines.Values, of => Assert.Equal(of.Order(), of));
    }
}
