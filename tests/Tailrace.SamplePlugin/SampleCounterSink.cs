using System.ComponentModel;
using System.Globalization;
using Polly;

namespace Tailrace.SamplePlugin;

/// <summary>The options of the <c>sample_counter</c> sink.</summary>
public sealed record SampleCounterOptions : IValidatedOptions
{
    /// <summary>The file that is appended to.</summary>
    [Description("The file that is appended to.")]
    public required string Path { get; init; }

    /// <summary>How often a write is tried again at once; 1 to 10.</summary>
    [Description("How often a write is tried again at once. From 1 to 10.")]
    public int Attempts { get; init; } = 3;

    /// <inheritdoc/>
    public IEnumerable<OptionProblem> Validate()
    {
        if (Attempts is < 1 or > 10)
        {
            yield return new OptionProblem("attempts", "must be from 1 to 10.");
        }
    }
}

/// <summary>Writes a line <c>COUNT INDEX</c> for each run of events: how many there are, and where in their batch they start.</summary>
public sealed class SampleCounterSink(SampleCounterOptions options, IComponentContext context) : ISink
{
    private readonly ResiliencePipeline _retry = new ResiliencePipelineBuilder { TimeProvider = context?.Time }
        .AddRetry(new() { MaxRetryAttempts = options.Attempts, Delay = TimeSpan.Zero }).Build();

    /// <inheritdoc/>
    public async ValueTask<DeliveryResult> DeliverAsync(EventRange events, CancellationToken cancellationToken)
    {
        string line = string.Create(CultureInfo.InvariantCulture, $"{events.Count} {events.First}\n");
        await _retry.ExecuteAsync(async token => await File.AppendAllTextAsync(options.Path, line, token), cancellationToken);
        return DeliveryResult.Delivered;
    }
}
