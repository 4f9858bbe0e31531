// Acts for the slots of a session that trains a control policy.
using System;

namespace Keel
{
    /// <summary>Acts for slots and tells what came of it; one for each host thread that acts.</summary>
    /// <remarks>A record is a plain struct for each slot, as <see cref="Session.Layout"/> lays it out; where it has only
    /// floats, or one int an action, an array of those will do. None of the calls here allocates.</remarks>
    public sealed unsafe partial class Actor : Handle
    {
        /// <summary>Makes an actor.</summary>
        /// <param name="session">Of a control policy, which is set.</param>
        /// <param name="json">The configuration; null for the defaults.</param>
        public Actor(Session session, string json = null)
        {
            byte[] text = Text.Json(json);
            ulong id;
            Raw.keel_error* error = Failure.Here;
            fixed (byte* bytes = text)
            {
                Failure.Check(Raw.keel_actor_create(IdOf(session, nameof(session)), bytes, (UIntPtr)(uint)text.Length, &id, error),
                    error);
            }
            GC.KeepAlive(session);
            Become(id);
        }

        /// <summary>Chooses a discrete action for each slot, from the policy that was published last.</summary>
        /// <param name="slots">Which, distinct.</param>
        /// <param name="observations">A record for each slot.</param>
        /// <param name="actions">Written, or read with <see cref="ActFlags.Given"/>: a record for each slot.</param>
        /// <param name="flags">How.</param>
        public void Act(uint[] slots, float[] observations, int[] actions, ActFlags flags = ActFlags.None)
        {
            if (slots == null) throw new ArgumentNullException(nameof(slots));
            if (observations == null) throw new ArgumentNullException(nameof(observations));
            if (actions == null) throw new ArgumentNullException(nameof(actions));
            fixed (uint* s = slots)
            fixed (float* o = observations)
            fixed (int* a = actions)
                Act(s, slots.Length, o, 4L * observations.Length, a, 4L * actions.Length, flags);
        }

        /// <summary>Chooses a continuous action for each slot, from the policy that was published last.</summary>
        /// <param name="slots">Which, distinct.</param>
        /// <param name="observations">A record for each slot.</param>
        /// <param name="actions">Written, or read with <see cref="ActFlags.Given"/>: a record for each slot.</param>
        /// <param name="flags">How.</param>
        public void Act(uint[] slots, float[] observations, float[] actions, ActFlags flags = ActFlags.None)
        {
            if (slots == null) throw new ArgumentNullException(nameof(slots));
            if (observations == null) throw new ArgumentNullException(nameof(observations));
            if (actions == null) throw new ArgumentNullException(nameof(actions));
            fixed (uint* s = slots)
            fixed (float* o = observations)
            fixed (float* a = actions)
                Act(s, slots.Length, o, 4L * observations.Length, a, 4L * actions.Length, flags);
        }

        /// <summary>Chooses an action for each slot, whatever the records are.</summary>
        /// <param name="slots">Which, distinct.</param>
        /// <param name="observations">The bytes of a record for each slot.</param>
        /// <param name="actions">Written, or read with <see cref="ActFlags.Given"/>: the bytes of a record for each slot.</param>
        /// <param name="flags">How.</param>
        public void Act(uint[] slots, byte[] observations, byte[] actions, ActFlags flags = ActFlags.None)
        {
            if (slots == null) throw new ArgumentNullException(nameof(slots));
            if (observations == null) throw new ArgumentNullException(nameof(observations));
            if (actions == null) throw new ArgumentNullException(nameof(actions));
            fixed (uint* s = slots)
            fixed (byte* o = observations)
            fixed (byte* a = actions)
                Act(s, slots.Length, o, observations.Length, a, actions.Length, flags);
        }

        /// <summary>Chooses an action for each slot, with the records in memory of the caller's, such as an array of structs
        /// in a fixed statement.</summary>
        /// <param name="slots">Which, distinct.</param>
        /// <param name="count">How many.</param>
        /// <param name="observations">A record for each slot.</param>
        /// <param name="observationBytes">Bytes of all of them.</param>
        /// <param name="actions">Written, or read with <see cref="ActFlags.Given"/>: a record for each slot.</param>
        /// <param name="actionBytes">Bytes of all of them.</param>
        /// <param name="flags">How.</param>
        /// <param name="decisions">Where the number of each decision goes, or null.</param>
        public void Act(uint* slots, long count, void* observations, long observationBytes, void* actions, long actionBytes,
            ActFlags flags = ActFlags.None, ulong* decisions = null)
        {
            Raw.keel_error* error = Failure.Here;
            Failure.Check(Raw.keel_actor_act(Id, slots, (UIntPtr)(ulong)count, observations, (UIntPtr)(ulong)observationBytes,
                actions, (UIntPtr)(ulong)actionBytes, (uint)flags, decisions, error), error);
            GC.KeepAlive(this);
        }

        /// <summary>Tells what some slots saw since they acted. What several calls between two acts tell adds up.</summary>
        /// <param name="slots">Which, distinct.</param>
        /// <param name="rewards">One for each slot.</param>
        /// <param name="status">What became of each slot's episode.</param>
        /// <param name="finalObservations">A record for each slot that is truncated, in their order; null where none is.</param>
        public void Observe(uint[] slots, float[] rewards, Episode[] status, float[] finalObservations = null)
        {
            Require(slots, rewards, status);
            fixed (uint* s = slots)
            fixed (float* r = rewards)
            fixed (Episode* e = status)
            fixed (float* f = finalObservations)
                Observe(s, slots.Length, r, rewards.Length, e, f, finalObservations != null ? 4L * finalObservations.Length : 0);
        }

        /// <summary>Tells what some slots saw since they acted, whatever the records are.</summary>
        /// <param name="slots">Which, distinct.</param>
        /// <param name="rewards">One for each slot.</param>
        /// <param name="status">What became of each slot's episode.</param>
        /// <param name="finalObservations">The bytes of a record for each slot that is truncated, in their order.</param>
        public void Observe(uint[] slots, float[] rewards, Episode[] status, byte[] finalObservations)
        {
            Require(slots, rewards, status);
            if (finalObservations == null) throw new ArgumentNullException(nameof(finalObservations));
            fixed (uint* s = slots)
            fixed (float* r = rewards)
            fixed (Episode* e = status)
            fixed (byte* f = finalObservations)
                Observe(s, slots.Length, r, rewards.Length, e, f, finalObservations.Length);
        }

        /// <summary>Tells what some slots saw since they acted, with everything in memory of the caller's.</summary>
        /// <param name="slots">Which, distinct.</param>
        /// <param name="count">How many.</param>
        /// <param name="rewards">One for each slot.</param>
        /// <param name="rewardCount">How many.</param>
        /// <param name="status">What became of each slot's episode: count of them.</param>
        /// <param name="finalObservations">A record for each slot that is truncated, in their order.</param>
        /// <param name="finalBytes">Bytes of all of them.</param>
        public void Observe(uint* slots, long count, float* rewards, long rewardCount, Episode* status, void* finalObservations,
            long finalBytes)
        {
            Raw.keel_error* error = Failure.Here;
            Failure.Check(Raw.keel_actor_observe(Id, slots, (UIntPtr)(ulong)count, rewards, (UIntPtr)(ulong)rewardCount,
                (int*)status, finalObservations, (UIntPtr)(ulong)finalBytes, error), error);
            GC.KeepAlive(this);
        }

        /// <summary>Ends the handle. What its slots did stays with the session.</summary>
        /// <returns>True.</returns>
        protected override bool ReleaseHandle()
        {
            Raw.keel_actor_destroy(Ending);
            return true;
        }

        static void Require(uint[] slots, float[] rewards, Episode[] status)
        {
            if (slots == null) throw new ArgumentNullException(nameof(slots));
            if (rewards == null) throw new ArgumentNullException(nameof(rewards));
            if (status == null) throw new ArgumentNullException(nameof(status));
            Require(slots.Length, status.Length);
        }

        // One count stands for both in C.
        static void Require(int slots, int status)
        {
            if (slots != status) throw new ArgumentException($"status: expected {slots}, one for each slot, got {status}");
        }
    }
}
