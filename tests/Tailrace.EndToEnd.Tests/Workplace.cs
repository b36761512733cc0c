using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Tailrace.EndToEnd.Tests;

/// <summary>A directory for one test: an input, an output, a data directory. Removed at the end.</summary>
internal sealed class Workplace : IDisposable
{
    public Workplace()
    {
        Root = Path.Combine(Path.GetTempPath(), $"tailrace-e2e-{Guid.NewGuid():N}");
        Directory.CreateDirectory(Path.Combine(Root, "in"));
    }

    public string Root { get; }

    public string Input => Path.Combine(Root, "in", "app.log");

    public string Output => Path.Combine(Root, "out");

    public string Data => Path.Combine(Root, "data");

    public (string Name, string Value)[] Variables => [("IN", Input), ("OUT", Output), ("DATA", Data)];

    /// <summary>Writes numbered lines of 80 to 440 bytes, deterministic by seed, until there are <paramref name="bytes"/>; appends. Returns the next number.</summary>
    public static int WriteNumberedLines(string path, long bytes, int firstNumber = 0, int seed = 1)
    {
        var random = new Random(seed + firstNumber);
        using var file = new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete, 1 << 20);
        var line = new StringBuilder();
        int number = firstNumber;
        long written = 0;
        while (written < bytes)
        {
            line.Clear().Append("2026-11-01T10:00:00.000Z INFO [worker-").Append(random.Next(32)).Append("] com.shop.orders.OrderService: seq=")
                .Append(number.ToString("D10", CultureInfo.InvariantCulture)).Append(' ');
            int length = 80 + random.Next(360);
            while (line.Length < length)
            {
                line.Append("word").Append(random.Next(1000)).Append(' ');
            }

            line.Append('\n');
            byte[] encoded = Encoding.UTF8.GetBytes(line.ToString());
            file.Write(encoded);
            written += encoded.Length;
            number++;
        }

        return number;
    }

    /// <summary>Files under final names, in name order; fails if something unfinished lies among them.</summary>
    public static IReadOnlyList<string> PublishedFiles(string directory)
    {
        if (!Directory.Exists(directory))
        {
            return [];
        }

        string[] files = [.. Directory.EnumerateFiles(directory, "*", SearchOption.AllDirectories)
            .Where(file => !Path.GetRelativePath(directory, file).Split(Path.DirectorySeparatorChar).SkipLast(1).Any(part => part[0] is '_' or '.'))
            .Order(StringComparer.Ordinal)];
        Assert.All(files, file => Assert.Matches(@"^[A-Za-z0-9_.-]+-[0-9]{20}-[0-9]{20}-[0-9a-f]{16}\.[a-z0-9.]+$", Path.GetFileName(file)));
        return files;
    }

    /// <summary>Asserts that the published files put together are the input, byte for byte.</summary>
    public void AssertPublishedEqualsInput() => Assert.Equal(HashOf([Input]), HashOf(PublishedFiles(Output)));

    /// <summary>Length and SHA-256 of files put together.</summary>
    public static (long Length, string Hash) HashOf(IReadOnlyList<string> files)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] buffer = new byte[1 << 20];
        long length = 0;
        foreach (string file in files)
        {
            using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 1);
            int count;
            while ((count = stream.Read(buffer)) > 0)
            {
                hash.AppendData(buffer, 0, count);
                length += count;
            }
        }

        return (length, Convert.ToHexString(hash.GetHashAndReset()));
    }

    public void Dispose() => Directory.Delete(Root, recursive: true);
}
