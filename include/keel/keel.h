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

#define KEEL_ABI_VERSION 1u

#define KEEL_OK 0
#define KEEL_PENDING 1
#define KEEL_NEED_DATA 2
#define KEEL_EMPTY 3
#define KEEL_FULL 4
#define KEEL_E_INVALID_ARGUMENT -100
#define KEEL_E_INVALID_HANDLE -101
#define KEEL_E_NULL_POINTER -102
#define KEEL_E_INVALID_TEXT -103
#define KEEL_E_CAPACITY -104
#define KEEL_E_CONCURRENT -105
#define KEEL_E_IN_USE -106
#define KEEL_E_STATE -107
#define KEEL_E_VERSION -108
#define KEEL_E_CANCELLED -109
#define KEEL_E_TIMEOUT -110
#define KEEL_E_UNSUPPORTED -111
#define KEEL_E_CONFIG -200
#define KEEL_E_NON_FINITE -300
#define KEEL_E_SHAPE -301
#define KEEL_E_DEVICE -400
#define KEEL_E_OUT_OF_MEMORY -401
#define KEEL_E_FILE -500
#define KEEL_E_FORMAT -501
#define KEEL_E_DATA -600
#define KEEL_E_INTERNAL -900
#define KEEL_E_PANIC -901
#define KEEL_E_POISONED -902
#define KEEL_E_CALLBACK -903
#define KEEL_TYPE_I32 1
#define KEEL_TYPE_I64 2
#define KEEL_TYPE_U64 3
#define KEEL_TYPE_F32 4
#define KEEL_TYPE_U8 5
#define KEEL_TYPE_UTF8 6
#define KEEL_BATCH_PROMPTS 1
#define KEEL_BATCH_DEMONSTRATIONS 2
#define KEEL_BATCH_PREFERENCES 3
#define KEEL_BATCH_ROLLOUTS 4
#define KEEL_ROLE_POLICY 1
#define KEEL_ROLE_REFERENCE 2
#define KEEL_JOB_PENDING 1
#define KEEL_JOB_NEED_DATA 2
#define KEEL_JOB_DONE 3
#define KEEL_JOB_CANCELLED 4
#define KEEL_JOB_FAILED 5
#define KEEL_FINISH_EOS 1
#define KEEL_FINISH_STOP 2
#define KEEL_FINISH_LENGTH 3
#define KEEL_FINISH_HOST 4
#define KEEL_SPLIT_TRAINING 0
#define KEEL_SPLIT_EVALUATION 1
#define KEEL_CALLBACK_REWARD 1
#define KEEL_ENCODE_SPECIAL 1
#define KEEL_DECODE_SKIP_SPECIAL 1

#if defined(__cplusplus)
extern "C" {
#endif

struct DLManagedTensorVersioned;
typedef int32_t keel_status;
typedef uint64_t keel_runtime;
typedef uint64_t keel_model;
typedef uint64_t keel_batch;
typedef uint64_t keel_session;
typedef uint64_t keel_job;
typedef uint64_t keel_blob;

typedef struct keel_error {
  uint32_t struct_size;
  int32_t status;
  char message[1016];
} keel_error;
#define KEEL_ERROR_INIT {sizeof(struct keel_error), 0, {0}}

typedef struct keel_report {
  uint32_t struct_size;
  int32_t state;
  uint64_t slices;
  uint64_t elapsed_us;
  uint64_t longest_slice_us;
  uint64_t optimizer_steps;
  float progress;
  uint32_t reserved;
} keel_report;
#define KEEL_REPORT_INIT {sizeof(struct keel_report), 0, 0, 0, 0, 0, 0.0f, 0}

typedef int32_t(KEEL_CALL *keel_reward_callback)(keel_batch rollouts, float *rewards, size_t count, void *user_data);

KEEL_API uint32_t KEEL_CALL keel_abi_version(void);
KEEL_API const char *KEEL_CALL keel_version(void);
KEEL_API const char *KEEL_CALL keel_status_name(keel_status status);
KEEL_API uint64_t KEEL_CALL keel_live_handles(void);
KEEL_API keel_status KEEL_CALL keel_build_info(char *buffer, size_t capacity, size_t *needed, keel_error *error);
KEEL_API keel_status KEEL_CALL keel_config_schema(const char *kind, size_t kind_length, char *buffer, size_t capacity, size_t *needed, keel_error *error);
KEEL_API keel_status KEEL_CALL keel_runtime_create(uint32_t header_abi, const char *json, size_t json_length, keel_runtime *runtime, keel_error *error);
KEEL_API keel_status KEEL_CALL keel_runtime_shutdown(keel_runtime runtime, uint64_t timeout_us, keel_error *error);
KEEL_API keel_status KEEL_CALL keel_runtime_next_event(keel_runtime runtime, uint64_t source, char *buffer, size_t capacity, size_t *needed, keel_error *error);
KEEL_API keel_status KEEL_CALL keel_runtime_devices(keel_runtime runtime, char *buffer, size_t capacity, size_t *needed, keel_error *error);
KEEL_API keel_status KEEL_CALL keel_runtime_memory(keel_runtime runtime, char *buffer, size_t capacity, size_t *needed, keel_error *error);
KEEL_API void KEEL_CALL keel_runtime_destroy(keel_runtime runtime);
KEEL_API keel_status KEEL_CALL keel_model_load(keel_runtime runtime, const char *path, size_t path_length, const char *json, size_t json_length, keel_job *job, keel_error *error);
KEEL_API keel_status KEEL_CALL keel_model_create(keel_runtime runtime, const char *json, size_t json_length, keel_model *model, keel_error *error);
KEEL_API keel_status KEEL_CALL keel_model_save(keel_model model, const char *path, size_t path_length, keel_error *error);
KEEL_API keel_status KEEL_CALL keel_model_info(keel_model model, char *buffer, size_t capacity, size_t *needed, keel_error *error);
KEEL_API keel_status KEEL_CALL keel_model_encode(keel_model model, const char *text, size_t text_length, uint32_t flags, int32_t *tokens, size_t capacity, size_t *needed, keel_error *error);
KEEL_API keel_status KEEL_CALL keel_model_decode(keel_model model, const int32_t *tokens, size_t count, uint32_t flags, char *buffer, size_t capacity, size_t *needed, keel_error *error);
KEEL_API void KEEL_CALL keel_model_destroy(keel_model model);
KEEL_API keel_status KEEL_CALL keel_batch_create(keel_runtime runtime, int32_t kind, uint64_t rows, keel_batch *batch, keel_error *error);
KEEL_API keel_status KEEL_CALL keel_batch_set(keel_batch batch, const char *column, size_t column_length, int32_t type, const void *values, size_t count, const uint64_t *offsets, keel_error *error);
KEEL_API keel_status KEEL_CALL keel_batch_get(keel_batch batch, const char *column, size_t column_length, int32_t *type, const void **values, size_t *count, const uint64_t **offsets, keel_error *error);
KEEL_API keel_status KEEL_CALL keel_batch_set_dlpack(keel_batch batch, const char *column, size_t column_length, struct DLManagedTensorVersioned *tensor, void *stream, keel_error *error);
KEEL_API keel_status KEEL_CALL keel_batch_get_dlpack(keel_batch batch, const char *column, size_t column_length, struct DLManagedTensorVersioned **tensor, keel_error *error);
KEEL_API keel_status KEEL_CALL keel_batch_rows(keel_batch batch, uint64_t *rows, keel_error *error);
KEEL_API void KEEL_CALL keel_batch_destroy(keel_batch batch);
KEEL_API keel_status KEEL_CALL keel_session_create(keel_runtime runtime, const char *json, size_t json_length, keel_session *session, keel_error *error);
KEEL_API keel_status KEEL_CALL keel_session_open(keel_runtime runtime, const char *path, size_t path_length, keel_session *session, keel_error *error);
KEEL_API keel_status KEEL_CALL keel_session_set_model(keel_session session, int32_t role, const char *name, size_t name_length, keel_model model, keel_error *error);
KEEL_API keel_status KEEL_CALL keel_session_model(keel_session session, int32_t role, const char *name, size_t name_length, keel_model *model, keel_error *error);
KEEL_API keel_status KEEL_CALL keel_session_config(keel_session session, char *buffer, size_t capacity, size_t *needed, keel_error *error);
KEEL_API keel_status KEEL_CALL keel_session_metrics(keel_session session, char *buffer, size_t capacity, size_t *needed, keel_error *error);
KEEL_API keel_status KEEL_CALL keel_session_state_hash(keel_session session, uint64_t *hash, keel_error *error);
KEEL_API keel_status KEEL_CALL keel_session_push(keel_session session, keel_batch batch, uint64_t *first_id, keel_error *error);
KEEL_API keel_status KEEL_CALL keel_session_reward(keel_session session, const uint64_t *ids, size_t ids_count, const float *rewards, size_t rewards_count, keel_error *error);
KEEL_API keel_status KEEL_CALL keel_session_clear(keel_session session, keel_error *error);
KEEL_API keel_status KEEL_CALL keel_session_update(keel_session session, keel_job *job, keel_error *error);
KEEL_API keel_status KEEL_CALL keel_session_generate(keel_session session, keel_batch prompts, const char *json, size_t json_length, keel_job *job, keel_error *error);
KEEL_API keel_status KEEL_CALL keel_session_evaluate(keel_session session, keel_job *job, keel_error *error);
KEEL_API keel_status KEEL_CALL keel_session_save(keel_session session, const char *path, size_t path_length, keel_job *job, keel_error *error);
KEEL_API keel_status KEEL_CALL keel_session_restore(keel_session session, const char *path, size_t path_length, keel_job *job, keel_error *error);
KEEL_API keel_status KEEL_CALL keel_session_export(keel_session session, keel_blob *blob, keel_error *error);
KEEL_API keel_status KEEL_CALL keel_session_import(keel_session session, const void *bytes, size_t size, keel_error *error);
KEEL_API keel_status KEEL_CALL keel_session_step(keel_session session, keel_report *report, keel_error *error);
KEEL_API keel_status KEEL_CALL keel_session_set_callback(keel_session session, int32_t kind, keel_reward_callback callback, void *user_data, keel_error *error);
KEEL_API void KEEL_CALL keel_session_destroy(keel_session session);
KEEL_API keel_status KEEL_CALL keel_job_run(keel_job job, keel_report *report, keel_error *error);
KEEL_API keel_status KEEL_CALL keel_job_start(keel_job job, keel_error *error);
KEEL_API keel_status KEEL_CALL keel_job_pump(keel_job job, uint64_t budget_us, keel_report *report, keel_error *error);
KEEL_API keel_status KEEL_CALL keel_job_poll(keel_job job, keel_report *report, keel_error *error);
KEEL_API keel_status KEEL_CALL keel_job_wait(keel_job job, uint64_t timeout_us, keel_report *report, keel_error *error);
KEEL_API keel_status KEEL_CALL keel_job_cancel(keel_job job, keel_error *error);
KEEL_API keel_status KEEL_CALL keel_job_error(keel_job job, keel_error *error);
KEEL_API keel_status KEEL_CALL keel_job_batch(keel_job job, keel_batch *batch, keel_error *error);
KEEL_API keel_status KEEL_CALL keel_job_model(keel_job job, keel_model *model, keel_error *error);
KEEL_API void KEEL_CALL keel_job_destroy(keel_job job);
KEEL_API keel_status KEEL_CALL keel_blob_data(keel_blob blob, const uint8_t **data, size_t *size, keel_error *error);
KEEL_API void KEEL_CALL keel_blob_destroy(keel_blob blob);

#if defined(__cplusplus)
}
#endif

#endif
