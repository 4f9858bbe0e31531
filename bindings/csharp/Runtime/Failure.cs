// Where a call on this thread says what went wrong, and how that becomes an exception.
using System;
using System.Runtime.CompilerServices;
using System.Runtime.ConstrainedExecution;
using System.Runtime.InteropServices;

namespace Keel
{
    // One keel_error a thread, made once: a call costs no kilobyte of zeros. Freed after the thread has ended.
    internal sealed unsafe class Failure : CriticalFinalizerObject
    {
        [ThreadStatic] static Failure ofThread;
        // Thrown by a callback inside the call that runs on this thread.
        [ThreadStatic] static Exception thrown;

        readonly Raw.keel_error* error;

        Failure()
        {
            error = (Raw.keel_error*)Marshal.AllocHGlobal(sizeof(Raw.keel_error));
            error->struct_size = (uint)sizeof(Raw.keel_error);
            error->message[0] = 0;
        }

        ~Failure()
        {
            Marshal.FreeHGlobal((IntPtr)error);
        }

        // The error to give to a call, which says of it right after, on the same thread, Check.
        internal static Raw.keel_error* Here
        {
            get
            {
                Failure here = ofThread;
                return here != null ? here.error : Begin();
            }
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        static Raw.keel_error* Begin()
        {
            ofThread = new Failure();
            return ofThread.error;
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        internal static int Check(int status, Raw.keel_error* error)
        {
            if (status < 0 || status == Raw.KEEL_FULL) Throw(status, error);
            return status;
        }

        static void Throw(int status, Raw.keel_error* error)
        {
            if (status == Raw.KEEL_E_CANCELLED) Unload.HoldThread();
            throw Of(status, error);
        }

        internal static Exception Of(int status, Raw.keel_error* error)
        {
            string message = Text.Of(error->message);
            if (status == Raw.KEEL_E_CANCELLED) return new OperationCanceledException(message);
            Exception inner = status == Raw.KEEL_E_CALLBACK ? thrown : null;
            if (inner != null) thrown = null;
            return new KeelException((Status)status, message, inner);
        }

        // Remembers what a callback threw for the exception of the call that it is in.
        internal static void Threw(Exception exception)
        {
            thrown = exception;
        }
    }
}
