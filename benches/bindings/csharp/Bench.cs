// What the C# binding costs: calls of Keel's classes against the same functions of keel through bare P/Invoke, in turns,
// so that both see the same machine. One line of JSON: for each call the median over the turns of the ratio of their times
// and their median nanoseconds, and what the calls of the classes allocate.
using System;
using System.Diagnostics;
using System.Globalization;
using System.Linq;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Keel;

static unsafe class Bench
{
    const int Turns = 301, Slots = 4;

    const string Walker = @"{""config"": {""model_type"": ""control"", ""hidden"": [16],
        ""observations"": [{""type"": ""vector"", ""name"": ""place"", ""size"": 4}],
        ""actions"": [{""type"": ""discrete"", ""name"": ""way"", ""choices"": 2}]}}";
    const string Ppo = @"{""algorithm"": {""type"": ""control_ppo"", ""rollout_steps"": 240}}";

    static readonly MethodInfo Told = typeof(GC).GetMethod("GetAllocatedBytesForCurrentThread", Type.EmptyTypes);
    static readonly Raw.keel_error* error = (Raw.keel_error*)Marshal.AllocHGlobal(sizeof(Raw.keel_error));
    static readonly bool Mono = Type.GetType("Mono.Runtime") != null;

    static void Main()
    {
        CultureInfo.DefaultThreadCurrentCulture = CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
        error->struct_size = (uint)sizeof(Raw.keel_error);
        using (Runtime runtime = new Runtime())
        using (Session session = new Session(runtime, Ppo))
        using (Model model = new Model(runtime, Walker))
        using (Batch batch = new Batch(runtime, BatchKind.Prompts, 7))
        {
            session.SetModel(Role.Policy, model);
            using (Job job = session.Publish())
            using (Actor actor = new Actor(session, @"{""recorded"": false}"))
            {
                Pair rows = Rows(batch), poll = Poll(job), act = Act(actor);
                double worst = new[] { rows.Ratio, poll.Ratio, act.Ratio }.Max();
                long allocated = rows.Allocated + poll.Allocated + act.Allocated;
                Console.WriteLine($"{{\"csharp_ratio\": {worst:0.000}, \"allocations\": {allocated}, \"runtime\": \"{(Mono ? "mono" : "dotnet")}\", " +
                    $"\"batch_rows\": {rows}, \"job_poll\": {poll}, \"actor_act\": {act}}}");
            }
        }
    }

    static Pair Rows(Batch batch)
    {
        ulong id = batch.Id;
        return new Pair(5000, times =>
        {
            for (int i = 0; i < times; ++i) Seven(RowsOf(batch));
        }, times =>
        {
            for (int i = 0; i < times; ++i) Seven(BareRowsOf(id));
        });
    }

    static void Seven(long rows)
    {
        if (rows != 7) throw new Exception("rows");
    }

    static Pair Poll(Job job)
    {
        ulong id = job.Id;
        return new Pair(5000, times =>
        {
            for (int i = 0; i < times; ++i) Pending(StateOf(job));
        }, times =>
        {
            for (int i = 0; i < times; ++i) Pending((JobState)BareStateOf(id));
        });
    }

    static void Pending(JobState state)
    {
        if (state != JobState.Pending) throw new Exception("state");
    }

    static Pair Act(Actor actor)
    {
        ulong id = actor.Id;
        uint[] slots = Enumerable.Range(0, Slots).Select(slot => (uint)slot).ToArray();
        float[] observations = new float[4 * Slots];
        int[] ways = new int[Slots];
        return new Pair(1000, times =>
        {
            for (int i = 0; i < times; ++i) ActOf(actor, slots, observations, ways);
        }, times =>
        {
            for (int i = 0; i < times; ++i) BareActOf(id, slots, observations, ways);
        });
    }

    // A call in a method of the host's, which is how a frame has it: the bare ones pay for entering native code each time.

    [MethodImpl(MethodImplOptions.NoInlining)]
    static long RowsOf(Batch batch)
    {
        return batch.Rows;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    static long BareRowsOf(ulong batch)
    {
        ulong rows;
        if (Raw.keel_batch_rows(batch, &rows, error) < 0) throw new Exception("rows");
        return (long)rows;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    static JobState StateOf(Job job)
    {
        return job.Poll().State;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    static int BareStateOf(ulong job)
    {
        Raw.keel_report report = new Raw.keel_report { struct_size = (uint)sizeof(Raw.keel_report) };
        if (Raw.keel_job_poll(job, &report, error) < 0) throw new Exception("state");
        return report.state;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    static void ActOf(Actor actor, uint[] slots, float[] observations, int[] ways)
    {
        actor.Act(slots, observations, ways, ActFlags.Unrecorded);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    static void BareActOf(ulong actor, uint[] slots, float[] observations, int[] ways)
    {
        fixed (uint* s = slots)
        fixed (float* o = observations)
        fixed (int* a = ways)
        {
            if (Raw.keel_actor_act(actor, s, (UIntPtr)slots.Length, o, (UIntPtr)(4 * observations.Length), a,
                (UIntPtr)(4 * ways.Length), Raw.KEEL_ACT_UNRECORDED, null, error) < 0) throw new Exception("act");
        }
    }

    // Calls through the classes and bare ones, in turns.
    sealed class Pair
    {
        internal readonly double Ratio, Idiomatic, Bare;
        internal readonly long Allocated;

        internal Pair(int times, Action<int> idiomatic, Action<int> bare)
        {
            double[] first = new double[Turns], second = new double[Turns];
            for (int turn = -20; turn < Turns; ++turn)
            {
                bool swapped = turn % 2 != 0;
                double one = Time(swapped ? bare : idiomatic, times), other = Time(swapped ? idiomatic : bare, times);
                if (turn < 0) continue;
                first[turn] = swapped ? other : one;
                second[turn] = swapped ? one : other;
            }
            Ratio = Median(first.Zip(second, (a, b) => a / b));
            Idiomatic = Median(first) / times;
            Bare = Median(second) / times;
            Allocated = Allocations(() => idiomatic(times));
        }

        public override string ToString()
        {
            return $"{{\"ratio\": {Ratio:0.000}, \"ns\": {Idiomatic:0.0}, \"bare_ns\": {Bare:0.0}}}";
        }
    }

    static double Time(Action<int> action, int times)
    {
        long begin = Stopwatch.GetTimestamp();
        action(times);
        return (Stopwatch.GetTimestamp() - begin) * 1e9 / Stopwatch.Frequency;
    }

    static double Median(System.Collections.Generic.IEnumerable<double> values)
    {
        double[] sorted = values.OrderBy(value => value).ToArray();
        return sorted[sorted.Length / 2];
    }

    // Bytes where the runtime tells them; else the collections in a million calls and more.
    static long Allocations(Action action)
    {
        Func<long> now = () => GC.CollectionCount(0);
        if (Told != null && !Mono) now = (Func<long>)Told.CreateDelegate(typeof(Func<long>));
        now();
        GC.Collect();
        long before = now();
        for (int i = 0; i < 400; ++i) action();
        return now() - before;
    }
}
