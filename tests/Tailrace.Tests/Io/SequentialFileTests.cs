using CsCheck;

namespace Tailrace.Tests.Io;

public sealed class SequentialFileTests : IDisposable
{
    private readonly string _path = Path.Combine(Path.GetTempPath(), $"tailrace-{Guid.NewGuid():N}");

    [Fact]
    public void Any_sequence_of_writes_flushes_and_reopens_leaves_exactly_the_bytes_written()
    {
        Gen<(int Kind, int Size)[]> steps = Gen.Select(Gen.Int[0, 9], Gen.Int[0, 20_000]).Array[0, 40];
        steps.Sample(
            list =>
            {
                File.Delete(_path);
                var expected = new List<byte>();
                SequentialFile file = SequentialFile.Create(_path, 8192);
                int next = 0;
                foreach ((int kind, int size) in list)
                {
                    switch (kind)
                    {
                        case 0:
                            file.Flush();
                            Assert.Equal(expected, File.ReadAllBytes(_path).Take(expected.Count));
                            break;
                        case 1:
                            file.Sync();
                            file.Dispose();
                            file = SequentialFile.Open(_path, expected.Count, 8192);
                            break;
                        default:
                            byte[] bytes = [.. Enumerable.Range(next, size / 7).Select(i => (byte)i)];
                            next += bytes.Length;
                            expected.AddRange(bytes);
                            file.Write(bytes);
                            break;
                    }

                    Assert.Equal(expected.Count, file.Length);
                }

                file.Complete();
                file.Dispose();
                Assert.Equal(expected, File.ReadAllBytes(_path));
            },
            iter: 200,
            threads: 1);
    }

    [Fact]
    public void A_file_shorter_than_what_is_known_to_be_in_it_is_refused_and_left_alone()
    {
        File.WriteAllBytes(_path, [1, 2, 3]);
        IOException refused = Assert.Throws<IOException>(() => SequentialFile.Open(_path, 4, 8192));
        Assert.Contains(_path, refused.Message, StringComparison.Ordinal);
        Assert.Equal([1, 2, 3], File.ReadAllBytes(_path));
    }

    [Fact]
    public void What_stands_behind_the_given_length_is_cut_off()
    {
        File.WriteAllBytes(_path, [.. Enumerable.Repeat((byte)7, 10_000)]);
        using (SequentialFile file = SequentialFile.Open(_path, 5000, 8192))
        {
            file.Write([8]);
            file.Complete();
        }

        Assert.Equal([.. Enumerable.Repeat((byte)7, 5000), 8], File.ReadAllBytes(_path));
    }

    [Fact]
    public void Creating_never_replaces()
    {
        File.WriteAllBytes(_path, [1]);
        Assert.Throws<IOException>(() => SequentialFile.Create(_path, 8192));
        Assert.Equal([1], File.ReadAllBytes(_path));
    }

    [LinuxFact]
    public void A_failed_sync_is_reported_and_not_tried_again()
    {
        using SequentialFile file = SequentialFile.Open("/dev/full", 0, 8192); // its fdatasync answers EINVAL
        Assert.Contains("fdatasync", Assert.Throws<IOException>(file.Sync).Message, StringComparison.Ordinal);
        Assert.Contains("earlier sync of /dev/full", Assert.Throws<IOException>(file.Sync).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_closed_file_refuses_everything()
    {
        SequentialFile file = SequentialFile.Create(_path, 8192);
        file.Dispose();
        file.Dispose();
        Assert.Throws<ObjectDisposedException>(() => file.Write([1]));
        Assert.Throws<ObjectDisposedException>(file.Flush);
        Assert.Throws<ObjectDisposedException>(file.Sync);
        Assert.Throws<ObjectDisposedException>(file.Complete);
    }

    public void Dispose() => File.Delete(_path);
}
