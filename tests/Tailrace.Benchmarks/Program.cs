using BenchmarkDotNet.Running;
using Tailrace.Benchmarks;

// micro: BenchmarkDotNet, with its own switches. pipeline, latency: the whole agent. See README.md beside this file.
return args switch
{
    ["pipeline", .. string[] rest] => await PipelineRunner.RunAsync(rest),
    ["latency", .. string[] rest] => await LatencyRunner.RunAsync(rest),
    ["micro", .. string[] rest] => Micro(rest),
    _ => Usage(),
};

static int Micro(string[] arguments)
{
    BenchmarkSwitcher.FromAssembly(typeof(BatchBenchmarks).Assembly).Run(arguments);
    return 0;
}

static int Usage()
{
    Console.Error.WriteLine("usage: Tailrace.Benchmarks micro [BenchmarkDotNet switches] | pipeline --yaml FILE --input FILE [--rounds N] [--agent PROGRAM] [--peer NAME]... | latency [--lines N]");
    return 64;
}
