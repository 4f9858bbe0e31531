/* What the methods of an AlignedAgent do that is more than a call of keel's. */
#include "node.h"

#include <stdio.h>

static const Type types[] = {[RECORD_FLOATS] = FLOATS, [RECORD_INTS] = INTS, [RECORD_BYTES] = BYTES};
static const char *const act_methods[] = {"act_continuous", "act", "act_records"};
static const char *const actions_are[] = {"float", "int32", "of several types"};

keel_status node_say(Node *node, const char *method, keel_status status) {
  node->status = status;
  if (agent_failed(status)) {
    char where[64];
    snprintf(where, sizeof where, "AlignedAgent.%s", method);
    engine_error(where, node->agent.error.message);
  }
  return status;
}

static void emit_updated(Node *node, const keel_report *report) {
  char json[256];
  snprintf(json, sizeof json,
           "{\"slices\": %llu, \"elapsed_us\": %llu, \"longest_slice_us\": %llu, \"optimizer_steps\": %llu}",
           (unsigned long long)report->slices, (unsigned long long)report->elapsed_us,
           (unsigned long long)report->longest_slice_us, (unsigned long long)report->optimizer_steps);
  Value dictionary = engine_dictionary(json);
  engine_emit(node->object, "updated", &dictionary);
  engine_end(DICTIONARY, &dictionary);
}

keel_status node_learn(Node *node, const char *method, uint64_t budget_us, int beside) {
  keel_report report = KEEL_REPORT_INIT;
  const keel_status status = beside ? agent_learn_beside(&node->agent, &report) : agent_learn(&node->agent, budget_us, &report);
  node_say(node, method, status);
  if (status == KEEL_OK) emit_updated(node, &report);
  return status;
}

/* Whether the session has begun, and its observations can be told in such records. */
static keel_status fit(Node *node, Record observations) {
  Agent *agent = &node->agent;
  if (!agent->session) return agent_refuse(agent, KEEL_E_STATE, "it has not begun; set model and session and begin(), or open() a saved one");
  if (observations == RECORD_BYTES || agent->observation == RECORD_FLOATS) return KEEL_OK;
  return agent_refuse(agent, KEEL_E_SHAPE, "its observations are not all float; give records in a PackedByteArray to act_records and observe_records, layout() says where each group lies");
}

static keel_status fit_actions(Node *node, Record actions) {
  Agent *agent = &node->agent;
  char sentence[160];
  if (actions == RECORD_BYTES || agent->action == actions) return KEEL_OK;
  snprintf(sentence, sizeof sentence, "its actions are %s; call %s", actions_are[agent->action], act_methods[agent->action]);
  return agent_refuse(agent, KEEL_E_SHAPE, sentence);
}

static keel_status fit_flags(Node *node, int64_t flags) {
  if ((flags & ~(int64_t)(KEEL_ACT_GREEDY | KEEL_ACT_UNRECORDED)) == 0) return KEEL_OK;
  return agent_refuse(&node->agent, KEEL_E_INVALID_ARGUMENT, "flags: expected GREEDY, UNRECORDED or both, or 0");
}

static keel_status act(Node *node, const void *const *arguments, void *actions, Record observations, Record records) {
  const Type given = types[observations], made = types[records];
  keel_status status = fit(node, observations);
  if (status == KEEL_OK) status = fit_actions(node, records);
  if (status == KEEL_OK) status = fit_flags(node, *(const int64_t *)arguments[2]);
  if (status < 0) return status;
  const size_t count = engine_size(INTS, arguments[0]), bytes = count * node->agent.action_bytes;
  void *memory = engine_resize(made, actions, bytes / engine_width(made));
  if (bytes && !memory) return agent_refuse(&node->agent, KEEL_E_OUT_OF_MEMORY, "no memory for the actions");
  return keel_actor_act(node->agent.actor, engine_view(INTS, arguments[0]), count, engine_view(given, arguments[1]),
                        engine_size(given, arguments[1]) * engine_width(given), memory, bytes,
                        (uint32_t)*(const int64_t *)arguments[2], NULL, &node->agent.error);
}

void node_act(Node *node, const char *method, const void *const *arguments, void *actions, Record observations, Record records) {
  const keel_status status = node_say(node, method, act(node, arguments, actions, observations, records));
  if (agent_failed(status)) engine_resize(types[records], actions, 0);
}

static keel_status observe(Node *node, const void *const *arguments, Record observations) {
  const Type given = types[observations];
  const keel_status status = fit(node, observations);
  if (status < 0) return status;
  const size_t count = engine_size(INTS, arguments[0]), told = engine_size(INTS, arguments[2]);
  if (told != count) {
    char sentence[96];
    snprintf(sentence, sizeof sentence, "status: expected %zu, one for each slot, got %zu", count, told);
    return agent_refuse(&node->agent, KEEL_E_SHAPE, sentence);
  }
  return keel_actor_observe(node->agent.actor, engine_view(INTS, arguments[0]), count, engine_view(FLOATS, arguments[1]),
                            engine_size(FLOATS, arguments[1]), engine_view(INTS, arguments[2]), engine_view(given, arguments[3]),
                            engine_size(given, arguments[3]) * engine_width(given), &node->agent.error);
}

void node_observe(Node *node, const char *method, const void *const *arguments, int64_t *status, Record observations) {
  *status = node_say(node, method, observe(node, arguments, observations));
}
