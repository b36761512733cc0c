using Microsoft.Extensions.Logging;
using Tailrace.Core.Configuration;

namespace Tailrace.Core.Storage;

/// <summary>
/// Delivers a channel's events as files in a store, each event exactly once, whatever crashes and whatever the store answers or does not.
/// README.md beside this file explains the protocol and the journal. Made before anything is appended to the channel by this process,
/// so that it knows where the log ended.
/// </summary>
internal sealed partial class StorageSink
{
    private readonly SinkConfiguration _configuration;
    private readonly ISubscriber _subscriber;
    private readonly IChannel _channel;
    private readonly string _directory;
    private readonly IComponentContext _context;
    private readonly Func<string, SinkConfiguration> _bind;
    private long _end;

    /// <summary>Makes the sink.</summary>
    /// <param name="configuration">Its configuration.</param>
    /// <param name="subscriber">Its cursor in <paramref name="channel"/>; used by nobody else.</param>
    /// <param name="channel">The channel.</param>
    /// <param name="directory">Where its journal is kept.</param>
    /// <param name="context">The host.</param>
    /// <param name="bind">Binds a sink's section that a journal has kept; throws where it does not bind any more.</param>
    public StorageSink(SinkConfiguration configuration, ISubscriber subscriber, IChannel channel, string directory, IComponentContext context, Func<string, SinkConfiguration> bind)
    {
        _configuration = configuration;
        _subscriber = subscriber;
        _channel = channel;
        _directory = directory;
        _context = context;
        _bind = bind;
        _end = channel.End;
    }

    /// <summary>
    /// Runs until the channel is complete and everything in it is published. Started again after any end, it goes on exactly where it was.
    /// </summary>
    /// <param name="stopping">Take no more; publish what is held, then return.</param>
    /// <param name="abort">Leave at once.</param>
    /// <exception cref="OperationCanceledException"><paramref name="abort"/> was cancelled.</exception>
    /// <exception cref="InvalidOperationException">The configuration, or the one that unfinished work was begun under, cannot be used.</exception>
    /// <exception cref="IOException">Journal or channel could not be read or written.</exception>
    public async Task RunAsync(CancellationToken stopping, CancellationToken abort)
    {
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding); // the caller has other sinks to start
        using var journal = StorageJournal.Open(_directory, _context.Logger);
        JournalState state = journal.State;
        bool isKnown = state.Configuration is not null;
        state.Clip(_subscriber.Cursor, _end);
        if (!isKnown)
        {
            state.SetOwner(_context.Agent, _channel.Name, _configuration.Json, state.Low);
        }

        // Durable before this run appends to the channel: offsets that were clipped are given again, to other events.
        journal.Restart();
        _end = long.MaxValue; // from here on the log only grows: started again after a failure, nothing lies beyond it

        bool isChanged = state.Configuration != _configuration.Json || state.Agent != _context.Agent || state.Channel != _channel.Name;
        if (isChanged && state.Highest > state.Low)
        {
            Log.FinishingOldWay(_context.Logger, state.Highest);
            if (!await DrainAsync(BindOld(state), state.Agent, state.Channel, journal, state.Highest, stopping, abort))
            {
                return;
            }
        }

        if (isChanged)
        {
            state.SetOwner(_context.Agent, _channel.Name, _configuration.Json, state.Low);
            journal.Restart();
        }

        await DrainAsync(_configuration, _context.Agent, _channel.Name, journal, long.MaxValue, stopping, abort);
    }

    private async Task<bool> DrainAsync(
        SinkConfiguration configuration, string agent, string channel, StorageJournal journal, long until, CancellationToken stopping, CancellationToken abort)
    {
        await using var destination = new Destination(configuration, agent, channel, _context);
        var retry = new StoreRetry(_context);
        List<Bucket> buckets = [];
        using (var leaving = CancellationTokenSource.CreateLinkedTokenSource(stopping, abort))
        {
            try
            {
                await retry.RunAsync(async token => buckets = await RecoverAsync(destination, journal, token), leaving.Token);
            }
            catch (OperationCanceledException) when (stopping.IsCancellationRequested && !abort.IsCancellationRequested)
            {
                return false; // nothing is held yet
            }
        }

        await using var loop = new StorageLoop(destination, journal, _subscriber, _channel.Run, retry, _context, until);
        return await loop.RunAsync(buckets, stopping, abort);
    }

    /// <summary>Finds out what a run before left: deletes its temporary files, and looks up the names it had decided upon.</summary>
    private async ValueTask<List<Bucket>> RecoverAsync(Destination destination, StorageJournal journal, CancellationToken cancellationToken)
    {
        try
        {
            foreach (string name in await destination.Store.ListAsync(destination.TemporaryDirectory, cancellationToken))
            {
                await destination.Store.DeleteAsync(Destination.Join(destination.TemporaryDirectory, name), cancellationToken);
            }

            var buckets = new List<Bucket>();
            bool isRenamed = false;
            foreach ((string path, JournalBucket known) in journal.State.Buckets)
            {
                var bucket = new Bucket(path, known.End);
                buckets.Add(bucket);
                for (int i = 0; i < known.Intents.Count; i++)
                {
                    JournalIntent intent = known.Intents[i];
                    bool isPublished = !intent.Foreign && await destination.Store.StatAsync(Destination.Join(path, intent.Name), cancellationToken) is not null;
                    if (!isPublished && intent.Limit < intent.End)
                    {
                        // Part of it is gone from the log: what is left is another file.
                        intent = new JournalIntent(intent.Start, intent.Limit, intent.Limit, destination.NameOf(intent.Start, intent.Limit, _channel.Run), Foreign: false);
                        known.Intents[i] = intent;
                        isRenamed = true;
                    }

                    bucket.Ranges.Add(new BucketRange(intent, Math.Max(intent.Start, journal.State.Low))
                    {
                        State = isPublished ? RangeState.Published : RangeState.Lost,
                        IsAttempted = !intent.Foreign,
                    });
                    bucket.TailStart = bucket.Horizon = intent.Limit;
                }
            }

            if (isRenamed)
            {
                journal.Restart();
            }

            return buckets;
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            throw new StoreFailedException($"{destination.Template.Root} could not be looked through: {exception.Message}", exception);
        }
    }

    private SinkConfiguration BindOld(JournalState state)
    {
        try
        {
            return _bind(state.Configuration!);
        }
        catch (Exception exception)
        {
            throw new InvalidOperationException(
                $"Sink {_configuration.Name} has unfinished files of an earlier configuration that this agent cannot use any more: {exception.Message} "
                + $"Bring back what it needs, or give those files up: move the journal out of {_directory}, and the sink starts from its cursor.",
                exception);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "The configuration has changed; everything below offset {Offset} is finished under the one before.")]
        public static partial void FinishingOldWay(ILogger logger, long offset);
    }
}
