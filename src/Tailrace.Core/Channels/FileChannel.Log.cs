using Microsoft.Extensions.Logging;

namespace Tailrace.Core.Channels;

internal sealed partial class FileChannel
{
    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Error, Message = "{File} is missing or damaged; it was made again.")]
        public static partial void IdentityDamaged(ILogger logger, string file);

        [LoggerMessage(Level = LogLevel.Warning, Message = "The snapshot {File} cannot be used: {Reason} It is made again from the segments; origins whose segments are deleted already start anew.")]
        public static partial void StateDamaged(ILogger logger, string file, string reason);

        [LoggerMessage(Level = LogLevel.Warning, Message = "The snapshot {File} belongs to another channel and is made again from the segments.")]
        public static partial void StateForeign(ILogger logger, string file);

        [LoggerMessage(Level = LogLevel.Error, Message = "The cursor of subscriber {Subscriber} cannot be read; it starts again at offset {Offset}, the oldest retained.")]
        public static partial void CursorDamaged(ILogger logger, string subscriber, long offset);

        [LoggerMessage(Level = LogLevel.Error, Message = "The cursor of subscriber {Subscriber} stands at {Cursor}, beyond the log's end: the log has lost its tail. It is set to {End}.")]
        public static partial void CursorAhead(ILogger logger, string subscriber, long cursor, long end);

        [LoggerMessage(Level = LogLevel.Warning, Message = "Subscriber {Subscriber} stands at {Cursor}, but the log starts at {First}: {Count} events are gone for it.")]
        public static partial void CursorBehind(ILogger logger, string subscriber, long cursor, long first, long count);

        [LoggerMessage(Level = LogLevel.Warning, Message = "Subscriber {Subscriber} is configured no more and its space is needed: it gives up offsets {Cursor} to {End} as far as they are deleted.")]
        public static partial void GaveWay(ILogger logger, string subscriber, long cursor, long end);

        [LoggerMessage(Level = LogLevel.Error, Message = "{File} is damaged from byte {From} to {To}, found by {Subscriber}. Reading goes on behind it; the disk should be checked.")]
        public static partial void DamagedRead(ILogger logger, string file, long from, long to, string subscriber);

        [LoggerMessage(Level = LogLevel.Error, Message = "Subscriber {Subscriber} has lost {Count} events; it goes on at offset {Offset}.")]
        public static partial void SkippedEvents(ILogger logger, string subscriber, long count, long offset);

        [LoggerMessage(Level = LogLevel.Warning, Message = "Channel {Channel} waits: the disk is full. {Reason} Nothing is lost; appends are tried again until there is space.")]
        public static partial void DiskFull(ILogger logger, string channel, string reason);

        [LoggerMessage(Level = LogLevel.Warning, Message = "The disk is full: channel {Channel} gives up {File}, which is delivered and was to be retained for longer.")]
        public static partial void RetentionCut(ILogger logger, string channel, string file);

        [LoggerMessage(Level = LogLevel.Warning, Message = "Subscriber {Subscriber} fell behind by more than it may and is parked at {Cursor}: offsets up to {End} no longer wait for it. It goes on with what is still retained.")]
        public static partial void Parked(ILogger logger, string subscriber, long cursor, long end);

        [LoggerMessage(Level = LogLevel.Information, Message = "Subscriber {Subscriber} has caught up to {Cursor} and holds its data again.")]
        public static partial void Returned(ILogger logger, string subscriber, long cursor);

        [LoggerMessage(Level = LogLevel.Error, Message = "Subscriber {Subscriber} fell behind by more than it may: {Count} events, offsets {From} to {To}, are dropped for it as far as it has not taken them.")]
        public static partial void DroppedEvents(ILogger logger, string subscriber, long count, long from, long to);

        [LoggerMessage(Level = LogLevel.Error, Message = "Subscriber {Subscriber} fell behind by more than it may, but its cursor could not be moved on; that is tried again.")]
        public static partial void DropFailed(ILogger logger, Exception exception, string subscriber);

        [LoggerMessage(Level = LogLevel.Error, Message = "Channel {Channel} could not store {Count} batches. {Next}")]
        public static partial void WriteFailed(ILogger logger, Exception exception, string channel, int count, string next);

        [LoggerMessage(Level = LogLevel.Information, Message = "Channel {Channel} can store again.")]
        public static partial void Recovered(ILogger logger, string channel);

        [LoggerMessage(Level = LogLevel.Error, Message = "Channel {Channel} could not sync; what came since the last sync may not survive a power cut. It goes on in a new segment.")]
        public static partial void SyncFailed(ILogger logger, Exception exception, string channel);

        [LoggerMessage(Level = LogLevel.Warning, Message = "Channel {Channel} could not write its start to the log; it does so with the next append.")]
        public static partial void RunNotStored(ILogger logger, Exception exception, string channel);

        [LoggerMessage(Level = LogLevel.Warning, Message = "Channel {Channel} could not write its snapshot; no segment is deleted until it can.")]
        public static partial void SnapshotFailed(ILogger logger, Exception exception, string channel);

        [LoggerMessage(Level = LogLevel.Warning, Message = "Channel {Channel} could not reserve space for its snapshot; on a full disk delivered segments may not be deleted before space is made.")]
        public static partial void NoReserve(ILogger logger, Exception exception, string channel);

        [LoggerMessage(Level = LogLevel.Warning, Message = "Channel {Channel} could not delete delivered segments; it tries again.")]
        public static partial void DeleteFailed(ILogger logger, Exception exception, string channel);

        [LoggerMessage(Level = LogLevel.Critical, Message = "Channel {Channel} has stopped because of an error in Tailrace itself; restart the agent and report it.")]
        public static partial void WriterFailed(ILogger logger, Exception exception, string channel);

        [LoggerMessage(Level = LogLevel.Error, Message = "Channel {Channel} could not be closed cleanly; the next start recovers it.")]
        public static partial void StopFailed(ILogger logger, Exception exception, string channel);
    }
}
