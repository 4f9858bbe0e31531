// keel.h: the C ABI of keel, an embeddable alignment-training runtime. C99 and C++17; needs nothing but this file.
//
// OWNERSHIP. Objects are handles: numbers below 2^53, 0 is none. Who gets a handle ends it with the destroy function
// of its noun; destroy takes any number any number of times, never waits, and what others still use lives on (a
// session keeps its models, a job its session). A handle that was destroyed, has another type, or was never made gives
// KEEL_E_INVALID_HANDLE. keel copies what it is given; pointers are borrowed for the call, unless a function says
// otherwise. What keel hands out is either copied into the caller's buffer or a view into a handle, valid until that
// handle is changed or destroyed. There is nothing to free.
//
// ERRORS. A fallible function returns keel_status: 0 success, above 0 a state that is no error (KEEL_PENDING,
// KEEL_NEED_DATA, KEEL_EMPTY, KEEL_FULL), below 0 an error. The last parameter may be NULL or point to a keel_error of
// the caller's, which gets the status and a sentence: what argument, what was expected, what was found. A failed call
// writes no out-parameter, except *needed and a report. What every function can return is not repeated below:
// KEEL_E_INVALID_HANDLE, KEEL_E_NULL_POINTER (a pointer may be NULL only where its function says "nullable", or with a
// length of 0), KEEL_E_INVALID_ARGUMENT, KEEL_E_INVALID_TEXT, KEEL_E_OUT_OF_MEMORY, KEEL_E_INTERNAL, KEEL_E_PANIC.
// keel never prints, exits, aborts, or changes the process's environment, signals, locale or floating-point mode. New
// statuses may appear: treat every negative number as an error. A job's failure stays on the job.
//
// STRINGS. Text is UTF-8 with its length in bytes, paths too; no NUL is needed. Text out goes into the caller's
// buffer: *needed is its length without a NUL, and a NUL follows if there is room; too little room is KEEL_E_CAPACITY,
// and nothing was consumed. Configurations are JSON, read strictly: an unknown key, a wrong type or a value out of
// range is KEEL_E_CONFIG, and the message begins with its JSON pointer. keel_config_schema lists every key with its
// range and default.
//
// THREADS. Any thread may call any function; none needs the thread that made a handle. A job has one driver at a time
// and a batch one writer: a second one gets KEEL_E_CONCURRENT and nothing is done. Everything else on a session (push,
// reward, metrics, cancel) may be called while its job runs and does not wait for it. Long work is a job, driven in
// one of three ways with the same result: keel_job_run (here, to the end), keel_job_pump (here, in pieces of a time
// budget), keel_job_start (on a thread of keel's; look with keel_job_poll). Weights change for others only inside a
// call of the host's. Callbacks come on the thread that drives the job; keel calls the host from no thread of its own,
// but for memory where the host gave an allocator.
//
// A host in short (error checks left out):
//   keel_runtime_create(KEEL_ABI_VERSION, NULL, 0, &runtime, &error);
//   keel_model_load(runtime, "models/npc", 10, NULL, 0, &job, &error);
//   keel_job_run(job, NULL, &error);  keel_job_model(job, &policy, &error);  keel_job_destroy(job);
//   keel_session_create(runtime, "{\"algorithm\": {\"type\": \"sft\"}}", 30, &session, &error);
//   keel_session_set_model(session, KEEL_ROLE_POLICY, NULL, 0, policy, &error);
//   keel_session_push(session, demonstrations, NULL, &error);
//   while (keel_session_step(session, NULL, &error) == KEEL_OK) { }

#ifndef KEEL_KEEL_H
#define KEEL_KEEL_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define KEEL_API __declspec(dllimport)
#define KEEL_CALL __cdecl
#else
#define KEEL_API __attribute__((visibility("default")))
#define KEEL_CALL
#endif

// A keel_error and a keel_report that are ready to be used: keel_error error = KEEL_ERROR_INIT;
#define KEEL_ERROR_INIT {sizeof(struct keel_error), 0, {0}}
#define KEEL_REPORT_INIT {sizeof(struct keel_report), 0, 0, 0, 0, 0, 0.0f, 0}

// A tensor in the exchange format of DLPack 1.x (dlpack.h, not needed here).
struct DLManagedTensorVersioned;

// Done.
#define KEEL_OK 0

// The job has more to do.
#define KEEL_PENDING 1

// Rows, rewards or answers are missing; nothing was done.
#define KEEL_NEED_DATA 2

// There is nothing to take.
#define KEEL_EMPTY 3

// A bounded queue is full: what came was counted (keel_session_metrics, refused) and nothing was done. The message says which and
// what helps.
#define KEEL_FULL 4

// An argument has a value that the function does not take.
#define KEEL_E_INVALID_ARGUMENT (-100)

// A handle is 0, was destroyed, is of another type, or never came from this library.
#define KEEL_E_INVALID_HANDLE (-101)

// A pointer that must not be NULL is NULL.
#define KEEL_E_NULL_POINTER (-102)

// A text is not UTF-8, or a path contains a NUL.
#define KEEL_E_INVALID_TEXT (-103)

// The caller's buffer is too small; *needed says how large it must be; nothing was consumed.
#define KEEL_E_CAPACITY (-104)

// Another thread is inside a call on the same object that admits one at a time; nothing was done.
#define KEEL_E_CONCURRENT (-105)

// The object is in use: an unfinished update, or a model that another session trains.
#define KEEL_E_IN_USE (-106)

// The object is not in the state that the call needs.
#define KEEL_E_STATE (-107)

// The header and the library do not fit.
#define KEEL_E_VERSION (-108)

// The job was cancelled.
#define KEEL_E_CANCELLED (-109)

// The time given was not enough.
#define KEEL_E_TIMEOUT (-110)

// keel does not do this (yet).
#define KEEL_E_UNSUPPORTED (-111)

// A configuration is not valid; the message begins with the JSON pointer of the value at fault.
#define KEEL_E_CONFIG (-200)

// A number is NaN or infinite where it must be finite.
#define KEEL_E_NON_FINITE (-300)

// A length, shape or offset does not fit the others.
#define KEEL_E_SHAPE (-301)

// The device does not exist or failed.
#define KEEL_E_DEVICE (-400)

// Memory ran out, on the host or on the device.
#define KEEL_E_OUT_OF_MEMORY (-401)

// A file or directory could not be read or written.
#define KEEL_E_FILE (-500)

// A file was read but is not what it should be.
#define KEEL_E_FORMAT (-501)

// Rows are missing a column, or a column holds what it must not.
#define KEEL_E_DATA (-600)

// libtorch or keel failed in a way that is a bug of keel's.
#define KEEL_E_INTERNAL (-900)

// keel panicked; the panic was contained, but it is a bug of keel's.
#define KEEL_E_PANIC (-901)

// A panic in mid-step left the session's weights in doubt; restore it.
#define KEEL_E_POISONED (-902)

// The host's callback threw or returned non-zero, or the script of its network threw.
#define KEEL_E_CALLBACK (-903)

// The ABI that this header describes: major << 16 | minor. Give it to keel_runtime_create.
#define KEEL_ABI_VERSION 1

// keel_model_encode: put the tokenizer's special tokens (begin of text …) where it would put them itself.
#define KEEL_ENCODE_SPECIAL 1

// keel_model_decode: leave special tokens out of the text.
#define KEEL_DECODE_SKIP_SPECIAL 1

// int32_t.
#define KEEL_TYPE_I32 1

// int64_t.
#define KEEL_TYPE_I64 2

// uint64_t.
#define KEEL_TYPE_U64 3

// float.
#define KEEL_TYPE_F32 4

// uint8_t.
#define KEEL_TYPE_U8 5

// char: UTF-8 text, count in bytes.
#define KEEL_TYPE_UTF8 6

// Prompts to generate from.
#define KEEL_BATCH_PROMPTS 1

// Prompts with the responses to learn.
#define KEEL_BATCH_DEMONSTRATIONS 2

// Prompts with a chosen and a rejected response.
#define KEEL_BATCH_PREFERENCES 3

// Prompts with sampled responses, what was recorded when they were sampled, and their rewards.
#define KEEL_BATCH_ROLLOUTS 4

// Prompts with responses, each called good or bad.
#define KEEL_BATCH_FEEDBACK 5

// Prompts with responses, each with its rank among those to the same prompt.
#define KEEL_BATCH_RANKINGS 6

// Column finish_reason: the model ended its response.
#define KEEL_FINISH_EOS 1

// Column finish_reason: a stop token or stop text was met.
#define KEEL_FINISH_STOP 2

// Column finish_reason: max_new_tokens was reached.
#define KEEL_FINISH_LENGTH 3

// Column finish_reason: the host ended it.
#define KEEL_FINISH_HOST 4

// Column split: rows to learn from.
#define KEEL_SPLIT_TRAINING 0

// Column split: rows for keel_session_evaluate.
#define KEEL_SPLIT_EVALUATION 1

// The model in training.
#define KEEL_ROLE_POLICY 1

// The model that the policy is held close to, a frozen copy of the one that is set, which follows the policy only where
// the algorithm says so; without one, a copy of the policy as it was set. keel_session_model gives a copy of it.
#define KEEL_ROLE_REFERENCE 2

// The model that scores rollouts which the host does not reward; in a session that trains a reward model, that model.
#define KEEL_ROLE_REWARD 3

// A model of one score that tells the values of states, trained with the policy and set before it; without one, a head
// on the policy's trunk does.
#define KEEL_ROLE_VALUE 4

// keel_session_set_callback: a keel_reward_callback.
#define KEEL_CALLBACK_REWARD 1

// keel_report.state: the job has more to do.
#define KEEL_JOB_PENDING 1

// keel_report.state: there is nothing to do until more rows, rewards or answers are there; make another job then.
#define KEEL_JOB_NEED_DATA 2

// keel_report.state: the job is complete.
#define KEEL_JOB_DONE 3

// keel_report.state: the job was cancelled.
#define KEEL_JOB_CANCELLED 4

// keel_report.state: the job failed; keel_job_error says why.
#define KEEL_JOB_FAILED 5

// keel_actor_act: the likeliest choice and the mean, rather than a draw.
#define KEEL_ACT_GREEDY 1

// keel_actor_act: nothing is learned from it; the slots stay where they stand: a recurrent policy acts from what it
// remembers of them, and remembers no more.
#define KEEL_ACT_UNRECORDED 2

// keel_actor_act: the host or a person chose; the action records are read.
#define KEEL_ACT_GIVEN 4

// keel_actor_observe: the episode goes on.
#define KEEL_EPISODE_RUNNING 0

// keel_actor_observe: it ended; nothing follows.
#define KEEL_EPISODE_TERMINATED 1

// keel_actor_observe: it was cut off, and would have gone on from the final observation.
#define KEEL_EPISODE_TRUNCATED 2

// keel_actor_observe: nobody knows how it would have gone on; its last step is not learned from.
#define KEEL_EPISODE_ABANDONED 3

// What every fallible function returns: 0 is success, above 0 a state that is no error, below 0 an error.
typedef int32_t keel_status;

// Where a failed call says what went wrong. The caller owns it; initialise it with KEEL_ERROR_INIT and use it for as
// many calls as you like: each call that gets it writes it.
typedef struct keel_error {
  // sizeof(struct keel_error) of the caller; with 0, nothing is written.
  uint32_t struct_size;
  // The status that the call returned.
  int32_t status;
  // The sentence: UTF-8, ends with a NUL, empty unless the call failed or its queue is full.
  char message[1016];
} keel_error;

// A runtime: the devices, keel's own threads, the events. Made by keel_runtime_create.
typedef uint64_t keel_runtime;

// What a thread of the host's is to call once, with the argument that came with it. It returns when no started job waits.
typedef void (KEEL_CALL *keel_thread_work)(void *argument);

// Has a thread of the host's call work(argument) soon, and returns 0 at once; or returns another number, and the job is not
// started (KEEL_E_CALLBACK).
//
// work: called once, on a thread that libtorch's operators may use for long; a second call does nothing. argument: only
// to be passed on. user_data: as it was given to keel_runtime_set_thread_starter. keel_runtime_shutdown and the end of
// the process wait for work that was taken. A C++ exception that leaves the starter counts as a refusal.
typedef int32_t (KEEL_CALL *keel_thread_starter)(keel_thread_work work, void *argument, void *user_data);

// Memory of the host's for a tensor.
//
// size: bytes, above 0. alignment: a power of two, 64. user_data: as it was given to keel_process_set_allocator. Returns
// NULL where there is none, which is KEEL_E_OUT_OF_MEMORY for the job, as a C++ exception that leaves it is.
typedef void *(KEEL_CALL *keel_allocate)(size_t size, size_t alignment, void *user_data);

// Takes back what a keel_allocate gave: memory, with the size that was asked for.
typedef void (KEEL_CALL *keel_release)(void *memory, size_t size, void *user_data);

// Long work as a plan of slices: loading, generating, updating, saving. Made by the calls that begin such work.
typedef uint64_t keel_job;

// A model: weights, architecture and tokenizer. Made by keel_model_create, keel_job_model, keel_session_model.
typedef uint64_t keel_model;

// Rows of named columns. Made by keel_batch_create and keel_job_batch.
typedef uint64_t keel_batch;

// One policy being aligned: its method, its rows, its optimiser. Made by keel_session_create and keel_session_open.
typedef uint64_t keel_session;

// Scores rollouts: writes one reward per row and returns 0, or another number to fail the update.
//
// rollouts: a batch of kind KEEL_BATCH_ROLLOUTS, borrowed until the callback returns. rewards: count of them, to be
// written. user_data: as it was given to keel_session_set_callback. It may call keel, but not drive the job that calls
// it. A C++ exception that leaves it ends the update with KEEL_E_CALLBACK.
typedef int32_t (KEEL_CALL *keel_reward_callback)(keel_batch rollouts, float *rewards, size_t count, void *user_data);

// Bytes that keel made. Made by keel_session_export.
typedef uint64_t keel_blob;

// How far a job is. The caller owns it; initialise it with KEEL_REPORT_INIT.
typedef struct keel_report {
  // sizeof(struct keel_report) of the caller.
  uint32_t struct_size;
  // KEEL_JOB_PENDING, KEEL_JOB_NEED_DATA, KEEL_JOB_DONE, KEEL_JOB_CANCELLED or KEEL_JOB_FAILED.
  int32_t state;
  // Slices that the job has run.
  uint64_t slices;
  // Microseconds that this call worked.
  uint64_t elapsed_us;
  // Microseconds of the longest slice of this call.
  uint64_t longest_slice_us;
  // Optimiser steps that the job has applied.
  uint64_t optimizer_steps;
  // Share of the job that is done, from 0 to 1.
  float progress;
  // 0.
  uint32_t reserved;
} keel_report;

// An actor: acts for slots and tells what came of it. Made by keel_actor_create.
typedef uint64_t keel_actor;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The name of a status, e.g. "KEEL_E_CONFIG"; "KEEL_E_UNKNOWN" for a number that is none.
//
// status: any number. The result is a constant of the library: never NULL, not to be freed.
// Threads: any. Status: none, cannot fail. Since 0.1.
KEEL_API const char *KEEL_CALL keel_status_name(keel_status status);

// The ABI that the loaded library speaks: major << 16 | minor.
//
// Threads: any. Status: none, cannot fail. Since 0.1.
KEEL_API uint32_t KEEL_CALL keel_abi_version(void);

// The version of the loaded library, e.g. "0.1.0".
//
// The result is a constant of the library: never NULL, not to be freed. Threads: any. Status: none, cannot fail.
// Since 0.1.
KEEL_API const char *KEEL_CALL keel_version(void);

// What was loaded, as JSON: versions of keel, of its ABI and of the libtorch that it was compiled against, the build's
// profile, the optional parts and the devices that the process has loaded, and the absolute paths of the libraries.
//
// buffer: room for capacity bytes, NULL with capacity 0 to ask for the size. needed: bytes without a NUL, nullable.
// error: nullable. Threads: any. Status: KEEL_E_CAPACITY. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_build_info(char *buffer, size_t capacity, size_t *needed, struct keel_error *error);

// Makes a runtime. The first one of a process decides whether CUDA is loaded; a process needs only one.
//
// header_abi: KEEL_ABI_VERSION of the header that the host was compiled against. json: the configuration "runtime",
// copied; NULL with length 0 for the defaults. runtime: out, the caller ends it with keel_runtime_destroy. error:
// nullable. Threads: any. Status: KEEL_E_VERSION, KEEL_E_CONFIG, KEEL_E_DEVICE; KEEL_E_UNSUPPORTED: a cap on memory that
// cannot be kept in this process. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_runtime_create(uint32_t header_abi, const char *json, size_t json_length,
    keel_runtime *runtime, struct keel_error *error);

// Stops the jobs that run on keel's threads at their next slice, and those that wait for one, and waits for the threads;
// afterwards none runs. Of a host's threads, it waits until they have returned to the host.
//
// runtime: stays valid, but no job can be started on a thread again. timeout_us: how long to wait at most. error:
// nullable. Threads: any. Status: KEEL_E_TIMEOUT: a slice still runs, call again. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_runtime_shutdown(keel_runtime runtime, uint64_t timeout_us,
    struct keel_error *error);

// Sets, or with NULL removes, the host's way to provide the threads on which jobs run that are started from now on.
// "learner_threads" of the configuration then says only how many jobs run at once; name, priority and CPUs are the
// host's.
//
// runtime: changed. starter: called in keel_job_start, on its thread; nullable. user_data: given to starter as it is; a
// started thread no longer needs it. error: nullable. Threads: any; a starter that another thread is calling may go on.
// Status: no others. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_runtime_set_thread_starter(keel_runtime runtime, keel_thread_starter starter,
    void *user_data, struct keel_error *error);

// Has all tensors of the process in host memory live in the host's memory: libtorch asks these functions from then on.
// Once, before the first keel_runtime_create. Not what keel's own code and libraries under libtorch allocate beside
// tensors, nor files that are mapped.
//
// allocate: size bytes aligned to alignment, or NULL; each keeps its address and is called by any thread at any time, as
// release is. release: takes back what allocate gave, with its size. Neither calls keel; the process may keep tensors to
// its end. user_data: given to both as it is, valid as long. error: nullable. Threads: any. Status: KEEL_E_STATE: there
// is a runtime already, or another allocator. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_process_set_allocator(keel_allocate allocate, keel_release release, void *user_data,
    struct keel_error *error);

// Takes the oldest event, as JSON.
//
// runtime: borrowed. source: the handle of the session or job whose events are wanted, 0 for any. buffer: room for
// capacity bytes, NULL with capacity 0 to ask for the size. needed: bytes without a NUL, nullable. error: nullable.
// Threads: any; it waits for none. Status: KEEL_EMPTY: there is none, or another thread is at the queues this moment;
// KEEL_E_CAPACITY: it stays the oldest. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_runtime_next_event(keel_runtime runtime, uint64_t source, char *buffer,
    size_t capacity, size_t *needed, struct keel_error *error);

// The devices that a configuration may name, as a JSON array: ["cpu", "cuda:0"].
//
// runtime: borrowed. buffer: room for capacity bytes, NULL with capacity 0 to ask for the size. needed: bytes without
// a NUL, nullable. error: nullable. Threads: any. Status: KEEL_E_CAPACITY. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_runtime_devices(keel_runtime runtime, char *buffer, size_t capacity, size_t *needed,
    struct keel_error *error);

// What memory the process uses, as JSON, in bytes: resident_bytes; under "host" what tensors hold and the most they held
// (allocated_bytes, peak_allocated_bytes) and the cap_bytes of the runtime configuration, null without one, or null
// where the process has an allocator of its own for libtorch; and under "devices" a list of the CUDA devices, each with
// the same numbers and more where libkeel_cuda.so lies beside libkeel.
//
// runtime: borrowed. buffer: room for capacity bytes, NULL with capacity 0 to ask for the size. needed: bytes without
// a NUL, nullable. error: nullable. Threads: any. Status: KEEL_E_CAPACITY. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_runtime_memory(keel_runtime runtime, char *buffer, size_t capacity, size_t *needed,
    struct keel_error *error);

// Ends the handle. What was made from the runtime goes on; its memory is freed with the last of it.
//
// runtime: 0 and what was destroyed before are ignored. Threads: any; never waits. Status: none, cannot fail.
// Since 0.1.
KEEL_API void KEEL_CALL keel_runtime_destroy(keel_runtime runtime);

// How many handles were made and not yet destroyed, of all types.
//
// Threads: any. Status: none, cannot fail. Since 0.1.
KEEL_API uint64_t KEEL_CALL keel_live_handles(void);

// The JSON Schema of a configuration: names, types, ranges, defaults, meanings.
//
// kind: "runtime", "load", "create", "control" for the config of a control network, "control_reward" for that of a
// reward network of control, "generate", "session", or "columns" for the table of columns of a batch. buffer:
// room for capacity bytes, NULL with capacity 0 to ask for the size. needed: bytes without a NUL, nullable. error:
// nullable. Threads: any. Status: KEEL_E_CAPACITY. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_config_schema(const char *kind, size_t kind_length, char *buffer, size_t capacity,
    size_t *needed, struct keel_error *error);

// Makes a job that loads a directory in the Hugging Face layout (config.json, *.safetensors, tokenizer.json); the
// finished job has the model, keel_job_model.
//
// runtime: borrowed. path: UTF-8, copied. json: the configuration "load", copied; NULL with length 0 for the defaults.
// job: out, the caller ends it with keel_job_destroy. error: nullable. Threads: any. Status: KEEL_E_CONFIG,
// KEEL_E_DEVICE; files that are missing or wrong fail the job with KEEL_E_FILE, KEEL_E_FORMAT, a script where the runtime
// allows none with KEEL_E_UNSUPPORTED. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_model_load(keel_runtime runtime, const char *path, size_t path_length,
    const char *json, size_t json_length, keel_job *job, struct keel_error *error);

// Makes a model with random weights from a configuration: a language model, or with "model_type": "control" in its
// config a control network.
//
// runtime: borrowed. json: the configuration "create", copied. model: out, the caller ends it with keel_model_destroy.
// error: nullable. Threads: any. Status: KEEL_E_CONFIG, KEEL_E_DEVICE, KEEL_E_UNSUPPORTED; of a network's script KEEL_E_FILE,
// KEEL_E_FORMAT, KEEL_E_SHAPE, KEEL_E_CALLBACK, and KEEL_E_UNSUPPORTED where the runtime allows none. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_model_create(keel_runtime runtime, const char *json, size_t json_length,
    keel_model *model, struct keel_error *error);

// Writes the last published weights as a directory that keel_model_load reads, and transformers that of a language
// model. A file that is there is replaced whole or
// not at all.
//
// model: borrowed. path: UTF-8, copied; the directory is made if it is missing. error: nullable.
// Threads: any. Status: KEEL_E_FILE. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_model_save(keel_model model, const char *path, size_t path_length,
    struct keel_error *error);

// What the model is, as JSON: architecture, sizes, dtype, device, version of its weights, special tokens.
//
// model: borrowed. buffer: room for capacity bytes, NULL with capacity 0 to ask for the size. needed: bytes without a
// NUL, nullable. error: nullable. Threads: any. Status: KEEL_E_CAPACITY. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_model_info(keel_model model, char *buffer, size_t capacity, size_t *needed,
    struct keel_error *error);

// Turns text into tokens.
//
// model: borrowed. text: UTF-8, borrowed. flags: 0 or KEEL_ENCODE_SPECIAL. tokens: room for capacity tokens, NULL with
// capacity 0 to ask for the count. needed: the count, nullable. error: nullable.
// Threads: any. Status: KEEL_E_CAPACITY, KEEL_E_STATE: the model has no tokenizer. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_model_encode(keel_model model, const char *text, size_t text_length, uint32_t flags,
    int32_t *tokens, size_t capacity, size_t *needed, struct keel_error *error);

// Turns tokens into text.
//
// model: borrowed. tokens: count of them, borrowed. flags: 0 or KEEL_DECODE_SKIP_SPECIAL. buffer: room for capacity
// bytes, NULL with capacity 0 to ask for the size. needed: bytes without a NUL, nullable. error: nullable.
// Threads: any. Status: KEEL_E_CAPACITY, KEEL_E_STATE: the model has no tokenizer. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_model_decode(keel_model model, const int32_t *tokens, size_t count, uint32_t flags,
    char *buffer, size_t capacity, size_t *needed, struct keel_error *error);

// Ends the handle. Sessions that use the model keep it alive.
//
// model: 0 and what was destroyed before are ignored. Threads: any; never waits. Status: none, cannot fail. Since 0.1.
KEEL_API void KEEL_CALL keel_model_destroy(keel_model model);

// Makes an empty batch; fill it with keel_batch_set.
//
// runtime: borrowed. kind: KEEL_BATCH_…. rows: how many each column will have. batch: out, the caller ends it with
// keel_batch_destroy. error: nullable. Threads: any. Status: no others. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_batch_create(keel_runtime runtime, int32_t kind, uint64_t rows, keel_batch *batch,
    struct keel_error *error);

// Sets a column, or replaces it whole. Views of the batch end.
//
// batch: changed. column: its name, UTF-8 (the table: keel_config_schema "columns"). type: KEEL_TYPE_…, what values
// holds. values: count of them, copied. offsets: NULL if each row has count / rows values, at least one; else rows + 1
// of them, copied, the first 0, the last count, and row r is values[offsets[r]] up to values[offsets[r + 1]].
// error: nullable. Threads: any, but no other call on this batch meanwhile. Status: KEEL_E_DATA, KEEL_E_SHAPE,
// KEEL_E_NON_FINITE, KEEL_E_INVALID_TEXT, KEEL_E_CONCURRENT. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_batch_set(keel_batch batch, const char *column, size_t column_length, int32_t type,
    const void *values, size_t count, const uint64_t *offsets, struct keel_error *error);

// A view of a column.
//
// batch: borrowed; the view is valid until it is changed or destroyed. column: its name, UTF-8. type: in and out: the
// wanted KEEL_TYPE_…, or 0 for the stored one; then that of values. KEEL_TYPE_UTF8 of tokens that
// keel_session_generate made decodes them, without special tokens. values: out, *count of them. count: out. offsets:
// out, nullable; rows + 1 of them, or NULL if each row has count / rows values. error: nullable. Threads: any.
// Status: KEEL_E_DATA: no such column; KEEL_E_INVALID_ARGUMENT: it holds another type, or numbers that are no tokens;
// KEEL_E_STATE: tokens without a tokenizer; KEEL_E_CONCURRENT. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_batch_get(keel_batch batch, const char *column, size_t column_length, int32_t *type,
    const void **values, size_t *count, const uint64_t **offsets, struct keel_error *error);

// Sets a column from a DLPack tensor [rows] or [rows, width] of int32, int64, float32 or uint8.
//
// batch: changed; its views end. column: its name, UTF-8. tensor: keel owns it from here on, whatever the status: its
// deleter is called exactly once. stream: NULL, since only host memory is taken today. error: nullable. Threads: any,
// but no other call on this batch meanwhile. Status: as keel_batch_set; KEEL_E_UNSUPPORTED: another type or layout.
// Since 0.1.
KEEL_API keel_status KEEL_CALL keel_batch_set_dlpack(keel_batch batch, const char *column, size_t column_length,
    struct DLManagedTensorVersioned *tensor, void *stream, struct keel_error *error);

// A copy of a column as a DLPack tensor in host memory: [rows], or [count] if it is ragged, of logits
// [response tokens, vocabulary].
//
// batch: borrowed. column: its name, UTF-8. tensor: out, the caller calls its deleter. error: nullable.
// Threads: any. Status: KEEL_E_DATA: no such column; KEEL_E_UNSUPPORTED: it holds text or uint64; KEEL_E_CONCURRENT.
// Since 0.1.
KEEL_API keel_status KEEL_CALL keel_batch_get_dlpack(keel_batch batch, const char *column, size_t column_length,
    struct DLManagedTensorVersioned **tensor, struct keel_error *error);

// How many rows the batch has.
//
// batch: borrowed. rows: out. error: nullable. Threads: any. Status: no others. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_batch_rows(keel_batch batch, uint64_t *rows, struct keel_error *error);

// Ends the handle and its views. What was pushed was copied.
//
// batch: 0 and what was destroyed before are ignored. Threads: any; never waits. Status: none, cannot fail. Since 0.1.
KEEL_API void KEEL_CALL keel_batch_destroy(keel_batch batch);

// Makes a session; give it its policy with keel_session_set_model.
//
// runtime: borrowed. json: the configuration "session", copied; it names the algorithm, {"algorithm": {"type":
// "sft"}}. session: out, the caller ends it with keel_session_destroy. error: nullable. Threads: any.
// Status: KEEL_E_CONFIG, KEEL_E_DEVICE. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_session_create(keel_runtime runtime, const char *json, size_t json_length,
    keel_session *session, struct keel_error *error);

// Makes a session from a checkpoint, with its models, its optimiser and its rows, as keel_session_save left them.
//
// runtime: borrowed. path: UTF-8, copied. session: out, the caller ends it with keel_session_destroy. error: nullable.
// Threads: any; reads the file before it returns. Status: KEEL_E_FILE, KEEL_E_FORMAT, KEEL_E_DEVICE;
// KEEL_E_UNSUPPORTED: a network's script, and the runtime allows none. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_session_open(keel_runtime runtime, const char *path, size_t path_length,
    keel_session *session, struct keel_error *error);

// Gives the session a model for a role. The weights of the model in training belong to the session from then on; every
// other use of that model reads the last published ones. A policy may take the place of the one in training, of the same
// architecture, or in control of the same observations, actions and core: slots stay in their episodes with what they
// remember, rows and steps that wait stay with the probabilities that were recorded, the optimiser begins anew, and what is
// kept of earlier versions goes. A language model that is set as the reward model in training
// stays as it is: a new reward model on a copy of it is trained, which keel_session_model gives.
//
// session: changed. role: KEEL_ROLE_…. name: UTF-8, must be empty. model: kept alive by the session. error: nullable.
// Threads: any. Status: KEEL_E_IN_USE: another session trains it, or an update is unfinished; KEEL_E_STATE, KEEL_E_SHAPE, KEEL_E_DEVICE.
// Since 0.1.
KEEL_API keel_status KEEL_CALL keel_session_set_model(keel_session session, int32_t role, const char *name,
    size_t name_length, keel_model model, struct keel_error *error);

// The model of a role.
//
// session: borrowed. role: KEEL_ROLE_…. name: UTF-8, must be empty. model: out, the caller ends it with
// keel_model_destroy. error: nullable. Threads: any. Status: KEEL_E_STATE: the role has none. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_session_model(keel_session session, int32_t role, const char *name,
    size_t name_length, keel_model *model, struct keel_error *error);

// The whole configuration of the session as JSON, with every default filled in.
//
// session: borrowed. buffer: room for capacity bytes, NULL with capacity 0 to ask for the size. needed: bytes without
// a NUL, nullable. error: nullable. Threads: any. Status: KEEL_E_CAPACITY. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_session_config(keel_session session, char *buffer, size_t capacity, size_t *needed,
    struct keel_error *error);

// Where each group of an observation record and of an action record lies, as JSON, so that a host can assert its structs:
// {"observation": {"bytes": …, "groups": [{"name", "type", "count", "offset"}, …]}, "action": …}. A record is as a C
// compiler lays out a struct of these members, f32 first to last as the model's config says, a mask as u8.
//
// session: borrowed; of a control policy, which is set. buffer: room for capacity bytes, NULL with capacity 0 to ask for
// the size. needed: bytes without a NUL, nullable. error: nullable. Threads: any. Status: KEEL_E_CAPACITY, KEEL_E_STATE:
// no policy, or no session of a control policy. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_session_layout(keel_session session, char *buffer, size_t capacity, size_t *needed,
    struct keel_error *error);

// Sets, or with NULL removes, what the session calls when it needs something from the host. Returns when no other
// thread is inside a call of the callback before, so that its user_data may then be freed.
//
// session: changed. kind: KEEL_CALLBACK_REWARD. callback: called in keel_job_run, keel_job_pump and keel_session_step,
// on their thread; nullable. user_data: given to callback as it is, must stay valid until this function has replaced
// the callback. error: nullable. Threads: any; waits for a call of the old callback on another thread, so hold no lock
// that the callback takes. From inside the callback it does not wait for that call, whose user_data must then outlive
// it. Status: no others. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_session_set_callback(keel_session session, int32_t kind,
    keel_reward_callback callback, void *user_data, struct keel_error *error);

// Ends the handle; events that were not read are gone. A job of the session that is still driven goes on to its end
// and may call the callback: remove it first.
//
// session: 0 and what was destroyed before are ignored. Threads: any; never waits. Status: none, cannot fail.
// Since 0.1.
KEEL_API void KEEL_CALL keel_session_destroy(keel_session session);

// Adds the rows of a batch: all of them or none. Rows pushed while an update runs belong to the next one.
//
// session: changed. batch: borrowed; its rows are copied. first_id: out, nullable; the id of the first row, the others
// follow one by one. error: nullable. Threads: any, also while a job runs. Status: KEEL_E_DATA, KEEL_E_SHAPE,
// KEEL_E_STATE, KEEL_E_CONCURRENT: the batch is being changed; KEEL_FULL: the session would hold more rows than queue_capacity,
// and took none. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_session_push(keel_session session, keel_batch batch, uint64_t *first_id,
    struct keel_error *error);

// Sets the rewards of rows that wait for an update, also of those that have some.
//
// session: changed. ids: ids_count of them, from keel_session_push, copied. rewards: for each id as many as the
// algorithm has rewards, one unless configured, copied; rewards_count says how many in all. error: nullable.
// Threads: any, also while a job runs. Status: KEEL_E_SHAPE, KEEL_E_NON_FINITE, KEEL_E_STATE: the algorithm takes no
// rewards; KEEL_E_DATA: an id that is not waiting, or twice. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_session_reward(keel_session session, const uint64_t *ids, size_t ids_count,
    const float *rewards, size_t rewards_count, struct keel_error *error);

// What the session needs from the host: a batch of rollouts that wait for their rewards, each with its id in the column
// id. A rollout is asked about once, by a restored session again, and not while an update that runs has it.
//
// session: changed. queries: out, the caller ends it with keel_batch_destroy; 0 where there are none. error: nullable.
// Threads: any, also while a job runs. Status: KEEL_EMPTY: nothing is needed; KEEL_E_STATE: the algorithm takes no
// rewards. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_session_take_queries(keel_session session, keel_batch *queries,
    struct keel_error *error);

// Answers queries: the rewards of the rollouts.
//
// session: changed. ids: ids_count of them, from the column id of queries, copied. rewards: for each id as many as the
// algorithm has rewards, copied; rewards_count says how many in all. error: nullable. Threads: any, also while a job
// runs. Status: KEEL_E_SHAPE, KEEL_E_NON_FINITE, KEEL_E_STATE: the algorithm takes no rewards; KEEL_E_DATA: an id that
// was not asked about, or twice. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_session_answer(keel_session session, const uint64_t *ids, size_t ids_count,
    const float *rewards, size_t rewards_count, struct keel_error *error);

// Drops all rows that no update has taken; in a session of a control policy the finished steps, and episodes go on.
//
// session: changed. error: nullable. Threads: any. Status: no others. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_session_clear(keel_session session, struct keel_error *error);

// Makes a job that changes settings of the session, also while an update runs: they hold from the next optimiser step that
// begins, whoever drives. Learning rate, its schedule, max_grad_norm, weight_decay, kept_versions, and of the algorithm
// what changes no shape and nothing that was stored, such as clip_range, kl_coef, entropy_coef; another setting may be
// there with the value that it has. Then keel_session_config tells the new values, and keel_session_save keeps them.
//
// session: changed by the job. json: some of the keys of the configuration "session", copied; what is left out stays. job:
// out, the caller ends it with keel_job_destroy. error: nullable. Threads: any; the job waits for the slice that another
// job of the session runs, and for no pause. Status: KEEL_E_CONFIG: a setting that stays, which the message tells beside
// those that may change. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_session_configure(keel_session session, const char *json, size_t json_length,
    keel_job *job, struct keel_error *error);

// Makes a job that publishes what was learned up to the last optimiser step, also while an update runs; nothing where that
// is published already. Actors, generations and exports read it from then on, under a version that is higher by one.
//
// session: changed by the call that ends the job. job: out, the caller ends it with keel_job_destroy. error: nullable.
// Threads: any; the call that ends the job waits for the slice that another job of the session runs. No pause holds it
// back. Status: KEEL_E_STATE: no model; KEEL_E_POISONED. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_session_publish(keel_session session, keel_job *job, struct keel_error *error);

// Makes a job that lets training go on from a version that was published: weights and normaliser statistics are those of
// that version, in training and published, the latter under a new version. The optimiser begins anew; counters, rows and
// steps that wait, and schedules stay. The setting kept_versions says how many versions are kept; checkpoints hold none.
//
// session: changed by the call that ends the job. version: of the metric policy/version. job: out, the caller ends it with
// keel_job_destroy. error: nullable. Threads: any. Status: KEEL_E_INVALID_ARGUMENT: a version that is not kept, the message
// tells which are; KEEL_E_IN_USE: an update is unfinished, also as an error of the job; KEEL_E_STATE, KEEL_E_POISONED.
// Since 0.1.
KEEL_API keel_status KEEL_CALL keel_session_roll_back(keel_session session, uint64_t version, keel_job *job,
    struct keel_error *error);

// Lets the updates, generations and evaluations of the session do no further slice until keel_session_resume; the slices
// that run come to their end. Those on keel's thread sleep, keel_job_run and keel_job_pump return KEEL_PENDING. Acting,
// pushing, saving, restoring, publishing, rolling back and configuring go on; jobs may be cancelled, the session destroyed,
// which ends the pause, and the runtime shut down. Pausing twice is pausing once.
//
// session: changed. error: nullable. Threads: any; waits for nothing. Status: no others. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_session_pause(keel_session session, struct keel_error *error);

// Lets the jobs of the session go on; of one that is not paused nothing changes.
//
// session: changed. error: nullable. Threads: any; waits for nothing. Status: no others. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_session_resume(keel_session session, struct keel_error *error);

// Makes a job that writes the whole session, as of the last optimiser step, to one file: models, optimiser, rows,
// random streams. A file that is there is replaced whole or not at all.
//
// session: borrowed. path: UTF-8, copied. job: out, the caller ends it with keel_job_destroy. error: nullable.
// Threads: any. Status: KEEL_E_STATE, KEEL_E_POISONED; the job fails with KEEL_E_FILE. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_session_save(keel_session session, const char *path, size_t path_length,
    keel_job *job, struct keel_error *error);

// Makes a job that puts the session into the state of a file of keel_session_save. All handles stay; a poisoned
// session is sound again.
//
// session: changed by the job. path: UTF-8, copied. job: out, the caller ends it with keel_job_destroy. error:
// nullable. Threads: any. Status: KEEL_E_IN_USE, KEEL_E_STATE; the job fails with KEEL_E_FILE, KEEL_E_FORMAT.
// Since 0.1.
KEEL_API keel_status KEEL_CALL keel_session_restore(keel_session session, const char *path, size_t path_length,
    keel_job *job, struct keel_error *error);

// What keel_session_save would write, in memory.
//
// session: borrowed. blob: out, the caller ends it with keel_blob_destroy. error: nullable. Threads: any; waits for the
// slice that a job of the session runs. Status: KEEL_E_STATE, KEEL_E_POISONED. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_session_export(keel_session session, keel_blob *blob, struct keel_error *error);

// Puts the session into the state that keel_session_export gave.
//
// session: changed. bytes: size of them, borrowed. error: nullable. Threads: any.
// Status: KEEL_E_FORMAT, KEEL_E_IN_USE, KEEL_E_STATE. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_session_import(keel_session session, const void *bytes, size_t size,
    struct keel_error *error);

// A number that is equal for equal states: weights, optimiser, rows, random streams.
//
// session: borrowed. hash: out. error: nullable. Threads: any; waits for the slice that a job of the session runs.
// Status: KEEL_E_STATE. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_session_state_hash(keel_session session, uint64_t *hash, struct keel_error *error);

// Makes a job that updates the policy from the rows that were pushed, or from what actors did.
//
// session: borrowed. job: out, the caller ends it with keel_job_destroy; 0 with KEEL_NEED_DATA. error: nullable.
// Threads: any; waits for the slice that another job of the session runs. Status: KEEL_NEED_DATA: push or reward rows
// first; KEEL_E_IN_USE: an update is unfinished; KEEL_E_STATE, KEEL_E_POISONED. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_session_update(keel_session session, keel_job *job, struct keel_error *error);

// Makes a job that samples responses; the finished job has the rollouts, keel_job_batch, ready to be rewarded and
// pushed. With {"logits": true} they also have the column logits: for each response token the model's logits over
// the vocabulary, before the temperature and any filter.
//
// session: borrowed. prompts: a batch of kind KEEL_BATCH_PROMPTS, copied. json: the configuration "generate", copied;
// NULL with length 0 for the defaults. job: out, the caller ends it with keel_job_destroy. error: nullable.
// Threads: any. Status: KEEL_E_CONFIG, KEEL_E_DATA, KEEL_E_STATE, KEEL_E_CONCURRENT: the batch is being changed;
// KEEL_E_OUT_OF_MEMORY: the logits would not fit. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_session_generate(keel_session session, keel_batch prompts, const char *json,
    size_t json_length, keel_job *job, struct keel_error *error);

// Makes a job that measures the model in training on the rows of split KEEL_SPLIT_EVALUATION; its numbers appear in
// keel_session_metrics and as an event. Of a reward model of control the finished job has a batch, keel_job_batch: in
// the column probability, for each row in the order of pushing, how probable each member calls the preference.
//
// session: borrowed. job: out, the caller ends it with keel_job_destroy; 0 with KEEL_NEED_DATA. error: nullable.
// Threads: any; waits for the slice that another job of the session runs. Status: KEEL_NEED_DATA: no such rows;
// KEEL_E_STATE. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_session_evaluate(keel_session session, keel_job *job, struct keel_error *error);

// keel_session_update and keel_job_run in one, for hosts that may block.
//
// session: changed. report: out, nullable, written also on failure. error: nullable. Threads: any.
// Status: KEEL_NEED_DATA: push or reward rows first; KEEL_E_STATE: the session is paused; KEEL_E_CANCELLED: it was paused
// meanwhile; those of keel_session_update and keel_job_run. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_session_step(keel_session session, struct keel_report *report,
    struct keel_error *error);

// The numbers of the last finished update and evaluation, as JSON; names, units and meanings: docs/metrics.md.
// "refused" counts the "rows" and "steps" that keel_session_push and keel_actor_act ever refused with KEEL_FULL.
//
// session: borrowed. buffer: room for capacity bytes, NULL with capacity 0 to ask for the size. needed: bytes without
// a NUL, nullable. error: nullable. Threads: any, also while a job runs. Status: KEEL_E_CAPACITY. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_session_metrics(keel_session session, char *buffer, size_t capacity, size_t *needed,
    struct keel_error *error);

// Drives the job to its end on the calling thread, or to where its session is paused.
//
// job: borrowed. report: out, nullable, written also on failure. error: nullable. Threads: any, one driver at a time.
// Status: KEEL_PENDING: the session is paused, call again when it is resumed; KEEL_NEED_DATA: an update for which the host's rewards left too few rows, which all stay; KEEL_E_CONCURRENT,
// KEEL_E_CANCELLED, or the job's own error, again and again. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_job_run(keel_job job, struct keel_report *report, struct keel_error *error);

// Hands the job to a thread of keel's, or of keel_runtime_set_thread_starter. What it publishes appears with the next
// keel_job_poll or keel_job_wait. Where as many jobs run as "learner_threads" allows, it waits for those started before.
//
// job: borrowed. error: nullable. Threads: any. Status: KEEL_E_CONCURRENT, KEEL_E_STATE: it would call the host back,
// or the runtime was shut down; KEEL_E_CALLBACK: the host's starter refused. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_job_start(keel_job job, struct keel_error *error);

// Drives the job on the calling thread for about budget_us microseconds: those slices that are expected to fit by what
// slices of their kind took before, at least one unless its session is paused. A kind that was never measured counts as
// the whole budget, so it begins a call. A slice of a language model is one block of one micro-batch, one tile of the
// head, a part of the optimiser step or a token of every row; {"micro_batch_tokens": 1} makes every sequence a micro-batch
// of its own, for the shortest slices.
//
// job: borrowed. budget_us: 0 for a single slice. report: out, nullable, written also on failure. error: nullable.
// Threads: any, one driver at a time. Status: KEEL_PENDING: call again; KEEL_NEED_DATA as in keel_job_run;
// KEEL_E_CONCURRENT, KEEL_E_CANCELLED, or the job's own error. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_job_pump(keel_job job, uint64_t budget_us, struct keel_report *report,
    struct keel_error *error);

// Where the job stands. Does no slice and waits for none of this job.
//
// job: borrowed. report: out, nullable, written also on failure. error: nullable. Threads: any.
// Status: KEEL_PENDING, KEEL_E_CANCELLED, or the job's own error. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_job_poll(keel_job job, struct keel_report *report, struct keel_error *error);

// Waits for a started job.
//
// job: borrowed. timeout_us: how long at most. report: out, nullable, written also on failure. error: nullable.
// Threads: any. Status: KEEL_PENDING: not done yet, or nobody drives it; KEEL_E_CANCELLED, or the job's own error.
// Since 0.1.
KEEL_API keel_status KEEL_CALL keel_job_wait(keel_job job, uint64_t timeout_us, struct keel_report *report,
    struct keel_error *error);

// How far the job is and what it is at: a share of its slices in [0, 1], and a few words, such as "score reference 3/8".
//
// job: borrowed. progress: out, nullable. buffer, capacity: where the words go. needed: their bytes, nullable.
// error: nullable. Threads: any; waits for no slice. Status: KEEL_E_CAPACITY: the words are longer. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_job_progress(keel_job job, float *progress, char *buffer, size_t capacity,
    size_t *needed, struct keel_error *error);

// Ends the job before its next slice. Optimiser steps that were applied stay; rows that were pushed stay.
//
// job: borrowed; a finished one is left as it is. error: nullable. Threads: any; waits for no slice of this job.
// Status: no others. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_job_cancel(keel_job job, struct keel_error *error);

// The error that ended the job, as the status of this call and in `error`.
//
// job: borrowed. error: nullable. Threads: any. Status: KEEL_OK: it has not failed; else the job's own. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_job_error(keel_job job, struct keel_error *error);

// The rows that a finished job made: the rollouts of keel_session_generate.
//
// job: borrowed. batch: out, a batch of the caller's own, who ends it with keel_batch_destroy. error: nullable.
// Threads: any. Status: KEEL_E_STATE: it still runs, or makes none; or the job's own error. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_job_batch(keel_job job, keel_batch *batch, struct keel_error *error);

// The model that a finished keel_model_load read.
//
// job: borrowed. model: out, the caller ends it with keel_model_destroy. error: nullable.
// Threads: any. Status: KEEL_E_STATE: it still runs, or reads none; or the job's own error. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_job_model(keel_job job, keel_model *model, struct keel_error *error);

// Ends the handle; events that were not read are gone. A job that runs on keel's thread goes on to its end; cancel it
// first if it should not.
//
// job: 0 and what was destroyed before are ignored. Threads: any; never waits. Status: none, cannot fail. Since 0.1.
KEEL_API void KEEL_CALL keel_job_destroy(keel_job job);

// Makes an actor: one for each host thread that acts. Slots are the session's: one that acts for a slot has it until it is
// destroyed, and what is drawn and learned is the same however they are split among actors. It goes on with the slots of
// an actor that was destroyed, or was saved in mid-episode, in the order in which they were made; a slot of another one
// that is gone begins a new episode. With {"recorded": false} it leaves nothing to updates and checkpoints, and its slots
// are its own: for evaluation, where a recurrent policy remembers the episode.
//
// session: kept alive; of a control policy, which is set. json: nullable, UTF-8. actor: out, the caller ends it with
// keel_actor_destroy. error: nullable. Threads: any. Status: KEEL_E_CONFIG, KEEL_E_STATE: no policy, or no session of a
// control policy. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_actor_create(keel_session session, const char *json, size_t json_length,
    keel_actor *actor, struct keel_error *error);

// Chooses an action for each of some slots, from the policy that was published last, all at once. A slot begins an episode
// with its first act and after each that has ended; until then it acts and is observed in turn. Touches no libtorch, and
// allocates nothing once as many slots were seen; but a network that is a script runs in libtorch.
//
// actor: changed. slots: count of them, distinct, below 2^20, borrowed. observations: a record for each slot,
// observation_bytes in all; keel_session_layout says what lies where. actions: action_bytes in all, a record for each
// slot, apart from the observations, written, or read with KEEL_ACT_GIVEN. What is recorded is learned from as if the
// policy had drawn it: say KEEL_ACT_UNRECORDED with KEEL_ACT_GREEDY. flags: KEEL_ACT_… or 0. decisions: out, nullable, count numbers, those of
// this actor one by one. error: nullable. Threads: any, one at a time. Status: KEEL_E_SHAPE, KEEL_E_NON_FINITE,
// KEEL_E_DATA: a mask without a legal choice, an action that is not legal; KEEL_E_STATE: a slot that acted was not
// observed; KEEL_E_IN_USE: a slot is another actor's; KEEL_E_CALLBACK: the network's script threw; KEEL_E_CONCURRENT; KEEL_FULL: more of this
// actor's steps than queue_capacity would wait for an update. No slot has acted then. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_actor_act(keel_actor actor, const uint32_t *slots, size_t count,
    const void *observations, size_t observation_bytes, void *actions, size_t action_bytes, uint32_t flags,
    uint64_t *decisions, struct keel_error *error);

// As keel_actor_act, with the observations and the actions in DLPack tensors of the host's, on the CPU or a CUDA device, of any
// strides. The actions are written into a tensor of the host's rather than returned as a new one, so that they come to lie
// where its simulator reads them, and so that KEEL_ACT_GIVEN can read them there. In a session that learns on a CUDA device,
// with all vectors in its memory, observations are never copied to the host: the policy is computed there and the steps are kept
// there for updates; masks, and what the actions are drawn from, come to the host, and the same numbers lead to what
// records lead to, up to rounding. In every other case the tensors are copied to the host and the same numbers lead to the same
// actions and the same recording. Final observations are records in both.
//
// actor: changed. slots: count of them, distinct, below 2^20, borrowed. observations: tensors, groups of them, taken over, one for each
// observation group of keel_session_layout, in its order, float32, uint8 or bool for a mask, [count, numbers] (more axes
// are taken as one). actions: int32 [count, numbers] where all actions are discrete, float32 where all are continuous, or
// uint8 [count, bytes], action records; not read-only. All tensors are taken over: the deleter of each is called exactly
// once in every outcome, after the last read or write of its memory. stream: the cudaStream_t behind whose work the
// tensors are; NULL: the one that libtorch uses on this thread, by default CUDA's. flags: as keel_actor_act.
// decisions: out, nullable, as there. error: nullable. Threads: any, one at a time. Status: as keel_actor_act; KEEL_E_VERSION, KEEL_E_DEVICE,
// KEEL_E_UNSUPPORTED: another type of numbers. No slot has acted then and no action is written. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_actor_act_dlpack(keel_actor actor, const uint32_t *slots, size_t count,
    struct DLManagedTensorVersioned *const *observations, size_t groups, struct DLManagedTensorVersioned *actions,
    void *stream, uint32_t flags, uint64_t *decisions, struct keel_error *error);

// Tells what some slots saw since they acted. What several calls between two acts of a slot tell adds up.
//
// actor: changed. slots: count of them, distinct, that acted, borrowed. rewards: rewards_count of them, one for each
// slot. status: KEEL_EPISODE_… for each slot. final_observations: a record for each slot that is truncated, in their
// order, final_bytes in all; NULL with 0 where none is. error: nullable. Threads: any, one at a time.
// Status: KEEL_E_SHAPE, KEEL_E_NON_FINITE, KEEL_E_INVALID_ARGUMENT, KEEL_E_STATE: a slot that has not acted, or whose episode has
// ended; KEEL_E_CONCURRENT. Nothing was observed then. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_actor_observe(keel_actor actor, const uint32_t *slots, size_t count,
    const float *rewards, size_t rewards_count, const int32_t *status, const void *final_observations,
    size_t final_bytes, struct keel_error *error);

// Ends the handle. What its slots did stays with the session.
//
// actor: 0 and what was destroyed before are ignored. Threads: any; never waits. Status: none, cannot fail. Since 0.1.
KEEL_API void KEEL_CALL keel_actor_destroy(keel_actor actor);

// A view of the bytes.
//
// blob: borrowed; the view is valid until it is destroyed. data: out, *size bytes. size: out. error: nullable.
// Threads: any. Status: no others. Since 0.1.
KEEL_API keel_status KEEL_CALL keel_blob_data(keel_blob blob, const uint8_t **data, size_t *size,
    struct keel_error *error);

// Ends the handle and its view.
//
// blob: 0 and what was destroyed before are ignored. Threads: any; never waits. Status: none, cannot fail. Since 0.1.
KEEL_API void KEEL_CALL keel_blob_destroy(keel_blob blob);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* KEEL_KEEL_H */
