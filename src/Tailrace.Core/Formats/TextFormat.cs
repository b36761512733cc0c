namespace Tailrace.Core.Formats;

/// <summary>The <c>text</c> format has no options.</summary>
public sealed record TextFormatOptions;

/// <summary>Bodies, each with a line feed behind it: the bytes a batch holds anyway, so a run of events is one write.</summary>
internal sealed class TextFormat : IFormat
{
    public string Extension => "log";

    public bool Compressible => true;

    public IEventSerializer CreateSerializer(Stream output) => new Serializer(output);

    private sealed class Serializer(Stream output) : IEventSerializer
    {
        public long Buffered => 0;

        public void Write(EventRange events) => output.Write(events.Lines.Span);

        public void Finish()
        {
        }

        public void Dispose()
        {
        }
    }
}
