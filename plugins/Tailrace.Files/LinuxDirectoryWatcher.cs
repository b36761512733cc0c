using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Tailrace.Files;

/// <summary>
/// One inotify instance and one thread for all directories of a source (.NET's FileSystemWatcher takes one of each per directory, and
/// there are 128 instances per user by default). Reads on only when the loop is idle, so that a busy file costs nothing here.
/// </summary>
internal sealed unsafe partial class LinuxDirectoryWatcher : IDirectoryWatcher
{
    private const int CloseOnExec = 0x80000;
    private const uint Modified = 0x2;
    private const uint NamesChanged = 0x40 | 0x80 | 0x100 | 0x200; // moved from, moved to, created, deleted
    private const uint SelfGone = 0x400 | 0x800;                   // deleted, moved
    private const uint Overflow = 0x4000;
    private const uint Ignored = 0x8000;
    private const uint DirectoriesOnly = 0x0100_0000;

    private readonly SafeFileHandle _instance;
    private readonly Action<string?, bool> _onChange;
    private readonly ConcurrentDictionary<int, string> _directories = [];
    private readonly AutoResetEvent _armed = new(false);
    private readonly ManualResetEvent _stopped = new(false);
    private readonly Thread _thread;

    public LinuxDirectoryWatcher(Action<string?, bool> onChange)
    {
        int descriptor = inotify_init1(CloseOnExec);
        if (descriptor < 0)
        {
            throw new IOException($"inotify_init1 failed: {Marshal.GetLastPInvokeErrorMessage()}; fs.inotify.max_user_instances limits them.");
        }

        _onChange = onChange;
        _instance = new SafeFileHandle(descriptor, ownsHandle: true);
        _thread = new Thread(Run) { IsBackground = true, Name = "tail hints" };
        _thread.Start();
    }

    public bool TryAdd(string directory, out string? problem)
    {
        const int noEntry = 2;
        const int notADirectory = 20;
        problem = null;
        int watch = inotify_add_watch(_instance, directory, Modified | NamesChanged | SelfGone | DirectoriesOnly);
        if (watch < 0)
        {
            problem = Marshal.GetLastPInvokeError() is noEntry or notADirectory ? null : Marshal.GetLastPInvokeErrorMessage();
            return false;
        }

        _directories[watch] = directory;
        return true;
    }

    public void Remove(string directory)
    {
        foreach ((int watch, string watched) in _directories)
        {
            if (watched == directory && _directories.TryRemove(watch, out _))
            {
                _ = inotify_rm_watch(_instance, watch); // it is gone already where the directory is
            }
        }
    }

    public void Arm() => _armed.Set();

    public void Dispose()
    {
        _stopped.Set();
        _ = inotify_rm_watch(_instance, inotify_add_watch(_instance, "/", SelfGone)); // the thread gets "ignored" for it and wakes
        _thread.Join();
        _instance.Dispose();
        _armed.Dispose();
        _stopped.Dispose();
    }

    private void Run()
    {
        const int size = 64 << 10;
        byte* buffer = (byte*)NativeMemory.Alloc(size);
        try
        {
            WaitHandle[] next = [_stopped, _armed];
            while (WaitHandle.WaitAny(next) != 0 && !_stopped.WaitOne(1)) // a millisecond, so that a busy file of no interest does not keep this running
            {
                nint filled = 0;
                while (!_stopped.WaitOne(0) && filled <= 0)
                {
                    var wait = new PollDescriptor { Descriptor = (int)_instance.DangerousGetHandle(), Events = 1 };
                    filled = poll(&wait, 1, 1000) > 0 ? read(_instance, buffer, size) : 0; // the second is for a stop that could not wake it
                }

                Tell(new ReadOnlySpan<byte>(buffer, (int)Math.Max(0, filled)));
            }
        }
        finally
        {
            NativeMemory.Free(buffer);
        }
    }

    private void Tell(ReadOnlySpan<byte> events)
    {
        // struct inotify_event: wd, mask, cookie, length of the name, name padded with NUL
        while (events.Length >= 16)
        {
            int watch = BinaryPrimitives.ReadInt32LittleEndian(events);
            uint mask = BinaryPrimitives.ReadUInt32LittleEndian(events[4..]);
            int length = BinaryPrimitives.ReadInt32LittleEndian(events[12..]);
            ReadOnlySpan<byte> name = events.Slice(16, length);
            events = events[(16 + length)..];
            if ((mask & Ignored) != 0)
            {
                _directories.TryRemove(watch, out _);
            }

            if ((mask & Overflow) != 0)
            {
                _onChange(null, true);
            }
            else if (_directories.TryGetValue(watch, out string? directory))
            {
                int end = name.IndexOf((byte)0);
                string path = Path.Join(directory, Encoding.UTF8.GetString(end < 0 ? name : name[..end]));
                _onChange(path, (mask & (NamesChanged | SelfGone)) != 0);
            }
        }
    }

    private struct PollDescriptor
    {
        public int Descriptor;
        public short Events;
        public short Happened;
    }

    [LibraryImport("libc")]
    private static partial int poll(PollDescriptor* descriptors, nuint count, int milliseconds);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int inotify_init1(int flags);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int inotify_add_watch(SafeFileHandle instance, string path, uint mask);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int inotify_rm_watch(SafeFileHandle instance, int watch);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint read(SafeFileHandle file, byte* buffer, nint size);
}
