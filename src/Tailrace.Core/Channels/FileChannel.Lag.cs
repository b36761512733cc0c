using Tailrace.Core.Configuration;

namespace Tailrace.Core.Channels;

/// <summary>What a subscriber that falls behind may cost the others.</summary>
internal sealed partial class FileChannel
{
    private static readonly TimeSpan LagCheck = TimeSpan.FromSeconds(1);

    private Dictionary<string, LagOptions>? _configured;
    private ITimer? _lagTimer;
    private bool _hasLagRules;

    /// <summary>Events that subscribers were made to pass over because they fell behind by more than they may, since the channel was opened.</summary>
    public long Dropped { get; private set; }

    /// <summary>
    /// Names the subscribers that the configuration knows and what each may cost the others. One that it does not know holds its data until
    /// the space is needed, then gives way.
    /// </summary>
    internal void SetConfiguredSubscribers(IReadOnlyDictionary<string, LagOptions> subscribers)
    {
        lock (_gate)
        {
            _configured = new Dictionary<string, LagOptions>(subscribers, StringComparer.Ordinal);
            _hasLagRules = subscribers.Values.Any(lag => lag.Policy != LagPolicy.Wait);
            if (_hasLagRules)
            {
                _lagTimer ??= _context.Time.CreateTimer(_ => OnRetentionDue(), null, LagCheck, LagCheck);
            }

            OnLowChanged();
        }
    }

    /// <summary>Parks or moves on the subscribers that are further behind than they may be, and takes back those that have caught up. Under the gate.</summary>
    private void ApplyLag()
    {
        if (!_hasLagRules)
        {
            return;
        }

        foreach ((string name, Pin pin) in _pins)
        {
            if (_configured!.GetValueOrDefault(name) is not { Policy: not LagPolicy.Wait } lag)
            {
                continue;
            }

            long limit = FindLagLimit(lag);
            if (pin.Held < limit)
            {
                if (lag.Policy == LagPolicy.Drop)
                {
                    Drop(name, pin, limit);
                }
                else if (!pin.IsParked)
                {
                    pin.IsParked = true;
                    OnLowChanged();
                    Log.Parked(_context.Logger, name, pin.Position, _end);
                    _context.Report(ComponentStatus.Degraded, $"Subscriber {name} is parked at offset {pin.Position}: it fell behind by more than it may.");
                }
            }
            else if (pin.IsParked)
            {
                pin.IsParked = false;
                Log.Returned(_context.Logger, name, pin.Position);
                _context.Report(ComponentStatus.Running);
            }
            else if (pin.IsDropping && pin.Position > pin.DroppedTo)
            {
                pin.IsDropping = false; // it delivers again
                _context.Report(ComponentStatus.Running);
            }
        }
    }

    /// <summary>Where a subscriber has to stand at least, to a segment: what is below is too many bytes or too long ago.</summary>
    private long FindLagLimit(LagOptions lag)
    {
        IReadOnlyList<Segment> segments = _log.Segments;
        long oldest = lag.Age is { } age ? Now - LogEvent.ToTimestamp(DateTimeOffset.UnixEpoch + age) : long.MinValue;
        long most = lag.Bytes?.Bytes ?? long.MaxValue;
        int index = 0;
        while (index < segments.Count - 1 && (segments[index + 1].Header.Created < oldest || _log.BytesFrom(segments[index].EndOffset) > most))
        {
            index++;
        }

        return segments.Count == 0 || index == 0 ? 0 : segments[index].BaseOffset;
    }

    private void Drop(string name, Pin pin, long offset)
    {
        long from = pin.Position;
        try
        {
            if (pin.Open is { } open)
            {
                open.PassOver(offset);
            }
            else
            {
                pin.File.Write(offset, Run, Now);
                pin.Cursor = offset;
            }
        }
        catch (IOException exception)
        {
            Log.DropFailed(_context.Logger, exception, name);
            return; // tried again with the next append
        }

        Dropped += offset - from;
        pin.IsDropping = true;
        pin.DroppedTo = offset;
        OnLowChanged();
        Log.DroppedEvents(_context.Logger, name, offset - from, from, offset);
        _context.Report(ComponentStatus.Degraded, $"Subscriber {name} fell behind by more than it may: {offset - from} events up to offset {offset} were dropped for it.");
    }
}
