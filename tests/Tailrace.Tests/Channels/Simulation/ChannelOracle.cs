namespace Tailrace.Tests.Channels.Simulation;

/// <summary>An event as the simulation knows it: the origin and its number there; the number is its position.</summary>
internal readonly record struct Ident(int Origin, long Number);

/// <summary>An append whose answer has not come yet, or was an error: its events may or may not be there after a crash.</summary>
internal sealed record Attempt(int Origin, long From, long To, Task<AppendResult> Task);

/// <summary>What a channel owes: what it has acknowledged, shown and been told. Knows nothing of files.</summary>
internal sealed class ChannelOracle(int origins, int subscribers)
{
    private readonly List<long>[] _commits = [.. Enumerable.Range(0, subscribers).Select(_ => new List<long> { 0 })]; // those a crash may bring back
    private readonly long[] _acknowledged = new long[subscribers];
    private readonly List<string> _violations = [];

    /// <summary>Every event acknowledged, by offset; null: damaged by an injected fault and lost.</summary>
    public List<Ident?> Log { get; } = [];

    /// <summary>The position of each origin, as acknowledged.</summary>
    public long[] Positions { get; } = new long[origins];

    public IReadOnlyList<string> Violations => _violations;

    public void Stored(Attempt attempt, long offset)
    {
        Check(offset == Log.Count, "order", $"an append was stored at {offset}, the log ends at {Log.Count}");
        Check(attempt.From == Positions[attempt.Origin], "repeat", $"origin {attempt.Origin} was stored from {attempt.From}, it stands at {Positions[attempt.Origin]}");
        for (long number = attempt.From; number < attempt.To; number++)
        {
            Log.Add(new Ident(attempt.Origin, number));
        }

        Positions[attempt.Origin] = attempt.To;
    }

    /// <summary>What a subscriber was shown: it must be what was acknowledged, and nothing else, ever.</summary>
    public void Shown(long offset, Ident ident) =>
        Check(offset < Log.Count && (Log[(int)offset] == ident || Log[(int)offset] is null), "shown", $"offset {offset} was shown as {ident}; acknowledged is {(offset < Log.Count ? Log[(int)offset] : "nothing")}");

    public void Committing(int subscriber, long offset) => _commits[subscriber].Add(offset);

    public void Committed(int subscriber, long offset) => _acknowledged[subscriber] = offset;

    /// <summary>A recovered channel against what it owes. With damage injected, what is lost must only be told.</summary>
    public void Recovered(Dictionary<long, Ident> found, long first, long end, long[] positions, long[] cursors, Crash crash, bool isDamaged, bool isReported)
    {
        Check(isDamaged || end >= Log.Count, "lost", $"the log ends at {end}, {Log.Count} were acknowledged");
        bool isMissing = false;
        var next = new long[positions.Length];
        for (long offset = 0; offset < Math.Max(end, Log.Count); offset++)
        {
            Ident? owed = offset < Log.Count ? Log[(int)offset] : null;
            if (!found.TryGetValue(offset, out Ident ident))
            {
                // The last frames overwritten with zeros look as if they had never been written: sources are told so, and read again.
                isMissing |= offset >= first && offset < end && (owed is not null || offset >= Log.Count);
                if (owed is { } gone)
                {
                    next[gone.Origin] = gone.Number + 1;
                }

                continue;
            }

            Check(offset >= Log.Count || owed is null || owed == ident || (isDamaged && ident.Number >= next[ident.Origin]), "changed", $"offset {offset} is {ident}, acknowledged was {owed}");
            Check(ident.Number >= next[ident.Origin], "repeat", $"offset {offset} is {ident}, but the origin was at {next[ident.Origin]} already");
            Check(isDamaged || ident.Number == next[ident.Origin], "gap", $"offset {offset} is {ident}, the origin's next was {next[ident.Origin]}");
            next[ident.Origin] = ident.Number + 1;
        }

        Check(!isMissing || isDamaged, "lost", $"of offsets {first} to {end} only {found.Count} can be read");
        Check(!isMissing || isReported, "unreported", "events are missing and nothing was reported with its file");
        for (int origin = 0; origin < positions.Length; origin++)
        {
            Check(isDamaged ? positions[origin] >= found.Values.Where(ident => ident.Origin == origin).Select(ident => ident.Number + 1).DefaultIfEmpty().Max() : positions[origin] == next[origin], "position", $"origin {origin} stands at {positions[origin]}, its events end at {next[origin]}");
        }

        for (int i = 0; i < cursors.Length; i++)
        {
            Check(cursors[i] <= end, "cursor", $"cursor {i} is {cursors[i]}, beyond the end {end}");
            bool isKnown = _commits[i].Contains(cursors[i]) && (crash == Crash.PowerCut || cursors[i] >= _acknowledged[i]);
            Check(isDamaged || isKnown, "cursor", $"cursor {i} is {cursors[i]}, committed were {string.Join(' ', _commits[i])}, acknowledged {_acknowledged[i]}");
            _acknowledged[i] = cursors[i];
            if (crash == Crash.PowerCut)
            {
                _commits[i] = [cursors[i]];
            }
        }

        Adopt(found, first, end, positions);
    }

    /// <summary>What the channel said of itself where no damage was injected.</summary>
    public void Told(long skipped, long damaged, IEnumerable<string> errors)
    {
        Check(skipped == 0, "skipped", $"{skipped} events were skipped");
        Check(damaged == 0, "damaged", $"{damaged} places are called damaged");
        foreach (string error in errors)
        {
            Check(false, "error", error);
        }
    }

    public void Check(bool isRight, string kind, string what)
    {
        if (!isRight)
        {
            _violations.Add($"{kind}: {what}");
        }
    }

    // From here on what was found is what is owed: appends that were not acknowledged are there for good or never.
    private void Adopt(Dictionary<long, Ident> found, long first, long end, long[] positions)
    {
        for (int offset = (int)first; offset < end; offset++)
        {
            Ident? ident = found.TryGetValue(offset, out Ident there) ? there : null;
            if (offset < Log.Count)
            {
                Log[offset] = ident;
            }
            else
            {
                Log.Add(ident);
            }
        }

        while (Log.Count < end)
        {
            Log.Add(null);
        }

        Log.RemoveRange((int)end, Log.Count - (int)end);
        positions.CopyTo(Positions, 0);
    }
}
