using System.Text;
using Tailrace.Files;

namespace Tailrace.Tests.Storage;

public sealed class FilesStoreTests : IAsyncDisposable
{
    private readonly string _root = Path.Combine(Path.GetTempPath(), $"tailrace-files-{Guid.NewGuid():N}", "out");
    private readonly FilesStore _store;

    public FilesStoreTests() => _store = new FilesStore(new FilesStoreOptions { Permissions = "0640" }, _root);

    [Fact]
    public async Task A_file_is_seen_under_its_final_name_once_it_is_published_and_not_before()
    {
        await WriteAsync("_tailrace/a/1", "content");
        Assert.False(File.Exists(Path.Combine(_root, "x", "y", "final")));
        Assert.Null(await _store.StatAsync("x/y/final", CancellationToken.None));

        Assert.True(await _store.PublishAsync("_tailrace/a/1", "x/y/final", CancellationToken.None));

        Assert.Equal("content", await File.ReadAllTextAsync(Path.Combine(_root, "x", "y", "final")));
        Assert.Equal(7, await _store.StatAsync("x/y/final", CancellationToken.None));
        Assert.False(File.Exists(Path.Combine(_root, "_tailrace", "a", "1")));
        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead, File.GetUnixFileMode(Path.Combine(_root, "x", "y", "final")));
        }
    }

    [Fact]
    public async Task Publishing_replaces_nothing_and_leaves_the_temporary_file()
    {
        await WriteAsync("_tailrace/a/1", "ours");
        Directory.CreateDirectory(_root);
        await File.WriteAllTextAsync(Path.Combine(_root, "final"), "theirs");

        Assert.False(await _store.PublishAsync("_tailrace/a/1", "final", CancellationToken.None));

        Assert.Equal("theirs", await File.ReadAllTextAsync(Path.Combine(_root, "final")));
        Assert.Equal(["1"], await _store.ListAsync("_tailrace/a", CancellationToken.None));
    }

    [Fact]
    public async Task Publishing_what_is_gone_is_told_apart()
    {
        Directory.CreateDirectory(Path.Combine(_root, "_tailrace"));
        await Assert.ThrowsAsync<FileNotFoundException>(async () => await _store.PublishAsync("_tailrace/gone", "final", CancellationToken.None));
    }

    [Fact]
    public async Task Lists_and_deletes_and_says_nothing_where_there_is_nothing()
    {
        Assert.Empty(await _store.ListAsync("_tailrace/a", CancellationToken.None));
        await _store.DeleteAsync("_tailrace/a/1", CancellationToken.None);
        await WriteAsync("_tailrace/a/1", "1");
        await WriteAsync("_tailrace/a/2", "2");
        await _store.DeleteAsync("_tailrace/a/1", CancellationToken.None);
        Assert.Equal(["2"], await _store.ListAsync("_tailrace/a", CancellationToken.None));
    }

    [Fact]
    public async Task A_path_is_created_once()
    {
        await WriteAsync("_tailrace/a/1", "1");
        await Assert.ThrowsAnyAsync<IOException>(async () => await _store.CreateAsync("_tailrace/a/1", CancellationToken.None));
    }

    [Theory]
    [InlineData("../x")]
    [InlineData("a/../../x")]
    [InlineData("/etc/x")]
    [InlineData("")]
    public async Task No_path_leads_out_of_the_root(string path)
    {
        await Assert.ThrowsAsync<ArgumentException>(async () => await _store.CreateAsync(path, CancellationToken.None));
        await Assert.ThrowsAsync<ArgumentException>(async () => await _store.DeleteAsync(path, CancellationToken.None));
        await Assert.ThrowsAsync<ArgumentException>(async () => await _store.PublishAsync("a", path, CancellationToken.None));
    }

    [Theory]
    [InlineData("0644", true)]
    [InlineData("600", true)]
    [InlineData("0444", false)]
    [InlineData("0888", false)]
    [InlineData("rw-r--r--", false)]
    public void Permissions_are_checked(string permissions, bool isGood) => Assert.Equal(isGood, !new FilesStoreOptions { Permissions = permissions }.Validate().Any());

    public async ValueTask DisposeAsync()
    {
        await _store.DisposeAsync();
        if (Directory.Exists(Path.GetDirectoryName(_root)))
        {
            Directory.Delete(Path.GetDirectoryName(_root)!, recursive: true);
        }
    }

    private async Task WriteAsync(string path, string content)
    {
        await using IStoreFile file = await _store.CreateAsync(path, CancellationToken.None);
        file.Content.Write(Encoding.UTF8.GetBytes(content));
        await file.CompleteAsync(CancellationToken.None);
    }
}
