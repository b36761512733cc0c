using Microsoft.Extensions.Logging;

namespace Tailrace.Files;

/// <summary>Puts files out of the way that are read to their end and delivered by every sink.</summary>
/// <param name="action">What becomes of them.</param>
/// <param name="suffix">With <see cref="DoneAction.Rename"/>: what is added to their names.</param>
/// <param name="directory">With <see cref="DoneAction.Move"/>: where they go.</param>
/// <param name="settle">How long they must be unchanged.</param>
/// <param name="wholeFiles">Whether a file that has settled is whole, so that a last line without an end is an event.</param>
/// <param name="context">The source's.</param>
internal sealed partial class DoneFiles(DoneAction action, string suffix, string? directory, TimeSpan settle, bool wholeFiles, ISourceContext context)
{
    private const int MaxNumber = 10_000;
    private readonly ILogger _logger = context.Logger;

    /// <summary>Whether a file has settled and counts as whole.</summary>
    public bool IsWhole(TailedFile file) => wholeFiles && HasSettled(file);

    /// <summary>Puts a file out of the way if it is time; true if it was.</summary>
    public bool TryFinish(TailedFile file)
    {
        if (file.InFlight > 0 || file.IsNew || file.Position < file.Handle!.Length || !HasSettled(file))
        {
            file.IsDelivered = null;
            return false;
        }

        file.IsDelivered ??= context.WatchDelivery();
        if (!file.IsDelivered())
        {
            return false;
        }

        using LogFile? now = LogFile.TryOpen(file.Path, out _);
        if (now is null || (now.Identity.Device, now.Identity.File) != (file.Identity.Device, file.Identity.File))
        {
            return false; // it has another name by now: the next scan sees it
        }

        Finish(file.Path);
        return true;
    }

    private bool HasSettled(TailedFile file)
    {
        (long, DateTime) look = (file.Handle!.StoredLength, file.Handle.Written);
        if (file.Settling.Look != look)
        {
            if (wholeFiles && file.IsDelivered is not null)
            {
                LogChanged(file.Path);
            }

            file.Settling = (look, context.Time.GetTimestamp());
        }

        return context.Time.GetElapsedTime(file.Settling.Since) >= settle;
    }

    private void Finish(string path)
    {
        if (action == DoneAction.Delete)
        {
            File.Delete(path);
            LogDeleted(path);
            return;
        }

        string wanted = action == DoneAction.Rename ? path + suffix : Path.Combine(directory!, Path.GetFileName(path));
        string target = wanted;
        for (int number = 1; !DurableFile.MoveWithoutReplacing(path, target); number++)
        {
            if (number == MaxNumber)
            {
                throw new IOException($"it is delivered, but {wanted} and {MaxNumber} names like it are taken");
            }

            target = $"{wanted}.{number}";
        }

        if (target == wanted)
        {
            LogMoved(path, target);
        }
        else
        {
            LogReused(path, wanted, target);
        }
    }

    [LoggerMessage(LogLevel.Information, "{Path} is delivered and was deleted.")]
    private partial void LogDeleted(string path);

    [LoggerMessage(LogLevel.Information, "{Path} is delivered and is now {Target}.")]
    private partial void LogMoved(string path, string target);

    [LoggerMessage(LogLevel.Warning, "{Path} is delivered and is now {Target}, because {Wanted} was there before: its name was used twice.")]
    private partial void LogReused(string path, string wanted, string target);

    [LoggerMessage(LogLevel.Warning, "{Path} was changed after it had been read to its end; files must be whole when they are dropped. What was added is read.")]
    private partial void LogChanged(string path);
}
