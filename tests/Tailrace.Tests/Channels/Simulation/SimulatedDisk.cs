using Microsoft.Win32.SafeHandles;
using Tailrace.Core.Channels;

namespace Tailrace.Tests.Channels.Simulation;

/// <summary>Thrown by every operation from the moment the simulated machine stops.</summary>
internal sealed class SimulatedCrashException : Exception;

/// <summary>How the machine stops.</summary>
internal enum Crash
{
    /// <summary>The process ends; everything that was written stays.</summary>
    Kill,

    /// <summary>What was not synced survives in any part: sector by sector, name by name.</summary>
    PowerCut,
}

/// <summary>
/// A disk in memory that keeps apart what programs see and what would survive a power cut, and can stop at any operation. Not thread-safe.
/// </summary>
internal sealed class SimulatedDisk(Random random) : SegmentFiles
{
    public const int Sector = 512;
    private const int Block = 4096;
    private const int FirstHandle = 0x4000_0000;
    private const int IoError = 5;
    private static readonly int DiskFull = OperatingSystem.IsWindows() ? unchecked((int)0x80070070) : 28;

    private readonly Dictionary<string, SimulatedFile> _names = new(StringComparer.Ordinal);
    private readonly List<NameChange> _nameChanges = [];
    private readonly HashSet<string> _directories = new(StringComparer.Ordinal);
    private readonly List<SimulatedFile> _handles = [];
    private Dictionary<string, SimulatedFile> _durableNames = new(StringComparer.Ordinal);
    private bool _isLocked;

    /// <summary>Operations that change something, so far.</summary>
    public int Operations { get; private set; }

    /// <summary>The operation at which the machine stops; that one may be done, in part or not at all.</summary>
    public int CrashAt { get; set; } = int.MaxValue;

    public bool IsCrashed { get; private set; }

    /// <summary>How many of the next syncs fail, their pages marked clean all the same.</summary>
    public int FailingSyncs { get; set; }

    /// <summary>How many of the next writes fail.</summary>
    public int FailingWrites { get; set; }

    /// <summary>Bytes there are room for.</summary>
    public long Capacity { get; set; } = long.MaxValue;

    /// <summary>What the disk only claims to do, for planted bugs: asked with "sync", "directory" or "delete" and the path.</summary>
    public Func<string, string, bool>? Ignores { get; set; }

    /// <summary>Whether a write to a path is durable at once, for planted bugs.</summary>
    public Func<string, bool>? WritesThrough { get; set; }

    /// <summary>Each operation that was done; null: nobody wants to know.</summary>
    public List<string>? Trace { get; set; }

    public IReadOnlyCollection<string> Names => _names.Keys;

    public long Used
    {
        get
        {
            long used = 0;
            foreach (SimulatedFile file in _names.Values)
            {
                used += Allocated(file.Length);
            }

            return used;
        }
    }

    protected override int WriteBuffer => 16 << 10;

    /// <summary>Stops the machine, if that has not happened, and starts it again.</summary>
    public void Restart(Crash crash)
    {
        if (crash == Crash.PowerCut)
        {
            LosePower();
        }

        _handles.Clear();
        _isLocked = false;
        IsCrashed = false;
        CrashAt = int.MaxValue;
    }

    /// <summary>Damages a file of the given kind where it lies; the path and place, or null where there is none.</summary>
    public string? Damage(string suffix)
    {
        List<KeyValuePair<string, SimulatedFile>> files = [.. _names.Where(each => each.Key.EndsWith(suffix, StringComparison.Ordinal) && each.Value.Length > 0)];
        if (files.Count == 0)
        {
            return null;
        }

        (string path, SimulatedFile file) = files[random.Next(files.Count)];
        file.Settle();
        int at = random.Next(file.Length);
        if (random.Next(2) == 0)
        {
            file.Flip(at, random.Next(8));
            return $"a bit in byte {at} of {path}";
        }

        SimulatedFile other = files[random.Next(files.Count)].Value;
        int from = random.Next(other.Length) / Sector * Sector;
        file.Settle(at / Sector * Sector, other.Bytes.Slice(from, Math.Min(Sector, other.Length - from)));
        return $"a foreign sector in byte {at / Sector * Sector} of {path}";
    }

    public override SafeFileHandle Open(string path, FileMode mode, FileAccess access)
    {
        ThrowIfCrashed();
        bool exists = _names.TryGetValue(path, out SimulatedFile? file);
        if (exists && mode == FileMode.CreateNew)
        {
            throw new IOException($"{path} exists.");
        }

        if (!exists && mode == FileMode.Open)
        {
            throw new FileNotFoundException($"{path} is not there.", path);
        }

        if (file is null)
        {
            bool isLast = Step("create", path);
            if (Used >= Capacity)
            {
                throw new IOException($"No space left for {path}.", DiskFull);
            }

            file = new SimulatedFile();
            if (!isLast || random.Next(2) == 0)
            {
                Change(new NameChange(path, null, file));
            }

            ThrowIf(isLast);
        }
        else if (mode == FileMode.Create)
        {
            bool isLast = Step("truncate", path);
            file.SetLength(0);
            ThrowIf(isLast);
        }

        _handles.Add(file);
        return new SafeFileHandle(FirstHandle + _handles.Count - 1, ownsHandle: false);
    }

    public override int Read(SafeFileHandle file, Span<byte> bytes, long position)
    {
        ThrowIfCrashed();
        SimulatedFile found = Find(file);
        int count = (int)Math.Clamp(found.Length - position, 0, bytes.Length);
        found.Bytes.Slice((int)Math.Min(position, found.Length), count).CopyTo(bytes);
        return count;
    }

    public override void Write(SafeFileHandle file, ReadOnlySpan<byte> bytes, long position)
    {
        SimulatedFile found = Find(file);
        string path = PathOf(found);
        bool isLast = Step("write", path);
        if (isLast)
        {
            found.Write(position, bytes[..(random.Next(3) switch { 0 => 0, 1 => bytes.Length, _ => random.Next(bytes.Length + 1) })]);
            throw new SimulatedCrashException();
        }

        if (FailingWrites > 0)
        {
            FailingWrites--;
            found.Write(position, bytes[..random.Next(bytes.Length + 1)]);
            throw new IOException($"Input/output error in {path}.", IoError);
        }

        if (Capacity != long.MaxValue && position + bytes.Length > found.Length)
        {
            long room = Math.Max(0, Capacity - Used) + Allocated(found.Length) - position;
            if (room < bytes.Length)
            {
                found.Write(position, bytes[..(int)Math.Max(0, room)]);
                throw new IOException($"No space left for {path}.", DiskFull);
            }
        }

        found.Write(position, bytes);
        if (WritesThrough?.Invoke(path) == true)
        {
            found.Sync();
        }
    }

    public override long GetLength(SafeFileHandle file)
    {
        ThrowIfCrashed();
        return Find(file).Length;
    }

    public override void SetLength(SafeFileHandle file, long length)
    {
        bool isLast = Step("length", PathOf(Find(file)));
        if (!isLast || random.Next(2) == 0)
        {
            Find(file).SetLength((int)length);
        }

        ThrowIf(isLast);
    }

    public override void Sync(SafeFileHandle file)
    {
        SimulatedFile found = Find(file);
        string path = PathOf(found);
        bool isLast = Step("sync", path);
        if (TryFailSync())
        {
            found.Lose(random, isPowerCut: false);
            throw new IOException($"Input/output error in the sync of {path}.", IoError);
        }

        if ((!isLast || random.Next(2) == 0) && Ignores?.Invoke("sync", path) != true)
        {
            found.Sync();
        }

        ThrowIf(isLast);
    }

    public override bool TrySetDirect(SafeFileHandle file, bool on) => false;

    public override bool Exists(string path)
    {
        ThrowIfCrashed();
        return _names.ContainsKey(path);
    }

    public override void Delete(string path)
    {
        bool isLast = Step("delete", path);
        if (_names.ContainsKey(path) && (!isLast || random.Next(2) == 0))
        {
            Change(new NameChange(path, null, null));
        }

        ThrowIf(isLast);
    }

    public override void Rename(string path, string newPath)
    {
        bool isLast = Step("rename", newPath);
        if (!isLast || random.Next(2) == 0)
        {
            Change(new NameChange(newPath, path, _names[path]));
        }

        ThrowIf(isLast);
    }

    public override IEnumerable<string> List(string directory)
    {
        ThrowIfCrashed();
        return [.. _names.Keys.Where(path => Path.GetDirectoryName(path) == directory)];
    }

    public override IEnumerable<string> ListDirectories(string directory)
    {
        ThrowIfCrashed();
        return [.. _directories.Where(path => Path.GetDirectoryName(path) == directory)];
    }

    // Made durable as it is made, as the real one does; that it may be lost halfway through tells nothing new.
    public override void CreateDirectory(string path)
    {
        ThrowIfCrashed();
        _directories.Add(path);
    }

    public override void SyncDirectory(string path)
    {
        bool isLast = Step("directory", path);
        if (TryFailSync())
        {
            throw new IOException($"Input/output error in the sync of {path}.", IoError);
        }

        if ((!isLast || random.Next(2) == 0) && Ignores?.Invoke("directory", path) != true)
        {
            foreach (NameChange change in _nameChanges)
            {
                if (Path.GetDirectoryName(change.Path) == path)
                {
                    change.Apply(_durableNames);
                }
            }

            _nameChanges.RemoveAll(change => Path.GetDirectoryName(change.Path) == path);
        }

        ThrowIf(isLast);
    }

    public override IDisposable? TryLock(string path)
    {
        ThrowIfCrashed();
        if (_isLocked)
        {
            return null;
        }

        _isLocked = true;
        return new Held(this);
    }

    private static long Allocated(long length) => (length + Block - 1) / Block * Block;

    private void LosePower()
    {
        int keep = random.Next(4); // nothing, everything or any part of the names
        foreach (NameChange change in _nameChanges)
        {
            if (keep == 1 || (keep > 1 && random.Next(2) == 0))
            {
                change.Apply(_durableNames);
            }
        }

        _nameChanges.Clear();
        _names.Clear();
        foreach ((string path, SimulatedFile file) in _durableNames)
        {
            _names.Add(path, file);
        }

        foreach (SimulatedFile file in _names.Values.Distinct())
        {
            file.Lose(random, isPowerCut: true);
        }

        _durableNames = new Dictionary<string, SimulatedFile>(_names, StringComparer.Ordinal);
    }

    private void Change(NameChange change)
    {
        change.Apply(_names);
        if (change.File is { } file)
        {
            file.Path = change.Path;
        }

        if (Ignores?.Invoke("delete", change.Path) == true && change.File is null)
        {
            change.Apply(_durableNames); // planted: it does not wait for its directory
        }

        _nameChanges.Add(change);
    }

    private bool TryFailSync()
    {
        bool fails = FailingSyncs > 0;
        FailingSyncs -= fails ? 1 : 0;
        return fails;
    }

    /// <summary>Counts an operation; true if the machine stops with it.</summary>
    private bool Step(string operation, string path)
    {
        ThrowIfCrashed();
        Operations++;
        Trace?.Add($"{Operations} {operation} {path}");
        IsCrashed = Operations >= CrashAt;
        return IsCrashed;
    }

    private SimulatedFile Find(SafeFileHandle file) => _handles[(int)file.DangerousGetHandle() - FirstHandle];

    private static string PathOf(SimulatedFile file) => file.Path;

    private void ThrowIfCrashed() => ThrowIf(IsCrashed);

    private static void ThrowIf(bool isCrashed)
    {
        if (isCrashed)
        {
            throw new SimulatedCrashException();
        }
    }

    private readonly record struct NameChange(string Path, string? OldPath, SimulatedFile? File)
    {
        public void Apply(Dictionary<string, SimulatedFile> names)
        {
            if (OldPath is not null)
            {
                names.Remove(OldPath);
            }

            if (File is null)
            {
                names.Remove(Path);
            }
            else
            {
                names[Path] = File;
            }
        }
    }

    private sealed class Held(SimulatedDisk disk) : IDisposable
    {
        public void Dispose() => disk._isLocked = false;
    }
}
