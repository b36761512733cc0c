using Tailrace.Core.Channels;
using static Tailrace.Tests.Channels.TestBatch;

namespace Tailrace.Tests.Channels;

public sealed class FileChannelRecoveryTests : IDisposable
{
    private static readonly OriginId A = Origin(1);
    private static readonly OriginId B = Origin(2);
    private readonly TestContext _context = new();

    public void Dispose() => _context.Dispose();

    [Fact]
    public async Task What_was_acknowledged_is_there_after_a_kill_and_in_a_copy_of_the_running_directory()
    {
        FileChannel channel = FileChannel.Open(new FileChannelOptions(), _context);
        ISubscriber subscriber = channel.Subscribe("out", SubscriberStart.Beginning);
        await channel.PutAsync(Numbers(A, 0, 10));
        await channel.PutAsync(Numbers(B, 0, 5, attribute: "/b"));
        await subscriber.ReadAsync(15);
        await subscriber.CommitAsync(3, CancellationToken.None);
        using TestContext copy = _context.Copy();
        await channel.AbandonAsync();
        foreach (TestContext context in new[] { _context, copy })
        {
            await using FileChannel again = FileChannel.Open(new FileChannelOptions(), context);
            Assert.Equal(15, again.End);
            Assert.Equal([(A, 10L), (B, 5L)], again.GetOrigins().Select(origin => (origin.Origin, origin.Position)));
            ISubscriber resumed = again.Subscribe("out", SubscriberStart.Beginning);
            Assert.Equal(3, resumed.Cursor);
            Assert.Equal([.. Range(3, 10), .. Range(0, 5)], await resumed.ReadAsync(12));
            Assert.Equal(AppendStatus.Duplicate, (await again.PutAsync(Numbers(A, 0, 10))).Status);
            Assert.Equal([0, 15], again.Runs.Select(run => run.FirstOffset));
            Assert.Equal(again.Run, again.Runs[1].Id);
            Assert.DoesNotContain(context.Lines, line => !line.StartsWith("Information", StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task A_segment_cut_at_any_byte_of_its_last_frames_keeps_every_whole_frame_and_goes_on()
    {
        FileChannel channel = _context.OpenFile();
        for (int i = 0; i < 5; i++)
        {
            await channel.PutAsync(Numbers(A, i * 3, (i * 3) + 3));
        }

        await channel.AbandonAsync();
        string segment = Assert.Single(_context.Segments);
        List<Frame> frames = TestFileChannel.Frames(segment);
        byte[] whole = await File.ReadAllBytesAsync(segment);
        for (int length = (int)frames[^3].Position; length <= frames[^1].End; length++)
        {
            await File.WriteAllBytesAsync(segment, whole.AsMemory(0, length));
            FileChannel cut = _context.OpenFile();
            long expected = frames.Where(frame => frame.End <= length).Max(frame => frame.EndOffset);
            Assert.Equal(expected, cut.End);
            Assert.Equal(expected, Assert.Single(cut.GetOrigins()).Position);
            Assert.Equal(new AppendResult(AppendStatus.Stored, expected, 0), await cut.PutAsync(Numbers(A, expected, expected + 2)));
            long end = frames.Where(frame => frame.End <= length).Max(frame => frame.End);
            bool isTorn = whole.AsSpan((int)end, length - (int)end).ContainsAnyExcept((byte)0); // zeros are the padding of a last block
            Assert.Equal(isTorn, _context.Lines.Any(line => line.Contains("cut off", StringComparison.Ordinal)));
            _context.Lines.Clear();
            Assert.Single(_context.Segments);
            await cut.AbandonAsync();
            await using (FileChannel again = _context.OpenFile(cache: 0))
            {
                ISubscriber subscriber = again.Subscribe("out", SubscriberStart.Beginning);
                Assert.Equal(Range(0, expected + 2), await subscriber.ReadAsync((int)expected + 2));
            }

            Directory.Delete(Path.Combine(_context.Directory, "subscribers", "out"), recursive: true);
            File.Delete(Path.Combine(_context.Directory, "state"));
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_flipped_bit_costs_the_frame_it_is_in_and_nothing_else_and_is_reported(bool hasState)
    {
        FileChannel channel = _context.OpenFile();
        for (int i = 0; i < 4; i++)
        {
            await channel.PutAsync(Numbers(A, i * 3, (i * 3) + 3));
        }

        await channel.AbandonAsync();
        string segment = Assert.Single(_context.Segments);
        List<Frame> frames = TestFileChannel.Frames(segment);
        int end = (int)frames[^1].End;
        byte[] whole = (await File.ReadAllBytesAsync(segment))[..end];
        byte[] state = await File.ReadAllBytesAsync(Path.Combine(_context.Directory, "state"));
        for (int at = 0; at < end; at = at == 100 ? 4000 : at + (hasState ? 1 : 3))
        {
            byte[] damaged = [.. whole];
            damaged[at] ^= (byte)(1 << (at % 8));
            foreach (string path in _context.Segments)
            {
                File.Delete(path);
            }

            await File.WriteAllBytesAsync(segment, damaged);
            await File.WriteAllBytesAsync(Path.Combine(_context.Directory, "state"), state);
            if (!hasState)
            {
                File.Delete(Path.Combine(_context.Directory, "state"));
            }

            _context.Lines.Clear();
            List<long> read;
            long position;
            await using (FileChannel again = _context.OpenFile())
            {
                position = Assert.Single(again.GetOrigins()).Position;
                ISubscriber subscriber = again.Subscribe("out", SubscriberStart.Beginning);
                read = await subscriber.DrainAsync(again);
                AppendResult result = await again.PutAsync(Numbers(A, position, position + 1));
                Assert.Equal(AppendStatus.Stored, result.Status);
                Assert.Equal([position], await subscriber.ReadAsync(1));
            }

            Directory.Delete(Path.Combine(_context.Directory, "subscribers", "out"), recursive: true);
            Frame hit = frames.Find(frame => frame.Position <= at && at < frame.End);
            bool isPadding = hit.BlockLength > 0 && at >= hit.Position + hit.HeaderLength + hit.BlockLength;
            bool isHarmless = isPadding || (hit.Length == 0 && at >= 72); // behind what a segment's header uses
            bool isLast = hit.Position == frames[^1].Position;
            long[] expected = [.. Range(0, 12).Where(number => isHarmless || hit.Count == 0 || number < hit.BaseOffset || number >= hit.EndOffset)];
            Assert.True(expected.SequenceEqual(read), $"byte {at}: read {string.Join(' ', read)}");
            Assert.Equal(isLast && !isHarmless ? 9 : 12, position);
            Assert.True(isHarmless || !_context.Lines.IsEmpty, $"byte {at}: nothing was reported");
        }
    }

    [Fact]
    public async Task Damage_in_the_middle_is_skipped_reported_and_counted_and_appending_goes_on_in_a_new_segment()
    {
        FileChannel channel = _context.OpenFile();
        for (int i = 0; i < 10; i++)
        {
            await channel.PutAsync(Numbers(A, i * 10, (i + 1) * 10));
        }

        await channel.AbandonAsync();
        string segment = Assert.Single(_context.Segments);
        List<Frame> frames = TestFileChannel.Frames(segment);
        byte[] bytes = await File.ReadAllBytesAsync(segment);
        Frame first = frames.Find(frame => frame.BaseOffset == 30);
        Frame last = frames.Find(frame => frame.BaseOffset == 50);
        bytes.AsSpan((int)first.Position + 5, (int)(last.Position - first.Position)).Clear();
        await File.WriteAllBytesAsync(segment, bytes);
        _context.Lines.Clear();

        await using FileChannel again = _context.OpenFile();
        Assert.Equal(2, _context.Segments.Length);
        Assert.Equal(100, Assert.Single(again.GetOrigins()).Position);
        Assert.Contains(_context.Lines, line => line.Contains(segment, StringComparison.Ordinal) && line.Contains($"byte {first.Position} to", StringComparison.Ordinal));
        Assert.Equal(100, (await again.PutAsync(Numbers(A, 100, 110))).Offset);
        ISubscriber subscriber = again.Subscribe("out", SubscriberStart.Beginning);
        Assert.Equal([.. Range(0, 30), .. Range(60, 110)], await subscriber.DrainAsync(again));
        Assert.Equal(30, again.Skipped);
        Assert.Equal(1, again.Damaged);
    }

    [Fact]
    public async Task A_group_that_no_sync_covered_is_cut_where_its_first_frame_is_torn_even_if_a_later_one_is_whole()
    {
        using var held = new ManualResetEventSlim();
        var files = new TestFiles();
        FileChannel channel = _context.OpenFile(files);
        await channel.PutAsync(Numbers(A, 0, 3));
        files.Fault = (operation, _) =>
        {
            if (operation == "sync")
            {
                held.Wait(Deadline);
            }

            return null;
        };
        int before = files.Count("sync");
        var tasks = new List<Task<AppendResult>>();
        for (int i = 1; i < 4; i++)
        {
            using EventBatch batch = Numbers(A, i * 3, (i * 3) + 3);
            tasks.Add(channel.AppendAsync(batch, CancellationToken.None).AsTask());
            await UntilAsync(() => files.Count("sync") > before, "the first to be held"); // those behind it become one group
        }

        held.Set();
        await Task.WhenAll(tasks).WaitAsync(Deadline);
        await channel.AbandonAsync();
        string segment = Assert.Single(_context.Segments);
        List<Frame> frames = TestFileChannel.Frames(segment);
        Assert.Equal(frames[^1].Durable, frames[^2].Durable);
        Assert.Equal(frames[^2].Position, frames[^2].Durable);
        byte[] bytes = await File.ReadAllBytesAsync(segment);
        bytes[frames[^2].Position + frames[^2].HeaderLength + 70] ^= 1; // as a power cut would leave them, had neither been acknowledged
        await File.WriteAllBytesAsync(segment, bytes);
        await using FileChannel again = _context.OpenFile();
        Assert.Equal(6, again.End);
        Assert.Equal(6, Assert.Single(again.GetOrigins()).Position);
    }

    [Theory]
    [InlineData("missing")]
    [InlineData("empty")]
    [InlineData("flipped")]
    [InlineData("foreign")]
    public async Task Without_a_usable_snapshot_everything_is_found_in_the_segments(string kind)
    {
        FileChannel channel = _context.OpenFile();
        for (int i = 0; i < 40; i++)
        {
            await channel.PutAsync(Numbers(Origin((byte)(i % 4)), i / 4 * 5, (i / 4 * 5) + 5, 20_000, attribute: $"/{i % 4}"));
        }

        Assert.True(_context.Segments.Length > 3);
        var origins = channel.GetOrigins();
        await channel.DisposeAsync();
        string path = Path.Combine(_context.Directory, "state");
        byte[] state = await File.ReadAllBytesAsync(path);
        switch (kind)
        {
            case "missing":
                File.Delete(path);
                break;
            case "empty":
                await File.WriteAllBytesAsync(path, []);
                break;
            case "foreign":
                await File.WriteAllBytesAsync(path, new ChannelState { Channel = Guid.NewGuid(), NextOffset = 999_999 }.Encode());
                break;
            default:
                state[^7] ^= 4;
                await File.WriteAllBytesAsync(path, state);
                break;
        }

        await using FileChannel again = _context.OpenFile();
        Assert.Equal(200, again.End);
        Assert.Equal(
            origins.Select(origin => (origin.Origin, origin.Position, Convert.ToHexString(origin.Attributes.Span))).OrderBy(origin => origin.Origin.Value),
            again.GetOrigins().Select(origin => (origin.Origin, origin.Position, Convert.ToHexString(origin.Attributes.Span))).OrderBy(origin => origin.Origin.Value));
        Assert.Equal(kind == "missing", !_context.Lines.Any(line => line.StartsWith("Warning", StringComparison.Ordinal)));
        Assert.Equal(200, (await again.Subscribe("out", SubscriberStart.Beginning).ReadAsync(200)).Count);
    }

    [Fact]
    public async Task Any_bytes_in_the_snapshot_the_identity_or_a_cursor_are_survived()
    {
        FileChannel channel = _context.OpenFile();
        ISubscriber subscriber = channel.Subscribe("out", SubscriberStart.Beginning);
        await channel.PutAsync(Numbers(A, 0, 10, attribute: "/a"));
        await subscriber.CommitAsync(4, CancellationToken.None);
        await channel.DisposeAsync();
        foreach (string name in new[] { "state", "channel", Path.Combine("subscribers", "out", "cursor") })
        {
            string path = Path.Combine(_context.Directory, name);
            byte[] whole = await File.ReadAllBytesAsync(path);
            int step = Math.Max(1, whole.Length / 80);
            for (int at = 0; at < whole.Length; at += step)
            {
                using TestContext copy = _context.Copy();
                byte[] damaged = [.. whole];
                damaged[at] ^= 0x81;
                await File.WriteAllBytesAsync(Path.Combine(copy.Directory, name), at % 2 == 0 ? damaged : damaged.AsMemory(0, at));
                await using FileChannel again = copy.OpenFile();
                Assert.Equal(10, again.End);
                Assert.Equal(10, Assert.Single(again.GetOrigins()).Position);
                ISubscriber resumed = again.Subscribe("out", SubscriberStart.Beginning);
                Assert.Contains(resumed.Cursor, new long[] { 0, 4 });
                Assert.Equal(Range(resumed.Cursor, 10), await resumed.ReadAsync((int)(10 - resumed.Cursor)));
            }
        }
    }

    [Fact]
    public async Task A_lost_identity_is_told_by_the_segments()
    {
        FileChannel channel = _context.OpenFile();
        await channel.PutAsync(Numbers(A, 0, 10));
        await channel.AbandonAsync();
        File.Delete(Path.Combine(_context.Directory, "channel"));
        await using FileChannel again = _context.OpenFile();
        Assert.Equal(Range(0, 10), await again.Subscribe("out", SubscriberStart.Beginning).ReadAsync(10));
        Assert.Contains(_context.Lines, line => line.Contains("made again", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_cursor_beyond_the_end_is_clipped_and_what_gets_the_offsets_again_belongs_to_another_run()
    {
        FileChannel channel = _context.OpenFile();
        await channel.PutAsync(Numbers(A, 0, 5));
        await channel.AbandonAsync();
        using TestContext old = _context.Copy();
        channel = _context.OpenFile();
        ulong lost = channel.Run;
        ISubscriber subscriber = channel.Subscribe("out", SubscriberStart.Beginning);
        await channel.PutAsync(Numbers(A, 5, 20));
        await subscriber.CommitAsync(15, CancellationToken.None);
        await channel.AbandonAsync();

        // The log and its snapshot go back to an older copy, the cursor does not.
        File.Copy(old.Segments[0], _context.Segments[0], overwrite: true);
        File.Copy(Path.Combine(old.Directory, "state"), Path.Combine(_context.Directory, "state"), overwrite: true);
        await using FileChannel again = _context.OpenFile();
        Assert.Equal(5, again.End);
        Assert.Equal(10, again.Skipped);
        Assert.Contains(_context.Lines, line => line.Contains("beyond the log's end", StringComparison.Ordinal));
        Assert.DoesNotContain(lost, again.Runs.Select(run => run.Id));
        ISubscriber resumed = again.Subscribe("out", SubscriberStart.Beginning);
        Assert.Equal(5, resumed.Cursor);
        await again.PutAsync(Numbers(A, 5, 9));
        Assert.Equal(Range(5, 9), await resumed.ReadAsync(4));
    }

    [Fact]
    public async Task A_segment_that_has_vanished_is_a_gap_and_positions_stay()
    {
        FileChannel channel = _context.OpenFile();
        for (int i = 0; i < 10; i++)
        {
            await channel.PutAsync(Numbers(A, i, i + 1, 400_000));
        }

        await channel.DisposeAsync();
        string[] segments = _context.Segments;
        Assert.True(segments.Length >= 4);
        File.Delete(segments[1]);
        File.Delete(segments[^1]);
        await using FileChannel again = _context.OpenFile();
        Assert.Equal(10, again.End);
        Assert.Equal(10, Assert.Single(again.GetOrigins()).Position);
        Assert.Contains(_context.Lines, line => line.Contains("missing", StringComparison.Ordinal));
        Assert.Contains(_context.Lines, line => line.Contains("the snapshot knows", StringComparison.Ordinal));
        ISubscriber subscriber = again.Subscribe("out", SubscriberStart.Beginning);
        List<long> read = await subscriber.DrainAsync(again);
        await again.PutAsync(Numbers(A, 10, 11));
        read.AddRange(await subscriber.DrainAsync(again));
        Assert.Equal(read.Order().Distinct(), read);
        Assert.Equal(11, read.Count + again.Skipped);
        Assert.Equal([0, 10], [read[0], read[^1]]);
    }

    [Fact]
    public async Task Only_the_newest_segment_is_read_at_a_start()
    {
        FileChannel channel = _context.OpenFile();
        for (int i = 0; i < 30; i++)
        {
            await channel.PutAsync(Numbers(A, i, i + 1, 200_000));
        }

        await channel.AbandonAsync();
        int segments = _context.Segments.Length;
        Assert.True(segments >= 6);
        var files = new TestFiles();
        await using FileChannel again = _context.OpenFile(files);
        Assert.Equal(30, again.End);
        Assert.InRange(files.Count("read"), segments, segments + 8);
    }

    [Fact]
    public async Task The_directory_of_version_1_can_be_opened()
    {
        string golden = Path.Combine(AppContext.BaseDirectory, "Channels", "Golden", "v1");
        using TestContext context = new TestContext(golden).Copy();
        await using FileChannel channel = context.OpenFile();
        Assert.Equal(12, channel.End);
        ISubscriber subscriber = channel.Subscribe("out", SubscriberStart.Beginning);
        Assert.Equal(4, subscriber.Cursor);
        Assert.Equal([4, 5, 6, 0, 1, 2, 3, 4], await subscriber.ReadAsync(8));
        subscriber.Seek(0);
        Assert.Equal(Range(0, 7), await subscriber.ReadAsync(7));
        Assert.Equal([(A, 7L, 1), (B, 5L, 0)], channel.GetOrigins().OrderBy(origin => origin.Origin.Value).Select(origin => (origin.Origin, origin.Position, origin.Attributes.IsEmpty ? 0 : 1)));
        Assert.Equal([0, 7, 12], channel.Runs.Select(run => run.FirstOffset));
        Assert.DoesNotContain(context.Lines, line => !line.StartsWith("Information", StringComparison.Ordinal));
    }
}
