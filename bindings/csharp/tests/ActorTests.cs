// Actors: records in, actions out, nothing allocated.
using System;
using System.Linq;
using System.Reflection;
using Keel;

static unsafe class ActorTests
{
    static readonly uint[] Slots = { 0, 1, 2, 3 };

    [Test]
    static void ActsObservesAndLearns()
    {
        using (Session session = World.Session(World.Walker, World.Ppo))
        using (Actor actor = new Actor(session))
        {
            Expect.Contains("place", session.Layout());
            Expect.Equal<Job>(null, session.Update());
            World.Walk(actor, 16);
            using (Job job = session.Update()) Expect.Equal(JobState.Done, job.Run().State);
        }
    }

    [Test]
    static void ContinuousActionsAreFloats()
    {
        using (Session session = World.Session(World.Swimmer, World.Ppo))
        using (Actor actor = new Actor(session, @"{""recorded"": false}"))
        {
            float[] actions = new float[8];
            actor.Act(Slots, new float[8], actions);
            Expect.True(actions.Any(value => value != 0), "a force");
            Episode[] status = { Episode.Truncated, Episode.Running, Episode.Running, Episode.Truncated };
            actor.Observe(Slots, new float[4], status, new float[4]);
        }
    }

    [Test]
    static void BytesAndPointersAreTheSameRecords()
    {
        using (Session session = World.Session(World.Walker, World.Ppo))
        using (Actor actor = new Actor(session, @"{""recorded"": false}"))
        {
            float[] places = { 0.1f, 0.2f, 0.3f, 0.4f };
            int[] ways = new int[4], same = new int[4];
            byte[] bytes = new byte[16], acted = new byte[16];
            Buffer.BlockCopy(places, 0, bytes, 0, 16);
            const ActFlags still = ActFlags.Greedy | ActFlags.Unrecorded;
            ulong* decisions = stackalloc ulong[4];
            actor.Act(Slots, places, ways, still);
            actor.Act(Slots, bytes, acted, still);
            fixed (uint* s = Slots)
            fixed (float* o = places)
            fixed (int* a = same)
                actor.Act(s, 4, o, 16, a, 16, still, decisions);
            Expect.Same(ways, Enumerable.Range(0, 4).Select(i => BitConverter.ToInt32(acted, 4 * i)));
            Expect.Same(ways, same);
            Expect.True(decisions[3] > decisions[0], "numbers of decisions");
        }
    }

    [Test]
    static void RefusesWrongUseWithAnException()
    {
        using (Session session = World.Session(World.Walker, World.Ppo))
        using (Actor actor = new Actor(session), other = new Actor(session))
        {
            int[] ways = new int[4];
            Expect.Throws<ArgumentNullException>(() => actor.Act(null, new float[4], ways));
            Expect.Throws<ArgumentNullException>(() => actor.Act(Slots, null, ways));
            Expect.Throws<ArgumentNullException>(() => actor.Act(Slots, new float[4], (int[])null));
            KeelException thrown = Expect.Fails(Status.Shape, () => actor.Act(Slots, new float[5], ways));
            Expect.Contains("20", thrown.Message);
            Expect.Fails(Status.Shape, () => actor.Act(Slots, new float[4], new int[3]));
            Expect.Fails(Status.Shape, () => actor.Act(Slots, new float[0], ways));
            Expect.Fails(Status.NonFinite, () => actor.Act(Slots, new[] { 0, 0, 0, float.NaN }, ways));
            Expect.Throws<KeelException>(() => actor.Act(new uint[] { 1, 1, 2, 3 }, new float[4], ways));
            Expect.Throws<KeelException>(() => actor.Act(Slots, new float[4], ways, (ActFlags)1024));
            actor.Act(Slots, new float[4], ways);
            Expect.Fails(Status.InUse, () => other.Act(Slots, new float[4], ways));
            Expect.Fails(Status.State, () => actor.Act(Slots, new float[4], ways));
            Expect.Throws<ArgumentException>(() => actor.Observe(Slots, new float[4], new Episode[3]));
            Expect.Throws<ArgumentNullException>(() => actor.Observe(Slots, null, new Episode[4]));
            Expect.Throws<ArgumentNullException>(() => actor.Observe(Slots, new float[4], new Episode[4], (byte[])null));
            Expect.Fails(Status.Shape, () => actor.Observe(Slots, new float[3], new Episode[4]));
            Expect.Fails(Status.Shape, () => actor.Observe(Slots, new float[4], Enumerable.Repeat(Episode.Truncated, 4).ToArray()));
            Expect.Throws<KeelException>(() => actor.Observe(Slots, new float[4], Enumerable.Repeat((Episode)9, 4).ToArray()));
            actor.Observe(Slots, new float[4], new Episode[4]);
            actor.Dispose();
            Expect.Throws<ObjectDisposedException>(() => actor.Act(Slots, new float[4], ways));
        }
        using (Session language = World.Session(World.Llama, World.Sft)) Expect.Fails(Status.State, () => new Actor(language));
    }

    [Test]
    static void TheCallsOfAFrameAllocateNothing()
    {
        using (Session session = World.Session(World.Walker, World.Ppo))
        using (Actor actor = new Actor(session, @"{""recorded"": false}"))
        using (Session learner = World.Learner())
        using (Job job = learner.Update())
        using (Batch batch = new Batch(World.Runtime, BatchKind.Prompts, 7))
        {
            float[] places = new float[4], rewards = new float[4];
            int[] ways = new int[4];
            Episode[] status = new Episode[4];
            Action frame = () =>
            {
                actor.Act(Slots, places, ways);
                actor.Observe(Slots, rewards, status);
                job.Poll();
                if (batch.Rows != 7) throw new Exception("rows");
            };
            frame();
            Expect.Equal(0L, Allocation.Of(frame, 200000));
            Expect.True(Allocation.Of(() => frame.Clone(), 200000) > 0, "a measure that finds what is allocated");
        }
    }
}

// Bytes that calls allocate: exactly where the runtime tells, else the collections that so many calls would need.
static class Allocation
{
    static readonly MethodInfo Told = typeof(GC).GetMethod("GetAllocatedBytesForCurrentThread", Type.EmptyTypes);

    internal static long Of(Action action, int times)
    {
        Func<long> now = () => GC.CollectionCount(0);
        if (Told != null && Type.GetType("Mono.Runtime") == null) now = (Func<long>)Told.CreateDelegate(typeof(Func<long>));
        now();
        GC.Collect();
        long before = now();
        for (int i = 0; i < times; ++i) action();
        return now() - before;
    }
}
