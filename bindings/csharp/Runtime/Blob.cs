// Bytes that keel made.
using System;
using System.IO;

namespace Keel
{
    /// <summary>Bytes that keel made: the state of a session.</summary>
    public sealed unsafe class Blob : Handle
    {
        internal Blob(ulong id)
        {
            Become(id);
        }

        /// <summary>A copy of all bytes.</summary>
        /// <returns>The bytes.</returns>
        /// <exception cref="OverflowException">They are more than an array can hold; use <see cref="CopyTo"/>.</exception>
        public byte[] Bytes()
        {
            return Read((data, size) =>
            {
                byte[] bytes = new byte[checked((int)size)];
                fixed (byte* copy = bytes) Buffer.MemoryCopy(data, copy, size, size);
                return bytes;
            });
        }

        /// <summary>Writes all bytes to a stream.</summary>
        /// <param name="stream">Where they go.</param>
        public void CopyTo(Stream stream)
        {
            if (stream == null) throw new ArgumentNullException(nameof(stream));
            Read((data, size) =>
            {
                using (UnmanagedMemoryStream bytes = new UnmanagedMemoryStream(data, size)) bytes.CopyTo(stream);
                return stream;
            });
        }

        /// <summary>Ends the handle.</summary>
        /// <returns>True.</returns>
        protected override bool ReleaseHandle()
        {
            Raw.keel_blob_destroy(Ending);
            return true;
        }

        delegate T Reader<T>(byte* data, long size);

        // The view ends with the handle, so nothing ends it meanwhile.
        T Read<T>(Reader<T> reader)
        {
            bool held = false;
            try
            {
                DangerousAddRef(ref held);
                byte* data;
                UIntPtr size;
                Raw.keel_error* error = Failure.Here;
                Failure.Check(Raw.keel_blob_data(Ending, &data, &size, error), error);
                return reader(data, checked((long)size));
            }
            finally
            {
                if (held) DangerousRelease();
            }
        }
    }
}
