namespace Tailrace;

/// <summary>Something wrong with a component's options that their types cannot express.</summary>
/// <param name="Key">The option's key as configuration writes it; nested ones joined by a dot (<c>roll.size</c>). Its line and column are reported.</param>
/// <param name="Message">What is wrong and what would be right.</param>
public sealed record OptionProblem(string Key, string Message);

/// <summary>Options with rules beyond their types: ranges, options that exclude each other. Called once after binding, before the component is made.</summary>
public interface IValidatedOptions
{
    /// <summary>All problems; none if the options are sound.</summary>
    IEnumerable<OptionProblem> Validate();
}
