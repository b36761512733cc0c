using Microsoft.Extensions.Logging;
using Polly;
using Polly.Retry;
using Tailrace.Core.Configuration;

namespace Tailrace.Core.Runtime;

/// <summary>
/// Drives one sink that delivers batches: takes from its subscriber, delivers, commits. What is not delivered is tried again after 0.2 s to
/// 30 s (doubling, with jitter) for as long as it takes; the cursor never passes an event that the destination does not have.
/// </summary>
internal sealed partial class SinkRunner(SinkConfiguration configuration, ComponentContext context, ISubscriber subscriber)
{
    /// <summary>Runs until the channel is complete and drained, <paramref name="stopping"/> or <paramref name="abort"/>.</summary>
    public async Task RunAsync(CancellationToken stopping, CancellationToken abort)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(stopping, abort);
        ResiliencePipeline<DeliveryResult> retry = BuildRetry();
        var sink = (ISink)configuration.Component.Registration.Create(configuration.Component.Options, null, context);
        try
        {
            subscriber.Seek(subscriber.Cursor);
            while (await subscriber.TakeAsync(either.Token) is { } transaction)
            {
                using (transaction)
                {
                    EventRange events = transaction.Events;
                    await retry.ExecuteAsync(token => sink.DeliverAsync(events, token), either.Token);
                    context.Report(ComponentStatus.Running);
                    await transaction.CommitAsync(abort);
                }
            }
        }
        catch (OperationCanceledException) when (either.IsCancellationRequested)
        {
            return;
        }
        finally
        {
            switch (sink)
            {
                case IAsyncDisposable disposable:
                    await disposable.DisposeAsync();
                    break;
                case IDisposable disposable:
                    disposable.Dispose();
                    break;
            }
        }
    }

    private ResiliencePipeline<DeliveryResult> BuildRetry() =>
        new ResiliencePipelineBuilder<DeliveryResult> { TimeProvider = context.Time }
            .AddRetry(new RetryStrategyOptions<DeliveryResult>
            {
                // A rejection is tried again too until there is a dead-letter channel to put it: waiting loses nothing, dropping would.
                ShouldHandle = arguments => new ValueTask<bool>(arguments.Outcome.Exception is not OperationCanceledException && arguments.Outcome.Result is not { Outcome: DeliveryOutcome.Delivered }),
                MaxRetryAttempts = int.MaxValue,
                BackoffType = DelayBackoffType.Exponential,
                UseJitter = true,
                Delay = TimeSpan.FromMilliseconds(200),
                MaxDelay = TimeSpan.FromSeconds(30),
                OnRetry = arguments =>
                {
                    string reason = arguments.Outcome.Exception?.Message ?? arguments.Outcome.Result.Reason ?? "no reason given";
                    context.Report(ComponentStatus.Degraded, reason);
                    LogRetry(context.Logger, reason, arguments.RetryDelay.TotalSeconds);
                    return ValueTask.CompletedTask;
                },
            })
            .Build();

    [LoggerMessage(Level = LogLevel.Debug, Message = "Not delivered ({Reason}); next try in {Seconds:F1} s")]
    private static partial void LogRetry(ILogger logger, string reason, double seconds);
}
