// Sessions: rows in, jobs out, states kept.
using System;
using System.IO;
using System.Linq;
using Keel;

static class SessionTests
{
    [Test]
    static void AFullQueueIsAnException()
    {
        using (Session session = World.Session(World.Llama, @"{""algorithm"": {""type"": ""grpo""}, ""queue_capacity"": 6}"))
        using (Batch rollouts = World.Rollouts(session))
            Expect.Contains("6", Expect.Fails(Status.Full, () => session.Push(rollouts)).Message);
        using (Session session = World.Session(World.Walker, World.Ppo.Replace("{\"algorithm", "{\"queue_capacity\": 32, \"algorithm")))
        using (Actor actor = new Actor(session)) Expect.Fails(Status.Full, () => World.Walk(actor, 32));
    }

    [Test]
    static void AsksForDataWithoutAnException()
    {
        using (Session session = World.Session(World.Llama, World.Sft))
        {
            Expect.Equal<Job>(null, session.Update());
            Expect.Equal<Job>(null, session.Evaluate());
            Expect.Equal(JobState.NeedData, session.Step().State);
        }
    }

    [Test]
    static void LearnsEvaluatesAndTellsIt()
    {
        using (Session session = World.Learner())
        using (Batch rows = World.Demonstrations(4))
        {
            rows.Set("split", Enumerable.Repeat((int)Split.Evaluation, 4).ToArray());
            Expect.True(session.Push(rows) > 0, "an id");
            Expect.Equal(JobState.Done, session.Step().State);
            using (Job job = session.Evaluate()) Expect.Equal(JobState.Done, job.Run().State);
            Expect.Contains("loss", session.Metrics());
            Expect.Contains("learning_rate", session.Config());
            using (Model model = session.Model(Role.Policy)) Expect.Contains("llama", model.Info());
            Expect.Fails(Status.State, () => session.Model(Role.Value));
            Expect.Throws<ArgumentNullException>(() => session.SetModel(Role.Policy, null));
            session.Clear();
            Expect.Equal(JobState.NeedData, session.Step().State);
        }
    }

    [Test]
    static void StatesAreKeptInMemoryAndInFiles()
    {
        string folder = World.Folder(), file = Path.Combine(folder, "état.keel");
        try
        {
            using (Session session = World.Learner())
            {
                session.Step();
                ulong before = session.StateHash();
                byte[] bytes;
                using (Blob blob = session.Export())
                using (MemoryStream stream = new MemoryStream())
                {
                    bytes = blob.Bytes();
                    blob.CopyTo(stream);
                    Expect.Same(bytes, stream.ToArray());
                    Expect.Throws<ArgumentNullException>(() => blob.CopyTo(null));
                    blob.Dispose();
                    Expect.Throws<ObjectDisposedException>(() => blob.Bytes());
                }
                using (Job save = session.Save(file)) save.Run();
                session.Step();
                ulong after = session.StateHash();
                session.Import(bytes);
                Expect.Equal(before, session.StateHash());
                session.Step();
                Expect.Equal(after, session.StateHash());
                using (Job restore = session.Restore(file)) restore.Run();
                Expect.Equal(before, session.StateHash());
                Expect.Fails(Status.Format, () => session.Import(new byte[100]));
                Expect.Throws<ArgumentNullException>(() => session.Save(null));
                using (Session opened = Session.Open(World.Runtime, file)) Expect.Equal(before, opened.StateHash());
            }
        }
        finally
        {
            Directory.Delete(folder, true);
        }
        Expect.Fails(Status.File, () => Session.Open(World.Runtime, file));
    }

    // A stream that ends the blob that is being written to it.
    sealed class Ending : MemoryStream
    {
        internal Blob Blob;

        public override void Write(byte[] buffer, int offset, int count)
        {
            Blob.Dispose();
            base.Write(buffer, offset, count);
        }
    }

    [Test]
    static void ABlobOutlivesItsReader()
    {
        const string large = @"{""config"": {""model_type"": ""llama"", ""vocab_size"": 20000, ""hidden_size"": 256,
            ""intermediate_size"": 32, ""num_hidden_layers"": 1, ""num_attention_heads"": 2, ""max_position_embeddings"": 64}}";
        using (Session session = World.Session(large, World.Sft))
        {
            byte[] expected;
            using (Blob blob = session.Export()) expected = blob.Bytes();
            Expect.True(expected.Length > 33000000, "more than an allocator keeps");
            Ending stream = new Ending { Blob = session.Export() };
            stream.Blob.CopyTo(stream);
            byte[] written = stream.ToArray();
            Expect.Equal(expected.Length, written.Length);
            for (int i = 0; i < written.Length; ++i)
                if (written[i] != expected[i]) throw new Exception($"byte {i} differs");
            Expect.Throws<ObjectDisposedException>(() => stream.Blob.Bytes());
        }
    }

    [Test]
    static void SettingsAndVersionsChangeWhileItLives()
    {
        using (Session session = World.Session(World.Llama, @"{""algorithm"": {""type"": ""sft"", ""epochs"": 0}, ""kept_versions"": 4, ""threads"": 1}"))
        using (Batch rows = World.Demonstrations(16))
        {
            session.Push(rows);
            session.Step();
            using (Job job = session.Configure(@"{""optimizer"": {""learning_rate"": 0.125}}")) job.Run();
            Expect.Contains("0.125", session.Config());
            Expect.Fails(Status.Config, () => session.Configure(@"{""threads"": 7}"));
            using (Job job = session.Publish()) job.Run();
            Expect.Contains("policy/version", session.Metrics());
            using (Job job = session.RollBack(1)) job.Run();
            Expect.Fails(Status.InvalidArgument, () => session.RollBack(99));
            session.Pause();
            using (Job job = session.Update())
            {
                Expect.Equal(JobState.Pending, job.Run().State);
                session.Resume();
                Expect.Equal(JobState.Done, job.Run().State);
            }
        }
    }

    [Test]
    static void RewardsComeByIdAndByQuery()
    {
        using (Session session = World.Session(World.Llama, World.Grpo))
        using (Batch rollouts = World.Rollouts(session))
        {
            ulong first = session.Push(rollouts);
            Expect.Equal<Job>(null, session.Update());
            using (Batch queries = session.TakeQueries())
            {
                ulong[] ids = queries.Get<ulong>("id").Values;
                Expect.Equal(first, ids[0]);
                Expect.Throws<ArgumentNullException>(() => session.Answer(ids, null));
                Expect.Fails(Status.Shape, () => session.Answer(ids, new float[1]));
                session.Answer(ids, queries.Tokens("response").Values.Take(ids.Length).Select(token => (float)token).ToArray());
            }
            Expect.Equal<Batch>(null, session.TakeQueries());
            session.Reward(new[] { first }, new[] { 2f });
            Expect.Fails(Status.Data, () => session.Reward(new ulong[] { 999999 }, new[] { 2f }));
            Expect.Equal(JobState.Done, session.Step().State);
        }
    }

    [Test]
    static void GeneratesFromABatch()
    {
        using (Session session = World.Session(World.Llama, World.Grpo))
        using (Batch rollouts = World.Rollouts(session))
        {
            Expect.Equal(8L, rollouts.Rows);
            Expect.Equal(8, rollouts.Tokens("response").Rows);
            Expect.Fails(Status.State, () => rollouts.Texts("response"));
            Expect.Fails(Status.Config, () => session.Generate(rollouts, @"{""nonsense"": 1}"));
            Expect.Throws<ArgumentNullException>(() => session.Generate((string[])null));
            Expect.Throws<KeelException>(() => session.Generate(new[] { "text without a tokenizer" }).Run());
        }
    }
}
