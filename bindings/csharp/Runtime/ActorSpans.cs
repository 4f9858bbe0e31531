// The calls of an actor on spans of plain structs, where the platform has spans.
#if NETSTANDARD2_1 || NETSTANDARD2_1_OR_GREATER || NETCOREAPP
using System;

namespace Keel
{
    public sealed unsafe partial class Actor
    {
        /// <summary>Chooses an action for each slot, from the policy that was published last.</summary>
        /// <typeparam name="TObservation">What lies where is told by <see cref="Session.Layout"/>.</typeparam>
        /// <typeparam name="TAction">What lies where is told by <see cref="Session.Layout"/>.</typeparam>
        /// <param name="slots">Which, distinct.</param>
        /// <param name="observations">A record for each slot.</param>
        /// <param name="actions">Written, or read with <see cref="ActFlags.Given"/>: a record for each slot.</param>
        /// <param name="flags">How.</param>
        public void Act<TObservation, TAction>(ReadOnlySpan<uint> slots, ReadOnlySpan<TObservation> observations,
            Span<TAction> actions, ActFlags flags = ActFlags.None) where TObservation : unmanaged where TAction : unmanaged
        {
            fixed (uint* s = slots)
            fixed (TObservation* o = observations)
            fixed (TAction* a = actions)
            {
                Act(s, slots.Length, o, (long)observations.Length * sizeof(TObservation), a, (long)actions.Length * sizeof(TAction),
                    flags);
            }
        }

        /// <summary>Tells what some slots saw since they acted. What several calls between two acts tell adds up.</summary>
        /// <typeparam name="TObservation">What lies where is told by <see cref="Session.Layout"/>.</typeparam>
        /// <param name="slots">Which, distinct.</param>
        /// <param name="rewards">One for each slot.</param>
        /// <param name="status">What became of each slot's episode.</param>
        /// <param name="finalObservations">A record for each slot that is truncated, in their order.</param>
        public void Observe<TObservation>(ReadOnlySpan<uint> slots, ReadOnlySpan<float> rewards, ReadOnlySpan<Episode> status,
            ReadOnlySpan<TObservation> finalObservations) where TObservation : unmanaged
        {
            Require(slots.Length, status.Length);
            fixed (uint* s = slots)
            fixed (float* r = rewards)
            fixed (Episode* e = status)
            fixed (TObservation* f = finalObservations)
                Observe(s, slots.Length, r, rewards.Length, e, f, (long)finalObservations.Length * sizeof(TObservation));
        }
    }
}
#endif
