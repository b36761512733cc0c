using System.Diagnostics.CodeAnalysis;

namespace Tailrace.Files;

/// <summary>
/// Knows of gzip files to how many bytes they unpack. Finding out takes unpacking them, so it is done apart from the loop, one at a time;
/// until then, and while one is still being written, a packed file counts as not there.
/// </summary>
internal sealed class PackedFiles(TimeProvider time)
{
    private readonly Dictionary<(ulong, UInt128), (long Stored, DateTime Written, long Since, Task<long>? Length)> _measured = [];
    private static readonly TimeSpan SettleTime = TimeSpan.FromSeconds(1); // one that is being written is not unpacked again and again
    private Task _last = Task.CompletedTask;

    /// <summary>Makes an open packed file readable. False if that cannot be yet, with the reason if it is not just a matter of time.</summary>
    /// <param name="file">The file.</param>
    /// <param name="path">Where it is.</param>
    /// <param name="finished">Its length where it is known to have been read to its end, as it is on disk now.</param>
    /// <param name="wait">Do not come back before it is known.</param>
    /// <param name="problem">Why it cannot be read.</param>
    [SuppressMessage("Usage", "VSTHRD002:Avoid problematic synchronous waits", Justification = "The task has ended, or is one of its own that waits for nobody.")]
    public bool TryUnpack(LogFile file, string path, long? finished, bool wait, out string? problem)
    {
        problem = null;
        if (!file.IsPacked)
        {
            return true;
        }

        if (finished is { } known)
        {
            file.Unpack(known);
            return true;
        }

        (ulong, UInt128) key = (file.Identity.Device, file.Identity.File);
        if (!_measured.TryGetValue(key, out var measured) || measured.Stored != file.StoredLength || measured.Written != file.Written)
        {
            _measured[key] = measured = (file.StoredLength, file.Written, time.GetTimestamp(), null);
        }

        if (measured.Length is null)
        {
            if (!wait && (!_last.IsCompleted || time.GetElapsedTime(measured.Since) < SettleTime))
            {
                return false;
            }

            measured.Length = Task.Run(() => Measure(path, file.Identity));
            _measured[key] = measured;
            _last = measured.Length;
        }

        if (wait)
        {
            ((IAsyncResult)measured.Length).AsyncWaitHandle.WaitOne();
        }

        if (measured.Length.IsCompletedSuccessfully)
        {
            file.Unpack(measured.Length.GetAwaiter().GetResult());
            return true;
        }

        problem = measured.Length.Exception?.GetBaseException().Message;
        return false;
    }

    private static long Measure(string path, FileIdentity identity)
    {
        using LogFile? file = LogFile.TryOpen(path, out string? problem);
        return file is null || (file.Identity.Device, file.Identity.File) != (identity.Device, identity.File)
            ? throw new IOException(problem ?? "it was moved or deleted")
            : file.MeasureUnpacked();
    }
}
