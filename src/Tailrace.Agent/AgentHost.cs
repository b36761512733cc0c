using System.Runtime.InteropServices;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Hosting.Internal;
using Microsoft.Extensions.Logging;
using Serilog;
using Serilog.Extensions.Logging;
using Tailrace.Core.Configuration;
using Tailrace.Core.Plugins;
using Tailrace.Core.Runtime;

namespace Tailrace.Agent;

/// <summary><c>tailrace run</c>: loads plugins and configuration, then runs the topology under the generic host, which speaks systemd's and Windows' service protocols.</summary>
internal static partial class AgentHost
{
    /// <summary>Runs an agent to its end; the answer is the process's exit code.</summary>
    public static async Task<int> RunAsync(IReadOnlyList<string> files, bool once, LogSettings log)
    {
        if (!Logging.TryCreate(log, out Serilog.Core.Logger? serilog, out string? problem))
        {
            await Console.Error.WriteLineAsync($"tailrace: {problem}");
            return ExitCode.Usage;
        }

        await using (serilog)
        {
            using var loggers = new SerilogLoggerFactory(serilog);
            Microsoft.Extensions.Logging.ILogger logger = loggers.CreateLogger("agent");
            ComponentCatalog catalog = Components.Load(problem => LogPlugin(logger, problem));
            var loader = new ConfigurationLoader(catalog, Environment.GetEnvironmentVariable);
            (AgentConfiguration? configuration, IReadOnlyList<ConfigurationError> errors) = loader.Load(files);
            if (configuration is null)
            {
                InspectCommands.PrintErrors(errors);
                foreach (ConfigurationError error in log.File is null ? [] : errors)
                {
                    LogConfiguration(logger, error);
                }

                return ExitCode.Configuration;
            }

            try
            {
                await using Topology topology = await Topology.OpenAsync(configuration, loader, loggers, TimeProvider.System, once);
                var service = new AgentService(topology, once);
                using IHost host = Build(configuration.Agent, serilog, service);
                service.Lifetime = host.Services.GetRequiredService<IHostApplicationLifetime>();
                using PosixSignalRegistration? hangUp = IgnoreHangUp(logger);
                await host.RunAsync();
                return service.Outcome switch
                {
                    TopologyOutcome.NotDelivered => ExitCode.NotDelivered,
                    TopologyOutcome.Stopped or TopologyOutcome.CutOff or TopologyOutcome.Delivered => ExitCode.Success,
                    _ => ExitCode.Crash,
                };
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                LogDataDirectory(logger, exception.Message);
                return ExitCode.DataDirectory;
            }
            catch (Exception exception)
            {
                LogCrash(logger, exception);
                return ExitCode.Crash;
            }
        }
    }

    private static IHost Build(AgentOptions options, Serilog.Core.Logger serilog, AgentService service)
    {
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { ApplicationName = "tailrace", ContentRootPath = AppContext.BaseDirectory });
        builder.Services.AddSerilog(serilog);
        builder.Services.AddSingleton<IHostLifetime, ConsoleLifetime>(); // SIGTERM and Ctrl-C, unless a service manager is found below
        builder.Services.AddSystemd();
        builder.Services.AddWindowsService(settings => settings.ServiceName = "Tailrace");
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = options.StopTimeout + TimeSpan.FromSeconds(5));
        builder.Services.AddHostedService(_ => service);
        return builder.Build();
    }

    /// <summary>SIGHUP ends a process that does not listen to it.</summary>
    private static PosixSignalRegistration? IgnoreHangUp(Microsoft.Extensions.Logging.ILogger logger) =>
        OperatingSystem.IsWindows() ? null : PosixSignalRegistration.Create(PosixSignal.SIGHUP, signal =>
        {
            signal.Cancel = true;
            LogHangUp(logger);
        });

    [LoggerMessage(Level = LogLevel.Critical, Message = "{Error}")]
    private static partial void LogConfiguration(Microsoft.Extensions.Logging.ILogger logger, ConfigurationError error);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Problem}")]
    private static partial void LogPlugin(Microsoft.Extensions.Logging.ILogger logger, string problem);

    [LoggerMessage(Level = LogLevel.Critical, Message = "{Problem}")]
    private static partial void LogDataDirectory(Microsoft.Extensions.Logging.ILogger logger, string problem);

    [LoggerMessage(Level = LogLevel.Critical, Message = "Tailrace failed")]
    private static partial void LogCrash(Microsoft.Extensions.Logging.ILogger logger, Exception exception);

    [LoggerMessage(Level = LogLevel.Warning, Message = "SIGHUP: this version does not reload its configuration while it runs; restart it instead")]
    private static partial void LogHangUp(Microsoft.Extensions.Logging.ILogger logger);

    /// <summary>Runs the topology inside the host.</summary>
    private sealed class AgentService(Topology topology, bool once) : BackgroundService
    {
        /// <summary>How the run ended; null if it failed.</summary>
        public TopologyOutcome? Outcome { get; private set; }

        /// <summary>The host's life cycle, to be ended when the topology ends by itself.</summary>
        public IHostApplicationLifetime? Lifetime { get; set; }

        protected override async Task ExecuteAsync(CancellationToken stoppingToken)
        {
            await Task.Yield();
            using ProgressLine? progress = once && ProgressLine.CanShow ? new ProgressLine(topology) : null;
            try
            {
                Outcome = await topology.RunAsync(stoppingToken);
            }
            finally
            {
                Lifetime?.StopApplication();
            }
        }
    }
}
