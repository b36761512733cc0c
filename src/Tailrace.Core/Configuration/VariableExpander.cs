using System.Text;

namespace Tailrace.Core.Configuration;

/// <summary>Expands <c>${NAME}</c> and <c>${NAME:-default}</c> in a value; <c>$${</c> stands for <c>${</c>. The default also stands in for an empty variable, as in a shell.</summary>
internal sealed class VariableExpander(Func<string, string?> variable)
{
    /// <summary>The text with its variables expanded; null and what is wrong if that is not possible.</summary>
    public string? Expand(string text, out string? problem)
    {
        problem = null;
        var result = new StringBuilder(text.Length);
        int position = 0;
        while (text.IndexOf("${", position, StringComparison.Ordinal) is var start and >= 0)
        {
            if (start > position && text[start - 1] == '$')
            {
                result.Append(text, position, start - 1 - position).Append("${");
                position = start + 2;
                continue;
            }

            result.Append(text, position, start - position);
            int end = text.IndexOf('}', start);
            if (end < 0)
            {
                problem = "a variable is not closed: write ${NAME} or ${NAME:-default}, or $${ for the text ${.";
                return null;
            }

            string? value = Lookup(text[(start + 2)..end], out problem);
            if (value is null)
            {
                return null;
            }

            result.Append(value);
            position = end + 1;
        }

        return result.Append(text, position, text.Length - position).ToString();
    }

    private string? Lookup(string expression, out string? problem)
    {
        problem = null;
        int separator = expression.IndexOf(":-", StringComparison.Ordinal);
        string name = separator < 0 ? expression : expression[..separator];
        if (name.Length == 0 || char.IsAsciiDigit(name[0]) || !name.All(letter => char.IsAsciiLetterOrDigit(letter) || letter == '_'))
        {
            problem = $"{ErrorList.Quote("${" + expression + "}")} names no variable: write ${{NAME}} or ${{NAME:-default}}, or $${{ for the text ${{.";
            return null;
        }

        string? value = variable(name);
        if (separator < 0)
        {
            problem = value is null ? $"variable {name} is not set. Set it, or give a default: ${{{name}:-default}}." : null;
            return value;
        }

        if (expression.Contains("${", StringComparison.Ordinal))
        {
            problem = $"the default of variable {name} holds a variable itself, which is not supported.";
            return null;
        }

        return string.IsNullOrEmpty(value) ? expression[(separator + 2)..] : value;
    }
}
