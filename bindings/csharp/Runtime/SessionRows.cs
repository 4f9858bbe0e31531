// What goes into a session and what it asks for: rows, rewards, queries, and the reward function.
using System;
using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using System.Threading;

namespace Keel
{
    /// <summary>Scores rollouts: writes a reward for each row. What it throws fails the update, as the inner exception of
    /// the <see cref="KeelException"/>.</summary>
    /// <param name="rollouts">The rollouts; usable until the function returns.</param>
    /// <param name="rewards">One for each row, to be written in place of NaN.</param>
    public delegate void Reward(Batch rollouts, float[] rewards);

    public sealed unsafe partial class Session
    {
        // What keel is given as user_data is a key, never an address: a call that comes too late finds nothing.
        static readonly ConcurrentDictionary<long, WeakReference<Judge>> Judges =
            new ConcurrentDictionary<long, WeakReference<Judge>>();
        static readonly Raw.keel_reward_callback CallJudge = Call;
        static long keys;

        // Whom only the session keeps alive, so that a forgotten session ends.
        readonly Judge judge = new Judge();

        sealed class Judge
        {
            internal readonly long Key = Interlocked.Increment(ref keys);
            internal volatile Reward Reward;
        }

        /// <summary>Adds the rows of a batch: all of them or none.</summary>
        /// <param name="batch">The rows; copied.</param>
        /// <returns>The id of the first row; the others follow one by one.</returns>
        public ulong Push(Batch batch)
        {
            ulong first;
            Raw.keel_error* error = Failure.Here;
            Failure.Check(Raw.keel_session_push(Id, IdOf(batch, nameof(batch)), &first, error), error);
            GC.KeepAlive(batch);
            GC.KeepAlive(this);
            return first;
        }

        /// <summary>Sets the rewards of rows that wait for an update.</summary>
        /// <param name="ids">Which rows.</param>
        /// <param name="rewards">For each id as many as the algorithm has rewards.</param>
        public void Reward(ulong[] ids, float[] rewards)
        {
            Tell(Raw.keel_session_reward, ids, rewards);
        }

        /// <summary>Rollouts that wait for their rewards, each with its id in the column "id".</summary>
        /// <returns>A batch of the caller's own, or null where none are needed.</returns>
        public Batch TakeQueries()
        {
            ulong id;
            Raw.keel_error* error = Failure.Here;
            int status = Failure.Check(Raw.keel_session_take_queries(Id, &id, error), error);
            GC.KeepAlive(this);
            return status == Raw.KEEL_EMPTY ? null : new Batch(id);
        }

        /// <summary>Answers queries: the rewards of the rollouts.</summary>
        /// <param name="ids">From the column "id" of the queries.</param>
        /// <param name="rewards">For each id as many as the algorithm has rewards.</param>
        public void Answer(ulong[] ids, float[] rewards)
        {
            Tell(Raw.keel_session_answer, ids, rewards);
        }

        /// <summary>Drops all rows that no update has taken.</summary>
        public void Clear()
        {
            Call(Raw.keel_session_clear);
        }

        /// <summary>Has a function called for rows that have no reward yet, on the thread that drives an update with
        /// <see cref="Job.Run"/>, <see cref="Job.Pump(long)"/> or <see cref="Step"/>; a job with one cannot be started on
        /// keel's thread. Waits for a call of the function before on another thread.</summary>
        /// <param name="reward">The function, or null for none.</param>
        public void SetReward(Reward reward)
        {
            if (reward != null)
            {
                Judges[judge.Key] = new WeakReference<Judge>(judge);
                judge.Reward = reward;
            }
            IntPtr function = reward != null ? Marshal.GetFunctionPointerForDelegate(CallJudge) : IntPtr.Zero;
            Raw.keel_error* error = Failure.Here;
            Failure.Check(
                Raw.keel_session_set_callback(Id, Raw.KEEL_CALLBACK_REWARD, function, (void*)judge.Key, error), error);
            if (reward == null) judge.Reward = null;
            GC.KeepAlive(this);
        }

        void ForgetReward()
        {
            WeakReference<Judge> forgotten;
            if (!Judges.TryRemove(judge.Key, out forgotten)) return;
            Raw.keel_session_set_callback(Ending, Raw.KEEL_CALLBACK_REWARD, IntPtr.Zero, null, null);
        }

        [MonoPInvokeCallback(typeof(Raw.keel_reward_callback))]
        static int Call(ulong rollouts, float* rewards, UIntPtr count, void* key)
        {
            try
            {
                WeakReference<Judge> known;
                Judge judge = null;
                Reward reward = null;
                if (Judges.TryGetValue((long)key, out known) && known.TryGetTarget(out judge)) reward = judge.Reward;
                if (reward == null) throw new ObjectDisposedException(typeof(Session).FullName);
                float[] written = new float[checked((int)count)];
                Marshal.Copy((IntPtr)rewards, written, 0, written.Length);
                Batch batch = new Batch(rollouts, false);
                try
                {
                    reward(batch, written);
                }
                finally
                {
                    batch.Return();
                }
                Marshal.Copy(written, 0, (IntPtr)rewards, written.Length);
                return 0;
            }
            catch (ThreadAbortException aborted)
            {
                Thread.ResetAbort();
                Failure.Threw(aborted);
            }
            catch (Exception exception)
            {
                Failure.Threw(exception);
            }
            return 1;
        }

        delegate int Teller(ulong id, ulong* ids, UIntPtr idCount, float* rewards, UIntPtr rewardCount, Raw.keel_error* error);

        void Tell(Teller teller, ulong[] ids, float[] rewards)
        {
            if (ids == null) throw new ArgumentNullException(nameof(ids));
            if (rewards == null) throw new ArgumentNullException(nameof(rewards));
            Raw.keel_error* error = Failure.Here;
            fixed (ulong* rows = ids)
            fixed (float* numbers = rewards)
            {
                Failure.Check(
                    teller(Id, rows, (UIntPtr)(uint)ids.Length, numbers, (UIntPtr)(uint)rewards.Length, error), error);
            }
            GC.KeepAlive(this);
        }
    }

    // Unity's compiler ahead of time looks for this name on what native code calls.
    [AttributeUsage(AttributeTargets.Method)]
    internal sealed class MonoPInvokeCallbackAttribute : Attribute
    {
        internal MonoPInvokeCallbackAttribute(Type type)
        {
            Delegate = type;
        }

        internal Type Delegate { get; }
    }
}
