// Long work as slices, with its three drivers.
using System;
using System.Runtime.CompilerServices;

namespace Keel
{
    /// <summary>Long work as a plan of slices, driven in one of three ways with the same result: <see cref="Run"/> here to
    /// the end, <see cref="Pump(long)"/> here in pieces, <see cref="Start"/> on a thread of keel's.</summary>
    /// <remarks>All of them throw the job's own error, again and again, and an <see cref="OperationCanceledException"/>
    /// when it was cancelled. One thread drives it at a time; a second one gets <see cref="Status.Concurrent"/>.</remarks>
    public sealed unsafe partial class Job : Handle
    {
        // A reward function of the session's lives at least as long as the job.
        internal readonly Session Session;

        internal Job(ulong id, Session session = null)
        {
            Session = session;
            Become(id);
            Unload.Add(this);
        }

        /// <summary>Drives it to its end on the calling thread, or to where its session is paused.</summary>
        /// <returns>Done, pending where the session is paused, or in need of data.</returns>
        public Report Run()
        {
            Report report = Report.Blank;
            Raw.keel_error* error = Failure.Here;
            Failure.Check(Raw.keel_job_run(Id, &report.Told, error), error);
            GC.KeepAlive(this);
            return report;
        }

        /// <summary>Hands it to a thread of keel's; look with <see cref="Poll"/>, or await <see cref="WaitAsync"/>.</summary>
        /// <exception cref="KeelException"><see cref="Status.State"/>: it would call a reward function, or the runtime was
        /// shut down.</exception>
        public void Start()
        {
            Raw.keel_error* error = Failure.Here;
            Failure.Check(Raw.keel_job_start(Id, error), error);
            GC.KeepAlive(this);
        }

        /// <summary>Drives it on the calling thread for about this long: the slices that are expected to fit, at least
        /// one.</summary>
        /// <param name="budget">How long; none for a single slice.</param>
        /// <returns>Pending while there is more to do: call again.</returns>
        public Report Pump(TimeSpan budget)
        {
            return Pump(budget.Ticks / 10);
        }

        /// <summary>Drives it on the calling thread for about this long: the slices that are expected to fit, at least
        /// one.</summary>
        /// <param name="microseconds">How long; 0 for a single slice.</param>
        /// <returns>Pending while there is more to do: call again.</returns>
        public Report Pump(long microseconds)
        {
            Report report = Report.Blank;
            Raw.keel_error* error = Failure.Here;
            Failure.Check(Raw.keel_job_pump(Id, Report.Microseconds(microseconds), &report.Told, error), error);
            GC.KeepAlive(this);
            return report;
        }

        /// <summary>Where it stands. Does no slice and waits for none.</summary>
        /// <returns>How far it is.</returns>
        public Report Poll()
        {
            Report report = Report.Blank;
            if (Raw.keel_job_poll(Id, &report.Told, null) < 0) AskAgain(&report.Told);
            GC.KeepAlive(this);
            return report;
        }

        /// <summary>Blocks until a started job has ended.</summary>
        /// <param name="timeout">How long at most.</param>
        /// <returns>Pending where the time was not enough, or nobody drives it.</returns>
        public Report Wait(TimeSpan timeout)
        {
            Report report = Report.Blank;
            Raw.keel_error* error = Failure.Here;
            Failure.Check(Raw.keel_job_wait(Id, Report.Microseconds(timeout), &report.Told, error), error);
            GC.KeepAlive(this);
            return report;
        }

        /// <summary>What it is at, in a few words, such as "score reference 3/8"; how far it is stands in its
        /// reports.</summary>
        /// <returns>The words.</returns>
        public string Stage()
        {
            return Text.Read(this, (id, buffer, capacity, needed, error) =>
                Raw.keel_job_progress(id, null, buffer, capacity, needed, error));
        }

        /// <summary>Ends it before its next slice. Optimiser steps that were applied stay; rows that were pushed
        /// stay.</summary>
        public void Cancel()
        {
            Raw.keel_error* error = Failure.Here;
            Failure.Check(Raw.keel_job_cancel(Id, error), error);
            GC.KeepAlive(this);
        }

        /// <summary>The error that ended it.</summary>
        /// <returns>What its drivers throw, or null when it has not failed. What a reward function threw is in the first that
        /// was thrown alone.</returns>
        public Exception Error()
        {
            Raw.keel_error* error = Failure.Here;
            int status = Raw.keel_job_error(Id, error);
            GC.KeepAlive(this);
            return status < 0 ? Failure.Of(status, error) : null;
        }

        /// <summary>The rows that it made, when it is done: the rollouts of <see cref="Session.Generate(Keel.Batch, string)"/>.
        /// </summary>
        /// <returns>A batch of the caller's own.</returns>
        public Batch Batch()
        {
            ulong id;
            Raw.keel_error* error = Failure.Here;
            Failure.Check(Raw.keel_job_batch(Id, &id, error), error);
            GC.KeepAlive(this);
            return new Batch(id);
        }

        /// <summary>The model that it loaded, when it is done.</summary>
        /// <returns>A model of the caller's own.</returns>
        public Model Model()
        {
            ulong id;
            Raw.keel_error* error = Failure.Here;
            Failure.Check(Raw.keel_job_model(Id, &id, error), error);
            GC.KeepAlive(this);
            return new Model(id);
        }

        /// <summary>Ends the handle. A job on keel's thread goes on to its end; cancel it first if it should not.</summary>
        /// <returns>True.</returns>
        protected override bool ReleaseHandle()
        {
            Unload.Remove(this);
            Raw.keel_job_destroy(Ending);
            return true;
        }

        // A look at a job takes a sentence only when it fails: asking changes nothing, so it may be asked twice.
        [MethodImpl(MethodImplOptions.NoInlining)]
        void AskAgain(Raw.keel_report* report)
        {
            Raw.keel_error* error = Failure.Here;
            Failure.Check(Raw.keel_job_poll(Id, report, error), error);
        }
    }
}
