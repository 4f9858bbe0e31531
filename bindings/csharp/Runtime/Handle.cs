// What all nouns of keel have in common: a handle that ends with Dispose.
using System;
using System.Runtime.InteropServices;

namespace Keel
{
    /// <summary>A handle of keel's. Dispose ends it, any number of times, and waits for nothing but a session's reward function
    /// on another thread; one that is forgotten ends with garbage collection. Any thread may use it, also while another
    /// disposes it.</summary>
    public abstract class Handle : SafeHandle
    {
        internal Handle(bool owned = true) : base(IntPtr.Zero, owned)
        {
        }

        /// <summary>Whether it was never made.</summary>
        public override bool IsInvalid
        {
            get { return handle == IntPtr.Zero; }
        }

        /// <summary>Its number, for the functions of <see cref="Raw"/> and for events.</summary>
        /// <exception cref="ObjectDisposedException">It was disposed.</exception>
        public ulong Id
        {
            get
            {
                if (IsClosed) ThrowClosed();
                return (ulong)handle;
            }
        }

        internal void Become(ulong id)
        {
            SetHandle((IntPtr)(long)id);
        }

        // Its number in the argument `name` of a call.
        internal static ulong IdOf(Handle argument, string name)
        {
            if (argument == null) throw new ArgumentNullException(name);
            return argument.Id;
        }

        // The number to end, whatever state it is in.
        internal ulong Ending
        {
            get { return (ulong)handle; }
        }

        void ThrowClosed()
        {
            throw new ObjectDisposedException(GetType().FullName);
        }
    }
}
