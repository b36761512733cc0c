using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Tailrace.Core.Runtime;

namespace Tailrace.Tests.Runtime;

public class SupervisorTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly ComponentState _state;

    public SupervisorTests() => _state = new ComponentState("sources", "a", "test", NullLoggerFactory.Instance, _time);

    [Fact]
    public async Task A_body_that_throws_is_run_again_after_a_back_off_until_it_returns()
    {
        int runs = 0;
        Task run = new Supervisor(_state, _time).RunAsync(_ => ++runs < 4 ? throw new IOException("the disk is away") : Task.CompletedTask, CancellationToken.None);
        for (int expected = 1; expected < 4; expected++)
        {
            Assert.Equal(expected, runs);
            Assert.Equal(ComponentStatus.Failed, _state.Status);
            Assert.Equal("the disk is away", _state.Reason);
            await AdvanceUntilAsync(() => runs > expected);
        }

        await run;
        Assert.Equal(4, runs);
        Assert.Equal(ComponentStatus.Running, _state.Status);
    }

    [Fact]
    public async Task Cancelling_ends_the_wait_and_the_body()
    {
        using var stop = new CancellationTokenSource();
        Task failing = new Supervisor(_state, _time).RunAsync(_ => throw new IOException("no"), stop.Token);
        Task waiting = new Supervisor(_state, _time).RunAsync(token => Task.Delay(Timeout.InfiniteTimeSpan, token), stop.Token);
        Assert.False(failing.IsCompleted);
        await stop.CancelAsync();
        await failing.WaitAsync(TimeSpan.FromSeconds(10));
        await waiting.WaitAsync(TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task The_back_off_starts_over_after_a_long_steady_run()
    {
        var starts = new List<DateTimeOffset>();
        using var stop = new CancellationTokenSource();
        Task run = new Supervisor(_state, _time).RunAsync(
            async token =>
            {
                starts.Add(_time.GetUtcNow());
                if (starts.Count == 6)
                {
                    await Task.Delay(TimeSpan.FromMinutes(2), _time, token); // steady at last, then it fails again
                }

                throw new IOException("again");
            },
            stop.Token);
        await AdvanceUntilAsync(() => starts.Count == 8);
        await stop.CancelAsync();
        await run;
        TimeSpan afterSteady = starts[7] - starts[6];
        Assert.True(afterSteady < TimeSpan.FromSeconds(4), $"waited {afterSteady} after a steady run");
    }

    [Fact]
    public void Trouble_counts_through_short_runs_and_ends_with_a_settled_one()
    {
        Assert.Equal(TimeSpan.Zero, _state.TroubleFor);
        for (int i = 0; i < 10; i++)
        {
            _state.Set(ComponentStatus.Failed, "no");
            _time.Advance(TimeSpan.FromSeconds(3));
            _state.Set(ComponentStatus.Running, null);
            _time.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.Equal(TimeSpan.FromSeconds(40), _state.TroubleFor);
        _time.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal(TimeSpan.Zero, _state.TroubleFor);
        _state.Set(ComponentStatus.Degraded, "no");
        _time.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(TimeSpan.FromSeconds(2), _state.TroubleFor);
    }

    /// <summary>Lets fake time pass in small steps until a condition holds.</summary>
    private async Task AdvanceUntilAsync(Func<bool> condition)
    {
        for (int i = 0; i < 100_000 && !condition(); i++)
        {
            _time.Advance(TimeSpan.FromMilliseconds(100));
            await Task.Yield();
        }

        Assert.True(condition(), "not reached in fake time");
    }
}
