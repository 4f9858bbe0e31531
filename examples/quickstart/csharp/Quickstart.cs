// Two tiny runs in this process: a language model is aligned, then a walker learns its way. The same program stands beside
// this one in C, C++, Rust and Go; all print the same numbers.
using System;
using System.Linq;
using Keel;

static class Quickstart
{
    const int Rows = 16, Rounds = 4, Walkers = 4, Places = 8, Longest = 16, Steps = 64;

    static void Main()
    {
        using (Runtime runtime = new Runtime())
        {
            Align(runtime);
            Control(runtime);
        }
        Console.WriteLine($"{Library.LiveHandles} handles left");
    }

    // A game would draw a frame between two calls of this loop; each takes 2 ms of it.
    static void Finish(Job job)
    {
        while (job.Pump(2000).State == JobState.Pending)
        {
        }
    }

    static Session SessionOf(Runtime runtime, string modelJson, string sessionJson)
    {
        Session session = new Session(runtime, sessionJson);
        using (Model policy = new Model(runtime, modelJson)) session.SetModel(Role.Policy, policy);
        return session;
    }

    static ulong Update(Session session)
    {
        using (Job job = session.Update()) Finish(job);
        return session.StateHash();
    }

    // Responses are sampled, those with more even tokens are rewarded more, and GRPO makes them likelier.
    static void Align(Runtime runtime)
    {
        const string model = @"{""config"": {""model_type"": ""llama"", ""vocab_size"": 32, ""hidden_size"": 32,
            ""intermediate_size"": 64, ""num_hidden_layers"": 2, ""num_attention_heads"": 4, ""max_position_embeddings"": 64},
            ""initialization"": ""fan_in""}";
        const string grpo = @"{""algorithm"": {""type"": ""grpo""}, ""optimizer"": {""learning_rate"": 0.01}, ""threads"": 1}";
        using (Session session = SessionOf(runtime, model, grpo))
        using (Batch prompts = new Batch(runtime, BatchKind.Prompts, Rows))
        {
            // four responses to each of four prompts
            ulong[] groups = Enumerable.Range(0, Rows).Select(row => (ulong)row / 4).ToArray();
            prompts.Set("prompt", groups.Select(group => 3 + (int)group).ToArray());

            for (int round = 1; round <= Rounds; ++round)
            {
                using (Job job = session.Generate(prompts, $"{{\"max_new_tokens\": 8, \"seed\": {round}}}"))
                {
                    Finish(job);
                    using (Batch rollouts = job.Batch())
                    {
                        Column<int> responses = rollouts.Tokens("response");
                        float[] rewards = new float[Rows];
                        for (int row = 0; row < Rows; ++row) rewards[row] = responses[row].Count(token => token % 2 == 0);
                        rollouts.Set("reward", rewards);
                        rollouts.Set("group", groups);
                        session.Push(rollouts);
                        Console.WriteLine($"alignment {round}: {rewards.Sum()} of {responses.Values.Length} tokens even, " +
                            $"state {Update(session)}");
                    }
                }
            }
        }
    }

    // Walkers on a line of places: at its right end there is a reward, at its left end nothing, and both end the episode.
    static void Control(Runtime runtime)
    {
        const string model = @"{""config"": {""model_type"": ""control"", ""hidden"": [16],
            ""observations"": [{""type"": ""vector"", ""name"": ""place"", ""size"": 1}],
            ""actions"": [{""type"": ""discrete"", ""name"": ""way"", ""choices"": 2}]}}";
        const string ppo = @"{""algorithm"": {""type"": ""control_ppo"", ""rollout_steps"": 240, ""minibatches"": 4},
            ""optimizer"": {""learning_rate"": 0.01}}";
        uint[] slots = { 0, 1, 2, 3 };
        int[] places = { 4, 4, 4, 4 }, ages = new int[Walkers], ways = new int[Walkers];
        float[] observations = new float[Walkers], rewards = new float[Walkers];
        Episode[] status = new Episode[Walkers];
        using (Session session = SessionOf(runtime, model, ppo))
        using (Actor actor = new Actor(session))
        {
            for (int round = 1; round <= Rounds; ++round)
            {
                int goals = 0;
                for (int step = 0; step < Steps; ++step)
                {
                    for (int i = 0; i < Walkers; ++i) observations[i] = (float)places[i] / Places;
                    actor.Act(slots, observations, ways);
                    float[] last = new float[Walkers];
                    int cut = 0;
                    for (int i = 0; i < Walkers; ++i)
                    {
                        places[i] += ways[i] == 1 ? 1 : -1;
                        bool there = places[i] == Places, ended = there || places[i] == 0;
                        if (there) ++goals;
                        rewards[i] = there ? 1 : 0;
                        status[i] = ended ? Episode.Terminated : ++ages[i] == Longest ? Episode.Truncated : Episode.Running;
                        if (status[i] == Episode.Truncated) last[cut++] = (float)places[i] / Places;
                        if (status[i] == Episode.Running) continue;
                        places[i] = 4;
                        ages[i] = 0;
                    }
                    Array.Resize(ref last, cut);
                    actor.Observe(slots, rewards, status, last);
                }
                Console.WriteLine($"control {round}: {goals} goals, state {Update(session)}");
            }
        }
    }
}
