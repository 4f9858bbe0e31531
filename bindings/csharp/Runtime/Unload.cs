// What becomes of running work when the application domain ends, as it does when an editor reloads its scripts: keel's
// threads stop, and threads of the domain that drive jobs come back, so that the domain can end; the library lives on.
using System;
using System.Collections.Generic;
using System.Threading;

namespace Keel
{
    internal static unsafe class Unload
    {
        const int Milliseconds = 10000;

        static readonly HashSet<ulong> Runtimes = new HashSet<ulong>(), Sessions = new HashSet<ulong>(), Jobs = new HashSet<ulong>();
        static volatile bool ending;

        static Unload()
        {
            AppDomain.CurrentDomain.DomainUnload += (sender, arguments) => Quiesce();
        }

        internal static void Add(Handle handle)
        {
            HashSet<ulong> all = Of(handle);
            lock (all) all.Add(handle.Id);
        }

        internal static void Remove(Handle handle)
        {
            HashSet<ulong> all = Of(handle);
            lock (all) all.Remove(handle.Ending);
        }

        // A thread whose job was cancelled by the end of its domain waits for the end of its own, rather than throw into code
        // that expected neither.
        internal static void HoldThread()
        {
            if (ending) Thread.Sleep(Milliseconds);
        }

        static void Quiesce()
        {
            ending = true;
            foreach (ulong job in Copy(Jobs)) Raw.keel_job_cancel(job, null);
            // a step has a job of its own, which a pause cancels
            foreach (ulong session in Copy(Sessions)) Raw.keel_session_pause(session, null);
            foreach (ulong runtime in Copy(Runtimes)) Raw.keel_runtime_shutdown(runtime, 1000UL * Milliseconds, null);
        }

        static HashSet<ulong> Of(Handle handle)
        {
            return handle is Runtime ? Runtimes : handle is Session ? Sessions : Jobs;
        }

        static ulong[] Copy(HashSet<ulong> handles)
        {
            lock (handles)
            {
                ulong[] copy = new ulong[handles.Count];
                handles.CopyTo(copy);
                return copy;
            }
        }
    }
}
