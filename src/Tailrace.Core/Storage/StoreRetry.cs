using Microsoft.Extensions.Logging;
using Polly;
using Polly.Retry;

namespace Tailrace.Core.Storage;

/// <summary>Tries what a store refuses again, for ever, with a back-off, and says so: degraded after the first failure, running once nothing fails any more.</summary>
internal sealed partial class StoreRetry
{
    private readonly IComponentContext _context;
    private readonly ResiliencePipeline _pipeline;
    private int _failing;

    public StoreRetry(IComponentContext context)
    {
        _context = context;
        var retry = new RetryStrategyOptions
        {
            ShouldHandle = new PredicateBuilder().Handle<StoreFailedException>(),
            MaxRetryAttempts = int.MaxValue,
            BackoffType = DelayBackoffType.Exponential,
            UseJitter = true,
            Delay = TimeSpan.FromMilliseconds(200),
            MaxDelay = TimeSpan.FromSeconds(30),
            OnRetry = arguments =>
            {
                Log.TryingAgain(_context.Logger, arguments.Outcome.Exception?.Message, arguments.RetryDelay.TotalSeconds);
                return default;
            },
        };
        _pipeline = new ResiliencePipelineBuilder { TimeProvider = context.Time }.AddRetry(retry).Build();
    }

    /// <summary>Runs <paramref name="action"/> until it does not throw <see cref="StoreFailedException"/>.</summary>
    public async ValueTask RunAsync(Func<CancellationToken, ValueTask> action, CancellationToken cancellationToken)
    {
        bool failed = false;
        try
        {
            await _pipeline.ExecuteAsync(
                async token =>
                {
                    try
                    {
                        await action(token);
                    }
                    catch (StoreFailedException exception)
                    {
                        if (!failed)
                        {
                            failed = true;
                            Interlocked.Increment(ref _failing);
                        }

                        _context.Report(ComponentStatus.Degraded, exception.Message);
                        throw;
                    }
                },
                cancellationToken);
        }
        catch when (failed)
        {
            Interlocked.Decrement(ref _failing);
            throw;
        }

        if (failed && Interlocked.Decrement(ref _failing) == 0)
        {
            _context.Report(ComponentStatus.Running);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "{Reason} Trying again in {Delay:0.0} s.")]
        public static partial void TryingAgain(ILogger logger, string? reason, double delay);
    }
}
