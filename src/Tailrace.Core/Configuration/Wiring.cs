namespace Tailrace.Core.Configuration;

/// <summary>Checks what sources, channels and sinks say of each other, on what is written, so that a mistake elsewhere does not hide one here.</summary>
internal sealed class Wiring(ConfigurationDraft draft, ErrorList errors)
{
    private readonly HashSet<string> _channels = [.. draft.Channels.Select(channel => channel.Name)];
    private readonly HashSet<string> _written = new(StringComparer.Ordinal);
    private readonly HashSet<string> _read = new(StringComparer.Ordinal);

    // What hides the channels that a source or sink means makes it impossible to say that a channel is unused.
    private bool _sourcesAreClear = draft.Sources.Count > 0;
    private bool _sinksAreClear = draft.Sinks.Count > 0 && !draft.HasSinkGroups;

    /// <summary>Checks everything.</summary>
    public void Check()
    {
        CheckSections();
        foreach (NamedNode source in draft.Sources)
        {
            CheckSource(source);
        }

        foreach (NamedNode sink in draft.Sinks)
        {
            _sinksAreClear &= (sink.Value as MapNode)?.Find("channel")?.Value is ScalarNode channel && CheckReference(channel, $"sink {sink.Name}", _read);
        }

        foreach (NamedNode channel in draft.IsWhole ? draft.Channels : [])
        {
            CheckUse(channel);
        }
    }

    private void CheckSections()
    {
        if (!draft.IsWhole)
        {
            return;
        }

        (string Section, int Count)[] sections =
        [
            (ConfigurationDraft.SourcesKey, draft.Sources.Count), (ConfigurationDraft.ChannelsKey, draft.Channels.Count), (ConfigurationDraft.SinksKey, draft.Sinks.Count),
        ];
        if (sections.Where(section => section.Count == 0).Select(section => section.Section).ToArray() is { Length: > 0 } missing)
        {
            errors.Add(new Position(0, 1, 1), $"there are no {string.Join(" and no ", missing)}: an agent needs at least one source, one channel and one sink.");
        }
    }

    private void CheckSource(NamedNode source)
    {
        if ((source.Value as MapNode)?.Find("channels")?.Value is not ListNode list)
        {
            _sourcesAreClear = false;
            return;
        }

        if (list.Items.Count == 0)
        {
            errors.Add(list.Position, $"source {source.Name}: 'channels' is empty; a source feeds at least one channel.");
            _sourcesAreClear = false;
        }

        HashSet<string> listed = new(StringComparer.Ordinal);
        foreach (ConfigurationNode item in list.Items)
        {
            if (item is ScalarNode { Form: ScalarForm.Plain or ScalarForm.Quoted } name && !listed.Add(name.Text))
            {
                errors.Add(item.Position, $"source {source.Name}: channel {ErrorList.Quote(name.Text)} is listed twice.");
                continue;
            }

            _sourcesAreClear &= item is ScalarNode channel && CheckReference(channel, $"source {source.Name}", _written);
        }
    }

    private bool CheckReference(ScalarNode channel, string label, HashSet<string> used)
    {
        if (channel.Form is ScalarForm.Null or ScalarForm.Broken)
        {
            return false;
        }

        used.Add(channel.Text);
        if (_channels.Contains(channel.Text))
        {
            return true;
        }

        if (draft.IsWhole && _channels.Count > 0)
        {
            errors.Add(channel.Position, $"{label}: there is no channel {ErrorList.Quote(channel.Text)}.{errors.Suggest(channel.Text, _channels, "Channels")}");
        }

        return false;
    }

    private void CheckUse(NamedNode channel)
    {
        bool unwritten = _sourcesAreClear && !_written.Contains(channel.Name);
        bool unread = _sinksAreClear && !_read.Contains(channel.Name);
        if (unwritten || unread)
        {
            string problem = unwritten && unread ? "no source writes to it and no sink reads it" : unwritten ? "no source writes to it" : "no sink reads it";
            errors.Add(channel.Position, $"channel {channel.Name} is not used: {problem}.");
        }
    }
}
