// Cubes on lines learn to walk to the right, in the running game. Put it on an empty object and press Play. Saving a script
// while it plays reloads the scripts: what was learned is kept.
using Keel;
using UnityEngine;

public sealed class Walkers : MonoBehaviour
{
    const int Count = 16, Places = 8, Longest = 16;
    const long BudgetMicroseconds = 2000;

    const string Policy = @"{""config"": {""model_type"": ""control"", ""hidden"": [16],
        ""observations"": [{""type"": ""vector"", ""name"": ""place"", ""size"": 1}],
        ""actions"": [{""type"": ""discrete"", ""name"": ""way"", ""choices"": 2}]}}";
    const string Ppo = @"{""algorithm"": {""type"": ""control_ppo"", ""rollout_steps"": 256, ""minibatches"": 4},
        ""optimizer"": {""learning_rate"": 0.01}}";

    // Unity keeps what is serialized when it reloads scripts; everything of keel's is made anew.
    [SerializeField, HideInInspector] byte[] learned = new byte[0];

    readonly uint[] slots = new uint[Count];
    readonly int[] places = new int[Count], ages = new int[Count], ways = new int[Count];
    readonly float[] observations = new float[Count], rewards = new float[Count];
    readonly float[][] last = new float[Count + 1][];
    readonly Episode[] status = new Episode[Count];
    Transform[] cubes;
    Runtime runtime;
    Session session;
    Actor actor;
    Job update;

    void OnEnable()
    {
        runtime = new Runtime();
        session = new Session(runtime, Ppo);
        using (Model policy = new Model(runtime, Policy)) session.SetModel(Role.Policy, policy);
        if (learned.Length > 0) session.Import(learned);
        actor = new Actor(session);
        cubes = new Transform[Count];
        for (int i = 0; i < Count; ++i)
        {
            slots[i] = (uint)i;
            places[i] = Places / 2;
            last[i] = new float[i];
            cubes[i] = GameObject.CreatePrimitive(PrimitiveType.Cube).transform;
        }
        last[Count] = new float[Count];
    }

    void FixedUpdate()
    {
        for (int i = 0; i < Count; ++i) observations[i] = (float)places[i] / Places;
        actor.Act(slots, observations, ways);
        int cut = 0;
        for (int i = 0; i < Count; ++i) Walk(i, ref cut);
        for (int i = 0, at = 0; i < Count; ++i)
        {
            if (status[i] == Episode.Truncated) last[cut][at++] = (float)places[i] / Places;
            if (status[i] != Episode.Running) (places[i], ages[i]) = (Places / 2, 0);
            cubes[i].position = new Vector3(places[i], 0, 2 * i);
        }
        actor.Observe(slots, rewards, status, last[cut]);
        Learn();
    }

    void Walk(int i, ref int cut)
    {
        places[i] += ways[i] == 1 ? 1 : -1;
        bool there = places[i] == Places, ended = there || places[i] == 0;
        rewards[i] = there ? 1 : 0;
        status[i] = ended ? Episode.Terminated : ++ages[i] == Longest ? Episode.Truncated : Episode.Running;
        if (status[i] == Episode.Truncated) ++cut;
    }

    // Two milliseconds of this frame, whenever there is something to learn from.
    void Learn()
    {
        if (update == null) update = session.Update();
        if (update == null || update.Pump(BudgetMicroseconds).State == JobState.Pending) return;
        update.Dispose();
        update = null;
        Debug.Log(session.Metrics());
    }

    // Also called before Unity reloads scripts. A session is exported as of its last optimiser step.
    void OnDisable()
    {
        if (update != null) update.Dispose();
        update = null;
        actor.Dispose();
        using (Blob blob = session.Export()) learned = blob.Bytes();
        session.Dispose();
        runtime.Dispose();
        foreach (Transform cube in cubes) Destroy(cube.gameObject);
    }
}
