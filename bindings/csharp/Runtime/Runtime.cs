// The runtime: devices, keel's own threads, events.
using System;

namespace Keel
{
    /// <summary>The devices, keel's own threads, the events. A process needs only one, and everything else is made from
    /// it.</summary>
    public sealed unsafe class Runtime : Handle
    {
        /// <summary>Makes a runtime. The first one of a process decides whether CUDA is loaded.</summary>
        /// <param name="json">The configuration "runtime"; null for the defaults.</param>
        /// <exception cref="PlatformNotSupportedException">The process has 32 bits.</exception>
        /// <exception cref="KeelException">The configuration, the device, or a library of another ABI.</exception>
        public Runtime(string json = null)
        {
            if (IntPtr.Size != 8) throw new PlatformNotSupportedException("keel needs a process of 64 bits");
            byte[] text = Text.Json(json);
            ulong id;
            Raw.keel_error* error = Failure.Here;
            fixed (byte* bytes = text)
            {
                Failure.Check(
                    Raw.keel_runtime_create(Raw.KEEL_ABI_VERSION, bytes, (UIntPtr)(uint)text.Length, &id, error), error);
            }
            Become(id);
            Unload.Add(this);
        }

        /// <summary>Stops the jobs that run on keel's threads at their next slice and waits for the threads; afterwards none
        /// runs, and no job can be started on a thread again. When an application domain ends (an editor reloads its
        /// scripts), all jobs are cancelled and this happens by itself.</summary>
        /// <param name="timeout">How long to wait at most.</param>
        /// <exception cref="KeelException"><see cref="Status.Timeout"/>: a slice still runs, call again.</exception>
        public void Shutdown(TimeSpan timeout)
        {
            Raw.keel_error* error = Failure.Here;
            Failure.Check(Raw.keel_runtime_shutdown(Id, Report.Microseconds(timeout), error), error);
            GC.KeepAlive(this);
        }

        /// <summary>Takes the oldest event of any session or job.</summary>
        /// <returns>JSON, or null when there is none.</returns>
        public string NextEvent()
        {
            return NextEvent(0);
        }

        /// <summary>Takes the oldest event of one source.</summary>
        /// <param name="source">The session or job.</param>
        /// <returns>JSON, or null when there is none.</returns>
        public string NextEvent(Handle source)
        {
            string taken = NextEvent(IdOf(source, nameof(source)));
            GC.KeepAlive(source);
            return taken;
        }

        string NextEvent(ulong source)
        {
            return Text.Read(this, (id, buffer, capacity, needed, error) =>
                Raw.keel_runtime_next_event(id, source, buffer, capacity, needed, error));
        }

        /// <summary>The devices that a configuration may name.</summary>
        /// <returns>A JSON array, such as ["cpu", "cuda:0"].</returns>
        public string Devices()
        {
            return Text.Read(this, Raw.keel_runtime_devices);
        }

        /// <summary>What memory the process uses, in bytes.</summary>
        /// <returns>JSON.</returns>
        public string Memory()
        {
            return Text.Read(this, Raw.keel_runtime_memory);
        }

        /// <summary>Ends the handle.</summary>
        /// <returns>True.</returns>
        protected override bool ReleaseHandle()
        {
            Unload.Remove(this);
            Raw.keel_runtime_destroy(Ending);
            return true;
        }
    }
}
