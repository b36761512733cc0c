using Microsoft.Extensions.Logging;
using Polly;
using Polly.Retry;

namespace Tailrace.Core.Runtime;

/// <summary>
/// Keeps one component running: one that throws is made anew after a back-off of 0.5 s to 30 s (doubling, with jitter) for as long as the
/// agent runs, and the others never notice. The back-off starts over once the component has run for a minute.
/// </summary>
internal sealed partial class Supervisor(ComponentState state, TimeProvider time)
{
    private static readonly TimeSpan Steady = TimeSpan.FromMinutes(1);

    /// <summary>Runs <paramref name="body"/> until it returns normally or <paramref name="cancellationToken"/> is cancelled.</summary>
    public async Task RunAsync(Func<CancellationToken, Task> body, CancellationToken cancellationToken)
    {
        while (true)
        {
            ResiliencePipeline backOff = BuildBackOff();
            try
            {
                await backOff.ExecuteAsync(async token => await RunOnceAsync(body, token), cancellationToken);
                return;
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
            catch (SteadyFailureException)
            {
                // It had run for long: wait as after a first failure, then count from one again.
                await Task.Delay(TimeSpan.FromMilliseconds(500), time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private async Task RunOnceAsync(Func<CancellationToken, Task> body, CancellationToken cancellationToken)
    {
        long started = time.GetTimestamp();
        try
        {
            state.Set(ComponentStatus.Running, null);
            await body(cancellationToken);
        }
        catch (Exception exception) when (!(exception is OperationCanceledException && cancellationToken.IsCancellationRequested))
        {
            state.Set(ComponentStatus.Failed, exception.Message);
            LogFailed(state.Logger, exception);
            if (time.GetElapsedTime(started) > Steady)
            {
                throw new SteadyFailureException(exception);
            }

            throw;
        }
    }

    private ResiliencePipeline BuildBackOff() =>
        new ResiliencePipelineBuilder { TimeProvider = time }
            .AddRetry(new RetryStrategyOptions
            {
                ShouldHandle = new PredicateBuilder().Handle<Exception>(exception => exception is not SteadyFailureException),
                MaxRetryAttempts = int.MaxValue,
                BackoffType = DelayBackoffType.Exponential,
                UseJitter = true,
                Delay = TimeSpan.FromMilliseconds(500),
                MaxDelay = TimeSpan.FromSeconds(30),
            })
            .Build();

    [LoggerMessage(Level = LogLevel.Debug, Message = "Failed; it is started again after a back-off")]
    private static partial void LogFailed(ILogger logger, Exception exception);

    /// <summary>A failure after a long steady run.</summary>
    private sealed class SteadyFailureException(Exception inner) : Exception(inner.Message, inner);
}
