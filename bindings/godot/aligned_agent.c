/* The class AlignedAgent as tables, and the few lines that each of its methods is. */
#include "aligned_agent.h"

#include <stdlib.h>

#include "method.h"
#include "node.h"

static const char class[] = "AlignedAgent";

/* Methods that can fail give their status. */
#define RETURN_STATUS(method, call) *(int64_t *)result = node_say(self, method, call)
#define METHOD(name) static void name(void *self, const void *const *arguments, void *result)
#define UNUSED_ARGUMENTS (void)arguments

static Agent *agent_of(void *self) { return &((Node *)self)->agent; }

static void replace(Value *value, const void *with) {
  Value old = *value;
  *value = engine_copy(DICTIONARY, with);
  engine_end(DICTIONARY, &old);
}

METHOD(set_model) { replace(&((Node *)self)->model, arguments[0]), (void)result; }

METHOD(set_session) { replace(&((Node *)self)->session, arguments[0]), (void)result; }

METHOD(get_model) { UNUSED_ARGUMENTS, replace(result, &((Node *)self)->model); }

METHOD(get_session) { UNUSED_ARGUMENTS, replace(result, &((Node *)self)->session); }

METHOD(set_budget_us) {
  Node *node = self;
  const int64_t budget_us = *(const int64_t *)arguments[0];
  (void)result;
  node->budget_us = budget_us > 0 ? budget_us : 0;
  engine_process_physics(node->object, node->budget_us > 0);
}

METHOD(get_budget_us) { UNUSED_ARGUMENTS, *(int64_t *)result = ((Node *)self)->budget_us; }

static keel_status with_text(Node *node, char *text, keel_status (*call)(Agent *, const char *)) {
  const keel_status status = text ? call(&node->agent, text) : agent_refuse(&node->agent, KEEL_E_OUT_OF_MEMORY, "no memory for a text");
  free(text);
  return status;
}

METHOD(begin) {
  Node *node = self;
  char *model = engine_json(&node->model), *session = engine_json(&node->session);
  UNUSED_ARGUMENTS;
  RETURN_STATUS("begin", model && session ? agent_begin(&node->agent, model, session)
                                          : agent_refuse(&node->agent, KEEL_E_OUT_OF_MEMORY, "no memory for a text"));
  free(session);
  free(model);
}

METHOD(open) { RETURN_STATUS("open", with_text(self, engine_path(arguments[0]), agent_open)); }

METHOD(save) { RETURN_STATUS("save", with_text(self, engine_path(arguments[0]), agent_save)); }

METHOD(restore) { RETURN_STATUS("restore", with_text(self, engine_path(arguments[0]), agent_restore)); }

METHOD(configure) { RETURN_STATUS("configure", with_text(self, engine_json(arguments[0]), agent_configure)); }

METHOD(end) { (void)arguments, (void)result, agent_end(agent_of(self)); }

METHOD(act) { node_act(self, "act", arguments, result, RECORD_FLOATS, RECORD_INTS); }

METHOD(act_continuous) { node_act(self, "act_continuous", arguments, result, RECORD_FLOATS, RECORD_FLOATS); }

METHOD(act_records) { node_act(self, "act_records", arguments, result, RECORD_BYTES, RECORD_BYTES); }

METHOD(observe) { node_observe(self, "observe", arguments, result, RECORD_FLOATS); }

METHOD(observe_records) { node_observe(self, "observe_records", arguments, result, RECORD_BYTES); }

METHOD(learn) {
  const int64_t budget_us = *(const int64_t *)arguments[0];
  *(int64_t *)result = node_learn(self, "learn", budget_us > 0 ? (uint64_t)budget_us : 0, 0);
}

METHOD(learn_beside) { UNUSED_ARGUMENTS, *(int64_t *)result = node_learn(self, "learn_beside", 0, 1); }

static void tell(Node *node, const char *method, char *(*ask)(Agent *), void *result) {
  char *json = ask(&node->agent);
  node_say(node, method, json ? KEEL_OK : node->agent.error.status);
  Value dictionary = engine_dictionary(json ? json : "{}");
  replace(result, &dictionary);
  engine_end(DICTIONARY, &dictionary);
  free(json);
}

METHOD(metrics) { UNUSED_ARGUMENTS, tell(self, "metrics", agent_metrics, result); }

METHOD(layout) { UNUSED_ARGUMENTS, tell(self, "layout", agent_layout, result); }

METHOD(last_status) { UNUSED_ARGUMENTS, *(int64_t *)result = ((Node *)self)->status; }

METHOD(last_error) {
  Node *node = self;
  UNUSED_ARGUMENTS;
  engine_end(STRING, result);
  *(uint64_t *)result = engine_string(agent_failed(node->status) ? node->agent.error.message : "").opaque[0];
}

static const Method table[] = {
    {"set_model", set_model, NOTHING, 1, 0, {{"model", DICTIONARY}}},
    {"get_model", get_model, DICTIONARY, 0, 0, {{0, NOTHING}}},
    {"set_session", set_session, NOTHING, 1, 0, {{"session", DICTIONARY}}},
    {"get_session", get_session, DICTIONARY, 0, 0, {{0, NOTHING}}},
    {"set_budget_us", set_budget_us, NOTHING, 1, 0, {{"budget_us", INT}}},
    {"get_budget_us", get_budget_us, INT, 0, 0, {{0, NOTHING}}},
    {"begin", begin, INT, 0, 0, {{0, NOTHING}}},
    {"open", open, INT, 1, 0, {{"path", STRING}}},
    {"save", save, INT, 1, 0, {{"path", STRING}}},
    {"restore", restore, INT, 1, 0, {{"path", STRING}}},
    {"configure", configure, INT, 1, 0, {{"settings", DICTIONARY}}},
    {"end", end, NOTHING, 0, 0, {{0, NOTHING}}},
    {"act", act, INTS, 3, 1, {{"slots", INTS}, {"observations", FLOATS}, {"flags", INT}}},
    {"act_continuous", act_continuous, FLOATS, 3, 1, {{"slots", INTS}, {"observations", FLOATS}, {"flags", INT}}},
    {"act_records", act_records, BYTES, 3, 1, {{"slots", INTS}, {"observations", BYTES}, {"flags", INT}}},
    {"observe", observe, INT, 4, 1,
     {{"slots", INTS}, {"rewards", FLOATS}, {"status", INTS}, {"final_observations", FLOATS}}},
    {"observe_records", observe_records, INT, 4, 1,
     {{"slots", INTS}, {"rewards", FLOATS}, {"status", INTS}, {"final_observations", BYTES}}},
    {"learn", learn, INT, 1, 0, {{"budget_us", INT}}},
    {"learn_beside", learn_beside, INT, 0, 0, {{0, NOTHING}}},
    {"metrics", metrics, DICTIONARY, 0, 0, {{0, NOTHING}}},
    {"layout", layout, DICTIONARY, 0, 0, {{0, NOTHING}}},
    {"last_status", last_status, INT, 0, 0, {{0, NOTHING}}},
    {"last_error", last_error, STRING, 0, 0, {{0, NOTHING}}},
};

static const Property properties[] = {
    {"model", "set_model", "get_model", DICTIONARY},
    {"session", "set_session", "get_session", DICTIONARY},
    {"budget_us", "set_budget_us", "get_budget_us", INT},
};

static const Constant constants[] = {
    {"Status", "OK", KEEL_OK},
    {"Status", "PENDING", KEEL_PENDING},
    {"Status", "NEED_DATA", KEEL_NEED_DATA},
    {"Act", "GREEDY", KEEL_ACT_GREEDY},
    {"Act", "UNRECORDED", KEEL_ACT_UNRECORDED},
    {"Episode", "RUNNING", KEEL_EPISODE_RUNNING},
    {"Episode", "TERMINATED", KEEL_EPISODE_TERMINATED},
    {"Episode", "TRUNCATED", KEEL_EPISODE_TRUNCATED},
    {"Episode", "ABANDONED", KEEL_EPISODE_ABANDONED},
};

static GDExtensionObjectPtr create(void *userdata, GDExtensionBool notify) {
  Node *node = calloc(1, sizeof *node);
  (void)userdata;
  if (!node) return NULL;
  Name name = engine_name(class);
  node->object = engine_node();
  node->model = engine_value(DICTIONARY);
  node->session = engine_value(DICTIONARY);
  engine.object_set_instance(node->object, &name, node);
  engine_end_name(&name);
  if (notify) engine_postinitialize(node->object);
  return node->object;
}

static void release(void *userdata, GDExtensionClassInstancePtr instance) {
  Node *node = instance;
  (void)userdata;
  agent_end(&node->agent);
  engine_end(DICTIONARY, &node->model);
  engine_end(DICTIONARY, &node->session);
  free(node);
}

/* A node that failed learns no more by itself until its budget is set again. */
static void notified(GDExtensionClassInstancePtr instance, int32_t what, GDExtensionBool reversed) {
  Node *node = instance;
  (void)reversed;
  if (what != NODE_NOTIFICATION_INTERNAL_PHYSICS_PROCESS || !node->agent.session) return;
  if (node_learn(node, "budget_us", (uint64_t)node->budget_us, 0) < 0) engine_process_physics(node->object, 0);
}

#define EACH(table) (size_t i = 0; i < sizeof table / sizeof *table; ++i)

int aligned_agent_register(void) {
  const GDExtensionClassCreationInfo4 info = {
      .is_exposed = 1,
      .is_runtime = 1,
      .notification_func = notified,
      .create_instance_func = create,
      .free_instance_func = release,
  };
  if (!engine_find_methods()) return 0;
  Name name = engine_name(class), parent = engine_name("Node");
  engine.classdb_register_extension_class4(engine.library, &name, &parent, &info);
  engine_end_name(&parent);
  engine_end_name(&name);
  for EACH(table) method_register(class, &table[i]);
  for EACH(properties) method_register_property(class, &properties[i]);
  for EACH(constants) method_register_constant(class, &constants[i]);
  method_register_signal(class, "updated", "report");
  return 1;
}

void aligned_agent_unregister(void) {
  Name name = engine_name(class);
  engine.classdb_unregister_extension_class(engine.library, &name);
  engine_end_name(&name);
  agents_end();
}
