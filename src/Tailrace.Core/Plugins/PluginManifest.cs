using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;

namespace Tailrace.Core.Plugins;

/// <summary>What an assembly says of itself as a plugin, read from its metadata without loading it.</summary>
/// <param name="Contract">The contract it was built against.</param>
internal sealed record PluginManifest(int Contract)
{
    private const ushort BlobProlog = 1;

    /// <summary>Reads the manifest; null if the assembly has no <see cref="TailracePluginAttribute"/>.</summary>
    /// <exception cref="BadImageFormatException">The file is no .NET assembly, or the attribute is not as this contract writes it.</exception>
    public static PluginManifest? Read(string assembly)
    {
        using var stream = new FileStream(assembly, FileMode.Open, FileAccess.Read, FileShare.Read);
        using var image = new PEReader(stream);
        if (!image.HasMetadata)
        {
            throw new BadImageFormatException("it is no .NET assembly.");
        }

        MetadataReader metadata = image.GetMetadataReader();
        foreach (CustomAttributeHandle handle in metadata.GetAssemblyDefinition().GetCustomAttributes())
        {
            CustomAttribute attribute = metadata.GetCustomAttribute(handle);
            if (attribute.Constructor.Kind == HandleKind.MemberReference && IsOurs(metadata, metadata.GetMemberReference((MemberReferenceHandle)attribute.Constructor).Parent))
            {
                BlobReader blob = metadata.GetBlobReader(attribute.Value);
                return blob.ReadUInt16() == BlobProlog && blob.ReadSerializedString() is not null
                    ? new PluginManifest(blob.ReadInt32())
                    : throw new BadImageFormatException("its TailracePlugin attribute cannot be read.");
            }
        }

        return null;
    }

    private static bool IsOurs(MetadataReader metadata, EntityHandle type)
    {
        if (type.Kind != HandleKind.TypeReference)
        {
            return false;
        }

        TypeReference reference = metadata.GetTypeReference((TypeReferenceHandle)type);
        return metadata.StringComparer.Equals(reference.Name, nameof(TailracePluginAttribute))
            && metadata.StringComparer.Equals(reference.Namespace, typeof(TailracePluginAttribute).Namespace!);
    }
}
