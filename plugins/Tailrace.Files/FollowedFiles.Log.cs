using Microsoft.Extensions.Logging;

namespace Tailrace.Files;

internal sealed partial class FollowedFiles
{
    [LoggerMessage(LogLevel.Information, "Following {Path} from byte {Position}.")]
    private partial void LogFollowed(string path, long position);

    [LoggerMessage(LogLevel.Information, "Going on with {Path} at byte {Position}.")]
    private partial void LogResumed(string path, long position);

    [LoggerMessage(LogLevel.Information, "{Path} goes on at byte {Position} from what was read of {OldPath}.")]
    private partial void LogContinued(string path, long position, string oldPath);

    [LoggerMessage(LogLevel.Information, "{Path} is a copy of what was read of {OldPath}; it is not read again.")]
    private partial void LogCopyRead(string path, string oldPath);

    [LoggerMessage(LogLevel.Information, "{Path} was last written to at {Written:u}, longer ago than ignore_older; what it holds is not read, what is added is.")]
    private partial void LogOld(string path, DateTime written);

    [LoggerMessage(LogLevel.Error, "{Path} was deleted and is given up, because deleted files hold more than max_pinned_bytes ({Most}): {Bytes} bytes of it were not read and are lost.")]
    private partial void LogDropped(string path, ByteSize most, long bytes);

    [LoggerMessage(LogLevel.Information, "{OldPath} is now called {Path}; going on with it.")]
    private partial void LogRenamed(string oldPath, string path);

    [LoggerMessage(LogLevel.Information, "{Path} was renamed or deleted; it is read to its end and watched for another {RotateWait}.")]
    private partial void LogDetached(string path, TimeSpan rotateWait);

    [LoggerMessage(LogLevel.Warning, "{Path} was truncated or rewritten: it was read up to byte {Position}, has {Length} bytes now and is read from its start. What was written just before a truncation may be lost.")]
    private partial void LogRewritten(string path, long position, long length);

    [LoggerMessage(LogLevel.Warning, "{Path} is not what it was when it was last read (truncated, rewritten, or a new file with a used inode); it is read from its start.")]
    private partial void LogReplaced(string path);
}
