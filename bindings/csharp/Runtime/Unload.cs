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

        static readonly HashSet<ulong> Runtimes = new HashSet<ulong>(), Jobs = new HashSet<ulong>();
        static volatile bool ending;

        static Unload()
        {
            AppDomain.CurrentDomain.DomainUnload += (sender, arguments) => Quiesce();
        }

        internal static void Add(Runtime runtime)
        {
            lock (Runtimes) Runtimes.Add(runtime.Id);
        }

        internal static void Remove(Runtime runtime)
        {
            lock (Runtimes) Runtimes.Remove(runtime.Ending);
        }

        internal static void Add(Job job)
        {
            lock (Jobs) Jobs.Add(job.Id);
        }

        internal static void Remove(Job job)
        {
            lock (Jobs) Jobs.Remove(job.Ending);
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
            foreach (ulong runtime in Copy(Runtimes)) Raw.keel_runtime_shutdown(runtime, 1000UL * Milliseconds, null);
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
