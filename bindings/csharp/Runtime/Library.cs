// What the loaded library is.
using System;

namespace Keel
{
    /// <summary>The loaded library: versions, schemas, and how many handles are alive.</summary>
    public static unsafe class Library
    {
        /// <summary>The version of the loaded library, such as "0.1.0".</summary>
        public static string Version
        {
            get { return Text.Of(Raw.keel_version()); }
        }

        /// <summary>The ABI that the loaded library speaks: major &lt;&lt; 16 | minor.</summary>
        public static uint AbiVersion
        {
            get { return Raw.keel_abi_version(); }
        }

        /// <summary>How many handles were made and not yet disposed, of all types.</summary>
        public static ulong LiveHandles
        {
            get { return Raw.keel_live_handles(); }
        }

        /// <summary>What was loaded, as JSON: versions, features, devices and the paths of the libraries.</summary>
        /// <returns>JSON.</returns>
        public static string BuildInfo()
        {
            return Text.Read(0, (none, buffer, capacity, needed, error) => Raw.keel_build_info(buffer, capacity, needed, error));
        }

        /// <summary>The JSON Schema of a configuration: names, types, ranges, defaults, meanings.</summary>
        /// <param name="kind">"runtime", "load", "create", "control", "control_reward", "generate", "session", or "columns"
        /// for the table of columns of a batch.</param>
        /// <returns>JSON.</returns>
        public static string ConfigSchema(string kind)
        {
            byte[] name = Text.Bytes(kind, nameof(kind));
            return Text.Read(0, (none, buffer, capacity, needed, error) =>
            {
                fixed (byte* bytes = name)
                {
                    return Raw.keel_config_schema(bytes, (UIntPtr)(uint)name.Length, buffer, capacity, needed, error);
                }
            });
        }

        /// <summary>The name of a status in C, such as "KEEL_E_CONFIG".</summary>
        /// <param name="status">Any number.</param>
        /// <returns>The name; "KEEL_E_UNKNOWN" for a number that is none.</returns>
        public static string NameOf(Status status)
        {
            return Text.Of(Raw.keel_status_name((int)status));
        }
    }
}
