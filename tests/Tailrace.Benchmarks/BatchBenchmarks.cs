using BenchmarkDotNet.Attributes;

namespace Tailrace.Benchmarks;

/// <summary>Encoding and walking batches of 1 MiB of access-log-like lines; the baseline is copying the same bytes.</summary>
[MemoryDiagnoser]
[ShortRunJob]
public class BatchBenchmarks : IDisposable
{
    private readonly EventBatchBuilder _builder = new(1 << 20);
    private byte[] _lines = [];
    private byte[] _copy = [];
    private EventBatch? _batch;

    /// <summary>Length of a line, its LF included.</summary>
    [Params(97, 258)]
    public int LineLength { get; set; }

    [GlobalSetup]
    public void SetUp()
    {
        _lines = new byte[900 << 10];
        Random.Shared.NextBytes(_lines);
        for (int i = 0; i < _lines.Length; i++)
        {
            _lines[i] = (i + 1) % LineLength == 0 ? (byte)'\n' : (byte)(' ' + (_lines[i] % 90));
        }

        _copy = new byte[_lines.Length];
        _batch = EncodeLines();
    }

    /// <summary>What no encoder can beat.</summary>
    [Benchmark(Baseline = true)]
    public void Copy() => _lines.CopyTo(_copy, 0);

    /// <summary>Finding the line ends alone.</summary>
    [Benchmark]
    public int SplitLines()
    {
        ReadOnlySpan<byte> rest = _lines;
        int count = 0;
        int end;
        while ((end = rest.IndexOf((byte)'\n')) >= 0)
        {
            rest = rest[(end + 1)..];
            count++;
        }

        return count;
    }

    /// <summary>The tail's way in: bytes read into the block, lines declared, table and checksum written.</summary>
    [Benchmark]
    public void Encode() => EncodeLines().Dispose();

    /// <summary>Walking all events of a block.</summary>
    [Benchmark]
    public long Walk()
    {
        long sum = 0;
        foreach (LogEvent item in _batch!)
        {
            sum += item.Body.Length;
        }

        return sum;
    }

    /// <summary>The checksum of a block alone.</summary>
    [Benchmark]
    public uint Checksum() => Crc32C.Compute(_lines);

    [GlobalCleanup]
    public void Dispose()
    {
        _batch?.Dispose();
        _builder.Dispose();
        GC.SuppressFinalize(this);
    }

    private EventBatch EncodeLines()
    {
        _builder.Start();
        _lines.CopyTo(_builder.GetBodySpan(_lines.Length));
        _builder.AdvanceBodies(_lines.Length);
        int end;
        while ((end = _builder.Pending.IndexOf((byte)'\n')) >= 0)
        {
            _builder.AddLine(1, end);
        }

        return _builder.Build();
    }
}
