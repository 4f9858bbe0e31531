/* A whole host in C99: makes a model, teaches it two sentences, asks it, saves it. */
#include <stdio.h>
#include <string.h>

#include "keel/keel.h"

#define TRY(call)                                                 \
  do {                                                            \
    if ((call) < 0) {                                             \
      (void)snprintf(said, room, "%s: %s", #call, error.message); \
      goto end;                                                   \
    }                                                             \
  } while (0)

/* Writes what went wrong, or nothing, into `said`. */
void host_in_c(const char *model_json, char *said, size_t room) {
  static const char config[] =
      "{\"algorithm\": {\"type\": \"sft\", \"batch_size\": 2, \"epochs\": 10}, \"optimizer\": {\"learning_rate\": "
      "0.01}}";
  static const char question[] = "{\"temperature\": 0, \"max_new_tokens\": 3}";
  static const char prompts[] = "ab", responses[] = "c d ec d e";
  static const uint64_t prompt_rows[] = {0, 1, 2}, response_rows[] = {0, 5, 10};
  keel_error error = KEEL_ERROR_INIT;
  keel_report report = KEEL_REPORT_INIT;
  keel_runtime runtime = 0;
  keel_model model = 0;
  keel_session session = 0;
  keel_batch rows = 0, questions = 0, rollouts = 0;
  keel_job job = 0;
  keel_status status;
  const void *text = NULL;
  const uint64_t *offsets = NULL;
  size_t count = 0, steps = 0;
  int32_t type = KEEL_TYPE_UTF8;

  said[0] = '\0';
  TRY(keel_runtime_create(KEEL_ABI_VERSION, NULL, 0, &runtime, &error));
  TRY(keel_model_create(runtime, model_json, strlen(model_json), &model, &error));
  TRY(keel_session_create(runtime, config, strlen(config), &session, &error));
  TRY(keel_session_set_model(session, KEEL_ROLE_POLICY, NULL, 0, model, &error));
  TRY(keel_batch_create(runtime, KEEL_BATCH_DEMONSTRATIONS, 2, &rows, &error));
  TRY(keel_batch_set(rows, "prompt", 6, KEEL_TYPE_UTF8, prompts, 2, prompt_rows, &error));
  TRY(keel_batch_set(rows, "response", 8, KEEL_TYPE_UTF8, responses, 10, response_rows, &error));
  TRY(keel_session_push(session, rows, NULL, &error));
  while ((status = keel_session_step(session, &report, &error)) == KEEL_OK) ++steps;
  TRY(status);
  if (status != KEEL_NEED_DATA || steps != 10) {
    (void)snprintf(said, room, "expected 10 steps and then need of data, got %lu steps and %s", (unsigned long)steps,
                   keel_status_name(status));
    goto end;
  }
  TRY(keel_batch_create(runtime, KEEL_BATCH_PROMPTS, 2, &questions, &error));
  TRY(keel_batch_set(questions, "prompt", 6, KEEL_TYPE_UTF8, prompts, 2, prompt_rows, &error));
  TRY(keel_session_generate(session, questions, question, strlen(question), &job, &error));
  while ((status = keel_job_pump(job, 2000, &report, &error)) == KEEL_PENDING) continue;
  TRY(status);
  TRY(keel_job_batch(job, &rollouts, &error));
  TRY(keel_batch_get(rollouts, "response", 8, &type, &text, &count, &offsets, &error));
  if (count == 0 || offsets[2] != count) (void)snprintf(said, room, "no text was generated");

end:
  keel_batch_destroy(rollouts);
  keel_batch_destroy(questions);
  keel_batch_destroy(rows);
  keel_job_destroy(job);
  keel_session_destroy(session);
  keel_model_destroy(model);
  keel_runtime_destroy(runtime);
}
