using System.CommandLine;
using System.Reflection;
using Tailrace.Agent;

var files = new Argument<string[]>("FILE") { Description = "YAML files, or directories of them; several are merged.", Arity = ArgumentArity.OneOrMore };
var once = new Option<bool>("--once") { Description = "Deliver all there is, then exit: 0 if everything was delivered." };
var logFormat = new Option<LogFormat>("--log-format") { Description = "auto, text or json (one compact JSON object a line). auto: text, with journal levels under systemd.", DefaultValueFactory = _ => LogFormat.Auto };
var logLevel = new Option<string[]>("--log-level") { Description = "verbose, debug, information, warning or error; NAME=LEVEL for one component or section, such as sources.access=debug. May be repeated.", DefaultValueFactory = _ => [] };
var logFile = new Option<string?>("--log-file") { Description = "Write the log to this file too, 16 MiB at most and four older ones beside it. For a Windows service, which has no standard error." };
var type = new Argument<string?>("TYPE") { Description = "A component type, such as tail.", Arity = ArgumentArity.ZeroOrOne };

var run = new Command("run", "Run an agent until it is stopped (SIGTERM, Ctrl-C), or with --once until everything is delivered.") { files, once, logFormat, logLevel, logFile };
run.SetAction((arguments, _) => AgentHost.RunAsync(arguments.GetValue(files)!, arguments.GetValue(once), new LogSettings(arguments.GetValue(logFormat), arguments.GetValue(logLevel)!, arguments.GetValue(logFile))));

var validate = new Command("validate", "Check a configuration without starting it: every error as FILE:line:column: message, exit 78.") { files };
validate.SetAction(arguments => InspectCommands.Validate(arguments.GetValue(files)!));

var schema = new Command("schema", "Print the JSON Schema of the configuration, for editors.");
schema.SetAction(_ => InspectCommands.PrintSchema());

var components = new Command("components", "List every component type, or the options of one.") { type };
components.SetAction(arguments => InspectCommands.PrintComponents(arguments.GetValue(type)));

var version = new Command("version", "Print the version.");
version.SetAction(_ =>
{
    Console.Out.WriteLine($"tailrace {typeof(ExitCode).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion}");
    return ExitCode.Success;
});

var root = new RootCommand("Tailrace collects log events where they are written and delivers each of them exactly once to where they are kept.") { run, validate, schema, components, ChannelCommands.Create(), version };
var help = new Command("help", "Show this help.");
help.SetAction(_ => root.Parse(["--help"]).Invoke());
root.Add(help);

ParseResult parsed = root.Parse(args);
if (parsed.Errors.Count > 0)
{
    foreach (System.CommandLine.Parsing.ParseError error in parsed.Errors)
    {
        await Console.Error.WriteLineAsync($"tailrace: {error.Message}");
    }

    await Console.Error.WriteLineAsync("Try 'tailrace help'.");
    return ExitCode.Usage;
}

// Signals are the host's business: the parser would end the process two seconds after SIGTERM. A fault is to be seen, not swallowed.
return await parsed.InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = null, EnableDefaultExceptionHandler = false });
