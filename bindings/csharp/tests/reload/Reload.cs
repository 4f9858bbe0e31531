// An editor that reloads its scripts: the application domain ends in the middle of everything, with nothing disposed, while
// the process and keel's library live on; the next domain begins anew and goes on from what the first one exported.
using System;
using System.IO;
using System.Linq;
using System.Reflection;
using System.Threading;
using System.Threading.Tasks;
using Keel;

// What lives in the domain that is reloaded.
public sealed class Script : MarshalByRefObject
{
    const string Tiny = @"{""config"": {""model_type"": ""llama"", ""vocab_size"": 32, ""hidden_size"": 16,
        ""intermediate_size"": 32, ""num_hidden_layers"": 1, ""num_attention_heads"": 2, ""max_position_embeddings"": 64}}";
    const string Large = @"{""config"": {""model_type"": ""llama"", ""vocab_size"": 2048, ""hidden_size"": 256,
        ""intermediate_size"": 512, ""num_hidden_layers"": 4, ""num_attention_heads"": 4, ""max_position_embeddings"": 512}}";
    const string Sft = @"{""algorithm"": {""type"": ""sft"", ""epochs"": 0}, ""threads"": 1}";

    Runtime runtime;
    Session session;

    // Trains from the state, or from the beginning where there is none.
    public byte[] Train(byte[] state, int updates)
    {
        runtime = runtime ?? new Runtime(@"{""learner_threads"": {""name"": ""keel-reload"", ""count"": 3}}");
        session = session ?? Learner(Tiny, 16, 4);
        if (state != null) session.Import(state);
        for (int update = 0; update < updates; ++update) session.Step();
        using (Blob blob = session.Export()) return blob.Bytes();
    }

    public ulong Hash()
    {
        return session.StateHash();
    }

    // Leaves in use what there is: a job on keel's thread with a task that awaits it, one that a thread of this domain drives,
    // a step that would not end, one with a reward function, an actor in mid-episode.
    public void LeaveEverythingRunning()
    {
        Job started = Learner(Large, 64, 400).Update();
        started.Start();
        Task<Report> awaited = started.WaitAsync();
        Job driven = Learner(Large, 64, 400).Update();
        Thread thread = new Thread(() => driven.Run()) { IsBackground = true };
        thread.Start();
        Session stepped = Sampled(@"{""algorithm"": {""type"": ""grpo"", ""epochs"": 1000, ""minibatches"": 4}, ""threads"": 1}");
        bool stepping = false;
        stepped.SetReward((rollouts, rewards) =>
        {
            for (int row = 0; row < rewards.Length; ++row) rewards[row] = row;
            Volatile.Write(ref stepping, true);
        });
        new Thread(() => stepped.Step()) { IsBackground = true }.Start();
        Session judged = new Session(runtime, Sft);
        judged.SetReward((rollouts, rewards) => GC.KeepAlive(this));
        while (started.Poll().Slices == 0 || driven.Poll().Slices == 0 || !Volatile.Read(ref stepping)) Thread.Sleep(1);
        if (awaited.IsCompleted) throw new Exception("the job was too short to be left running");
    }

    // With rollouts that wait for an update.
    Session Sampled(string json)
    {
        Session made = new Session(runtime, json);
        using (Model policy = new Model(runtime, Large)) made.SetModel(Role.Policy, policy);
        using (Batch prompts = new Batch(runtime, BatchKind.Prompts, 4))
        {
            prompts.Set("prompt", new[] { 3, 3, 3, 3 });
            using (Job job = made.Generate(prompts, @"{""max_new_tokens"": 4}"))
            {
                job.Run();
                using (Batch rollouts = job.Batch())
                {
                    rollouts.Set("group", new ulong[4]);
                    made.Push(rollouts);
                }
            }
        }
        return made;
    }

    Session Learner(string model, int rows, int length)
    {
        Session made = new Session(runtime, Sft);
        using (Model policy = new Model(runtime, model)) made.SetModel(Role.Policy, policy);
        using (Batch batch = new Batch(runtime, BatchKind.Demonstrations, rows))
        {
            batch.Set("prompt", Enumerable.Range(0, rows).Select(row => 3 + row % 8).ToArray());
            batch.Set("response", Enumerable.Range(0, rows).Select(row => Enumerable.Repeat(5 + row % 4, length).ToArray()).ToArray());
            made.Push(batch);
        }
        return made;
    }

    public override object InitializeLifetimeService()
    {
        return null;
    }
}

static class Reload
{
    const int Rounds = 5;

    static int failed;

    static int Main()
    {
        byte[] state = null;
        ulong undisturbed = 0, hash = 0;
        InDomain(script =>
        {
            script.Train(null, 2 * Rounds);
            undisturbed = script.Hash();
        });
        for (int round = 0; round < Rounds; ++round)
        {
            InDomain(script =>
            {
                state = script.Train(state, 2);
                hash = script.Hash();
                script.LeaveEverythingRunning();
            });
            Check(Threads() == 0, $"round {round}: no thread of keel's runs after the domain, found {Threads()}");
            Check(Library.LiveHandles == 0, $"round {round}: no handle outlives the domain, found {Library.LiveHandles}");
        }
        Check(undisturbed == hash, $"training goes on where it was: expected {undisturbed}, found {hash}");
        Console.WriteLine($"reload: {2 * Rounds + 1 - failed} passed, {failed} failed");
        return failed == 0 ? 0 : 1;
    }

    static void InDomain(Action<Script> work)
    {
        AppDomain domain = AppDomain.CreateDomain("scripts");
        work((Script)domain.CreateInstanceAndUnwrap(Assembly.GetExecutingAssembly().FullName, typeof(Script).FullName));
        AppDomain.Unload(domain);
    }

    static int Threads()
    {
        return Directory.GetDirectories("/proc/self/task").Count(task =>
        {
            try
            {
                return File.ReadAllText(task + "/comm").StartsWith("keel-reload");
            }
            catch (IOException)
            {
                return false;
            }
        });
    }

    static void Check(bool held, string what)
    {
        if (held) return;
        ++failed;
        Console.WriteLine($"[  FAILED  ] {what}");
    }
}
