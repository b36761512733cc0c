using Microsoft.Extensions.Logging;

namespace Tailrace.Core.Channels;

/// <summary>
/// The channels of a data directory that are configured no more. What they hold is kept, and the positions they remember still count: a
/// channel that was renamed, or a source that was moved, reads nothing again.
/// </summary>
internal static partial class OrphanedChannels
{
    /// <summary>Marks the directories that no channel has, and gives the origins they remember. One that cannot be read is reported and left out.</summary>
    public static IReadOnlyList<OriginState> Find(string channels, IReadOnlyCollection<string> configured, ILogger logger)
    {
        var origins = new List<OriginState>();
        foreach (string directory in Directory.GetDirectories(channels).Order(StringComparer.Ordinal))
        {
            string marker = Path.Combine(directory, ChannelTools.OrphanFile);
            try
            {
                if (configured.Contains(Path.GetFileName(directory)))
                {
                    File.Delete(marker);
                }
                else if (ChannelTools.TryGetOrigins(directory, out IReadOnlyList<OriginState> found))
                {
                    origins.AddRange(found);
                    if (!File.Exists(marker))
                    {
                        File.Create(marker).Dispose();
                    }

                    Log.Orphaned(logger, directory);
                }
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or InvalidDataException)
            {
                Log.Unreadable(logger, directory, exception.Message);
            }
        }

        return origins;
    }

    /// <summary>Each origin once, as the channel that is furthest in it knows it: what others lack of it is in that one.</summary>
    public static IReadOnlyList<OriginState> Furthest(IEnumerable<OriginState> origins) =>
        [.. origins.GroupBy(origin => origin.Origin).Select(same => same.MaxBy(origin => origin.Position)!)];

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Warning, Message = "{Directory} is configured no more. What it holds is kept and delivered to nobody; 'tailrace channel ls' shows it. Configure it again, or delete it if it is not needed.")]
        public static partial void Orphaned(ILogger logger, string directory);

        [LoggerMessage(Level = LogLevel.Warning, Message = "{Directory} is configured no more and cannot be read: {Reason} Sources that fed it read their files as if for the first time.")]
        public static partial void Unreadable(ILogger logger, string directory, string reason);
    }
}
