#pragma warning disable CA2012, VSTHRD002 // stepped: whatever completes at all has done so, on this thread, before the call returns
using System.Buffers.Binary;
using Tailrace.Core.Channels;

namespace Tailrace.Tests.Channels.Simulation;

/// <summary>
/// A file channel on a simulated disk with sources and subscribers, driven step by step from one seed: what happens is the same each time.
/// Every crash is followed by a start, and every start is held against the oracle.
/// </summary>
internal sealed class ChannelSimulation : IDisposable
{
    public const int Origins = 3;
    public const int Subscribers = 2;
    private static readonly string Root = Path.GetFullPath(Path.Combine(Path.GetTempPath(), "simulated"));
    private static readonly OriginId[] Ids = [.. Enumerable.Range(0, Origins).Select(i => TestBatch.Origin((byte)(i + 1)))];
    private static readonly byte[] Padding = [.. Enumerable.Range(0, 4096).Select(i => (byte)(i * 7))];

    private readonly FileChannelOptions _options;
    private readonly TestContext _context = new(Root);
    private readonly List<Attempt> _attempts = [];
    private readonly long[] _next = new long[Origins];
    private readonly ISubscriber[] _subscribers = new ISubscriber[Subscribers];
    private readonly CancellationToken _cancelled = new(canceled: false);
    private FileChannel? _channel;
    private readonly Dictionary<(ulong Run, long Offset), Ident> _named = []; // what a hop may have been told of; a pair stands for one event for ever
    private ChannelException? _refusal;
    private ulong _run;
    private bool _isDamaged;

    public ChannelSimulation(int seed, FileChannelOptions? options = null)
    {
        Random = new Random(seed);
        Disk = new SimulatedDisk(Random);
        _options = options ?? new FileChannelOptions
        {
            Capacity = new ByteSize(32 << 10),
            SegmentSize = new ByteSize(SegmentFormat.HeaderSize + Random.Next(400, 4000)),
            Cache = new ByteSize(Random.Next(2) * 65536),
        };
    }

    public Random Random { get; }

    public SimulatedDisk Disk { get; }

    public ChannelOracle Oracle { get; } = new(Origins, Subscribers);

    public int Crashes { get; private set; }

    public FileChannel? Channel => _channel;

    public IEnumerable<string> Lines => _context.Lines;

    /// <summary>How a crash ends the machine; null: either, by the seed.</summary>
    public Crash? How { get; set; }

    /// <summary>Whether the channel may lose what it acknowledged in a power cut (not synced before): only names of events are checked then.</summary>
    public bool IsLossy { get; init; }

    /// <summary>How many operations after a crash the start is stopped by another; 0: it is not.</summary>
    public int CrashInRecovery { get; set; }

    /// <summary>Makes the channel, however often the machine stops meanwhile.</summary>
    public void Start() => Check(Crash.Kill);

    private bool TryOpen()
    {
        try
        {
            _channel = FileChannel.Open(_options, _context, Disk, isStepped: true);
            for (int i = 0; i < Subscribers; i++)
            {
                _subscribers[i] = _channel.Subscribe($"out{i}", SubscriberStart.Beginning);
            }

            return true;
        }
        catch (SimulatedCrashException)
        {
        }
        catch (ChannelException exception)
        {
            _refusal = exception;
            Oracle.Check(exception.Message.Contains(Root, StringComparison.Ordinal), "message", $"no path in: {exception.Message}");
        }

        Drop();
        return false;
    }

    /// <summary>Does a step; if the machine stops in it, it is started again and everything is checked.</summary>
    public void Do(Action step)
    {
        try
        {
            step();
        }
        catch (SimulatedCrashException)
        {
        }

        if (Disk.IsCrashed || _channel is null)
        {
            Recover();
        }
    }

    /// <summary>Hands in a batch of one origin, to be written in the next turn.</summary>
    public void Append(int origin, int count, int padding)
    {
        using var builder = new EventBatchBuilder();
        builder.Start(default);
        Span<byte> body = stackalloc byte[16 + padding];
        for (long number = _next[origin]; number < _next[origin] + count; number++)
        {
            BinaryPrimitives.WriteInt64LittleEndian(body, origin);
            BinaryPrimitives.WriteInt64LittleEndian(body[8..], number);
            Padding.AsSpan(0, padding).CopyTo(body[16..]);
            builder.Add(number, body);
        }

        using EventBatch batch = builder.Build(new Advance(Ids[origin], _next[origin], _next[origin] + count, default));
        _attempts.Add(new Attempt(origin, _next[origin], _next[origin] + count, _channel!.AppendAsync(batch, CancellationToken.None).AsTask()));
        _next[origin] += count;
    }

    /// <summary>The same, and a turn.</summary>
    public void Put(int origin, int count, int padding)
    {
        Append(origin, count, padding);
        Turn();
    }

    /// <summary>A turn of the writer, and its answers.</summary>
    public void Turn()
    {
        try
        {
            _channel!.Turn();
        }
        finally
        {
            Harvest();
        }
    }

    /// <summary>A subscriber takes a batch, if there is one.</summary>
    public void Take(int subscriber)
    {
        ISubscriber taker = _subscribers[subscriber];
        if (taker.Position < _channel!.End && taker.TakeAsync(_cancelled) is { IsCompleted: true } take)
        {
            using ChannelTransaction? transaction = take.GetAwaiter().GetResult();
            long offset = transaction!.Start;
            foreach (LogEvent each in transaction.Events)
            {
                Oracle.Shown(offset++, Read(each));
            }
        }
    }

    /// <summary>A subscriber commits up to where it has taken.</summary>
    public void Commit(int subscriber)
    {
        long offset = _subscribers[subscriber].Position;
        if (offset > _subscribers[subscriber].Cursor)
        {
            Oracle.Committing(subscriber, offset);
            try
            {
                _subscribers[subscriber].CommitAsync(offset, CancellationToken.None).AsTask().GetAwaiter().GetResult();
                Oracle.Committed(subscriber, offset);
            }
            catch (ChannelException)
            {
                // Refused by the disk: it may stand there all the same.
            }
        }
    }

    public void Wait(TimeSpan time) => _context.Clock.Advance(time);

    /// <summary>Stops in order and starts again.</summary>
    public void Reopen()
    {
        FileChannel channel = _channel!;
        _ = channel.DisposeAsync();
        channel.Write();
        Harvest();
        _channel = null;
        if (Disk.IsCrashed)
        {
            _context.Lines.Clear(); // it takes the machine's end for an error of its own
            return;
        }

        Check(Crash.Kill);
    }

    /// <summary>Damages a file as it lies, and starts again.</summary>
    public void Damage(string suffix)
    {
        Drop();
        Disk.Restart(How ?? Crash.Kill);
        _context.Lines.Clear();
        if (Disk.Damage(suffix) is { } what)
        {
            Disk.Trace?.Add(what);
            _isDamaged = true;
        }

        Check(Crash.PowerCut);
    }

    /// <summary>Stops the machine, starts it and checks everything.</summary>
    public void Recover()
    {
        Crashes++;
        Drop();
        Crash crash = How ?? (Crash)Random.Next(2);
        Disk.Trace?.Add($"-- {crash}");
        Disk.Restart(crash);
        if (CrashInRecovery > 0)
        {
            Disk.CrashAt = Disk.Operations + CrashInRecovery;
            CrashInRecovery = 0;
        }

        Check(crash);
        Disk.CrashAt = int.MaxValue;
    }

    /// <summary>With the disk in order again, everything that waits goes through and is read.</summary>
    public void Finish()
    {
        Disk.FailingSyncs = Disk.FailingWrites = 0;
        Disk.Capacity = long.MaxValue;
        for (int i = 0; i < 40 && (_attempts.Count > 0 || Enumerable.Range(0, Subscribers).Any(each => _subscribers[each].Cursor < _channel!.End)); i++)
        {
            Do(() => Wait(TimeSpan.FromSeconds(16)));
            Do(Turn);
            for (int each = 0; each < Subscribers; each++)
            {
                Do(() => Take(each));
                Do(() => Commit(each));
            }
        }

        Oracle.Check(_attempts.Count == 0, "stuck", $"{_attempts.Count} appends have no answer");
        Oracle.Check(_isDamaged || _subscribers.All(subscriber => subscriber.Cursor == Oracle.Log.Count), "stuck", "not everything could be read");
    }

    /// <summary>Ends without a word.</summary>
    public void Dispose()
    {
        Drop();
        _context.Dispose();
    }

    private static Ident Read(in LogEvent each) => each.Body.Length < 16 || !each.Body[16..].SequenceEqual(Padding.AsSpan(0, each.Body.Length - 16))
        ? new Ident(-1, -1)
        : new Ident((int)BinaryPrimitives.ReadInt64LittleEndian(each.Body), BinaryPrimitives.ReadInt64LittleEndian(each.Body[8..]));

    private void Check(Crash crash)
    {
        // A start may be stopped by the machine, or refused while syncs fail; without either it must work.
        for (int i = 0; !TryOpen(); i++)
        {
            if (Disk.IsCrashed)
            {
                Crashes++;
                Crash next = How ?? (Crash)Random.Next(2);
                crash = next > crash ? next : crash;
                Disk.Trace?.Add($"-- {next}");
                Disk.Restart(next);
            }
            else if (i > 3)
            {
                throw new InvalidOperationException($"The channel does not start. {_refusal}");
            }
            else
            {
                Disk.FailingSyncs = Disk.FailingWrites = 0;
            }
        }

        var found = new Dictionary<long, Ident>();
        ISubscriber reader = _subscribers[0];
        long cursor = reader.Cursor;
        reader.Seek(0);
        long end = _channel!.End;
        while (reader.Position < end && reader.TakeAsync(_cancelled) is { IsCompleted: true } take)
        {
            using ChannelTransaction? transaction = take.GetAwaiter().GetResult();
            long offset = transaction!.Start;
            foreach (LogEvent each in transaction.Events)
            {
                Oracle.Check(found.TryAdd(offset++, Read(each)), "repeat", $"offset {offset - 1} was read twice");
            }
        }

        reader.Seek(cursor);
        var positions = new long[Origins];
        foreach (OriginState state in _channel.GetOrigins())
        {
            positions[Array.IndexOf(Ids, state.Origin)] = state.Position;
        }

        _run = _channel.Run;
        _isDamaged |= IsLossy;
        IReadOnlyList<ChannelRun> runs = _channel.Runs;
        foreach ((long offset, Ident ident) in found)
        {
            Name(runs.Last(run => run.FirstOffset <= offset).Id, offset, ident);
        }

        bool isReported = IsLossy || _context.Lines.Any(line => line.Contains(".trl", StringComparison.Ordinal) || line.Contains("missing", StringComparison.Ordinal));
        Oracle.Recovered(found, _channel.First, end, positions, [.. _subscribers.Select(subscriber => subscriber.Cursor)], crash, _isDamaged, isReported);
        if (!_isDamaged)
        {
            Oracle.Told(_channel.Skipped, _channel.Damaged, _context.Lines.Where(line => line.StartsWith("Error", StringComparison.Ordinal) || line.StartsWith("Critical", StringComparison.Ordinal)).Where(line => !line.Contains(" could not ", StringComparison.Ordinal) && !line.Contains("The cursor of", StringComparison.Ordinal)));
        }

        _context.Lines.Clear();
        positions.CopyTo(_next, 0);
        _attempts.Clear();
    }

    /// <summary>Takes the answers that have come. A source that is refused goes on from where it is told.</summary>
    private void Harvest()
    {
        for (int i = 0; i < _attempts.Count; i++)
        {
            Attempt attempt = _attempts[i];
            if (!attempt.Task.IsCompleted)
            {
                continue;
            }

            _attempts.RemoveAt(i--);
            if (attempt.Task.Exception is not null)
            {
                _next[attempt.Origin] = Math.Min(_next[attempt.Origin], attempt.From);
                continue;
            }

            AppendResult result = attempt.Task.Result;
            if (result.Status == AppendStatus.Stored)
            {
                Oracle.Stored(attempt, result.Offset);
                for (long offset = result.Offset; IsLossy && offset < result.Offset + attempt.To - attempt.From; offset++)
                {
                    Name(_run, offset, new Ident(attempt.Origin, attempt.From + offset - result.Offset));
                }
            }
            else
            {
                long position = Oracle.Positions[attempt.Origin];
                Oracle.Check(result.Status == AppendStatus.Duplicate ? attempt.To <= position : result.Position == position, "answer", $"{result.Status} {result.Position} to {attempt.From} to {attempt.To} of origin {attempt.Origin}, which stands at {position}");
                _next[attempt.Origin] = position;
            }
        }
    }

    private void Name(ulong run, long offset, Ident ident) =>
        Oracle.Check(_named.TryAdd((run, offset), ident) || _named[(run, offset)] == ident, "name", $"offset {offset} of run {run:x} is {ident} and was {_named[(run, offset)]}");

    private void Drop()
    {
        if (_channel is { } channel)
        {
            _channel = null;
            _ = channel.AbandonAsync();
            channel.Write();
            Harvest();
        }
    }
}
