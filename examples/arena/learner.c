#include "learner.h"

#include <stdio.h>
#include <string.h>

#define TRY(call)                                        \
  do {                                                   \
    if ((call) < 0) {                                    \
      fprintf(stderr, "%s: %s\n", #call, error.message); \
      return 0;                                          \
    }                                                    \
  } while (0)

const char *const learner_modes[LEARNER_MODES] = {"off", "pump", "job", "blocking"};

static const char network[] =
    "{\"config\": {\"model_type\": \"control\", \"hidden\": [64, 64],"
    " \"observations\": [{\"type\": \"vector\", \"name\": \"view\", \"size\": %d}],"
    " \"actions\": [{\"type\": \"discrete\", \"name\": \"heading\", \"choices\": %d},"
    " {\"type\": \"discrete\", \"name\": \"dash\", \"choices\": 2}]}, \"seed\": %ld}";

static const char method[] =
    "{\"algorithm\": {\"type\": \"control_ppo\", \"rollout_steps\": 2048, \"epochs\": 8, \"minibatches\": 8,"
    " \"discount\": 0.99, \"gae_lambda\": 0.95, \"entropy_coef\": 0.003}, \"seed\": %ld,"
    " \"optimizer\": {\"learning_rate\": 1e-3}}";

static int begin(Learner *learner, long seed) {
  keel_error error = KEEL_ERROR_INIT;
  keel_model policy;
  char text[1024];
  snprintf(text, sizeof text, network, ARENA_VIEW, ARENA_HEADINGS, seed);
  TRY(keel_model_create(learner->runtime, text, strlen(text), &policy, &error));
  snprintf(text, sizeof text, method, seed);
  TRY(keel_session_create(learner->runtime, text, strlen(text), &learner->session, &error));
  TRY(keel_session_set_model(learner->session, KEEL_ROLE_POLICY, NULL, 0, policy, &error));
  keel_model_destroy(policy);
  return 1;
}

static int exists(const char *path) {
  FILE *file = path ? fopen(path, "rb") : NULL;
  return file && fclose(file) == 0;
}

int learner_open(Learner *learner, const char *path, long seed) {
  keel_error error = KEEL_ERROR_INIT;
  char layout[1024], expected[64];
  *learner = (Learner){.mode = LEARNER_PUMP};
  TRY(keel_runtime_create(KEEL_ABI_VERSION, NULL, 0, &learner->runtime, &error));
  if (exists(path)) TRY(keel_session_open(learner->runtime, path, strlen(path), &learner->session, &error));
  else if (!begin(learner, seed)) return 0;
  TRY(keel_session_layout(learner->session, layout, sizeof layout, NULL, &error));
  snprintf(expected, sizeof expected, "{\"observation\":{\"bytes\":%zu,", sizeof(View));
  if (strncmp(layout, expected, strlen(expected)) != 0)
    return fprintf(stderr, "%s: no opponent of this game: %s\n", path ? path : "keel", layout), 0;
  TRY(keel_actor_create(learner->session, NULL, 0, &learner->actor, &error));
  return 1;
}

int learner_act(Learner *learner, Hall *hall) {
  keel_error error = KEEL_ERROR_INIT;
  Choice choices[HALL_DUELS];
  const size_t count = hall_ask(hall, learner->views);
  learner->recorded = learner->mode != LEARNER_OFF;
  TRY(keel_actor_act(learner->actor, hall->asked, count, learner->views, count * sizeof(View), choices,
                     count * sizeof(Choice), learner->recorded ? 0 : KEEL_ACT_UNRECORDED, NULL, &error));
  for (size_t i = 0; learner->recorded && i < count; ++i) learner->in_round[hall->asked[i]] = 1;
  hall_answer(hall, choices);
  return 1;
}

int learner_observe(Learner *learner, const Hall *hall) {
  keel_error error = KEEL_ERROR_INIT;
  float rewards[HALL_DUELS];
  int ended[HALL_DUELS];
  int32_t status[HALL_DUELS];
  if (!learner->recorded) return 1;
  hall_tell(hall, rewards, ended);
  for (size_t i = 0; i < hall->asked_count; ++i) {
    status[i] = ended[i] ? KEEL_EPISODE_TERMINATED : KEEL_EPISODE_RUNNING;
    learner->in_round[hall->asked[i]] = !ended[i];
  }
  TRY(keel_actor_observe(learner->actor, hall->asked, hall->asked_count, rewards, hall->asked_count, status, NULL, 0,
                         &error));
  return 1;
}

static void finish(Learner *learner) {
  keel_job_destroy(learner->job);
  learner->job = 0;
  ++learner->updates;
}

int learner_frame(Learner *learner) {
  keel_error error = KEEL_ERROR_INIT;
  keel_report report = KEEL_REPORT_INIT;
  keel_status status = KEEL_OK;
  const int slices = learner->budget_us ? 1 : LEARNER_SLICES;
  if (learner->mode == LEARNER_OFF) return 1;
  if (!learner->job) {
    TRY(status = keel_session_update(learner->session, &learner->job, &error));
    if (status == KEEL_NEED_DATA) return 1;
    if (learner->mode == LEARNER_JOB) TRY(keel_job_start(learner->job, &error));
  }
  if (learner->mode == LEARNER_PUMP)
    for (int i = 0; i < slices; ++i) {
      TRY(status = keel_job_pump(learner->job, learner->budget_us, &report, &error));
      if (status != KEEL_PENDING) break;
    }
  else if (learner->mode == LEARNER_JOB)
    TRY(status = keel_job_poll(learner->job, &report, &error));
  else
    TRY(status = keel_job_run(learner->job, &report, &error));
  learner->progress = report.progress;
  if (status != KEEL_PENDING) finish(learner);
  return 1;
}

/* The update under way to its end; rounds under way are left as they are, nothing is learned from how they go on. */
static int settle(Learner *learner) {
  keel_error error = KEEL_ERROR_INIT;
  uint32_t slots[HALL_DUELS];
  float rewards[HALL_DUELS] = {0};
  int32_t status[HALL_DUELS];
  size_t count = 0;
  if (learner->job) {
    if (learner->mode == LEARNER_JOB) {
      keel_status state;
      do TRY(state = keel_job_wait(learner->job, 1000000, NULL, &error));
      while (state == KEEL_PENDING);
    } else {
      TRY(keel_job_run(learner->job, NULL, &error));
    }
    finish(learner);
  }
  for (uint32_t i = 0; i < HALL_DUELS; ++i) {
    if (!learner->in_round[i]) continue;
    slots[count] = i;
    status[count++] = KEEL_EPISODE_ABANDONED;
    learner->in_round[i] = 0;
  }
  learner->recorded = 0;
  TRY(keel_actor_observe(learner->actor, slots, count, rewards, count, status, NULL, 0, &error));
  return 1;
}

int learner_change(Learner *learner, LearnerMode mode) {
  if (!settle(learner)) return 0;
  learner->mode = mode;
  return 1;
}

int learner_hash(const Learner *learner, uint64_t *hash) {
  keel_error error = KEEL_ERROR_INIT;
  TRY(keel_session_state_hash(learner->session, hash, &error));
  return 1;
}

static int save(Learner *learner, const char *path) {
  keel_error error = KEEL_ERROR_INIT;
  keel_job job;
  TRY(keel_session_save(learner->session, path, strlen(path), &job, &error));
  TRY(keel_job_run(job, NULL, &error));
  keel_job_destroy(job);
  return 1;
}

int learner_close(Learner *learner, const char *path) {
  keel_error error = KEEL_ERROR_INIT;
  const int fine = !learner->actor || (settle(learner) && (!path || save(learner, path)));
  keel_actor_destroy(learner->actor);
  keel_session_destroy(learner->session);
  if (learner->runtime) TRY(keel_runtime_shutdown(learner->runtime, 1000000, &error));
  keel_runtime_destroy(learner->runtime);
  return fine;
}
