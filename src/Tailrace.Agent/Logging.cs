using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Microsoft.Extensions.Hosting.Systemd;
using Serilog;
using Serilog.Core;
using Serilog.Events;
using Serilog.Formatting;
using Serilog.Formatting.Compact;
using Serilog.Formatting.Display;

namespace Tailrace.Agent;

/// <summary>How the agent's own log lines look.</summary>
internal enum LogFormat
{
    /// <summary>Text; with journal levels under systemd.</summary>
    Auto,

    /// <summary>A line of text each.</summary>
    Text,

    /// <summary>A compact JSON object each (CLEF).</summary>
    Json,
}

/// <summary>What the command line says of the log.</summary>
/// <param name="Format">How lines look.</param>
/// <param name="Levels">Levels: one for all, or NAME=LEVEL.</param>
/// <param name="File">A file that gets the log too; null for none.</param>
internal sealed record LogSettings(LogFormat Format, IReadOnlyList<string> Levels, string? File);

/// <summary>Sets Serilog up. Lines go to standard error, so that standard output stays free for what a command prints.</summary>
internal static class Logging
{
    private const string Template = "{Timestamp:yyyy-MM-dd HH:mm:ss.fff} {Level:u3} {SourceContext}: {Message:lj}{NewLine}{Exception}";

    /// <summary>Makes the logger; false with what is wrong if a level cannot be understood.</summary>
    public static bool TryCreate(LogSettings settings, [NotNullWhen(true)] out Logger? logger, out string? problem)
    {
        logger = null;
        problem = null;
        LoggerConfiguration configuration = new LoggerConfiguration().MinimumLevel.Information().MinimumLevel.Override("Microsoft", LogEventLevel.Warning);
        foreach (string level in settings.Levels)
        {
            string[] parts = level.Split('=', 2);
            if (!Enum.TryParse(parts[^1], ignoreCase: true, out LogEventLevel parsed) || !Enum.IsDefined(parsed))
            {
                problem = $"--log-level {level}: {parts[^1]} is no level. Levels are verbose, debug, information, warning, error and fatal.";
                return false;
            }

            configuration = parts.Length == 1 ? configuration.MinimumLevel.Is(parsed) : configuration.MinimumLevel.Override(parts[0], parsed);
        }

        ITextFormatter formatter = settings.Format switch
        {
            LogFormat.Json => new CompactJsonFormatter(),
            LogFormat.Auto when SystemdHelpers.IsSystemdService() => new JournalFormatter(),
            _ => new MessageTemplateTextFormatter(Template, CultureInfo.InvariantCulture),
        };
        configuration = configuration.WriteTo.Console(formatter, standardErrorFromLevel: LogEventLevel.Verbose);
        if (settings.File is not null)
        {
            ITextFormatter lines = settings.Format == LogFormat.Json ? formatter : new MessageTemplateTextFormatter(Template, CultureInfo.InvariantCulture);
            configuration = configuration.WriteTo.File(lines, Path.GetFullPath(settings.File, AppContext.BaseDirectory), fileSizeLimitBytes: 16 << 20, rollOnFileSizeLimit: true, retainedFileCountLimit: 5);
        }

        logger = configuration.CreateLogger();
        return true;
    }

    /// <summary>Lines for systemd's journal: a priority in front (sd-daemon(3)), no timestamp, since the journal has its own.</summary>
    private sealed class JournalFormatter : ITextFormatter
    {
        private readonly MessageTemplateTextFormatter _text = new("{SourceContext}: {Message:lj}{NewLine}{Exception}", CultureInfo.InvariantCulture);

        public void Format(Serilog.Events.LogEvent logEvent, TextWriter output)
        {
            output.Write(logEvent.Level switch
            {
                LogEventLevel.Fatal => "<2>",
                LogEventLevel.Error => "<3>",
                LogEventLevel.Warning => "<4>",
                LogEventLevel.Information => "<6>",
                _ => "<7>",
            });
            _text.Format(logEvent, output);
        }
    }
}
