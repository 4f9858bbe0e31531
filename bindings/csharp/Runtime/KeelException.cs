// What is thrown when a function of keel's fails.
using System;

namespace Keel
{
    /// <summary>A call that keel refused or that failed; the message says what was expected and what was found.</summary>
    /// <remarks>A job that was cancelled throws an <see cref="OperationCanceledException"/> instead, an object that was
    /// disposed an <see cref="ObjectDisposedException"/>.</remarks>
    public sealed class KeelException : Exception
    {
        /// <summary>The status, below 0 or <see cref="Keel.Status.Full"/>, and keel's sentence.</summary>
        /// <param name="status">The status.</param>
        /// <param name="message">The sentence.</param>
        /// <param name="inner">What a callback of the host's threw, or null.</param>
        public KeelException(Status status, string message, Exception inner = null) : base(message, inner)
        {
            Status = status;
        }

        /// <summary>The status that the function returned.</summary>
        public Status Status { get; }
    }
}
