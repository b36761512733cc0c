using System.Text;
using PublicApiGenerator;

namespace Tailrace.Tests.Architecture;

public sealed class PublicApiTests
{
    [Fact]
    public void The_contract_is_the_approved_one()
    {
        string api = typeof(EventBatch).Assembly.GeneratePublicApi(new ApiGeneratorOptions { IncludeAssemblyAttributes = false });
        Repository.AssertEqualsFile(
            "tests/Tailrace.Tests/Abstractions.approved.txt",
            Encoding.UTF8.GetBytes(api.ReplaceLineEndings("\n").TrimEnd() + "\n"),
            "The contract that plugins compile against has changed. If that is meant, look at the difference and approve it by copying (plugins built before must be built again: raise TailracePluginAttribute.CurrentContract once there has been a release):");
    }
}
