// One policy being aligned: its models, its rows, the jobs that it makes.
using System;

namespace Keel
{
    /// <summary>One policy being aligned: its method, its rows, its optimiser.</summary>
    /// <remarks>Pushing, rewarding, metrics and cancelling may be done on any thread while a job of it runs.</remarks>
    public sealed unsafe partial class Session : Handle
    {
        readonly Runtime runtime;

        /// <summary>Makes a session; give it its policy with <see cref="SetModel"/>.</summary>
        /// <param name="runtime">Whose.</param>
        /// <param name="json">The configuration "session"; it names the algorithm.</param>
        public Session(Runtime runtime, string json) : this(runtime, json, nameof(json), Raw.keel_session_create)
        {
        }

        Session(Runtime runtime, string given, string name, Maker maker)
        {
            byte[] text = Text.Bytes(given, name);
            ulong id;
            Raw.keel_error* error = Failure.Here;
            fixed (byte* bytes = text)
                Failure.Check(maker(IdOf(runtime, nameof(runtime)), bytes, (UIntPtr)(uint)text.Length, &id, error), error);
            this.runtime = runtime;
            Become(id);
            Unload.Add(this);
        }

        /// <summary>Makes a session from a checkpoint, with its models, its optimiser and its rows.</summary>
        /// <param name="runtime">Whose.</param>
        /// <param name="path">A file of <see cref="Save"/>.</param>
        /// <returns>The session.</returns>
        public static Session Open(Runtime runtime, string path)
        {
            return new Session(runtime, path, nameof(path), Raw.keel_session_open);
        }

        /// <summary>Gives it a model for a role. The weights of a policy belong to it from then on.</summary>
        /// <param name="role">Which.</param>
        /// <param name="model">The model; the session keeps it alive.</param>
        public void SetModel(Role role, Model model)
        {
            Raw.keel_error* error = Failure.Here;
            Failure.Check(
                Raw.keel_session_set_model(Id, (int)role, null, UIntPtr.Zero, IdOf(model, nameof(model)), error), error);
            GC.KeepAlive(model);
            GC.KeepAlive(this);
        }

        /// <summary>The model of a role.</summary>
        /// <param name="role">Which.</param>
        /// <returns>A handle of the caller's own.</returns>
        public Model Model(Role role)
        {
            ulong id;
            Raw.keel_error* error = Failure.Here;
            Failure.Check(Raw.keel_session_model(Id, (int)role, null, UIntPtr.Zero, &id, error), error);
            GC.KeepAlive(this);
            return new Model(id);
        }

        /// <summary>The whole configuration, with every default filled in.</summary>
        /// <returns>JSON.</returns>
        public string Config()
        {
            return Text.Read(this, Raw.keel_session_config);
        }

        /// <summary>The numbers of the last finished update and evaluation.</summary>
        /// <returns>JSON.</returns>
        public string Metrics()
        {
            return Text.Read(this, Raw.keel_session_metrics);
        }

        /// <summary>Where each group of an observation record and of an action record of a control policy lies.</summary>
        /// <returns>JSON.</returns>
        public string Layout()
        {
            return Text.Read(this, Raw.keel_session_layout);
        }

        /// <summary>A number that is equal for equal states: weights, optimiser, rows, random streams.</summary>
        /// <returns>The number.</returns>
        public ulong StateHash()
        {
            ulong hash;
            Raw.keel_error* error = Failure.Here;
            Failure.Check(Raw.keel_session_state_hash(Id, &hash, error), error);
            GC.KeepAlive(this);
            return hash;
        }

        /// <summary>Makes a job that updates the policy from the rows that were pushed, or from what actors did.</summary>
        /// <returns>The job, not yet driven, or null when more rows or rewards are needed first.</returns>
        public Job Update()
        {
            return Begin(Raw.keel_session_update);
        }

        /// <summary>Makes a job that measures the model in training on the rows of split
        /// <see cref="Split.Evaluation"/>.</summary>
        /// <returns>The job, not yet driven, or null when there are no such rows.</returns>
        public Job Evaluate()
        {
            return Begin(Raw.keel_session_evaluate);
        }

        /// <summary>An update from begin to end, for hosts that may block.</summary>
        /// <returns>Done, or in need of data.</returns>
        public Report Step()
        {
            Report report = Report.Blank;
            Raw.keel_error* error = Failure.Here;
            Failure.Check(Raw.keel_session_step(Id, &report.Told, error), error);
            GC.KeepAlive(this);
            return report;
        }

        /// <summary>Makes a job that samples responses; the finished job has the rollouts, <see cref="Job.Batch"/>, ready
        /// to be rewarded and pushed.</summary>
        /// <param name="prompts">A batch of prompts.</param>
        /// <param name="json">The configuration "generate"; null for the defaults.</param>
        /// <returns>The job, not yet driven.</returns>
        public Job Generate(Batch prompts, string json = null)
        {
            byte[] text = Text.Json(json);
            ulong id;
            Raw.keel_error* error = Failure.Here;
            fixed (byte* bytes = text)
            {
                Failure.Check(Raw.keel_session_generate(Id, IdOf(prompts, nameof(prompts)), bytes, (UIntPtr)(uint)text.Length, &id,
                    error), error);
            }
            GC.KeepAlive(prompts);
            GC.KeepAlive(this);
            return new Job(id, this);
        }

        /// <summary>Makes a job that samples a response to each prompt.</summary>
        /// <param name="prompts">The prompts.</param>
        /// <param name="json">The configuration "generate"; null for the defaults.</param>
        /// <returns>The job, not yet driven.</returns>
        public Job Generate(string[] prompts, string json = null)
        {
            if (prompts == null) throw new ArgumentNullException(nameof(prompts));
            using (Batch batch = new Batch(runtime, BatchKind.Prompts, prompts.Length))
            {
                batch.Set("prompt", prompts);
                return Generate(batch, json);
            }
        }

        /// <summary>Makes a job that writes the whole session, as of the last optimiser step, to one file.</summary>
        /// <param name="path">The file; replaced whole or not at all.</param>
        /// <returns>The job, not yet driven.</returns>
        public Job Save(string path)
        {
            return Begin(Raw.keel_session_save, path, nameof(path));
        }

        /// <summary>Makes a job that puts it into the state of a file of <see cref="Save"/>. All handles stay.</summary>
        /// <param name="path">The file.</param>
        /// <returns>The job, not yet driven.</returns>
        public Job Restore(string path)
        {
            return Begin(Raw.keel_session_restore, path, nameof(path));
        }

        /// <summary>Makes a job that changes settings, from the next optimiser step on.</summary>
        /// <param name="json">Some keys of the configuration "session"; the others stay as they are.</param>
        /// <returns>The job, not yet driven.</returns>
        public Job Configure(string json)
        {
            return Begin(Raw.keel_session_configure, json, nameof(json));
        }

        /// <summary>Makes a job that publishes what was learned so far, also in mid-update.</summary>
        /// <returns>The job, not yet driven.</returns>
        public Job Publish()
        {
            return Begin(Raw.keel_session_publish);
        }

        /// <summary>Makes a job that lets training go on from a version that is kept.</summary>
        /// <param name="version">Of the metric policy/version.</param>
        /// <returns>The job, not yet driven.</returns>
        public Job RollBack(ulong version)
        {
            ulong id;
            Raw.keel_error* error = Failure.Here;
            Failure.Check(Raw.keel_session_roll_back(Id, version, &id, error), error);
            GC.KeepAlive(this);
            return new Job(id, this);
        }

        /// <summary>Lets its jobs do no further slice until <see cref="Resume"/>.</summary>
        public void Pause()
        {
            Call(Raw.keel_session_pause);
        }

        /// <summary>Lets its jobs go on.</summary>
        public void Resume()
        {
            Call(Raw.keel_session_resume);
        }

        /// <summary>What <see cref="Save"/> would write, in memory.</summary>
        /// <returns>The bytes.</returns>
        public Blob Export()
        {
            ulong id;
            Raw.keel_error* error = Failure.Here;
            Failure.Check(Raw.keel_session_export(Id, &id, error), error);
            GC.KeepAlive(this);
            return new Blob(id);
        }

        /// <summary>Puts it into the state that <see cref="Export"/> gave.</summary>
        /// <param name="bytes">The bytes of the blob.</param>
        public void Import(byte[] bytes)
        {
            if (bytes == null) throw new ArgumentNullException(nameof(bytes));
            Raw.keel_error* error = Failure.Here;
            fixed (byte* at = bytes) Failure.Check(Raw.keel_session_import(Id, at, (UIntPtr)(uint)bytes.Length, error), error);
            GC.KeepAlive(this);
        }

        /// <summary>Ends the handle and forgets its reward function. A job of it that is still driven goes on to its
        /// end.</summary>
        /// <returns>True.</returns>
        protected override bool ReleaseHandle()
        {
            Unload.Remove(this);
            ForgetReward();
            Raw.keel_session_destroy(Ending);
            return true;
        }

        delegate int Maker(ulong id, byte* text, UIntPtr length, ulong* made, Raw.keel_error* error);

        delegate int Beginner(ulong id, ulong* job, Raw.keel_error* error);

        delegate int Caller(ulong id, Raw.keel_error* error);

        Job Begin(Beginner beginner)
        {
            ulong id;
            Raw.keel_error* error = Failure.Here;
            int status = Failure.Check(beginner(Id, &id, error), error);
            GC.KeepAlive(this);
            return status == Raw.KEEL_NEED_DATA ? null : new Job(id, this);
        }

        Job Begin(Maker maker, string given, string name)
        {
            byte[] text = Text.Bytes(given, name);
            ulong id;
            Raw.keel_error* error = Failure.Here;
            fixed (byte* bytes = text) Failure.Check(maker(Id, bytes, (UIntPtr)(uint)text.Length, &id, error), error);
            GC.KeepAlive(this);
            return new Job(id, this);
        }

        void Call(Caller caller)
        {
            Raw.keel_error* error = Failure.Here;
            Failure.Check(caller(Id, error), error);
            GC.KeepAlive(this);
        }
    }
}
