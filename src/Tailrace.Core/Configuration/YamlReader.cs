using System.Text;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Tailrace.Core.Configuration;

/// <summary>Reads one YAML file into nodes with positions. Bounded in bytes, depth and nodes, so that no file can do harm.</summary>
internal sealed class YamlReader(ErrorList errors, VariableExpander variables, int file)
{
    private const int MaxBytes = 1 << 20;
    private const int MaxDepth = 32;
    private const int MaxNodes = 50_000;
    private const string StringTag = "tag:yaml.org,2002:str";
    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly Dictionary<string, ConfigurationNode> _anchors = new(StringComparer.Ordinal);
    private Parser _parser = null!;
    private int _nodes;
    private bool _stopped;

    /// <summary>Reads a file; null if it is no mapping or could not be read to its end. What is wrong is in the errors.</summary>
    public MapNode? Read(string path)
    {
        byte[]? bytes = ReadBytes(path);
        string? text = bytes is null ? null : Decode(bytes);
        return text is null ? null : Parse(text);
    }

    private byte[]? ReadBytes(string path)
    {
        try
        {
            using FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            using var content = new MemoryStream();
            byte[] buffer = new byte[1 << 14];
            for (int read = stream.Read(buffer); read > 0; read = stream.Read(buffer))
            {
                content.Write(buffer, 0, read);
                if (content.Length > MaxBytes)
                {
                    errors.Add(Start, "the file is larger than 1 MiB, which is the most a configuration may have.");
                    return null;
                }
            }

            return content.ToArray();
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            errors.Add(Start, "there is no such file.");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            errors.Add(Start, $"the file cannot be read: {exception.Message}");
        }

        return null;
    }

    private Position Start => new(file, 1, 1);

    private string? Decode(byte[] bytes)
    {
        string text;
        try
        {
            text = StrictUtf8.GetString(bytes);
        }
        catch (DecoderFallbackException exception)
        {
            text = Encoding.UTF8.GetString(bytes, 0, Math.Max(0, exception.Index));
            errors.Add(At(text, text.Length), "this is not UTF-8. Save the file as UTF-8.");
            return null;
        }

        text = text.StartsWith('\uFEFF') ? text[1..] : text;
        for (int i = 0; i < text.Length; i++)
        {
            if (char.IsControl(text[i]) && text[i] is not ('\t' or '\n' or '\r' or '\u0085'))
            {
                errors.Add(At(text, i), $"a control character (U+{(int)text[i]:X4}) stands here, which YAML does not allow.");
                return null;
            }
        }

        return text;
    }

    private Position At(string text, int index)
    {
        ReadOnlySpan<char> before = text.AsSpan(0, index);
        return new Position(file, before.Count('\n') + 1, index - before.LastIndexOf('\n'));
    }

    private MapNode? Parse(string text)
    {
        _parser = new Parser(new Scanner(new StringReader(text), skipComments: true));
        try
        {
            return ReadStream();
        }
        catch (YamlException exception)
        {
            errors.Add(PlaceOf(exception, text), Reword(exception.Message));
        }
        catch (InvalidOperationException)
        {
            // The parser's own state goes wrong over some unclosed brackets; all it knows then is where it stood.
            errors.Add(PositionOf(_parser.Current?.End ?? Mark.Empty), "not valid YAML: a bracket, brace or quote seems not to be closed.");
        }

        return null;
    }

    private MapNode? ReadStream()
    {
        ParsingEvent? first = Next();
        while (first is StreamStart or DocumentStart)
        {
            first = Next();
        }

        if (first is null or StreamEnd or Scalar { Value.Length: 0, Style: ScalarStyle.Plain })
        {
            errors.Add(Start, "the file is empty.");
            return null;
        }

        ConfigurationNode root = Build(first, 0);
        while (!_stopped && Next() is { } further)
        {
            if (further is DocumentStart)
            {
                errors.Add(PositionOf(further.Start), "a second document starts here; a configuration file holds one.");
                return null;
            }
        }

        if (!_stopped && root is not MapNode)
        {
            errors.Add(root.Position, "the file must be a mapping with the sections agent, sources, channels and sinks.");
        }

        return _stopped ? null : root as MapNode;
    }

    private ParsingEvent? Next() => !_stopped && _parser.MoveNext() ? _parser.Current : null;

    private ConfigurationNode Build(ParsingEvent first, int depth)
    {
        Position position = PositionOf(first.Start);
        if (depth > MaxDepth)
        {
            return Stop(position, $"this is nested deeper than {MaxDepth} levels.");
        }

        ConfigurationNode node = first switch
        {
            Scalar scalar => BuildScalar(scalar, position),
            SequenceStart => BuildList(position, depth),
            MappingStart => BuildMap(position, depth),
            AnchorAlias alias => Resolve(alias, position, depth),
            _ => Stop(position, "not valid YAML: a value is missing here."),
        };
        _nodes += first is AnchorAlias ? node.Size : 1;
        if (_nodes > MaxNodes)
        {
            return Stop(position, $"the file has more than {MaxNodes} values (aliases count as often as they are used).");
        }

        if (first is NodeEvent { Anchor.IsEmpty: false } anchored)
        {
            _anchors[anchored.Anchor.Value] = node;
        }

        return node;
    }

    private ScalarNode Stop(Position position, string message)
    {
        if (!_stopped)
        {
            errors.Add(position, message);
            _stopped = true;
        }

        return Broken(position);
    }

    private static ScalarNode Broken(Position position) => new(position, "", ScalarForm.Broken);

    private ScalarNode BuildScalar(Scalar scalar, Position position)
    {
        string tag = scalar.Tag.IsEmpty ? "" : scalar.Tag.Value;
        if (tag.Length > 0 && tag is not ("!" or "?") && !tag.StartsWith("tag:yaml.org,2002:", StringComparison.Ordinal))
        {
            errors.Add(position, $"the tag {ErrorList.Quote(tag)} is not known here; write the value without it.");
            return Broken(position);
        }

        bool plain = scalar.Style == ScalarStyle.Plain && tag is not ("!" or StringTag);
        if (plain && scalar.Value is "" or "~" or "null" or "Null" or "NULL")
        {
            return new ScalarNode(position, "", ScalarForm.Null);
        }

        string? text = variables.Expand(scalar.Value, out string? problem);
        if (text is null)
        {
            errors.Add(position, problem!);
            return Broken(position);
        }

        // A variable inside { } can only be written in quotes; what it holds is still typed as the key wants it.
        bool hasVariable = !ReferenceEquals(text, scalar.Value) && text != scalar.Value;
        return new ScalarNode(position, text, plain || hasVariable ? ScalarForm.Plain : ScalarForm.Quoted);
    }

    private ListNode BuildList(Position position, int depth)
    {
        List<ConfigurationNode> items = [];
        while (Next() is { } next and not SequenceEnd)
        {
            items.Add(Build(next, depth + 1));
        }

        return new ListNode(position, items);
    }

    private MapNode BuildMap(Position position, int depth)
    {
        Dictionary<string, MapEntry> entries = new(StringComparer.Ordinal);
        List<MapEntry> ordered = [];
        bool isWhole = true;
        while (Next() is { } next and not MappingEnd)
        {
            Position keyPosition = PositionOf(next.Start);
            if (next is not Scalar)
            {
                Build(next, depth + 1);
            }

            ConfigurationNode value = Next() is { } second ? Build(second, depth + 1) : Broken(keyPosition);
            string? problem = next switch
            {
                not Scalar => "a key must be plain text.",
                Scalar { Value: "<<", Style: ScalarStyle.Plain } => "merge keys (<<) are not supported. Write the keys out, or use an alias for a whole value.",
                Scalar { Value: "" } => "a key is missing before the colon.",
                Scalar scalar when entries.TryGetValue(scalar.Value, out MapEntry other) => $"{ErrorList.Quote(scalar.Value)} is defined twice; the first is at {errors.Describe(other.Position)}.",
                _ => null,
            };
            if (problem is not null || _stopped)
            {
                isWhole = false;
                if (!_stopped)
                {
                    errors.Add(keyPosition, problem!);
                }

                continue;
            }

            var entry = new MapEntry(((Scalar)next).Value, keyPosition, value);
            entries.Add(entry.Key, entry);
            ordered.Add(entry);
        }

        return new MapNode(position, ordered, isWhole);
    }

    private ConfigurationNode Resolve(AnchorAlias alias, Position position, int depth)
    {
        if (!_anchors.TryGetValue(alias.Value.Value, out ConfigurationNode? node))
        {
            errors.Add(position, $"there is no anchor {ErrorList.Quote("&" + alias.Value.Value)} above this alias.");
            return Broken(position);
        }

        return depth + node.Height > MaxDepth ? Stop(position, $"this is nested deeper than {MaxDepth} levels.") : node;
    }

    private Position PositionOf(Mark mark) => new(file, (int)Math.Max(1, mark.Line), (int)Math.Max(1, mark.Column));

    /// <summary>Where an error is. For a tab the parser names the start of what it was in; the tab comes later.</summary>
    private Position PlaceOf(YamlException exception, string text)
    {
        if (!exception.Message.Contains("tab", StringComparison.Ordinal))
        {
            return PositionOf(exception.Start);
        }

        int from = (int)Math.Max(exception.Start.Line, _parser.Current?.End.Line ?? 1);
        string[] lines = text.Split('\n');
        for (int line = Math.Max(1, from); line <= lines.Length; line++)
        {
            int tab = lines[line - 1].IndexOf('\t', StringComparison.Ordinal);
            if (tab >= 0 && string.IsNullOrWhiteSpace(lines[line - 1][..tab]))
            {
                return new Position(file, line, tab + 1);
            }
        }

        return PositionOf(exception.Start);
    }

    private static string Reword(string message)
    {
        (string Sign, string Wording)[] known =
        [
            ("tab", "a tab stands where spaces must. Indent with spaces."),
            ("invalid mapping", "a mapping cannot start here. Quote text that holds ': ', and start the keys of one mapping in one column."),
            ("expected key", "this is no key of the mapping around it. Start the keys of one mapping in one column."),
            ("expected ','", "a comma or the closing bracket is missing. Inside [ ] and { }, quote text that holds any of , [ ] { }, and so ${VARIABLE}."),
            ("wrong indentation", "this is indented wrongly, or a quote is not closed."),
            ("unexpected end of stream", "what starts here is not closed."),
            ("cannot start any token", "text cannot start with this character. Quote the text."),
        ];
        string? wording = known.FirstOrDefault(entry => message.Contains(entry.Sign, StringComparison.Ordinal)).Wording;
        return $"not valid YAML: {wording ?? message[(message.IndexOf(", ", StringComparison.Ordinal) + 1)..].Trim()}";
    }
}
