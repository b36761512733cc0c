using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using Tailrace.Core.Channels;
using static Tailrace.Tests.Channels.TestBatch;

namespace Tailrace.Tests.Channels;

/// <summary>Looking into channels, moving subscribers, repairing.</summary>
public sealed class ChannelToolsTests : IDisposable
{
    private static readonly OriginId A = Origin(1);
    private readonly TestContext _context = new();

    public void Dispose() => _context.Dispose();

    [Fact]
    public async Task Looking_beside_a_running_agent_tells_everything_and_changes_nothing()
    {
        await using FileChannel channel = _context.OpenFile();
        ISubscriber subscriber = channel.Subscribe("out", SubscriberStart.Beginning);
        await PutAsync(channel, batches: 20);
        await subscriber.CommitAsync(70, CancellationToken.None);
        string before = Fingerprint();
        ChannelReport report = ChannelTools.Verify(_context.Directory);
        Assert.Empty(report.Problems);
        Assert.Equal(("file", 0, 200, 20, 200, 0), (report.Type, report.FirstOffset, report.NextOffset, report.Batches!.Value, report.Events!.Value, report.Missing!.Value));
        Assert.Equal(channel.Run.ToString("x16", System.Globalization.CultureInfo.InvariantCulture), Assert.Single(report.Runs).Id);
        SubscriberReport out1 = Assert.Single(report.Subscribers);
        Assert.Equal(("out", 70, 130), (out1.Name, out1.Cursor!.Value, out1.Behind));
        OriginReport origin = Assert.Single(report.Origins);
        Assert.Equal((A.ToString(), 200, "/var/log/a"), (origin.Id, origin.Position, origin.Attributes["path"]));
        Assert.Equal(_context.Segments.Length, report.Segments.Count);
        Assert.Equal(before, Fingerprint());
        Assert.Contains("Stop the agent", Assert.Throws<ChannelException>(() => ChannelTools.Replay(_context.Directory, "out", "start")).Message, StringComparison.Ordinal);
        Assert.Contains("Stop the agent", Assert.Throws<ChannelException>(() => ChannelTools.Repair(_context.Directory)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Cat_prints_bodies_or_objects_with_their_offsets()
    {
        await using FileChannel channel = _context.OpenFile();
        await PutAsync(channel, batches: 3);
        using var text = new MemoryStream();
        ChannelTools.Cat(_context.Directory, 8, 12, json: false, text);
        Assert.Equal(["8", "9", "10", "11"], Encoding.UTF8.GetString(text.ToArray()).TrimEnd('\n').Split('\n').Select(line => line.Split(' ')[0]));
        using var json = new MemoryStream();
        ChannelTools.Cat(_context.Directory, 29, long.MaxValue, json: true, json);
        using JsonDocument line = JsonDocument.Parse(json.ToArray());
        Assert.Equal(29, line.RootElement.GetProperty("offset").GetInt64());
        Assert.StartsWith("29 ", line.RootElement.GetProperty("body").GetString(), StringComparison.Ordinal);
        Assert.Equal("web-01", line.RootElement.GetProperty("headers").GetProperty("host").GetString());
    }

    [Theory]
    [InlineData(false)] // bytes of a block
    [InlineData(true)]  // of a header
    public async Task Damage_is_named_with_file_and_offset_and_repaired_for_good(bool inHeader)
    {
        FileChannel channel = _context.OpenFile();
        channel.Subscribe("out", SubscriberStart.Beginning);
        await PutAsync(channel, batches: 60);
        await channel.DisposeAsync();
        Assert.True(_context.Segments.Length > 1);
        string file = _context.Segments[0];
        Frame frame = TestFileChannel.Frames(file).Where(each => each.Count > 0).ElementAt(4);
        Flip(file, frame.Position + (inHeader ? 20 : frame.HeaderLength + 100));

        ChannelReport report = ChannelTools.Verify(_context.Directory);
        ChannelProblem problem = Assert.Single(report.Problems);
        Assert.Equal((file, frame.Position, frame.End), (problem.File, problem.From, problem.To));
        Assert.Contains("offsets 40 to 50", problem.Message, StringComparison.Ordinal);
        Assert.Equal(10, report.Missing);

        RepairReport repaired = ChannelTools.Repair(_context.Directory);
        Assert.Equal(10, repaired.Lost);
        Assert.Equal(frame.Length, new FileInfo(Assert.Single(Directory.GetFiles(Path.Combine(_context.Directory, "damaged")))).Length);
        report = ChannelTools.Verify(_context.Directory);
        Assert.Empty(report.Problems);
        Assert.Equal((590, 10), (report.Events!.Value, report.Missing!.Value));
        Assert.Empty(ChannelTools.Repair(_context.Directory).Actions);

        await using FileChannel again = _context.OpenFile(cache: 0);
        Assert.Equal(600, again.GetOrigins().Single().Position);
        ISubscriber subscriber = again.Subscribe("out", SubscriberStart.Beginning);
        Assert.Equal([.. Range(0, 40), .. Range(50, 600)], await subscriber.DrainAsync(again));
        Assert.Equal((0, 10), (again.Damaged, again.Skipped));
    }

    [Fact]
    public async Task Everything_else_that_is_broken_is_named_and_repaired_too()
    {
        FileChannel channel = _context.OpenFile();
        channel.Subscribe("out", SubscriberStart.Beginning);
        channel.Subscribe("broken", SubscriberStart.Beginning);
        await PutAsync(channel, batches: 140);
        await channel.DisposeAsync();
        string[] segments = _context.Segments;
        Assert.True(segments.Length >= 4);
        Flip(segments[1], 16);                                                                  // a header
        File.Delete(segments[2]);                                                               // a segment
        File.WriteAllText(Path.Combine(_context.Directory, "channel"), "no identity");
        File.WriteAllBytes(Path.Combine(_context.Directory, "subscribers", "broken", "cursor"), new byte[8192]);

        Assert.True(ChannelTools.Verify(_context.Directory).Problems.Count >= 4);
        RepairReport repaired = ChannelTools.Repair(_context.Directory);
        Assert.True(repaired.Lost > 0);
        ChannelReport report = ChannelTools.Verify(_context.Directory);
        Assert.Empty(report.Problems);
        Assert.Equal(repaired.Lost, report.Missing);
        await using FileChannel again = _context.OpenFile(cache: 0);
        Assert.Equal(1400 - repaired.Lost, (await again.Subscribe("broken", SubscriberStart.End).DrainAsync(again)).Count);
    }

    [Fact]
    public async Task A_random_flip_anywhere_in_a_segment_is_found_and_repaired()
    {
        FileChannel channel = _context.OpenFile();
        channel.Subscribe("out", SubscriberStart.Beginning);
        await PutAsync(channel, batches: 60);
        await channel.DisposeAsync();
        var random = new Random(5);
        for (int i = 0; i < 25; i++)
        {
            using TestContext copy = _context.Copy();
            string file = copy.Segments[0];
            long at = random.NextInt64(SegmentFormat.HeaderSize, TestFileChannel.Frames(file)[^1].End);
            Flip(file, at);
            ChannelReport report = ChannelTools.Verify(copy.Directory);
            long missing = report.Missing!.Value;
            foreach (ChannelProblem problem in report.Problems)
            {
                Assert.True(problem.From <= at && at < problem.To, $"byte {at}: {problem}");
            }

            // Padding between frames belongs to nothing: a flip there harms nothing.
            Assert.True(report.Problems.Count == 1 || missing == 0, $"byte {at}");
            ChannelTools.Repair(copy.Directory);
            report = ChannelTools.Verify(copy.Directory);
            Assert.Empty(report.Problems);
            Assert.Equal((600 - missing, missing), (report.Events!.Value, report.Missing!.Value));
        }
    }

    [Fact]
    public async Task Replay_moves_a_subscriber_to_the_start_the_end_an_offset_or_a_time()
    {
        FileChannel channel = _context.OpenFile();
        ISubscriber subscriber = channel.Subscribe("out", SubscriberStart.Beginning);
        await PutAsync(channel, batches: 10);
        _context.Clock.Advance(TimeSpan.FromMinutes(1));
        await channel.PutAsync(Numbers(A, 100, 110));
        await subscriber.CommitAsync(110, CancellationToken.None);
        await channel.DisposeAsync();
        Assert.Equal(new ReplayReport("out", 110, 100, null), ChannelTools.Replay(_context.Directory, "out", "2026-11-22T10:01:00Z"));
        Assert.Equal(new ReplayReport("out", 100, 0, null), ChannelTools.Replay(_context.Directory, "out", "start"));
        Assert.Equal(new ReplayReport("out", 0, 110, null), ChannelTools.Replay(_context.Directory, "out", "end"));
        Assert.Equal(new ReplayReport("out", 110, 37, null), ChannelTools.Replay(_context.Directory, "out", "37"));
        Assert.Throws<ArgumentException>(() => ChannelTools.Replay(_context.Directory, "out", "yesterday"));
        Assert.Contains("It has: out", Assert.Throws<ChannelException>(() => ChannelTools.Replay(_context.Directory, "other", "end")).Message, StringComparison.Ordinal);
        await using FileChannel again = _context.OpenFile();
        Assert.Equal(0, again.UsedBytes); // what was delivered once makes no append wait
        Assert.Equal(Range(37, 110), await again.Subscribe("out", SubscriberStart.Beginning).ReadAsync(73));
    }

    [Fact]
    public void What_is_no_channel_is_a_clear_error()
    {
        Directory.CreateDirectory(_context.Directory);
        Assert.Contains("DATA/channels/NAME", Assert.Throws<ChannelException>(() => ChannelTools.Verify(_context.Directory)).Message, StringComparison.Ordinal);
        Assert.Contains("no data directory", Assert.Throws<ChannelException>(() => ChannelTools.List(_context.Directory)).Message, StringComparison.Ordinal);
    }

    private static async Task PutAsync(FileChannel channel, int batches)
    {
        for (int i = 0; i < batches; i++)
        {
            await channel.PutAsync(Numbers(A, i * 10, (i + 1) * 10, 3_000, "/var/log/a"));
        }
    }

    private static void Flip(string path, long at)
    {
        using SafeFileHandle file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite);
        Span<byte> one = stackalloc byte[1];
        RandomAccess.Read(file, one, at);
        one[0] ^= 0x10;
        RandomAccess.Write(file, one, at);
    }

    private string Fingerprint() =>
        string.Join('\n', Directory.GetFiles(_context.Directory, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal).Select(file =>
        {
            using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            return $"{file} {Convert.ToHexString(SHA256.HashData(stream))}";
        }));
}
