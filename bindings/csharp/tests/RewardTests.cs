// The reward function: a callback whose exceptions stay C#'s, and which no native code calls when its session is gone.
using System;
using System.Linq;
using System.Reflection;
using System.Threading;
using System.Runtime.CompilerServices;
using Keel;

static class RewardTests
{
    static Session Pushed()
    {
        Session session = World.Session(World.Llama, World.Grpo);
        using (Batch rollouts = World.Rollouts(session)) session.Push(rollouts);
        return session;
    }

    static void Even(Batch rollouts, float[] rewards)
    {
        Column<int> responses = rollouts.Tokens("response");
        for (int row = 0; row < rewards.Length; ++row) rewards[row] = responses[row].Count(token => token % 2 == 0) + row;
    }

    [Test]
    static void IsCalledOnTheThreadThatDrives()
    {
        Batch kept = null;
        int thread = 0;
        using (Session session = Pushed())
        {
            session.SetReward((rollouts, rewards) =>
            {
                kept = rollouts;
                thread = Thread.CurrentThread.ManagedThreadId;
                Even(rollouts, rewards);
            });
            using (Job job = session.Update())
            {
                Expect.Fails(Status.State, job.Start);
                Expect.Equal(JobState.Done, job.Run().State);
            }
            Expect.Equal(Thread.CurrentThread.ManagedThreadId, thread);
            Expect.Throws<ObjectDisposedException>(() => kept.Rows.ToString());
            session.SetReward(null);
        }
    }

    [Test]
    static void WhatItThrowsIsTheInnerException()
    {
        InvalidOperationException mine = new InvalidOperationException("no taste");
        using (Session session = Pushed())
        {
            session.SetReward((rollouts, rewards) => { throw mine; });
            KeelException thrown = Expect.Fails(Status.Callback, () => session.Step());
            Expect.True(ReferenceEquals(mine, thrown.InnerException), "the exception that was thrown");
            session.SetReward((rollouts, rewards) => rewards[rewards.Length] = 0);
            Expect.True(Expect.Fails(Status.Callback, () => session.Step()).InnerException is IndexOutOfRangeException, "an index");
            session.SetReward(Even);
            Expect.Equal(JobState.Done, session.Step().State);
        }
    }

    [Test]
    static void ARowThatIsForgottenIsFound()
    {
        using (Session session = Pushed())
        {
            session.SetReward((rollouts, rewards) => rewards[0] = 1);
            Expect.Fails(Status.NonFinite, () => session.Step());
        }
    }

    // A thread that waits to read may come to it only when the function has returned, and keel frees what it would read.
    [Test]
    static void RolloutsEndForThreadsThatWait()
    {
        const BindingFlags inside = BindingFlags.Instance | BindingFlags.NonPublic;
        Exception told = null;
        using (Session session = Pushed())
        {
            session.SetReward((rollouts, rewards) =>
            {
                Thread reader = new Thread(() =>
                {
                    try
                    {
                        rollouts.Tokens("response");
                    }
                    catch (Exception thrown)
                    {
                        told = thrown;
                    }
                });
                lock (typeof(Batch).GetField("views", inside).GetValue(rollouts))
                {
                    reader.Start();
                    while ((reader.ThreadState & ThreadState.WaitSleepJoin) == 0) Thread.Yield();
                    typeof(Batch).GetMethod("Return", inside).Invoke(rollouts, null);
                }
                reader.Join();
                for (int row = 0; row < rewards.Length; ++row) rewards[row] = row;
            });
            Expect.Equal(JobState.Done, session.Step().State);
        }
        Expect.True(told is ObjectDisposedException, $"an end, found {told}");
    }

    [Test]
    static void MayReplaceItselfAndEndItsSession()
    {
        using (Session session = Pushed())
        {
            session.SetReward((rollouts, rewards) =>
            {
                session.SetReward(null);
                GC.Collect();
                Even(rollouts, rewards);
            });
            Expect.Equal(JobState.Done, session.Step().State);
        }
        Session ended = Pushed();
        ended.SetReward((rollouts, rewards) =>
        {
            ended.Dispose();
            Even(rollouts, rewards);
        });
        ended.Step();
        Expect.Throws<ObjectDisposedException>(() => ended.Step());
    }

    [Test]
    static void SurvivesAThreadThatIsAborted()
    {
        using (Session session = Pushed())
        {
            KeelException thrown = null;
            session.SetReward((rollouts, rewards) => Thread.CurrentThread.Abort());
            Thread thread = new Thread(() =>
            {
                try
                {
                    session.Step();
                }
                catch (KeelException exception)
                {
                    thrown = exception;
                }
            });
            thread.Start();
            thread.Join();
            Expect.Equal(Status.Callback, thrown.Status);
            session.SetReward(Even);
            Expect.Equal(JobState.Done, session.Step().State);
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    static void Forget()
    {
        Session session = Pushed();
        session.SetReward((rollouts, rewards) => GC.KeepAlive(session));
        session.Update();
    }

    [Test]
    static void DoesNotKeepItsSession()
    {
        ulong before = Library.LiveHandles;
        Thread thread = new Thread(() =>
        {
            for (int i = 0; i < 5; ++i) Forget();
        });
        thread.Start();
        thread.Join();
        LifetimeTests.Settle(() => Library.LiveHandles <= before);
    }
}
