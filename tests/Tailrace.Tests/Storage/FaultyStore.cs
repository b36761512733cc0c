namespace Tailrace.Tests.Storage;

/// <summary>
/// A store that outlives its clients, and what can go wrong with one: calls that fail before or after they took effect, renames that are
/// applied later, uploads cut short that look complete, and clients that die in the middle of any of it.
/// </summary>
internal sealed class FaultyWorld(int seed, double failures, double crashes)
{
    private readonly Random _random = new(seed);
    private readonly List<(string Temporary, string Final)> _zombies = [];
    private readonly Lock _gate = new();

    public Dictionary<string, byte[]> Files { get; } = [];

    public int Open { get; set; }

    public int MaxOpen { get; private set; }

    /// <summary>Crashes and failures left; without a bound a run might never end.</summary>
    public int Budget { get; set; } = 40;

    /// <summary>Told the final name before each publishing.</summary>
    public Action<string>? BeforePublish { get; set; }

    public bool Chance(double probability)
    {
        lock (_gate)
        {
            return _random.NextDouble() < probability;
        }
    }

    public int Next(int min, int max)
    {
        lock (_gate)
        {
            return _random.Next(min, max);
        }
    }

    public void Opened()
    {
        lock (_gate)
        {
            MaxOpen = Math.Max(MaxOpen, ++Open);
        }
    }

    /// <summary>A connection ends; one that ends early leaves a shorter file that looks complete.</summary>
    public void Closed(string path, byte[]? partial)
    {
        lock (_gate)
        {
            Open--;
            if (partial is not null && Files.ContainsKey(path))
            {
                Files[path] = partial[.._random.Next(partial.Length + 1)];
            }
        }
    }

    /// <summary>Runs one call of a client.</summary>
    public T Call<T>(Client client, Func<T> action)
    {
        lock (_gate)
        {
            ApplyZombies(all: false);
            client.ThrowIfDead();
            MaybeCrash(client);
            if (Spend(failures / 2))
            {
                throw new IOException("injected: not done");
            }

            T result = action();
            if (Spend(failures / 2))
            {
                throw new IOException("injected: done, but the answer is lost");
            }

            MaybeCrash(client);
            return result;
        }
    }

    public void MaybeCrash(Client client)
    {
        lock (_gate)
        {
            client.ThrowIfDead();
            if (Spend(crashes))
            {
                client.Die();
                client.ThrowIfDead();
            }
        }
    }

    public bool Publish(Client client, string temporary, string final)
    {
        lock (_gate)
        {
            ApplyZombies(all: false);
            client.ThrowIfDead();
            BeforePublish?.Invoke(final);
            bool isLost = Spend(failures);
            bool isFatal = Spend(crashes * 2);
            if (!isLost && !isFatal)
            {
                return Rename(temporary, final) ?? throw new FileNotFoundException("gone", temporary);
            }

            double kind = _random.NextDouble();
            if (kind < 0.35)
            {
                Rename(temporary, final);
            }
            else if (kind < 0.75)
            {
                _zombies.Add((temporary, final));
            }

            if (isFatal)
            {
                client.Die();
                client.ThrowIfDead();
            }

            throw new IOException("injected: nobody knows whether it was renamed");
        }
    }

    public void ApplyZombies(bool all)
    {
        while (_zombies.Count > 0 && (all || _random.NextDouble() < 0.15))
        {
            int i = _random.Next(_zombies.Count);
            Rename(_zombies[i].Temporary, _zombies[i].Final);
            _zombies.RemoveAt(i);
        }
    }

    private bool? Rename(string temporary, string final)
    {
        if (!Files.TryGetValue(temporary, out byte[]? content))
        {
            return null;
        }

        return Files.TryAdd(final, content) && Files.Remove(temporary);
    }

    private bool Spend(double probability)
    {
        if (Budget <= 0 || _random.NextDouble() >= probability)
        {
            return false;
        }

        Budget--;
        return true;
    }
}

/// <summary>One process of a sink; once dead nothing it does has an effect.</summary>
internal sealed class Client(Action died)
{
    public bool IsDead { get; private set; }

    public void Die()
    {
        IsDead = true;
        died();
    }

    public void ThrowIfDead()
    {
        if (IsDead)
        {
            throw new IOException("dead");
        }
    }
}

internal sealed class FaultyStore(FaultyWorld world, Client client) : IStore
{
    public ValueTask<IStoreFile> CreateAsync(string path, CancellationToken cancellationToken)
    {
        world.Call(client, () => world.Files.TryAdd(path, []) ? 0 : throw new IOException($"{path} exists"));
        return ValueTask.FromResult<IStoreFile>(new FaultyFile(world, client, path));
    }

    public async ValueTask<bool> PublishAsync(string temporaryPath, string path, CancellationToken cancellationToken)
    {
        await Task.Yield();
        return world.Publish(client, temporaryPath, path);
    }

    public ValueTask<long?> StatAsync(string path, CancellationToken cancellationToken) =>
        ValueTask.FromResult(world.Call(client, () => world.Files.TryGetValue(path, out byte[]? content) ? content.Length : (long?)null));

    public ValueTask<IReadOnlyList<string>> ListAsync(string directory, CancellationToken cancellationToken) =>
        ValueTask.FromResult<IReadOnlyList<string>>(world.Call(
            client,
            () => world.Files.Keys.Where(path => world.Chance(0.6) && path.StartsWith(directory + "/", StringComparison.Ordinal)).Select(path => path[(directory.Length + 1)..]).ToList()));

    public ValueTask DeleteAsync(string path, CancellationToken cancellationToken)
    {
        world.Call(client, () => world.Files.Remove(path));
        return default;
    }

    public ValueTask DisposeAsync() => default;

    private sealed class FaultyFile : MemoryStream, IStoreFile
    {
        private readonly FaultyWorld _world;
        private readonly Client _client;
        private readonly string _path;
        private bool _isClosed;
        private bool _isComplete;

        public FaultyFile(FaultyWorld world, Client client, string path)
        {
            (_world, _client, _path) = (world, client, path);
            world.Opened();
        }

        public Stream Content => this;

        public override void Write(ReadOnlySpan<byte> buffer) => Write(buffer.ToArray(), 0, buffer.Length);

        public override void Write(byte[] buffer, int offset, int count)
        {
            base.Write(buffer, offset, count / 2);
            _world.Call(_client, () => 0);
            base.Write(buffer, offset + (count / 2), count - (count / 2));
        }

        public async ValueTask CompleteAsync(CancellationToken cancellationToken)
        {
            await Task.Yield();
            _world.Call(_client, () =>
            {
                _world.Files[_path] = ToArray();
                return 0;
            });
            _isComplete = true;
        }

        protected override void Dispose(bool disposing)
        {
            if (!_isClosed)
            {
                _isClosed = true;
                _world.Closed(_path, _isComplete ? null : ToArray());
            }

            base.Dispose(disposing);
        }

        public override async ValueTask DisposeAsync()
        {
            Dispose();
            await base.DisposeAsync();
        }
    }
}
