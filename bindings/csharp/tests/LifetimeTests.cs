// Handles under garbage collection, and messages under threads.
using System;
using System.Collections.Concurrent;
using System.Linq;
using System.Reflection;
using System.Threading;
using System.Threading.Tasks;
using Keel;

static class LifetimeTests
{
    // Collects until it holds: what conservative stacks keep, or another thread finishes, goes in the end.
    internal static void Settle(Func<bool> held)
    {
        for (int round = 0; round < 200; ++round)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            if (held()) return;
            Thread.Sleep(10);
        }
        throw new Exception($"something stayed; {Library.LiveHandles} handles are alive");
    }

    static void OnThreads(int count, Action<int> work)
    {
        Exception failed = null;
        Thread[] threads = Enumerable.Range(0, count).Select(index => new Thread(() =>
        {
            try
            {
                work(index);
            }
            catch (Exception thrown)
            {
                failed = thrown;
            }
        })).ToArray();
        foreach (Thread thread in threads) thread.Start();
        foreach (Thread thread in threads) thread.Join();
        if (failed != null) throw new Exception("a thread failed", failed);
    }

    [Test]
    static void ForgottenHandlesEnd()
    {
        GC.KeepAlive(World.Runtime);
        ulong before = Library.LiveHandles;
        OnThreads(4, index =>
        {
            for (int i = 1; i <= 5000; ++i)
            {
                new Batch(World.Runtime, BatchKind.Prompts, i);
                try
                {
                    new Batch(World.Runtime, (BatchKind)99, i);
                }
                catch (KeelException)
                {
                }
                if (i % 1000 == 0) new Session(World.Runtime, World.Sft);
                if (i % 500 == 0) GC.Collect(0);
            }
        });
        Settle(() => Library.LiveHandles <= before);
    }

    [Test]
    static void CallsUnderForcedCollectionsAreSound()
    {
        bool done = false;
        Thread collector = new Thread(() =>
        {
            while (!Volatile.Read(ref done))
            {
                GC.Collect();
                Thread.Yield();
            }
        });
        collector.Start();
        try
        {
            OnThreads(3, index =>
            {
                for (int i = 1; i <= 300; ++i)
                {
                    // each object is garbage as soon as its last call has begun
                    Expect.Equal((long)i, new Batch(World.Runtime, BatchKind.Prompts, i).Rows);
                    Expect.Contains("sft", new Session(World.Runtime, World.Sft).Config());
                    Batch batch = new Batch(World.Runtime, BatchKind.Prompts, 2);
                    batch.Set("prompt", new[] { "a🦊", index.ToString() });
                    Expect.Same(new[] { "a🦊", index.ToString() }, batch.Texts("prompt"));
                    if (i % 10 == 0) World.Learner(2).Step();
                }
            });
        }
        finally
        {
            Volatile.Write(ref done, true);
            collector.Join();
        }
    }

    [Test]
    static void EachTaskReadsItsOwnMessage()
    {
        int failed = 0;
        using (Batch batch = new Batch(World.Runtime, BatchKind.Rollouts, 2))
        {
            Task[] tasks = Enumerable.Range(0, 100000).Select(index => Task.Run(async () =>
            {
                if (index % 7 == 0) await Task.Yield();
                if (index % 3 == 0)
                {
                    Expect.Equal(2L, batch.Rows);
                    return;
                }
                string name = string.Concat(Enumerable.Repeat(index + "_", 1 + index % 120));
                KeelException thrown = Expect.Throws<KeelException>(() => Library.ConfigSchema(name));
                Expect.Contains(name, thrown.Message);
                Interlocked.Increment(ref failed);
            })).ToArray();
            Task.WaitAll(tasks);
        }
        Expect.Equal(66666, failed);
    }

    // A thread's error block is its own, and is freed by its finaliser when the thread has ended.
    [Test]
    static void ThreadsThatEndLeaveNothing()
    {
        FieldInfo block = typeof(Runtime).Assembly.GetType("Keel.Failure").GetField("ofThread", BindingFlags.Static | BindingFlags.NonPublic);
        ConcurrentBag<WeakReference> blocks = new ConcurrentBag<WeakReference>();
        for (int round = 0; round < 20; ++round)
        {
            OnThreads(20, index =>
            {
                Expect.Throws<KeelException>(() => Library.ConfigSchema("of thread " + index));
                blocks.Add(new WeakReference(block.GetValue(null), true));
            });
        }
        Expect.Equal(400, blocks.Count);
        // where stacks are scanned conservatively, a few seem to be in use
        Settle(() => blocks.Count(one => one.IsAlive) < 20);
    }

    [Test]
    static void OneActorIsSharedByNoTwoThreads()
    {
        using (Session session = World.Session(World.Walker, World.Ppo))
        using (Actor actor = new Actor(session, @"{""recorded"": false}"))
        {
            uint[] slots = Enumerable.Range(0, 64).Select(slot => (uint)slot).ToArray();
            OnThreads(4, index =>
            {
                for (int i = 0; i < 2000; ++i)
                {
                    try
                    {
                        actor.Act(slots, new float[64], new int[64], ActFlags.Unrecorded);
                    }
                    catch (KeelException thrown)
                    {
                        Expect.Equal(Status.Concurrent, thrown.Status);
                    }
                }
            });
        }
    }
}
