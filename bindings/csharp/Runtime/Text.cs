// Text between C# and keel: UTF-8 with its length.
using System;
using System.Text;

namespace Keel
{
    internal static unsafe class Text
    {
        // Refuses half a surrogate pair (ArgumentException) rather than give keel another text.
        static readonly UTF8Encoding Utf8 = new UTF8Encoding(false, true);

        internal delegate int Reader(ulong id, byte* buffer, UIntPtr capacity, UIntPtr* needed, Raw.keel_error* error);

        // The bytes of a text that must be there.
        internal static byte[] Bytes(string text, string name)
        {
            if (text == null) throw new ArgumentNullException(name);
            return Utf8.GetBytes(text);
        }

        // The bytes of a configuration: none for null, which takes every default.
        internal static byte[] Json(string json)
        {
            return json == null ? Array.Empty<byte>() : Utf8.GetBytes(json);
        }

        internal static int Length(string text)
        {
            return Utf8.GetByteCount(text);
        }

        internal static void Write(string text, byte[] bytes, int at)
        {
            Utf8.GetBytes(text, 0, text.Length, bytes, at);
        }

        internal static string Of(byte* text)
        {
            int length = 0;
            while (text[length] != 0) ++length;
            return Of(text, length);
        }

        internal static string Of(byte* bytes, long length)
        {
            return length == 0 ? "" : Encoding.UTF8.GetString(bytes, checked((int)length));
        }

        // What a function of this handle writes into its caller's buffer; null where it says that there is nothing.
        internal static string Read(Handle handle, Reader reader)
        {
            string text = Read(handle.Id, reader);
            GC.KeepAlive(handle);
            return text;
        }

        internal static string Read(ulong id, Reader reader)
        {
            byte[] buffer = Array.Empty<byte>();
            while (true)
            {
                UIntPtr needed;
                Raw.keel_error* error = Failure.Here;
                fixed (byte* bytes = buffer)
                {
                    int status = reader(id, bytes, (UIntPtr)(uint)buffer.Length, &needed, error);
                    if (status != Raw.KEEL_E_CAPACITY)
                    {
                        Failure.Check(status, error);
                        return status == Raw.KEEL_EMPTY ? null : Of(bytes, checked((int)needed));
                    }
                }
                buffer = new byte[checked((int)needed + 1)];
            }
        }
    }
}
