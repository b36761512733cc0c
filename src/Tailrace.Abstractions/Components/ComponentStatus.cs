namespace Tailrace;

/// <summary>How a component is doing. The runner sets all but <see cref="Degraded"/>, which a component may report about itself.</summary>
public enum ComponentStatus
{
    /// <summary>Being made or recovering its state.</summary>
    Starting,

    /// <summary>Doing its work.</summary>
    Running,

    /// <summary>Doing its work in part: something it needs is refused or away, and it is trying again.</summary>
    Degraded,

    /// <summary>Stopped by an error; it is started again after a back-off.</summary>
    Failed,

    /// <summary>Finishing what it has in hand.</summary>
    Stopping,

    /// <summary>Ended.</summary>
    Stopped,
}
