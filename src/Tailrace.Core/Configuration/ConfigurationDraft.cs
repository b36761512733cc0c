namespace Tailrace.Core.Configuration;

/// <summary>A component as it is written: its name, where that stands, and what is under it.</summary>
internal readonly record struct NamedNode(string Name, Position Position, ConfigurationNode Value);

/// <summary>All files of a configuration put together, nothing bound yet.</summary>
internal sealed class ConfigurationDraft(ErrorList errors)
{
    public const string AgentKey = "agent";
    public const string SourcesKey = "sources";
    public const string ChannelsKey = "channels";
    public const string SinksKey = "sinks";
    public const string SinkGroupsKey = "sink_groups";
    private static readonly string[] Sections = [AgentKey, SourcesKey, ChannelsKey, SinksKey];

    private readonly List<MapEntry> _agent = [];
    private readonly Dictionary<(string Section, string Name), Position> _defined = [];

    /// <summary>The agent section, merged.</summary>
    public MapNode Agent => new(AgentPosition, _agent);

    /// <summary>Where the agent section stands first.</summary>
    public Position AgentPosition { get; private set; } = new(0, 1, 1);

    public List<NamedNode> Sources { get; } = [];

    public List<NamedNode> Channels { get; } = [];

    public List<NamedNode> Sinks { get; } = [];

    /// <summary>False once something could not be read or put in its place, so that what seems to be missing may only be hidden.</summary>
    public bool IsWhole { get; private set; } = true;

    /// <summary>True if there is a section of sink groups, whose sinks have no channel of their own.</summary>
    public bool HasSinkGroups { get; private set; }

    /// <summary>True for a sink that a group takes the channel for.</summary>
    public bool IsGrouped(NamedNode sink) => HasSinkGroups && sink.Value is MapNode map && map.Find("channel") is null;

    /// <summary>Takes in a file; null: one that could not be read.</summary>
    public void Add(MapNode? root)
    {
        IsWhole &= root is { IsWhole: true };
        foreach (MapEntry section in root?.Entries ?? [])
        {
            switch (section.Key)
            {
                case AgentKey:
                    AddAgent(section);
                    break;
                case SourcesKey:
                    AddComponents(section, Sources, "source");
                    break;
                case ChannelsKey:
                    AddComponents(section, Channels, "channel");
                    break;
                case SinksKey:
                    AddComponents(section, Sinks, "sink");
                    break;
                case SinkGroupsKey:
                    errors.Add(section.Position, "sink_groups are not available in this version.");
                    HasSinkGroups = true;
                    break;
                default:
                    errors.Add(section.Position, $"unknown section {ErrorList.Quote(section.Key)}.{errors.Suggest(section.Key, Sections, "Sections")}");
                    IsWhole = false;
                    break;
            }
        }
    }

    private void AddAgent(MapEntry section)
    {
        if (MapOf(section, "its options, such as name and data") is not { } map)
        {
            return;
        }

        AgentPosition = _agent.Count == 0 ? section.Position : AgentPosition;
        foreach (MapEntry entry in map.Entries.Where(entry => IsFirst(AgentKey, entry, $"agent: {ErrorList.Quote(entry.Key)}")))
        {
            _agent.Add(entry);
        }
    }

    private void AddComponents(MapEntry section, List<NamedNode> components, string what)
    {
        if (MapOf(section, $"{what}s by name") is not { } map)
        {
            return;
        }

        foreach (MapEntry entry in map.Entries.Where(entry => IsFirst(section.Key, entry, $"{what} {ErrorList.Quote(entry.Key)}")))
        {
            if (!ComponentName.IsValid(entry.Key))
            {
                errors.Add(entry.Position, $"{ErrorList.Quote(entry.Key)} cannot be the name of a {what}. {ComponentName.Rule}");
            }

            components.Add(new NamedNode(entry.Key, entry.Position, entry.Value));
        }
    }

    private bool IsFirst(string section, MapEntry entry, string label)
    {
        if (_defined.TryAdd((section, entry.Key), entry.Position))
        {
            return true;
        }

        errors.Add(entry.Position, $"{label} is defined already at {errors.Describe(_defined[(section, entry.Key)])}.");
        IsWhole = false;
        return false;
    }

    private MapNode? MapOf(MapEntry section, string content)
    {
        if (section.Value is MapNode map && (map.Entries.Count > 0 || !map.IsWhole))
        {
            IsWhole &= map.IsWhole;
            return map;
        }

        IsWhole = false;
        if (section.Value is not ScalarNode { Form: ScalarForm.Broken })
        {
            bool isEmpty = section.Value is ScalarNode { Form: ScalarForm.Null } or MapNode;
            errors.Add(section.Position, $"section '{section.Key}' {(isEmpty ? "is empty: it must hold" : "must be a mapping of")} {content}.");
        }

        return null;
    }
}
