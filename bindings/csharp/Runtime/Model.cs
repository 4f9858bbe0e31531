// A model: weights, architecture and tokenizer.
using System;

namespace Keel
{
    /// <summary>A model: weights, architecture and tokenizer. Sessions that use it keep it alive.</summary>
    public sealed unsafe class Model : Handle
    {
        /// <summary>Makes a model with random weights: a language model or a control network.</summary>
        /// <param name="runtime">Whose.</param>
        /// <param name="json">The configuration "create".</param>
        public Model(Runtime runtime, string json)
        {
            byte[] text = Text.Bytes(json, nameof(json));
            ulong id;
            Raw.keel_error* error = Failure.Here;
            fixed (byte* bytes = text)
            {
                Failure.Check(Raw.keel_model_create(IdOf(runtime, nameof(runtime)), bytes, (UIntPtr)(uint)text.Length, &id, error),
                    error);
            }
            GC.KeepAlive(runtime);
            Become(id);
        }

        internal Model(ulong id)
        {
            Become(id);
        }

        /// <summary>Makes a job that loads a directory in the Hugging Face layout; <see cref="Job.Model"/> gives the
        /// model.</summary>
        /// <param name="runtime">Whose.</param>
        /// <param name="path">The directory.</param>
        /// <param name="json">The configuration "load"; null for the defaults.</param>
        /// <returns>The job, not yet driven.</returns>
        public static Job Load(Runtime runtime, string path, string json = null)
        {
            byte[] place = Text.Bytes(path, nameof(path)), text = Text.Json(json);
            ulong id;
            Raw.keel_error* error = Failure.Here;
            fixed (byte* at = place, bytes = text)
            {
                Failure.Check(Raw.keel_model_load(IdOf(runtime, nameof(runtime)), at, (UIntPtr)(uint)place.Length, bytes,
                    (UIntPtr)(uint)text.Length, &id, error), error);
            }
            GC.KeepAlive(runtime);
            return new Job(id);
        }

        /// <summary>Writes the last published weights as a directory that <see cref="Load"/> reads.</summary>
        /// <param name="path">The directory; made if it is missing.</param>
        public void Save(string path)
        {
            byte[] place = Text.Bytes(path, nameof(path));
            Raw.keel_error* error = Failure.Here;
            fixed (byte* at = place) Failure.Check(Raw.keel_model_save(Id, at, (UIntPtr)(uint)place.Length, error), error);
            GC.KeepAlive(this);
        }

        /// <summary>Architecture, sizes, dtype, device, version of its weights, special tokens.</summary>
        /// <returns>JSON.</returns>
        public string Info()
        {
            return Text.Read(this, Raw.keel_model_info);
        }

        /// <summary>Turns text into tokens.</summary>
        /// <param name="text">The text.</param>
        /// <param name="flags">Whether the tokenizer's special tokens are put.</param>
        /// <returns>The tokens.</returns>
        public int[] Encode(string text, EncodeFlags flags = EncodeFlags.None)
        {
            byte[] given = Text.Bytes(text, nameof(text));
            int[] tokens = new int[given.Length + 8];
            UIntPtr needed;
            Raw.keel_error* error = Failure.Here;
            fixed (byte* bytes = given)
            {
                int status = Encode(bytes, given.Length, flags, tokens, &needed, error);
                if (status == Raw.KEEL_E_CAPACITY)
                {
                    tokens = new int[checked((int)needed)];
                    status = Encode(bytes, given.Length, flags, tokens, &needed, error);
                }
                Failure.Check(status, error);
            }
            GC.KeepAlive(this);
            Array.Resize(ref tokens, checked((int)needed));
            return tokens;
        }

        /// <summary>Turns tokens into text.</summary>
        /// <param name="tokens">The tokens.</param>
        /// <param name="flags">Whether special tokens are left out.</param>
        /// <returns>The text.</returns>
        public string Decode(int[] tokens, DecodeFlags flags = DecodeFlags.None)
        {
            if (tokens == null) throw new ArgumentNullException(nameof(tokens));
            return Text.Read(this, (id, buffer, capacity, needed, error) =>
            {
                fixed (int* values = tokens)
                {
                    return Raw.keel_model_decode(id, values, (UIntPtr)(uint)tokens.Length, (uint)flags, buffer, capacity, needed,
                        error);
                }
            });
        }

        /// <summary>Ends the handle.</summary>
        /// <returns>True.</returns>
        protected override bool ReleaseHandle()
        {
            Raw.keel_model_destroy(Ending);
            return true;
        }

        int Encode(byte* bytes, int length, EncodeFlags flags, int[] tokens, UIntPtr* needed, Raw.keel_error* error)
        {
            fixed (int* room = tokens)
            {
                return Raw.keel_model_encode(Id, bytes, (UIntPtr)(uint)length, (uint)flags, room, (UIntPtr)(uint)tokens.Length,
                    needed, error);
            }
        }
    }
}
