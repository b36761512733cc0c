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

    public void Dispose() => File.Delete(_path);
}
