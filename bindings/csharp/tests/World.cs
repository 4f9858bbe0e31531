// The small models and sessions that the tests are done with.
using System;
using System.IO;
using System.Linq;
using Keel;

static class World
{
    internal const string Llama = @"{""config"": {""model_type"": ""llama"", ""vocab_size"": 32, ""hidden_size"": 16,
        ""intermediate_size"": 32, ""num_hidden_layers"": 1, ""num_attention_heads"": 2, ""max_position_embeddings"": 64}}";
    internal const string Walker = @"{""config"": {""model_type"": ""control"", ""hidden"": [16],
        ""observations"": [{""type"": ""vector"", ""name"": ""place"", ""size"": 1}],
        ""actions"": [{""type"": ""discrete"", ""name"": ""way"", ""choices"": 2}]}}";
    internal const string Swimmer = @"{""config"": {""model_type"": ""control"", ""hidden"": [16],
        ""observations"": [{""type"": ""vector"", ""name"": ""place"", ""size"": 2}],
        ""actions"": [{""type"": ""continuous"", ""name"": ""force"", ""size"": 2}]}}";
    internal const string Sft = @"{""algorithm"": {""type"": ""sft"", ""epochs"": 0}, ""threads"": 1}";
    internal const string Grpo = @"{""algorithm"": {""type"": ""grpo""}, ""optimizer"": {""learning_rate"": 0.01}, ""threads"": 1}";
    internal const string Ppo = @"{""algorithm"": {""type"": ""control_ppo"", ""rollout_steps"": 32, ""minibatches"": 2}}";

    internal static readonly Runtime Runtime = new Runtime();

    internal static Session Session(string model, string session)
    {
        Session made = new Session(Runtime, session);
        using (Model policy = new Model(Runtime, model)) made.SetModel(Role.Policy, policy);
        return made;
    }

    // An SFT session with rows to learn from.
    internal static Session Learner(int rows = 16)
    {
        Session session = Session(Llama, Sft);
        using (Batch batch = Demonstrations(rows)) session.Push(batch);
        return session;
    }

    internal static Batch Demonstrations(int rows)
    {
        Batch batch = new Batch(Runtime, BatchKind.Demonstrations, rows);
        batch.Set("prompt", Enumerable.Range(0, rows).Select(row => new[] { 3 + row % 8, 4 }).ToArray());
        batch.Set("response", Enumerable.Range(0, rows).Select(row => Enumerable.Repeat(5 + row % 4, 1 + row % 3).ToArray()).ToArray());
        return batch;
    }

    internal static Batch Prompts(int rows)
    {
        Batch batch = new Batch(Runtime, BatchKind.Prompts, rows);
        batch.Set("prompt", Enumerable.Range(0, rows).Select(row => 3 + row / 4).ToArray());
        return batch;
    }

    // Rollouts as a generation made them, in groups of four.
    internal static Batch Rollouts(Session session, int rows = 8)
    {
        using (Batch prompts = Prompts(rows))
        using (Job job = session.Generate(prompts, @"{""max_new_tokens"": 4}"))
        {
            job.Run();
            Batch rollouts = job.Batch();
            rollouts.Set("group", Enumerable.Range(0, rows).Select(row => (ulong)row / 4).ToArray());
            return rollouts;
        }
    }

    // Walks some slots for some steps, to the right for a reward.
    internal static void Walk(Actor actor, int steps)
    {
        uint[] slots = { 0, 1, 2, 3 };
        float[] places = new float[4], rewards = new float[4];
        int[] ways = new int[4];
        for (int step = 0; step < steps; ++step)
        {
            actor.Act(slots, places, ways);
            for (int i = 0; i < 4; ++i) rewards[i] = ways[i];
            actor.Observe(slots, rewards, Enumerable.Repeat(step % 8 == 7 ? Episode.Terminated : Episode.Running, 4).ToArray());
        }
    }

    internal static string Folder()
    {
        string folder = Path.Combine(Path.GetTempPath(), "keel-" + Guid.NewGuid().ToString("N"));
        Directory.CreateDirectory(folder);
        return folder;
    }
}
