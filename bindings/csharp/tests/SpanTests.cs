// Actors on spans of plain structs; only where the platform has spans.
#if NETSTANDARD2_1 || NETSTANDARD2_1_OR_GREATER || NETCOREAPP
using System;
using System.Linq;
using Keel;

static class SpanTests
{
    struct Observation
    {
        internal float Place;
    }

    struct Action
    {
        internal int Way;
    }

    [Test]
    static void StructsAreRecords()
    {
        using (Session session = World.Session(World.Walker, World.Ppo))
        using (Actor actor = new Actor(session, @"{""recorded"": false}"))
        {
            uint[] slots = { 0, 1 };
            Observation[] observations = { new Observation { Place = 0.1f }, new Observation { Place = 0.9f } };
            Action[] actions = { new Action { Way = 9 }, default };
            int[] ways = new int[2];
            actor.Act(slots, new[] { 0.1f, 0.9f }, ways, ActFlags.Greedy | ActFlags.Unrecorded);
            actor.Act<Observation, Action>(slots, observations, actions, ActFlags.Greedy | ActFlags.Unrecorded);
            Expect.Same(ways, actions.Select(action => action.Way));
            Expect.Fails(Status.Shape, () => actor.Act<Observation, Action>(slots, new Observation[3], actions));
            Expect.Fails(Status.Shape, () => actor.Act<Observation, Action>(slots, default, actions));
            actor.Act<Observation, Action>(slots, observations, actions);
            Expect.Throws<ArgumentException>(() => actor.Observe<Observation>(slots, new float[2], new Episode[1], default));
            actor.Observe<Observation>(slots, new float[2], new[] { Episode.Truncated, Episode.Running }, new Observation[1]);
        }
    }

    [Test]
    static void SpansAllocateNothing()
    {
        using (Session session = World.Session(World.Walker, World.Ppo))
        using (Actor actor = new Actor(session, @"{""recorded"": false}"))
        {
            System.Action act = () =>
            {
                Span<uint> slots = stackalloc uint[] { 0, 1 };
                Span<Observation> observations = stackalloc Observation[2];
                Span<Action> actions = stackalloc Action[2];
                actor.Act<Observation, Action>(slots, observations, actions, ActFlags.Unrecorded);
            };
            act();
            Expect.Equal(0L, Allocation.Of(act, 10000));
        }
    }
}
#endif
