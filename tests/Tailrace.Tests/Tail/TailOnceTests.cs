using System.Text;

namespace Tailrace.Tests.Tail;

public sealed class TailOnceTests : TailTest
{
    [Fact]
    public async Task Once_delivers_every_line_of_every_matching_file_and_ends()
    {
        Write("a.log", "one\ntwo\n\nthree");
        Write("b.log", "four\n");
        Write("c.txt", "not this\n");
        await OnceAsync();
        Assert.Equal(["", "four", "one", "three", "two"], Context.Bodies.Order(StringComparer.Ordinal));
        Assert.Equal(["one", "two", "", "three"], Context.Bodies.Where(body => body != "four"));
        Assert.Equal((19L, 19L), Context.Progress[^1]);
    }

    [Fact]
    public async Task Once_again_delivers_only_what_came_since()
    {
        Write("a.log", "one\n");
        await OnceAsync();
        await OnceAsync();
        Append("a.log", "two\n");
        await OnceAsync();
        Assert.Equal(["one", "two"], Context.Bodies);
    }

    [Fact]
    public async Task A_large_file_comes_out_byte_for_byte()
    {
        var text = new StringBuilder();
        var random = new Random(7);
        for (int i = 0; text.Length < 5_000_000; i++)
        {
            text.Append(i).Append(' ').Append('x', random.Next(0, random.Next(20) == 0 ? 20_000 : 300)).Append('\n');
        }

        Write("a.log", text.ToString());
        await OnceAsync();
        Assert.Equal(text.ToString(), string.Join('\n', Context.Bodies) + "\n");
    }
}
