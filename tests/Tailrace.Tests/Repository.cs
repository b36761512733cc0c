namespace Tailrace.Tests;

/// <summary>The repository the tests were built in: for tests that look at its files.</summary>
internal static class Repository
{
    public static string Root { get; } = Find();

    /// <summary>Compares with a checked-in file; what was found instead is left in the test output folder, to be copied over once it has been judged right.</summary>
    public static void AssertEqualsFile(string path, byte[] found, string onMismatch)
    {
        string expectedPath = Path.Combine(Root, path);
        if (File.Exists(expectedPath) && File.ReadAllBytes(expectedPath).AsSpan().SequenceEqual(found))
        {
            return;
        }

        string received = Path.Combine(AppContext.BaseDirectory, "received", Path.GetFileName(path));
        Directory.CreateDirectory(Path.GetDirectoryName(received)!);
        File.WriteAllBytes(received, found);
        Assert.Fail($"{path} differs from what was found. {onMismatch}\n  diff {expectedPath} {received}\n  cp {received} {expectedPath}");
    }

    private static string Find()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Agent.sln")))
            {
                return folder.FullName;
            }
        }

        throw new DirectoryNotFoundException($"There is no Agent.sln above {AppContext.BaseDirectory}.");
    }
}
