// Batches: what is set is read, and wrong use is an exception.
using System;
using System.Diagnostics;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using Keel;

static unsafe class BatchTests
{
    [Test]
    static void GivesBackWhatWasSet()
    {
        using (Batch batch = new Batch(World.Runtime, BatchKind.Rollouts, 2))
        {
            Expect.Equal(2L, batch.Rows);
            batch.Set("response", new[] { new[] { 1, 2, 3 }, new[] { 4 } });
            Column<int> responses = batch.Tokens("response");
            Expect.Same(new[] { 1, 2, 3, 4 }, responses.Values);
            Expect.Same(new[] { 1, 2, 3 }, responses[0]);
            Expect.Same(new[] { 4 }, responses[1]);
            Expect.Equal(2, responses.Rows);
            batch.Set("reward", new[] { 0.5f, -1 });
            Expect.Same(new[] { -1f }, batch.Numbers("reward")[1]);
            batch.Set("group", new ulong[] { 7, ulong.MaxValue });
            Expect.Same(new ulong[] { 7, ulong.MaxValue }, batch.Get<ulong>("group").Values);
            batch.Set("rollout_log_probs", new[] { new[] { -1f, -2, -3 }, new[] { -4f } });
            Expect.Same(new[] { -4f }, batch.Numbers("rollout_log_probs")[1]);
        }
    }

    [Test]
    static void KeepsTextOfAllKinds()
    {
        string[] texts = { "", "plain", "größer 🦊 ﷽", "a\0b" };
        using (Batch batch = new Batch(World.Runtime, BatchKind.Prompts, texts.Length))
        {
            batch.Set("prompt", texts);
            Expect.Same(texts, batch.Texts("prompt"));
            Expect.Throws<ArgumentException>(() => batch.Set("prompt", new[] { "\ud83e", "", "", "" }));
            Expect.Same(texts, batch.Texts("prompt"));
        }
    }

    [Test]
    static void RefusesWrongUseWithAnException()
    {
        Batch batch = new Batch(World.Runtime, BatchKind.Rollouts, 2);
        Expect.Throws<ArgumentNullException>(() => batch.Set("reward", (float[])null));
        Expect.Throws<ArgumentNullException>(() => batch.Set(null, new[] { 1f, 2 }));
        Expect.Throws<ArgumentNullException>(() => batch.Set("response", new[] { null, new[] { 1 } }));
        Expect.Throws<ArgumentNullException>(() => batch.Set("prompt", new string[] { null, "" }));
        Expect.Throws<ArgumentException>(() => batch.Set("response", new[] { 1, 2 }, new ulong[] { 0, 2 }));
        Expect.Throws<ArgumentException>(() => batch.Get<double>("reward"));
        Expect.Throws<ArgumentOutOfRangeException>(() => new Batch(World.Runtime, BatchKind.Prompts, -1));
        Expect.Throws<ArgumentNullException>(() => new Batch(null, BatchKind.Prompts, 1));
        Expect.Fails(Status.InvalidArgument, () => new Batch(World.Runtime, (BatchKind)99, 1));
        Expect.Contains("reward", Expect.Throws<KeelException>(() => batch.Set("reward", new[] { 1f, 2, 3 })).Message);
        Expect.Fails(Status.Shape, () => batch.Set("response", new[] { 1, 2 }, new ulong[] { 0, 9, 2 }));
        Expect.Fails(Status.Data, () => batch.Numbers("reward"));
        Expect.Fails(Status.InvalidArgument, () => batch.Set("nothing", new[] { 1f, 2 }));
        Expect.Fails(Status.NonFinite, () => batch.Set("reward", new[] { float.NaN, 1 }));
        batch.Dispose();
        batch.Dispose();
        Expect.Throws<ObjectDisposedException>(() => batch.Rows.ToString());
        Expect.Throws<ObjectDisposedException>(() => batch.Numbers("reward"));
        Expect.Throws<ObjectDisposedException>(() => batch.Set("reward", new[] { 1f, 2 }));
        using (Session session = World.Session(World.Llama, World.Sft))
            Expect.Throws<ObjectDisposedException>(() => session.Push(batch));
    }

    [Test]
    static void TakesMemoryOfTheHosts()
    {
        float* rewards = stackalloc float[3];
        for (int i = 0; i < 3; ++i) rewards[i] = i;
        using (Batch batch = new Batch(World.Runtime, BatchKind.Rollouts, 3))
        {
            batch.Set("reward", ColumnType.F32, rewards, 3);
            Expect.Same(new[] { 0f, 1, 2 }, batch.Numbers("reward").Values);
        }
    }

    // What is read is a view into keel's memory: whoever sets or disposes meanwhile must wait or fail, not free it. So much
    // memory goes back to the system at once, and whoever reads it then is killed.
    static readonly float[] Much = new float[9000000];

    static Batch Large()
    {
        Batch batch = new Batch(World.Runtime, BatchKind.Rollouts, 1);
        batch.Set("rollout_log_probs", Much, new ulong[] { 0, (ulong)Much.Length });
        return batch;
    }

    [Test]
    static void ReadersAndSettersMayMeet()
    {
        using (Batch batch = Large())
        {
            Task reader = Task.Run(() =>
            {
                for (int i = 0; i < 8; ++i) Expect.Equal(Much.Length, batch.Numbers("rollout_log_probs").Values.Length);
            });
            while (!reader.IsCompleted) batch.Set("rollout_log_probs", Much, new ulong[] { 0, (ulong)Much.Length });
            reader.Wait();
        }
    }

    [Test]
    static void ReadersAndDisposersMayMeet()
    {
        const int rounds = 24;
        Stopwatch watch = Stopwatch.StartNew();
        using (Batch batch = Large()) batch.Numbers("rollout_log_probs");
        double once = watch.Elapsed.TotalMilliseconds / 2;
        for (int round = 0; round < rounds; ++round)
        {
            Batch batch = Large();
            Task reader = Task.Run(() =>
            {
                try
                {
                    for (int i = 0; i < 2; ++i) Expect.Equal(Much.Length, batch.Numbers("rollout_log_probs").Values.Length);
                }
                catch (ObjectDisposedException)
                {
                }
            });
            Thread.Sleep((int)(once * round / rounds));
            batch.Dispose();
            reader.Wait();
        }
    }
}
