// Written by tools/bindings from keel.h; not to be edited.
// The C ABI, blittable types only: nothing is marshalled.
using System;
using System.Runtime.InteropServices;
using System.Security;

namespace Keel
{
    /// <summary>The functions of keel.h as they are in C, for what the classes above do not offer: pointers and numbers,
    /// no checks, no exceptions.</summary>
    [SuppressUnmanagedCodeSecurity]
    public static unsafe class Raw
    {
        const string Library = "keel";

        /// <summary>Done.</summary>
        public const int KEEL_OK = 0;

        /// <summary>The job has more to do.</summary>
        public const int KEEL_PENDING = 1;

        /// <summary>Rows, rewards or answers are missing; nothing was done.</summary>
        public const int KEEL_NEED_DATA = 2;

        /// <summary>There is nothing to take.</summary>
        public const int KEEL_EMPTY = 3;

        /// <summary>A bounded queue is full: what came was counted (keel_session_metrics, refused) and nothing was done. The message says which and what helps.</summary>
        public const int KEEL_FULL = 4;

        /// <summary>An argument has a value that the function does not take.</summary>
        public const int KEEL_E_INVALID_ARGUMENT = -100;

        /// <summary>A handle is 0, was destroyed, is of another type, or never came from this library.</summary>
        public const int KEEL_E_INVALID_HANDLE = -101;

        /// <summary>A pointer that must not be NULL is NULL.</summary>
        public const int KEEL_E_NULL_POINTER = -102;

        /// <summary>A text is not UTF-8, or a path contains a NUL.</summary>
        public const int KEEL_E_INVALID_TEXT = -103;

        /// <summary>The caller's buffer is too small; *needed says how large it must be; nothing was consumed.</summary>
        public const int KEEL_E_CAPACITY = -104;

        /// <summary>Another thread is inside a call on the same object that admits one at a time; nothing was done.</summary>
        public const int KEEL_E_CONCURRENT = -105;

        /// <summary>The object is in use: an unfinished update, or a model that another session trains.</summary>
        public const int KEEL_E_IN_USE = -106;

        /// <summary>The object is not in the state that the call needs.</summary>
        public const int KEEL_E_STATE = -107;

        /// <summary>The header and the library do not fit.</summary>
        public const int KEEL_E_VERSION = -108;

        /// <summary>The job was cancelled.</summary>
        public const int KEEL_E_CANCELLED = -109;

        /// <summary>The time given was not enough.</summary>
        public const int KEEL_E_TIMEOUT = -110;

        /// <summary>keel does not do this (yet).</summary>
        public const int KEEL_E_UNSUPPORTED = -111;

        /// <summary>A configuration is not valid; the message begins with the JSON pointer of the value at fault.</summary>
        public const int KEEL_E_CONFIG = -200;

        /// <summary>A number is NaN or infinite where it must be finite.</summary>
        public const int KEEL_E_NON_FINITE = -300;

        /// <summary>A length, shape or offset does not fit the others.</summary>
        public const int KEEL_E_SHAPE = -301;

        /// <summary>The device does not exist or failed.</summary>
        public const int KEEL_E_DEVICE = -400;

        /// <summary>Memory ran out, on the host or on the device.</summary>
        public const int KEEL_E_OUT_OF_MEMORY = -401;

        /// <summary>A file or directory could not be read or written.</summary>
        public const int KEEL_E_FILE = -500;

        /// <summary>A file was read but is not what it should be.</summary>
        public const int KEEL_E_FORMAT = -501;

        /// <summary>Rows are missing a column, or a column holds what it must not.</summary>
        public const int KEEL_E_DATA = -600;

        /// <summary>libtorch or keel failed in a way that is a bug of keel's.</summary>
        public const int KEEL_E_INTERNAL = -900;

        /// <summary>keel panicked; the panic was contained, but it is a bug of keel's.</summary>
        public const int KEEL_E_PANIC = -901;

        /// <summary>A panic in mid-step left the session's weights in doubt; restore it.</summary>
        public const int KEEL_E_POISONED = -902;

        /// <summary>The host's callback threw or returned non-zero, or the script of its network threw.</summary>
        public const int KEEL_E_CALLBACK = -903;

        /// <summary>The ABI that this header describes: major &lt;&lt; 16 | minor. Give it to keel_runtime_create.</summary>
        public const int KEEL_ABI_VERSION = 1;

        /// <summary>keel_model_encode: put the tokenizer's special tokens (begin of text …) where it would put them itself.</summary>
        public const int KEEL_ENCODE_SPECIAL = 1;

        /// <summary>keel_model_decode: leave special tokens out of the text.</summary>
        public const int KEEL_DECODE_SKIP_SPECIAL = 1;

        /// <summary>int32_t.</summary>
        public const int KEEL_TYPE_I32 = 1;

        /// <summary>int64_t.</summary>
        public const int KEEL_TYPE_I64 = 2;

        /// <summary>uint64_t.</summary>
        public const int KEEL_TYPE_U64 = 3;

        /// <summary>float.</summary>
        public const int KEEL_TYPE_F32 = 4;

        /// <summary>uint8_t.</summary>
        public const int KEEL_TYPE_U8 = 5;

        /// <summary>char: UTF-8 text, count in bytes.</summary>
        public const int KEEL_TYPE_UTF8 = 6;

        /// <summary>Prompts to generate from.</summary>
        public const int KEEL_BATCH_PROMPTS = 1;

        /// <summary>Prompts with the responses to learn.</summary>
        public const int KEEL_BATCH_DEMONSTRATIONS = 2;

        /// <summary>Prompts with a chosen and a rejected response.</summary>
        public const int KEEL_BATCH_PREFERENCES = 3;

        /// <summary>Prompts with sampled responses, what was recorded when they were sampled, and their rewards.</summary>
        public const int KEEL_BATCH_ROLLOUTS = 4;

        /// <summary>Prompts with responses, each called good or bad.</summary>
        public const int KEEL_BATCH_FEEDBACK = 5;

        /// <summary>Prompts with responses, each with its rank among those to the same prompt.</summary>
        public const int KEEL_BATCH_RANKINGS = 6;

        /// <summary>Column finish_reason: the model ended its response.</summary>
        public const int KEEL_FINISH_EOS = 1;

        /// <summary>Column finish_reason: a stop token or stop text was met.</summary>
        public const int KEEL_FINISH_STOP = 2;

        /// <summary>Column finish_reason: max_new_tokens was reached.</summary>
        public const int KEEL_FINISH_LENGTH = 3;

        /// <summary>Column finish_reason: the host ended it.</summary>
        public const int KEEL_FINISH_HOST = 4;

        /// <summary>Column split: rows to learn from.</summary>
        public const int KEEL_SPLIT_TRAINING = 0;

        /// <summary>Column split: rows for keel_session_evaluate.</summary>
        public const int KEEL_SPLIT_EVALUATION = 1;

        /// <summary>The model in training.</summary>
        public const int KEEL_ROLE_POLICY = 1;

        /// <summary>The model that the policy is held close to, a frozen copy of the one that is set, which follows the policy only where the algorithm says so; without one, a copy of the policy as it was set. keel_session_model gives a copy of it.</summary>
        public const int KEEL_ROLE_REFERENCE = 2;

        /// <summary>The model that scores rollouts which the host does not reward; in a session that trains a reward model, that model.</summary>
        public const int KEEL_ROLE_REWARD = 3;

        /// <summary>A model of one score that tells the values of states, trained with the policy and set before it; without one, a head on the policy's trunk does.</summary>
        public const int KEEL_ROLE_VALUE = 4;

        /// <summary>keel_session_set_callback: a keel_reward_callback.</summary>
        public const int KEEL_CALLBACK_REWARD = 1;

        /// <summary>keel_report.state: the job has more to do.</summary>
        public const int KEEL_JOB_PENDING = 1;

        /// <summary>keel_report.state: there is nothing to do until more rows, rewards or answers are there; make another job then.</summary>
        public const int KEEL_JOB_NEED_DATA = 2;

        /// <summary>keel_report.state: the job is complete.</summary>
        public const int KEEL_JOB_DONE = 3;

        /// <summary>keel_report.state: the job was cancelled.</summary>
        public const int KEEL_JOB_CANCELLED = 4;

        /// <summary>keel_report.state: the job failed; keel_job_error says why.</summary>
        public const int KEEL_JOB_FAILED = 5;

        /// <summary>keel_actor_act: the likeliest choice and the mean, rather than a draw.</summary>
        public const int KEEL_ACT_GREEDY = 1;

        /// <summary>keel_actor_act: nothing is learned from it; the slots stay where they stand: a recurrent policy acts from what it remembers of them, and remembers no more.</summary>
        public const int KEEL_ACT_UNRECORDED = 2;

        /// <summary>keel_actor_act: the host or a person chose; the action records are read.</summary>
        public const int KEEL_ACT_GIVEN = 4;

        /// <summary>keel_actor_observe: the episode goes on.</summary>
        public const int KEEL_EPISODE_RUNNING = 0;

        /// <summary>keel_actor_observe: it ended; nothing follows.</summary>
        public const int KEEL_EPISODE_TERMINATED = 1;

        /// <summary>keel_actor_observe: it was cut off, and would have gone on from the final observation.</summary>
        public const int KEEL_EPISODE_TRUNCATED = 2;

        /// <summary>keel_actor_observe: nobody knows how it would have gone on; its last step is not learned from.</summary>
        public const int KEEL_EPISODE_ABANDONED = 3;

        /// <summary>Where a failed call says what went wrong. The caller owns it; initialise it with KEEL_ERROR_INIT and use it for as many calls as you like: each call that gets it writes it.</summary>
        [StructLayout(LayoutKind.Sequential)]
        public struct keel_error
        {
            /// <summary>sizeof(struct keel_error) of the caller; with 0, nothing is written.</summary>
            public uint struct_size;
            /// <summary>The status that the call returned.</summary>
            public int status;
            /// <summary>The sentence: UTF-8, ends with a NUL, empty unless the call failed or its queue is full.</summary>
            public fixed byte message[1016];
        }

        /// <summary>How far a job is. The caller owns it; initialise it with KEEL_REPORT_INIT.</summary>
        [StructLayout(LayoutKind.Sequential)]
        public struct keel_report
        {
            /// <summary>sizeof(struct keel_report) of the caller.</summary>
            public uint struct_size;
            /// <summary>KEEL_JOB_PENDING, KEEL_JOB_NEED_DATA, KEEL_JOB_DONE, KEEL_JOB_CANCELLED or KEEL_JOB_FAILED.</summary>
            public int state;
            /// <summary>Slices that the job has run.</summary>
            public ulong slices;
            /// <summary>Microseconds that this call worked.</summary>
            public ulong elapsed_us;
            /// <summary>Microseconds of the longest slice of this call.</summary>
            public ulong longest_slice_us;
            /// <summary>Optimiser steps that the job has applied.</summary>
            public ulong optimizer_steps;
            /// <summary>Share of the job that is done, from 0 to 1.</summary>
            public float progress;
            /// <summary>0.</summary>
            public uint reserved;
        }

        /// <summary>What a thread of the host's is to call once, with the argument that came with it. It returns when no started job waits.</summary>
        [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
        public delegate void keel_thread_work(void* argument);

        /// <summary>Has a thread of the host's call work(argument) soon, and returns 0 at once; or returns another number, and the job is not started (KEEL_E_CALLBACK). work: called once, on a thread that libtorch's operators may use for long; a second call does nothing. argument: only to be passed on. user_data: as it was given to keel_runtime_set_thread_starter. keel_runtime_shutdown and the end of the process wait for work that was taken. A C++ exception that leaves the starter counts as a refusal.</summary>
        [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
        public delegate int keel_thread_starter(IntPtr work, void* argument, void* user_data);

        /// <summary>Memory of the host's for a tensor. size: bytes, above 0. alignment: a power of two, 64. user_data: as it was given to keel_process_set_allocator. Returns NULL where there is none, which is KEEL_E_OUT_OF_MEMORY for the job, as a C++ exception that leaves it is.</summary>
        [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
        public delegate void* keel_allocate(UIntPtr size, UIntPtr alignment, void* user_data);

        /// <summary>Takes back what a keel_allocate gave: memory, with the size that was asked for.</summary>
        [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
        public delegate void keel_release(void* memory, UIntPtr size, void* user_data);

        /// <summary>Scores rollouts: writes one reward per row and returns 0, or another number to fail the update. rollouts: a batch of kind KEEL_BATCH_ROLLOUTS, borrowed until the callback returns. rewards: count of them, to be written. user_data: as it was given to keel_session_set_callback. It may call keel, but not drive the job that calls it. A C++ exception that leaves it ends the update with KEEL_E_CALLBACK.</summary>
        [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
        public delegate int keel_reward_callback(ulong rollouts, float* rewards, UIntPtr count, void* user_data);

        /// <summary>The name of a status, e.g. "KEEL_E_CONFIG"; "KEEL_E_UNKNOWN" for a number that is none.</summary>
        /// <param name="status">any number. The result is a constant of the library: never NULL, not to be freed.</param>
        /// <returns>What the summary says.</returns>
        /// <remarks>Threads: any. Status: none, cannot fail. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern byte* keel_status_name(int status);

        /// <summary>The ABI that the loaded library speaks: major &lt;&lt; 16 | minor.</summary>
        /// <returns>What the summary says.</returns>
        /// <remarks>Threads: any. Status: none, cannot fail. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern uint keel_abi_version();

        /// <summary>The version of the loaded library, e.g. "0.1.0".</summary>
        /// <returns>What the summary says.</returns>
        /// <remarks>Threads: any. Status: none, cannot fail. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern byte* keel_version();

        /// <summary>What was loaded, as JSON: versions of keel, of its ABI and of the libtorch that it was compiled against, the build's profile, the optional parts and the devices that the process has loaded, and the absolute paths of the libraries.</summary>
        /// <param name="buffer">room for capacity bytes, NULL with capacity 0 to ask for the size.</param>
        /// <param name="capacity">How many.</param>
        /// <param name="needed">bytes without a NUL, nullable.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any. Status: KEEL_E_CAPACITY. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_build_info(byte* buffer, UIntPtr capacity, UIntPtr* needed, keel_error* error);

        /// <summary>Makes a runtime. The first one of a process decides whether CUDA is loaded; a process needs only one.</summary>
        /// <param name="header_abi">KEEL_ABI_VERSION of the header that the host was compiled against.</param>
        /// <param name="json">the configuration "runtime", copied; NULL with length 0 for the defaults.</param>
        /// <param name="json_length">How many.</param>
        /// <param name="runtime">out, the caller ends it with keel_runtime_destroy.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any. Status: KEEL_E_VERSION, KEEL_E_CONFIG, KEEL_E_DEVICE; KEEL_E_UNSUPPORTED: a cap on memory that cannot be kept in this process. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_runtime_create(uint header_abi, byte* json, UIntPtr json_length, ulong* runtime, keel_error* error);

        /// <summary>Stops the jobs that run on keel's threads at their next slice, and those that wait for one, and waits for the threads; afterwards none runs. Of a host's threads, it waits until they have returned to the host.</summary>
        /// <param name="runtime">stays valid, but no job can be started on a thread again.</param>
        /// <param name="timeout_us">how long to wait at most.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any. Status: KEEL_E_TIMEOUT: a slice still runs, call again. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_runtime_shutdown(ulong runtime, ulong timeout_us, keel_error* error);

        /// <summary>Sets, or with NULL removes, the host's way to provide the threads on which jobs run that are started from now on. "learner_threads" of the configuration then says only how many jobs run at once; name, priority and CPUs are the host's.</summary>
        /// <param name="runtime">changed.</param>
        /// <param name="starter">called in keel_job_start, on its thread; nullable.</param>
        /// <param name="user_data">given to starter as it is; a started thread no longer needs it.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any; a starter that another thread is calling may go on. Status: no others. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_runtime_set_thread_starter(ulong runtime, IntPtr starter, void* user_data, keel_error* error);

        /// <summary>Has all tensors of the process in host memory live in the host's memory: libtorch asks these functions from then on. Once, before the first keel_runtime_create. Not what keel's own code and libraries under libtorch allocate beside tensors, nor files that are mapped.</summary>
        /// <param name="allocate">size bytes aligned to alignment, or NULL; each keeps its address and is called by any thread at any time, as release is.</param>
        /// <param name="release">takes back what allocate gave, with its size. Neither calls keel; the process may keep tensors to its end.</param>
        /// <param name="user_data">given to both as it is, valid as long.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any. Status: KEEL_E_STATE: there is a runtime already, or another allocator. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_process_set_allocator(IntPtr allocate, IntPtr release, void* user_data, keel_error* error);

        /// <summary>Takes the oldest event, as JSON.</summary>
        /// <param name="runtime">borrowed.</param>
        /// <param name="source">the handle of the session or job whose events are wanted, 0 for any.</param>
        /// <param name="buffer">room for capacity bytes, NULL with capacity 0 to ask for the size.</param>
        /// <param name="capacity">How many.</param>
        /// <param name="needed">bytes without a NUL, nullable.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any; it waits for none. Status: KEEL_EMPTY: there is none, or another thread is at the queues this moment; KEEL_E_CAPACITY: it stays the oldest. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_runtime_next_event(ulong runtime, ulong source, byte* buffer, UIntPtr capacity, UIntPtr* needed, keel_error* error);

        /// <summary>The devices that a configuration may name, as a JSON array: ["cpu", "cuda:0"].</summary>
        /// <param name="runtime">borrowed.</param>
        /// <param name="buffer">room for capacity bytes, NULL with capacity 0 to ask for the size.</param>
        /// <param name="capacity">How many.</param>
        /// <param name="needed">bytes without a NUL, nullable.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any. Status: KEEL_E_CAPACITY. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_runtime_devices(ulong runtime, byte* buffer, UIntPtr capacity, UIntPtr* needed, keel_error* error);

        /// <summary>What memory the process uses, as JSON, in bytes: resident_bytes; under "host" what tensors hold and the most they held (allocated_bytes, peak_allocated_bytes) and the cap_bytes of the runtime configuration, null without one, or null where the process has an allocator of its own for libtorch; and under "devices" a list of the CUDA devices, each with the same numbers and more where libkeel_cuda.so lies beside libkeel.</summary>
        /// <param name="runtime">borrowed.</param>
        /// <param name="buffer">room for capacity bytes, NULL with capacity 0 to ask for the size.</param>
        /// <param name="capacity">How many.</param>
        /// <param name="needed">bytes without a NUL, nullable.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any. Status: KEEL_E_CAPACITY. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_runtime_memory(ulong runtime, byte* buffer, UIntPtr capacity, UIntPtr* needed, keel_error* error);

        /// <summary>Ends the handle. What was made from the runtime goes on; its memory is freed with the last of it.</summary>
        /// <param name="runtime">0 and what was destroyed before are ignored.</param>
        /// <remarks>Threads: any; never waits. Status: none, cannot fail. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern void keel_runtime_destroy(ulong runtime);

        /// <summary>How many handles were made and not yet destroyed, of all types.</summary>
        /// <returns>What the summary says.</returns>
        /// <remarks>Threads: any. Status: none, cannot fail. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern ulong keel_live_handles();

        /// <summary>The JSON Schema of a configuration: names, types, ranges, defaults, meanings.</summary>
        /// <param name="kind">"runtime", "load", "create", "control" for the config of a control network, "control_reward" for that of a reward network of control, "generate", "session", or "columns" for the table of columns of a batch.</param>
        /// <param name="kind_length">How many.</param>
        /// <param name="buffer">room for capacity bytes, NULL with capacity 0 to ask for the size.</param>
        /// <param name="capacity">How many.</param>
        /// <param name="needed">bytes without a NUL, nullable.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any. Status: KEEL_E_CAPACITY. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_config_schema(byte* kind, UIntPtr kind_length, byte* buffer, UIntPtr capacity, UIntPtr* needed, keel_error* error);

        /// <summary>Makes a job that loads a directory in the Hugging Face layout (config.json, *.safetensors, tokenizer.json); the finished job has the model, keel_job_model.</summary>
        /// <param name="runtime">borrowed.</param>
        /// <param name="path">UTF-8, copied.</param>
        /// <param name="path_length">How many.</param>
        /// <param name="json">the configuration "load", copied; NULL with length 0 for the defaults.</param>
        /// <param name="json_length">How many.</param>
        /// <param name="job">out, the caller ends it with keel_job_destroy.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any. Status: KEEL_E_CONFIG, KEEL_E_DEVICE; files that are missing or wrong fail the job with KEEL_E_FILE, KEEL_E_FORMAT, a script where the runtime allows none with KEEL_E_UNSUPPORTED. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_model_load(ulong runtime, byte* path, UIntPtr path_length, byte* json, UIntPtr json_length, ulong* job, keel_error* error);

        /// <summary>Makes a model with random weights from a configuration: a language model, or with "model_type": "control" in its config a control network.</summary>
        /// <param name="runtime">borrowed.</param>
        /// <param name="json">the configuration "create", copied.</param>
        /// <param name="json_length">How many.</param>
        /// <param name="model">out, the caller ends it with keel_model_destroy.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any. Status: KEEL_E_CONFIG, KEEL_E_DEVICE, KEEL_E_UNSUPPORTED; of a network's script KEEL_E_FILE, KEEL_E_FORMAT, KEEL_E_SHAPE, KEEL_E_CALLBACK, and KEEL_E_UNSUPPORTED where the runtime allows none. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_model_create(ulong runtime, byte* json, UIntPtr json_length, ulong* model, keel_error* error);

        /// <summary>Writes the last published weights as a directory that keel_model_load reads, and transformers that of a language model. A file that is there is replaced whole or not at all.</summary>
        /// <param name="model">borrowed.</param>
        /// <param name="path">UTF-8, copied; the directory is made if it is missing.</param>
        /// <param name="path_length">How many.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any. Status: KEEL_E_FILE. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_model_save(ulong model, byte* path, UIntPtr path_length, keel_error* error);

        /// <summary>What the model is, as JSON: architecture, sizes, dtype, device, version of its weights, special tokens.</summary>
        /// <param name="model">borrowed.</param>
        /// <param name="buffer">room for capacity bytes, NULL with capacity 0 to ask for the size.</param>
        /// <param name="capacity">How many.</param>
        /// <param name="needed">bytes without a NUL, nullable.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any. Status: KEEL_E_CAPACITY. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_model_info(ulong model, byte* buffer, UIntPtr capacity, UIntPtr* needed, keel_error* error);

        /// <summary>Turns text into tokens.</summary>
        /// <param name="model">borrowed.</param>
        /// <param name="text">UTF-8, borrowed.</param>
        /// <param name="text_length">How many.</param>
        /// <param name="flags">0 or KEEL_ENCODE_SPECIAL.</param>
        /// <param name="tokens">room for capacity tokens, NULL with capacity 0 to ask for the count.</param>
        /// <param name="capacity">How many.</param>
        /// <param name="needed">the count, nullable.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any. Status: KEEL_E_CAPACITY, KEEL_E_STATE: the model has no tokenizer. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_model_encode(ulong model, byte* text, UIntPtr text_length, uint flags, int* tokens, UIntPtr capacity, UIntPtr* needed, keel_error* error);

        /// <summary>Turns tokens into text.</summary>
        /// <param name="model">borrowed.</param>
        /// <param name="tokens">count of them, borrowed.</param>
        /// <param name="count">How many.</param>
        /// <param name="flags">0 or KEEL_DECODE_SKIP_SPECIAL.</param>
        /// <param name="buffer">room for capacity bytes, NULL with capacity 0 to ask for the size.</param>
        /// <param name="capacity">How many.</param>
        /// <param name="needed">bytes without a NUL, nullable.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any. Status: KEEL_E_CAPACITY, KEEL_E_STATE: the model has no tokenizer. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_model_decode(ulong model, int* tokens, UIntPtr count, uint flags, byte* buffer, UIntPtr capacity, UIntPtr* needed, keel_error* error);

        /// <summary>Ends the handle. Sessions that use the model keep it alive.</summary>
        /// <param name="model">0 and what was destroyed before are ignored.</param>
        /// <remarks>Threads: any; never waits. Status: none, cannot fail. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern void keel_model_destroy(ulong model);

        /// <summary>Makes an empty batch; fill it with keel_batch_set.</summary>
        /// <param name="runtime">borrowed.</param>
        /// <param name="kind">KEEL_BATCH_….</param>
        /// <param name="rows">how many each column will have.</param>
        /// <param name="batch">out, the caller ends it with keel_batch_destroy.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any. Status: no others. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_batch_create(ulong runtime, int kind, ulong rows, ulong* batch, keel_error* error);

        /// <summary>Sets a column, or replaces it whole. Views of the batch end.</summary>
        /// <param name="batch">changed.</param>
        /// <param name="column">its name, UTF-8 (the table: keel_config_schema "columns").</param>
        /// <param name="column_length">How many.</param>
        /// <param name="type">KEEL_TYPE_…, what values holds.</param>
        /// <param name="values">count of them, copied.</param>
        /// <param name="count">How many.</param>
        /// <param name="offsets">NULL if each row has count / rows values, at least one; else rows + 1 of them, copied, the first 0, the last count, and row r is values[offsets[r]] up to values[offsets[r + 1]].</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any, but no other call on this batch meanwhile. Status: KEEL_E_DATA, KEEL_E_SHAPE, KEEL_E_NON_FINITE, KEEL_E_INVALID_TEXT, KEEL_E_CONCURRENT. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_batch_set(ulong batch, byte* column, UIntPtr column_length, int type, void* values, UIntPtr count, ulong* offsets, keel_error* error);

        /// <summary>A view of a column.</summary>
        /// <param name="batch">borrowed; the view is valid until it is changed or destroyed.</param>
        /// <param name="column">its name, UTF-8.</param>
        /// <param name="column_length">How many.</param>
        /// <param name="type">in and out: the wanted KEEL_TYPE_…, or 0 for the stored one; then that of values. KEEL_TYPE_UTF8 of tokens that keel_session_generate made decodes them, without special tokens.</param>
        /// <param name="values">out, *count of them.</param>
        /// <param name="count">out.</param>
        /// <param name="offsets">out, nullable; rows + 1 of them, or NULL if each row has count / rows values.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any. Status: KEEL_E_DATA: no such column; KEEL_E_INVALID_ARGUMENT: it holds another type, or numbers that are no tokens; KEEL_E_STATE: tokens without a tokenizer; KEEL_E_CONCURRENT. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_batch_get(ulong batch, byte* column, UIntPtr column_length, int* type, void** values, UIntPtr* count, ulong** offsets, keel_error* error);

        /// <summary>Sets a column from a DLPack tensor [rows] or [rows, width] of int32, int64, float32 or uint8.</summary>
        /// <param name="batch">changed; its views end.</param>
        /// <param name="column">its name, UTF-8.</param>
        /// <param name="column_length">How many.</param>
        /// <param name="tensor">keel owns it from here on, whatever the status: its deleter is called exactly once.</param>
        /// <param name="stream">NULL, since only host memory is taken today.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any, but no other call on this batch meanwhile. Status: as keel_batch_set; KEEL_E_UNSUPPORTED: another type or layout. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_batch_set_dlpack(ulong batch, byte* column, UIntPtr column_length, void* tensor, void* stream, keel_error* error);

        /// <summary>A copy of a column as a DLPack tensor in host memory: [rows], or [count] if it is ragged, of logits [response tokens, vocabulary].</summary>
        /// <param name="batch">borrowed.</param>
        /// <param name="column">its name, UTF-8.</param>
        /// <param name="column_length">How many.</param>
        /// <param name="tensor">out, the caller calls its deleter.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any. Status: KEEL_E_DATA: no such column; KEEL_E_UNSUPPORTED: it holds text or uint64; KEEL_E_CONCURRENT. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_batch_get_dlpack(ulong batch, byte* column, UIntPtr column_length, void** tensor, keel_error* error);

        /// <summary>How many rows the batch has.</summary>
        /// <param name="batch">borrowed.</param>
        /// <param name="rows">out.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any. Status: no others. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_batch_rows(ulong batch, ulong* rows, keel_error* error);

        /// <summary>Ends the handle and its views. What was pushed was copied.</summary>
        /// <param name="batch">0 and what was destroyed before are ignored.</param>
        /// <remarks>Threads: any; never waits. Status: none, cannot fail. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern void keel_batch_destroy(ulong batch);

        /// <summary>Makes a session; give it its policy with keel_session_set_model.</summary>
        /// <param name="runtime">borrowed.</param>
        /// <param name="json">the configuration "session", copied; it names the algorithm, {"algorithm": {"type": "sft"}}.</param>
        /// <param name="json_length">How many.</param>
        /// <param name="session">out, the caller ends it with keel_session_destroy.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any. Status: KEEL_E_CONFIG, KEEL_E_DEVICE. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_session_create(ulong runtime, byte* json, UIntPtr json_length, ulong* session, keel_error* error);

        /// <summary>Makes a session from a checkpoint, with its models, its optimiser and its rows, as keel_session_save left them.</summary>
        /// <param name="runtime">borrowed.</param>
        /// <param name="path">UTF-8, copied.</param>
        /// <param name="path_length">How many.</param>
        /// <param name="session">out, the caller ends it with keel_session_destroy.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any; reads the file before it returns. Status: KEEL_E_FILE, KEEL_E_FORMAT, KEEL_E_DEVICE; KEEL_E_UNSUPPORTED: a network's script, and the runtime allows none. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_session_open(ulong runtime, byte* path, UIntPtr path_length, ulong* session, keel_error* error);

        /// <summary>Gives the session a model for a role. The weights of the model in training belong to the session from then on; every other use of that model reads the last published ones. A policy may take the place of the one in training, of the same architecture, or in control of the same observations, actions and core: slots stay in their episodes with what they remember, rows and steps that wait stay with the probabilities that were recorded, the optimiser begins anew, and what is kept of earlier versions goes. A language model that is set as the reward model in training stays as it is: a new reward model on a copy of it is trained, which keel_session_model gives.</summary>
        /// <param name="session">changed.</param>
        /// <param name="role">KEEL_ROLE_….</param>
        /// <param name="name">UTF-8, must be empty.</param>
        /// <param name="name_length">How many.</param>
        /// <param name="model">kept alive by the session.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any. Status: KEEL_E_IN_USE: another session trains it, or an update is unfinished; KEEL_E_STATE, KEEL_E_SHAPE, KEEL_E_DEVICE. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_session_set_model(ulong session, int role, byte* name, UIntPtr name_length, ulong model, keel_error* error);

        /// <summary>The model of a role.</summary>
        /// <param name="session">borrowed.</param>
        /// <param name="role">KEEL_ROLE_….</param>
        /// <param name="name">UTF-8, must be empty.</param>
        /// <param name="name_length">How many.</param>
        /// <param name="model">out, the caller ends it with keel_model_destroy.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any. Status: KEEL_E_STATE: the role has none. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_session_model(ulong session, int role, byte* name, UIntPtr name_length, ulong* model, keel_error* error);

        /// <summary>The whole configuration of the session as JSON, with every default filled in.</summary>
        /// <param name="session">borrowed.</param>
        /// <param name="buffer">room for capacity bytes, NULL with capacity 0 to ask for the size.</param>
        /// <param name="capacity">How many.</param>
        /// <param name="needed">bytes without a NUL, nullable.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any. Status: KEEL_E_CAPACITY. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_session_config(ulong session, byte* buffer, UIntPtr capacity, UIntPtr* needed, keel_error* error);

        /// <summary>Where each group of an observation record and of an action record lies, as JSON, so that a host can assert its structs: {"observation": {"bytes": …, "groups": [{"name", "type", "count", "offset"}, …]}, "action": …}. A record is as a C compiler lays out a struct of these members, f32 first to last as the model's config says, a mask as u8.</summary>
        /// <param name="session">borrowed; of a control policy, which is set.</param>
        /// <param name="buffer">room for capacity bytes, NULL with capacity 0 to ask for the size.</param>
        /// <param name="capacity">How many.</param>
        /// <param name="needed">bytes without a NUL, nullable.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any. Status: KEEL_E_CAPACITY, KEEL_E_STATE: no policy, or no session of a control policy. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_session_layout(ulong session, byte* buffer, UIntPtr capacity, UIntPtr* needed, keel_error* error);

        /// <summary>Sets, or with NULL removes, what the session calls when it needs something from the host. Returns when no other thread is inside a call of the callback before, so that its user_data may then be freed.</summary>
        /// <param name="session">changed.</param>
        /// <param name="kind">KEEL_CALLBACK_REWARD.</param>
        /// <param name="callback">called in keel_job_run, keel_job_pump and keel_session_step, on their thread; nullable.</param>
        /// <param name="user_data">given to callback as it is, must stay valid until this function has replaced the callback.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any; waits for a call of the old callback on another thread, so hold no lock that the callback takes. From inside the callback it does not wait for that call, whose user_data must then outlive it. Status: no others. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_session_set_callback(ulong session, int kind, IntPtr callback, void* user_data, keel_error* error);

        /// <summary>Ends the handle; events that were not read are gone. A job of the session that is still driven goes on to its end and may call the callback: remove it first.</summary>
        /// <param name="session">0 and what was destroyed before are ignored.</param>
        /// <remarks>Threads: any; never waits. Status: none, cannot fail. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern void keel_session_destroy(ulong session);

        /// <summary>Adds the rows of a batch: all of them or none. Rows pushed while an update runs belong to the next one.</summary>
        /// <param name="session">changed.</param>
        /// <param name="batch">borrowed; its rows are copied.</param>
        /// <param name="first_id">out, nullable; the id of the first row, the others follow one by one.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any, also while a job runs. Status: KEEL_E_DATA, KEEL_E_SHAPE, KEEL_E_STATE, KEEL_E_CONCURRENT: the batch is being changed; KEEL_FULL: the session would hold more rows than queue_capacity, and took none. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_session_push(ulong session, ulong batch, ulong* first_id, keel_error* error);

        /// <summary>Sets the rewards of rows that wait for an update, also of those that have some.</summary>
        /// <param name="session">changed.</param>
        /// <param name="ids">ids_count of them, from keel_session_push, copied.</param>
        /// <param name="ids_count">How many.</param>
        /// <param name="rewards">for each id as many as the algorithm has rewards, one unless configured, copied; rewards_count says how many in all.</param>
        /// <param name="rewards_count">How many.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any, also while a job runs. Status: KEEL_E_SHAPE, KEEL_E_NON_FINITE, KEEL_E_STATE: the algorithm takes no rewards; KEEL_E_DATA: an id that is not waiting, or twice. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_session_reward(ulong session, ulong* ids, UIntPtr ids_count, float* rewards, UIntPtr rewards_count, keel_error* error);

        /// <summary>What the session needs from the host: a batch of rollouts that wait for their rewards, each with its id in the column id. A rollout is asked about once, by a restored session again, and not while an update that runs has it.</summary>
        /// <param name="session">changed.</param>
        /// <param name="queries">out, the caller ends it with keel_batch_destroy; 0 where there are none.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any, also while a job runs. Status: KEEL_EMPTY: nothing is needed; KEEL_E_STATE: the algorithm takes no rewards. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_session_take_queries(ulong session, ulong* queries, keel_error* error);

        /// <summary>Answers queries: the rewards of the rollouts.</summary>
        /// <param name="session">changed.</param>
        /// <param name="ids">ids_count of them, from the column id of queries, copied.</param>
        /// <param name="ids_count">How many.</param>
        /// <param name="rewards">for each id as many as the algorithm has rewards, copied; rewards_count says how many in all.</param>
        /// <param name="rewards_count">How many.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any, also while a job runs. Status: KEEL_E_SHAPE, KEEL_E_NON_FINITE, KEEL_E_STATE: the algorithm takes no rewards; KEEL_E_DATA: an id that was not asked about, or twice. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_session_answer(ulong session, ulong* ids, UIntPtr ids_count, float* rewards, UIntPtr rewards_count, keel_error* error);

        /// <summary>Drops all rows that no update has taken; in a session of a control policy the finished steps, and episodes go on.</summary>
        /// <param name="session">changed.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any. Status: no others. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_session_clear(ulong session, keel_error* error);

        /// <summary>Makes a job that changes settings of the session, also while an update runs: they hold from the next optimiser step that begins, whoever drives. Learning rate, its schedule, max_grad_norm, weight_decay, kept_versions, and of the algorithm what changes no shape and nothing that was stored, such as clip_range, kl_coef, entropy_coef; another setting may be there with the value that it has. Then keel_session_config tells the new values, and keel_session_save keeps them.</summary>
        /// <param name="session">changed by the job.</param>
        /// <param name="json">some of the keys of the configuration "session", copied; what is left out stays.</param>
        /// <param name="json_length">How many.</param>
        /// <param name="job">out, the caller ends it with keel_job_destroy.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any; the job waits for the slice that another job of the session runs, and for no pause. Status: KEEL_E_CONFIG: a setting that stays, which the message tells beside those that may change. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_session_configure(ulong session, byte* json, UIntPtr json_length, ulong* job, keel_error* error);

        /// <summary>Makes a job that publishes what was learned up to the last optimiser step, also while an update runs; nothing where that is published already. Actors, generations and exports read it from then on, under a version that is higher by one.</summary>
        /// <param name="session">changed by the call that ends the job.</param>
        /// <param name="job">out, the caller ends it with keel_job_destroy.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any; the call that ends the job waits for the slice that another job of the session runs. No pause holds it back. Status: KEEL_E_STATE: no model; KEEL_E_POISONED. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_session_publish(ulong session, ulong* job, keel_error* error);

        /// <summary>Makes a job that lets training go on from a version that was published: weights and normaliser statistics are those of that version, in training and published, the latter under a new version. The optimiser begins anew; counters, rows and steps that wait, and schedules stay. The setting kept_versions says how many versions are kept; checkpoints hold none.</summary>
        /// <param name="session">changed by the call that ends the job.</param>
        /// <param name="version">of the metric policy/version.</param>
        /// <param name="job">out, the caller ends it with keel_job_destroy.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any. Status: KEEL_E_INVALID_ARGUMENT: a version that is not kept, the message tells which are; KEEL_E_IN_USE: an update is unfinished, also as an error of the job; KEEL_E_STATE, KEEL_E_POISONED. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_session_roll_back(ulong session, ulong version, ulong* job, keel_error* error);

        /// <summary>Lets the updates, generations and evaluations of the session do no further slice until keel_session_resume; the slices that run come to their end. Those on keel's thread sleep, keel_job_run and keel_job_pump return KEEL_PENDING. Acting, pushing, saving, restoring, publishing, rolling back and configuring go on; jobs may be cancelled, the session destroyed, which ends the pause, and the runtime shut down. Pausing twice is pausing once.</summary>
        /// <param name="session">changed.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any; waits for nothing. Status: no others. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_session_pause(ulong session, keel_error* error);

        /// <summary>Lets the jobs of the session go on; of one that is not paused nothing changes.</summary>
        /// <param name="session">changed.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any; waits for nothing. Status: no others. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_session_resume(ulong session, keel_error* error);

        /// <summary>Makes a job that writes the whole session, as of the last optimiser step, to one file: models, optimiser, rows, random streams. A file that is there is replaced whole or not at all.</summary>
        /// <param name="session">borrowed.</param>
        /// <param name="path">UTF-8, copied.</param>
        /// <param name="path_length">How many.</param>
        /// <param name="job">out, the caller ends it with keel_job_destroy.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any. Status: KEEL_E_STATE, KEEL_E_POISONED; the job fails with KEEL_E_FILE. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_session_save(ulong session, byte* path, UIntPtr path_length, ulong* job, keel_error* error);

        /// <summary>Makes a job that puts the session into the state of a file of keel_session_save. All handles stay; a poisoned session is sound again.</summary>
        /// <param name="session">changed by the job.</param>
        /// <param name="path">UTF-8, copied.</param>
        /// <param name="path_length">How many.</param>
        /// <param name="job">out, the caller ends it with keel_job_destroy.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any. Status: KEEL_E_IN_USE, KEEL_E_STATE; the job fails with KEEL_E_FILE, KEEL_E_FORMAT. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_session_restore(ulong session, byte* path, UIntPtr path_length, ulong* job, keel_error* error);

        /// <summary>What keel_session_save would write, in memory.</summary>
        /// <param name="session">borrowed.</param>
        /// <param name="blob">out, the caller ends it with keel_blob_destroy.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any; waits for the slice that a job of the session runs. Status: KEEL_E_STATE, KEEL_E_POISONED. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_session_export(ulong session, ulong* blob, keel_error* error);

        /// <summary>Puts the session into the state that keel_session_export gave.</summary>
        /// <param name="session">changed.</param>
        /// <param name="bytes">size of them, borrowed.</param>
        /// <param name="size">How many.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any. Status: KEEL_E_FORMAT, KEEL_E_IN_USE, KEEL_E_STATE. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_session_import(ulong session, void* bytes, UIntPtr size, keel_error* error);

        /// <summary>A number that is equal for equal states: weights, optimiser, rows, random streams.</summary>
        /// <param name="session">borrowed.</param>
        /// <param name="hash">out.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any; waits for the slice that a job of the session runs. Status: KEEL_E_STATE. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_session_state_hash(ulong session, ulong* hash, keel_error* error);

        /// <summary>Makes a job that updates the policy from the rows that were pushed, or from what actors did.</summary>
        /// <param name="session">borrowed.</param>
        /// <param name="job">out, the caller ends it with keel_job_destroy; 0 with KEEL_NEED_DATA.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any; waits for the slice that another job of the session runs. Status: KEEL_NEED_DATA: push or reward rows first; KEEL_E_IN_USE: an update is unfinished; KEEL_E_STATE, KEEL_E_POISONED. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_session_update(ulong session, ulong* job, keel_error* error);

        /// <summary>Makes a job that samples responses; the finished job has the rollouts, keel_job_batch, ready to be rewarded and pushed. With {"logits": true} they also have the column logits: for each response token the model's logits over the vocabulary, before the temperature and any filter.</summary>
        /// <param name="session">borrowed.</param>
        /// <param name="prompts">a batch of kind KEEL_BATCH_PROMPTS, copied.</param>
        /// <param name="json">the configuration "generate", copied; NULL with length 0 for the defaults.</param>
        /// <param name="json_length">How many.</param>
        /// <param name="job">out, the caller ends it with keel_job_destroy.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any. Status: KEEL_E_CONFIG, KEEL_E_DATA, KEEL_E_STATE, KEEL_E_CONCURRENT: the batch is being changed; KEEL_E_OUT_OF_MEMORY: the logits would not fit. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_session_generate(ulong session, ulong prompts, byte* json, UIntPtr json_length, ulong* job, keel_error* error);

        /// <summary>Makes a job that measures the model in training on the rows of split KEEL_SPLIT_EVALUATION; its numbers appear in keel_session_metrics and as an event. Of a reward model of control the finished job has a batch, keel_job_batch: in the column probability, for each row in the order of pushing, how probable each member calls the preference.</summary>
        /// <param name="session">borrowed.</param>
        /// <param name="job">out, the caller ends it with keel_job_destroy; 0 with KEEL_NEED_DATA.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any; waits for the slice that another job of the session runs. Status: KEEL_NEED_DATA: no such rows; KEEL_E_STATE. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_session_evaluate(ulong session, ulong* job, keel_error* error);

        /// <summary>keel_session_update and keel_job_run in one, for hosts that may block.</summary>
        /// <param name="session">changed.</param>
        /// <param name="report">out, nullable, written also on failure.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any. Status: KEEL_NEED_DATA: push or reward rows first; KEEL_E_STATE: the session is paused; KEEL_E_CANCELLED: it was paused meanwhile; those of keel_session_update and keel_job_run. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_session_step(ulong session, keel_report* report, keel_error* error);

        /// <summary>The numbers of the last finished update and evaluation, as JSON; names, units and meanings: docs/metrics.md. "refused" counts the "rows" and "steps" that keel_session_push and keel_actor_act ever refused with KEEL_FULL.</summary>
        /// <param name="session">borrowed.</param>
        /// <param name="buffer">room for capacity bytes, NULL with capacity 0 to ask for the size.</param>
        /// <param name="capacity">How many.</param>
        /// <param name="needed">bytes without a NUL, nullable.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any, also while a job runs. Status: KEEL_E_CAPACITY. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_session_metrics(ulong session, byte* buffer, UIntPtr capacity, UIntPtr* needed, keel_error* error);

        /// <summary>Drives the job to its end on the calling thread, or to where its session is paused.</summary>
        /// <param name="job">borrowed.</param>
        /// <param name="report">out, nullable, written also on failure.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any, one driver at a time. Status: KEEL_PENDING: the session is paused, call again when it is resumed; KEEL_NEED_DATA: an update for which the host's rewards left too few rows, which all stay; KEEL_E_CONCURRENT, KEEL_E_CANCELLED, or the job's own error, again and again. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_job_run(ulong job, keel_report* report, keel_error* error);

        /// <summary>Hands the job to a thread of keel's, or of keel_runtime_set_thread_starter. What it publishes appears with the next keel_job_poll or keel_job_wait. Where as many jobs run as "learner_threads" allows, it waits for those started before.</summary>
        /// <param name="job">borrowed.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any. Status: KEEL_E_CONCURRENT, KEEL_E_STATE: it would call the host back, or the runtime was shut down; KEEL_E_CALLBACK: the host's starter refused. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_job_start(ulong job, keel_error* error);

        /// <summary>Drives the job on the calling thread for about budget_us microseconds: those slices that are expected to fit by what slices of their kind took before, at least one unless its session is paused. A kind that was never measured counts as the whole budget, so it begins a call. A slice of a language model is one block of one micro-batch, one tile of the head, a part of the optimiser step or a token of every row; {"micro_batch_tokens": 1} makes every sequence a micro-batch of its own, for the shortest slices.</summary>
        /// <param name="job">borrowed.</param>
        /// <param name="budget_us">0 for a single slice.</param>
        /// <param name="report">out, nullable, written also on failure.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any, one driver at a time. Status: KEEL_PENDING: call again; KEEL_NEED_DATA as in keel_job_run; KEEL_E_CONCURRENT, KEEL_E_CANCELLED, or the job's own error. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_job_pump(ulong job, ulong budget_us, keel_report* report, keel_error* error);

        /// <summary>Where the job stands. Does no slice and waits for none of this job.</summary>
        /// <param name="job">borrowed.</param>
        /// <param name="report">out, nullable, written also on failure.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any. Status: KEEL_PENDING, KEEL_E_CANCELLED, or the job's own error. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_job_poll(ulong job, keel_report* report, keel_error* error);

        /// <summary>Waits for a started job.</summary>
        /// <param name="job">borrowed.</param>
        /// <param name="timeout_us">how long at most.</param>
        /// <param name="report">out, nullable, written also on failure.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any. Status: KEEL_PENDING: not done yet, or nobody drives it; KEEL_E_CANCELLED, or the job's own error. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_job_wait(ulong job, ulong timeout_us, keel_report* report, keel_error* error);

        /// <summary>How far the job is and what it is at: a share of its slices in [0, 1], and a few words, such as "score reference 3/8".</summary>
        /// <param name="job">borrowed.</param>
        /// <param name="progress">out, nullable.</param>
        /// <param name="buffer">where the words go.</param>
        /// <param name="capacity">where the words go.</param>
        /// <param name="needed">their bytes, nullable.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any; waits for no slice. Status: KEEL_E_CAPACITY: the words are longer. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_job_progress(ulong job, float* progress, byte* buffer, UIntPtr capacity, UIntPtr* needed, keel_error* error);

        /// <summary>Ends the job before its next slice. Optimiser steps that were applied stay; rows that were pushed stay.</summary>
        /// <param name="job">borrowed; a finished one is left as it is.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any; waits for no slice of this job. Status: no others. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_job_cancel(ulong job, keel_error* error);

        /// <summary>The error that ended the job, as the status of this call and in `error`.</summary>
        /// <param name="job">borrowed.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any. Status: KEEL_OK: it has not failed; else the job's own. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_job_error(ulong job, keel_error* error);

        /// <summary>The rows that a finished job made: the rollouts of keel_session_generate.</summary>
        /// <param name="job">borrowed.</param>
        /// <param name="batch">out, a batch of the caller's own, who ends it with keel_batch_destroy.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any. Status: KEEL_E_STATE: it still runs, or makes none; or the job's own error. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_job_batch(ulong job, ulong* batch, keel_error* error);

        /// <summary>The model that a finished keel_model_load read.</summary>
        /// <param name="job">borrowed.</param>
        /// <param name="model">out, the caller ends it with keel_model_destroy.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any. Status: KEEL_E_STATE: it still runs, or reads none; or the job's own error. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_job_model(ulong job, ulong* model, keel_error* error);

        /// <summary>Ends the handle; events that were not read are gone. A job that runs on keel's thread goes on to its end; cancel it first if it should not.</summary>
        /// <param name="job">0 and what was destroyed before are ignored.</param>
        /// <remarks>Threads: any; never waits. Status: none, cannot fail. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern void keel_job_destroy(ulong job);

        /// <summary>Makes an actor: one for each host thread that acts. Slots are the session's: one that acts for a slot has it until it is destroyed, and what is drawn and learned is the same however they are split among actors. It goes on with the slots of an actor that was destroyed, or was saved in mid-episode, in the order in which they were made; a slot of another one that is gone begins a new episode. With {"recorded": false} it leaves nothing to updates and checkpoints, and its slots are its own: for evaluation, where a recurrent policy remembers the episode.</summary>
        /// <param name="session">kept alive; of a control policy, which is set.</param>
        /// <param name="json">nullable, UTF-8.</param>
        /// <param name="json_length">How many.</param>
        /// <param name="actor">out, the caller ends it with keel_actor_destroy.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any. Status: KEEL_E_CONFIG, KEEL_E_STATE: no policy, or no session of a control policy. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_actor_create(ulong session, byte* json, UIntPtr json_length, ulong* actor, keel_error* error);

        /// <summary>Chooses an action for each of some slots, from the policy that was published last, all at once. A slot begins an episode with its first act and after each that has ended; until then it acts and is observed in turn. Touches no libtorch, and allocates nothing once as many slots were seen; but a network that is a script runs in libtorch.</summary>
        /// <param name="actor">changed.</param>
        /// <param name="slots">count of them, distinct, below 2^20, borrowed.</param>
        /// <param name="count">How many.</param>
        /// <param name="observations">a record for each slot, observation_bytes in all; keel_session_layout says what lies where.</param>
        /// <param name="observation_bytes">How many.</param>
        /// <param name="actions">action_bytes in all, a record for each slot, apart from the observations, written, or read with KEEL_ACT_GIVEN. What is recorded is learned from as if the policy had drawn it: say KEEL_ACT_UNRECORDED with KEEL_ACT_GREEDY.</param>
        /// <param name="action_bytes">How many.</param>
        /// <param name="flags">KEEL_ACT_… or 0.</param>
        /// <param name="decisions">out, nullable, count numbers, those of this actor one by one.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any, one at a time. Status: KEEL_E_SHAPE, KEEL_E_NON_FINITE, KEEL_E_DATA: a mask without a legal choice, an action that is not legal; KEEL_E_STATE: a slot that acted was not observed; KEEL_E_IN_USE: a slot is another actor's; KEEL_E_CALLBACK: the network's script threw; KEEL_E_CONCURRENT; KEEL_FULL: more of this actor's steps than queue_capacity would wait for an update. No slot has acted then. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_actor_act(ulong actor, uint* slots, UIntPtr count, void* observations, UIntPtr observation_bytes, void* actions, UIntPtr action_bytes, uint flags, ulong* decisions, keel_error* error);

        /// <summary>As keel_actor_act, with the observations and the actions in DLPack tensors of the host's, on the CPU or a CUDA device, of any strides. The actions are written into a tensor of the host's rather than returned as a new one, so that they come to lie where its simulator reads them, and so that KEEL_ACT_GIVEN can read them there. In a session that learns on a CUDA device, with all vectors in its memory, observations are never copied to the host: the policy is computed there and the steps are kept there for updates; masks, and what the actions are drawn from, come to the host, and the same numbers lead to what records lead to, up to rounding. In every other case the tensors are copied to the host and the same numbers lead to the same actions and the same recording. Final observations are records in both.</summary>
        /// <param name="actor">changed.</param>
        /// <param name="slots">count of them, distinct, below 2^20, borrowed.</param>
        /// <param name="count">How many.</param>
        /// <param name="observations">tensors, groups of them, taken over, one for each observation group of keel_session_layout, in its order, float32, uint8 or bool for a mask, [count, numbers] (more axes are taken as one).</param>
        /// <param name="groups">How many.</param>
        /// <param name="actions">int32 [count, numbers] where all actions are discrete, float32 where all are continuous, or uint8 [count, bytes], action records; not read-only. All tensors are taken over: the deleter of each is called exactly once in every outcome, after the last read or write of its memory.</param>
        /// <param name="stream">the cudaStream_t behind whose work the tensors are; NULL: the one that libtorch uses on this thread, by default CUDA's.</param>
        /// <param name="flags">as keel_actor_act.</param>
        /// <param name="decisions">out, nullable, as there.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any, one at a time. Status: as keel_actor_act; KEEL_E_VERSION, KEEL_E_DEVICE, KEEL_E_UNSUPPORTED: another type of numbers. No slot has acted then and no action is written. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_actor_act_dlpack(ulong actor, uint* slots, UIntPtr count, void** observations, UIntPtr groups, void* actions, void* stream, uint flags, ulong* decisions, keel_error* error);

        /// <summary>Tells what some slots saw since they acted. What several calls between two acts of a slot tell adds up.</summary>
        /// <param name="actor">changed.</param>
        /// <param name="slots">count of them, distinct, that acted, borrowed.</param>
        /// <param name="count">How many.</param>
        /// <param name="rewards">rewards_count of them, one for each slot.</param>
        /// <param name="rewards_count">How many.</param>
        /// <param name="status">KEEL_EPISODE_… for each slot.</param>
        /// <param name="final_observations">a record for each slot that is truncated, in their order, final_bytes in all; NULL with 0 where none is.</param>
        /// <param name="final_bytes">How many.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any, one at a time. Status: KEEL_E_SHAPE, KEEL_E_NON_FINITE, KEEL_E_INVALID_ARGUMENT, KEEL_E_STATE: a slot that has not acted, or whose episode has ended; KEEL_E_CONCURRENT. Nothing was observed then. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_actor_observe(ulong actor, uint* slots, UIntPtr count, float* rewards, UIntPtr rewards_count, int* status, void* final_observations, UIntPtr final_bytes, keel_error* error);

        /// <summary>Ends the handle. What its slots did stays with the session.</summary>
        /// <param name="actor">0 and what was destroyed before are ignored.</param>
        /// <remarks>Threads: any; never waits. Status: none, cannot fail. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern void keel_actor_destroy(ulong actor);

        /// <summary>A view of the bytes.</summary>
        /// <param name="blob">borrowed; the view is valid until it is destroyed.</param>
        /// <param name="data">out, *size bytes.</param>
        /// <param name="size">out.</param>
        /// <param name="error">nullable.</param>
        /// <returns>A status.</returns>
        /// <remarks>Threads: any. Status: no others. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern int keel_blob_data(ulong blob, byte** data, UIntPtr* size, keel_error* error);

        /// <summary>Ends the handle and its view.</summary>
        /// <param name="blob">0 and what was destroyed before are ignored.</param>
        /// <remarks>Threads: any; never waits. Status: none, cannot fail. Since 0.1.</remarks>
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]
        public static extern void keel_blob_destroy(ulong blob);
    }
}
