/* The handles of an agent, and the one runtime of all agents. */
#include "agent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRY(call)                          \
  do {                                     \
    const keel_status outcome = (call);    \
    if (outcome < 0) return outcome;       \
  } while (0)

static keel_runtime runtime;

keel_status agent_refuse(Agent *agent, keel_status status, const char *sentence) {
  agent->error = (keel_error)KEEL_ERROR_INIT;
  agent->error.status = status;
  snprintf(agent->error.message, sizeof agent->error.message, "%s", sentence);
  return status;
}

static keel_status need_runtime(Agent *agent) {
  agent->error = (keel_error)KEEL_ERROR_INIT;
  if (agent->session) return agent_refuse(agent, KEEL_E_STATE, "it has begun already; end() first");
  return runtime ? KEEL_OK : keel_runtime_create(KEEL_ABI_VERSION, NULL, 0, &runtime, &agent->error);
}

static keel_status need_session(Agent *agent) {
  return agent->session ? KEEL_OK : agent_refuse(agent, KEEL_E_STATE, "it has not begun; set model and session and begin(), or open() a saved one");
}

typedef keel_status (*Told)(keel_session, char *, size_t, size_t *, keel_error *);

static char *told(Agent *agent, Told tell) {
  size_t needed = 0;
  if (need_session(agent) < 0) return NULL;
  for (size_t capacity = 1024;; capacity = needed + 1) {
    char *text = malloc(capacity);
    if (!text) return agent_refuse(agent, KEEL_E_OUT_OF_MEMORY, "no memory for a text"), NULL;
    const keel_status status = tell(agent->session, text, capacity, &needed, &agent->error);
    if (status >= 0) return text;
    free(text);
    if (status != KEEL_E_CAPACITY) return NULL;
  }
}

char *agent_metrics(Agent *agent) { return told(agent, keel_session_metrics); }

char *agent_layout(Agent *agent) { return told(agent, keel_session_layout); }

static Record record_of(const char *layout, const char *end) {
  static const char mark[] = "\"type\":\"";
  int floats = 0, ints = 0, others = 0;
  for (const char *at = layout; (at = strstr(at, mark)) && at < end;) {
    at += sizeof mark - 1;
    const int is_float = strncmp(at, "f32", 3) == 0, is_int = strncmp(at, "i32", 3) == 0;
    floats += is_float, ints += is_int, others += !is_float && !is_int;
  }
  return others || (floats && ints) ? RECORD_BYTES : ints ? RECORD_INTS : RECORD_FLOATS;
}

/* Reads what keel_session_layout says: {"observation":{"bytes":…,"groups":[…]},"action":{"bytes":…,"groups":[…]}}. */
static keel_status read_layout(Agent *agent) {
  static const char mark[] = "\"action\":{\"bytes\":";
  char *layout = told(agent, keel_session_layout);
  if (!layout) return agent->error.status;
  const char *action = strstr(layout, mark), *end = layout + strlen(layout);
  if (action) {
    agent->observation = record_of(layout, action);
    agent->action = record_of(action, end);
    agent->action_bytes = strtoul(action + sizeof mark - 1, NULL, 10);
  }
  free(layout);
  return action ? KEEL_OK : agent_refuse(agent, KEEL_E_INTERNAL, "the layout of the records is not as expected");
}

static keel_status fill(Agent *agent, const char *model, const char *session) {
  keel_error *error = &agent->error;
  keel_model policy;
  TRY(keel_session_create(runtime, session, strlen(session), &agent->session, error));
  TRY(keel_model_create(runtime, model, strlen(model), &policy, error));
  const keel_status set = keel_session_set_model(agent->session, KEEL_ROLE_POLICY, NULL, 0, policy, error);
  keel_model_destroy(policy);
  return set;
}

/* An actor for a session that stands, or nothing at all. */
static keel_status take_up(Agent *agent, keel_status status) {
  if (status >= 0) status = keel_actor_create(agent->session, NULL, 0, &agent->actor, &agent->error);
  if (status >= 0) status = read_layout(agent);
  if (status < 0) agent_end(agent);
  return status;
}

keel_status agent_begin(Agent *agent, const char *model, const char *session) {
  TRY(need_runtime(agent));
  return take_up(agent, fill(agent, model, session));
}

keel_status agent_open(Agent *agent, const char *path) {
  TRY(need_runtime(agent));
  return take_up(agent, keel_session_open(runtime, path, strlen(path), &agent->session, &agent->error));
}

static keel_status run(Agent *agent, keel_job job) {
  const keel_status status = keel_job_run(job, NULL, &agent->error);
  keel_job_destroy(job);
  return status;
}

keel_status agent_save(Agent *agent, const char *path) {
  keel_job job;
  TRY(need_session(agent));
  TRY(keel_session_save(agent->session, path, strlen(path), &job, &agent->error));
  return run(agent, job);
}

keel_status agent_restore(Agent *agent, const char *path) {
  keel_job job;
  TRY(need_session(agent));
  TRY(keel_session_restore(agent->session, path, strlen(path), &job, &agent->error));
  return run(agent, job);
}

keel_status agent_configure(Agent *agent, const char *settings) {
  keel_job job;
  TRY(need_session(agent));
  TRY(keel_session_configure(agent->session, settings, strlen(settings), &job, &agent->error));
  return run(agent, job);
}

static keel_status need_update(Agent *agent) {
  TRY(need_session(agent));
  if (agent->update) return KEEL_OK;
  agent->beside = 0;
  return keel_session_update(agent->session, &agent->update, &agent->error);
}

/* The update goes when it has come to an end, be it an error. */
static keel_status look(Agent *agent, keel_status status) {
  if (status == KEEL_PENDING || status == KEEL_E_CONCURRENT) return status;
  keel_job_destroy(agent->update);
  agent->update = 0;
  return status;
}

keel_status agent_learn(Agent *agent, uint64_t budget_us, keel_report *report) {
  const keel_status status = need_update(agent);
  if (status != KEEL_OK) return status;
  if (agent->beside) return look(agent, keel_job_poll(agent->update, report, &agent->error));
  return look(agent, keel_job_pump(agent->update, budget_us, report, &agent->error));
}

keel_status agent_learn_beside(Agent *agent, keel_report *report) {
  const keel_status status = need_update(agent);
  if (status != KEEL_OK) return status;
  if (!agent->beside) {
    const keel_status started = keel_job_start(agent->update, &agent->error);
    if (started < 0) return look(agent, started);
    agent->beside = 1;
  }
  return look(agent, keel_job_poll(agent->update, report, &agent->error));
}

void agent_end(Agent *agent) {
  if (agent->update) keel_job_cancel(agent->update, NULL);
  keel_job_destroy(agent->update);
  keel_actor_destroy(agent->actor);
  keel_session_destroy(agent->session);
  agent->update = agent->actor = agent->session = 0;
}

void agents_end(void) {
  if (runtime) keel_runtime_shutdown(runtime, 10000000, NULL);
  keel_runtime_destroy(runtime);
  runtime = 0;
}
