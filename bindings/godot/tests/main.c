/* The extension under a host that stands for Godot: what it registers, acting and learning, and wrong use of every kind. */
#include <keel/keel.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checks.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char walker[] =
    "{\"config\": {\"model_type\": \"control\", \"hidden\": [16],"
    " \"observations\": [{\"type\": \"vector\", \"name\": \"place\", \"size\": 1}],"
    " \"actions\": [{\"type\": \"discrete\", \"name\": \"way\", \"choices\": 2}]}}";
static const char driver[] =
    "{\"config\": {\"model_type\": \"control\", \"hidden\": [8],"
    " \"observations\": [{\"type\": \"vector\", \"name\": \"view\", \"size\": 3}],"
    " \"actions\": [{\"type\": \"continuous\", \"name\": \"wheel\", \"size\": 2}]}}";
static const char chooser[] =
    "{\"config\": {\"model_type\": \"control\", \"hidden\": [8],"
    " \"observations\": [{\"type\": \"vector\", \"name\": \"view\", \"size\": 1},"
    " {\"type\": \"mask\", \"action\": \"choice\"}],"
    " \"actions\": [{\"type\": \"discrete\", \"name\": \"choice\", \"choices\": 3}]}}";
static const char method[] =
    "{\"algorithm\": {\"type\": \"control_ppo\", \"rollout_steps\": 240, \"minibatches\": 4},"
    " \"optimizer\": {\"learning_rate\": 0.01}}";

enum { WALKERS = 4, PLACES = 8, LONGEST = 16, STEPS = 64 };
static const int32_t slots[WALKERS] = {0, 1, 2, 3};
static const float places[WALKERS] = {0.1f, 0.2f, 0.3f, 0.4f};
static const int32_t running[WALKERS] = {0};
static const float nothing[WALKERS] = {0};

static void *begun(const char *model) {
  void *node = host_new();
  CHECK(node != NULL);
  node_set(node, "model", model);
  node_set(node, "session", method);
  CHECK_EQUAL(node_number(node, "begin"), KEEL_OK);
  return node;
}

static int64_t act_and_observe(void *node) {
  CHECK_EQUAL(node_act(node, "act", slots, WALKERS, places, WALKERS, 0, NULL, 0), WALKERS);
  return node_observe(node, slots, WALKERS, nothing, WALKERS, running, WALKERS, NULL, 0);
}

static void gather(void *node) {
  for (int step = 0; step < STEPS; ++step)
    if (!CHECK_EQUAL(act_and_observe(node), KEEL_OK)) return;
}

/* Calls it until the update has ended, but not for ever. */
static int64_t learned(void *node, const char *call, int64_t budget_us) {
  int64_t status = KEEL_PENDING;
  for (long calls = 0; status == KEEL_PENDING && calls < (budget_us ? 5000 : 20000000); ++calls)
    status = budget_us ? node_with(node, call, budget_us) : node_number(node, call);
  return status;
}

static void it_registers_a_class(void) {
  int64_t value;
  CHECK_TEXT(host_signature("act"), "act(slots: 30, observations: 32, flags: 2?) -> 30");
  CHECK_TEXT(host_signature("act_continuous"), "act_continuous(slots: 30, observations: 32, flags: 2?) -> 32");
  CHECK_TEXT(host_signature("act_records"), "act_records(slots: 30, observations: 29, flags: 2?) -> 29");
  CHECK_TEXT(host_signature("observe"), "observe(slots: 30, rewards: 32, status: 30, final_observations: 32?) -> 2");
  CHECK_TEXT(host_signature("learn"), "learn(budget_us: 2) -> 2");
  CHECK_TEXT(host_signature("metrics"), "metrics() -> 27");
  CHECK(host_property("model") && host_property("session") && host_property("budget_us"));
  CHECK(host_registered_signal("updated"));
  const struct {
    const char *name;
    int64_t value;
  } expected[] = {{"OK", KEEL_OK}, {"PENDING", KEEL_PENDING}, {"NEED_DATA", KEEL_NEED_DATA}, {"GREEDY", KEEL_ACT_GREEDY},
                  {"UNRECORDED", KEEL_ACT_UNRECORDED}, {"RUNNING", KEEL_EPISODE_RUNNING}, {"TERMINATED", KEEL_EPISODE_TERMINATED},
                  {"TRUNCATED", KEEL_EPISODE_TRUNCATED}, {"ABANDONED", KEEL_EPISODE_ABANDONED}};
  for (size_t i = 0; i < COUNT(expected); ++i)
    CHECK(host_constant(expected[i].name, &value) && value == expected[i].value);
}

static void properties_are_kept(void) {
  void *node = host_new();
  node_set(node, "model", "{\"a\": 1}");
  node_set(node, "model", walker);
  CHECK(strcmp(node_json(node, "get_model"), walker) == 0);
  CHECK(strcmp(node_json(node, "get_session"), "{}") == 0);
  node_with(node, "set_budget_us", 1500);
  CHECK_EQUAL(node_number(node, "get_budget_us"), 1500);
  CHECK(host_processes(node));
  node_with(node, "set_budget_us", -3);
  CHECK_EQUAL(node_number(node, "get_budget_us"), 0);
  CHECK(!host_processes(node));
  host_free(node);
}

/* One control run of examples/quickstart: the same goals, which differ between builds. */
static int expected_goals;

static void walkers_learn_as_in_the_quickstart(void) {
  void *node = begun(walker);
  int at[WALKERS] = {4, 4, 4, 4}, ages[WALKERS] = {0}, goals = 0;
  const int signals = host_signals;
  for (int round = 1; round <= 4; ++round) {
    goals = 0;
    for (int step = 0; step < STEPS; ++step) {
      float seen[WALKERS], rewards[WALKERS], last[WALKERS];
      int32_t ways[WALKERS], status[WALKERS];
      size_t cut = 0;
      for (int i = 0; i < WALKERS; ++i) seen[i] = (float)at[i] / PLACES;
      if (!CHECK_EQUAL(node_act(node, "act", slots, WALKERS, seen, WALKERS, 0, ways, WALKERS), WALKERS)) return;
      for (int i = 0; i < WALKERS; ++i) {
        at[i] += ways[i] == 1 ? 1 : -1;
        const int there = at[i] == PLACES, ended = there || at[i] == 0;
        goals += there;
        rewards[i] = (float)there;
        status[i] = ended ? KEEL_EPISODE_TERMINATED : ++ages[i] == LONGEST ? KEEL_EPISODE_TRUNCATED : KEEL_EPISODE_RUNNING;
        if (status[i] == KEEL_EPISODE_TRUNCATED) last[cut++] = (float)at[i] / PLACES;
        if (status[i] != KEEL_EPISODE_RUNNING) at[i] = 4, ages[i] = 0;
      }
      CHECK_EQUAL(node_observe(node, slots, WALKERS, rewards, WALKERS, status, WALKERS, last, cut), KEEL_OK);
    }
    CHECK_EQUAL(learned(node, "learn", 2000), KEEL_OK);
    CHECK_EQUAL(host_signals, signals + round);
  }
  CHECK_EQUAL(goals, expected_goals);
  CHECK_TEXT(host_signal, "updated");
  CHECK_TEXT(host_signal_json, "\"optimizer_steps\": ");
  CHECK_TEXT(node_json(node, "metrics"), "\"updates\":4");
  CHECK_TEXT(node_json(node, "layout"), "\"name\":\"place\"");
  host_free(node);
}

static void a_full_recording_is_told(void) {
  void *node = host_new();
  node_set(node, "model", walker);
  node_set(node, "session", "{\"algorithm\": {\"type\": \"control_ppo\", \"rollout_steps\": 4, \"minibatches\": 1}, \"queue_capacity\": 4}");
  CHECK_EQUAL(node_number(node, "begin"), KEEL_OK);
  CHECK_EQUAL(act_and_observe(node), KEEL_OK);
  CHECK_EQUAL(node_act(node, "act", slots, WALKERS, places, WALKERS, 0, NULL, 0), 0);
  CHECK_EQUAL(node_number(node, "last_status"), KEEL_FULL);
  CHECK_TEXT(host_error, "wait for an update");
  host_free(node);
}

static void nothing_works_before_it_has_begun(void) {
  void *node = host_new();
  const int errors = host_errors;
  CHECK_EQUAL(node_act(node, "act", slots, WALKERS, places, WALKERS, 0, NULL, 0), 0);
  CHECK_EQUAL(node_number(node, "last_status"), KEEL_E_STATE);
  CHECK_TEXT(host_error, "it has not begun");
  CHECK_TEXT(host_error_where, "AlignedAgent.act");
  CHECK_EQUAL(node_observe(node, slots, WALKERS, nothing, WALKERS, running, WALKERS, NULL, 0), KEEL_E_STATE);
  CHECK_EQUAL(node_with(node, "learn", 100), KEEL_E_STATE);
  CHECK_EQUAL(node_number(node, "learn_beside"), KEEL_E_STATE);
  CHECK_EQUAL(node_with_text(node, "save", "somewhere"), KEEL_E_STATE);
  CHECK_EQUAL(node_with_text(node, "restore", "somewhere"), KEEL_E_STATE);
  CHECK(strcmp(node_json(node, "metrics"), "{}") == 0);
  CHECK_EQUAL(host_errors, errors + 7);
  host_physics_frame(node);
  host_free(node);
}

static void a_wrong_configuration_is_told_and_can_be_mended(void) {
  void *node = host_new();
  CHECK(node_number(node, "begin") == KEEL_E_CONFIG);
  node_set(node, "session", method);
  node_set(node, "model", "{\"config\": {\"model_type\": \"control\", \"hiden\": [8]}}");
  CHECK_EQUAL(node_number(node, "begin"), KEEL_E_CONFIG);
  CHECK_TEXT(host_error, "hiden");
  Value sentence = values_make(STRING);
  CHECK(host_call(node, "last_error", &sentence, NULL) && strcmp(values_of_text(&sentence), host_error) == 0);
  values_end(STRING, &sentence);
  node_set(node, "model", walker);
  CHECK_EQUAL(node_number(node, "begin"), KEEL_OK);
  CHECK_EQUAL(node_number(node, "begin"), KEEL_E_STATE);
  CHECK_TEXT(host_error, "begun already");
  CHECK_EQUAL(act_and_observe(node), KEEL_OK);
  CHECK(host_call(node, "end", NULL, NULL));
  CHECK_EQUAL(node_number(node, "begin"), KEEL_OK);
  host_free(node);
}

/* What the engine reads from JSON, and writes: all numbers are float. */
static void whole_numbers_may_be_float(void) {
  void *node = host_new();
  node_set(node, "model",
           "{\"config\": {\"model_type\": \"control\", \"hidden\": [16.0],"
           " \"observations\": [{\"type\": \"vector\", \"name\": \"a \\\" 1.0\", \"size\": 2.0}],"
           " \"actions\": [{\"type\": \"discrete\", \"name\": \"way\", \"choices\": 2.0}]}}");
  node_set(node, "session",
           "{\"algorithm\": {\"type\": \"control_ppo\", \"rollout_steps\": 240.0, \"minibatches\": 4.0, \"discount\": 0.05},"
           " \"optimizer\": {\"learning_rate\": 1.0e-2}}");
  CHECK_EQUAL(node_number(node, "begin"), KEEL_OK);
  CHECK_TEXT(node_json(node, "layout"), "\"name\":\"a \\\" 1.0\"");
  host_free(node);
}

static void wrong_shapes_are_told_and_lose_nothing(void) {
  void *node = begun(walker);
  const int32_t twice[] = {1, 1}, negative[] = {-1};
  const float not_a_number[] = {0.1f, 0.0f / 0.0f, 0.3f, 0.4f};
  CHECK_EQUAL(node_act(node, "act", slots, WALKERS, places, 3, 0, NULL, 0), 0);
  CHECK_EQUAL(node_number(node, "last_status"), KEEL_E_SHAPE);
  CHECK_TEXT(host_error, "expected 4 records of 4 bytes, got 12 bytes");
  CHECK_EQUAL(node_act(node, "act", twice, 2, places, 2, 0, NULL, 0), 0);
  CHECK_EQUAL(node_act(node, "act", negative, 1, places, 1, 0, NULL, 0), 0);
  CHECK_EQUAL(node_act(node, "act", slots, WALKERS, not_a_number, WALKERS, 0, NULL, 0), 0);
  CHECK_EQUAL(node_number(node, "last_status"), KEEL_E_NON_FINITE);
  CHECK_EQUAL(node_act(node, "act", slots, WALKERS, places, WALKERS, KEEL_ACT_GIVEN, NULL, 0), 0);
  CHECK_TEXT(host_error, "expected GREEDY, UNRECORDED");
  CHECK_EQUAL(node_act(node, "act_continuous", slots, WALKERS, places, WALKERS, 0, NULL, 0), 0);
  CHECK_TEXT(host_error, "its actions are int32; call act");
  CHECK_EQUAL(node_observe(node, slots, WALKERS, nothing, WALKERS, running, WALKERS, NULL, 0), KEEL_E_STATE);
  CHECK_EQUAL(node_act(node, "act", slots, WALKERS, places, WALKERS, 0, NULL, 0), WALKERS);
  CHECK_EQUAL(node_act(node, "act", slots, WALKERS, places, WALKERS, 0, NULL, 0), 0);
  CHECK_EQUAL(node_number(node, "last_status"), KEEL_E_STATE);
  CHECK_EQUAL(node_observe(node, slots, WALKERS, nothing, WALKERS, running, 3, NULL, 0), KEEL_E_SHAPE);
  CHECK_TEXT(host_error, "status: expected 4, one for each slot, got 3");
  CHECK_EQUAL(node_observe(node, slots, WALKERS, nothing, 2, running, WALKERS, NULL, 0), KEEL_E_SHAPE);
  CHECK_EQUAL(node_observe(node, slots, WALKERS, nothing, WALKERS, (const int32_t[]){0, 9, 0, 0}, WALKERS, NULL, 0), KEEL_E_INVALID_ARGUMENT);
  CHECK_EQUAL(node_observe(node, slots, WALKERS, nothing, WALKERS, running, WALKERS, NULL, 0), KEEL_OK);
  CHECK_EQUAL(node_act(node, "act", slots, 0, places, 0, 0, NULL, 0), 0);
  CHECK_EQUAL(node_number(node, "last_status"), KEEL_OK);
  host_free(node);
}

static void actions_may_be_continuous(void) {
  void *node = begun(driver);
  const float view[6] = {0.5f, -0.5f, 1, 0, 0, 1};
  float wheels[4] = {9, 9, 9, 9};
  CHECK_EQUAL(node_act(node, "act_continuous", slots, 2, view, 6, KEEL_ACT_GREEDY | KEEL_ACT_UNRECORDED, wheels, 4), 4);
  for (int i = 0; i < 4; ++i) CHECK(wheels[i] > -5 && wheels[i] < 5);
  CHECK_EQUAL(node_act(node, "act", slots, 2, view, 6, 0, NULL, 0), 0);
  CHECK_TEXT(host_error, "its actions are float; call act_continuous");
  host_free(node);
}

static void records_carry_masks(void) {
  void *node = begun(chooser);
  unsigned char record[8] = {0, 0, 0, 0, 0, 0, 1, 0};
  const int64_t flags = 0;
  Value who = values_array(INTS, slots, 1), seen = values_array(BYTES, record, sizeof record), made = values_make(BYTES);
  Value reward = values_array(FLOATS, nothing, 1), status = values_array(INTS, running, 1), last = values_make(BYTES);
  const void *acting[] = {&who, &seen, &flags}, *observing[] = {&who, &reward, &status, &last};
  CHECK_EQUAL(node_act(node, "act", slots, 1, places, 1, 0, NULL, 0), 0);
  CHECK_TEXT(host_error, "act_records");
  for (int i = 0; i < 20; ++i) {
    size_t count;
    int64_t outcome = -1;
    CHECK(host_call(node, "act_records", &made, acting));
    const int32_t *choice = values_items(&made, &count);
    if (!CHECK(count == 4 && *choice == 2)) break;
    CHECK(host_call(node, "observe_records", &outcome, observing) && outcome == KEEL_OK);
  }
  Value all[] = {seen, made, last};
  for (size_t i = 0; i < COUNT(all); ++i) values_end(BYTES, &all[i]);
  values_end(FLOATS, &reward);
  values_end(INTS, &status);
  values_end(INTS, &who);
  host_free(node);
}

/* What GDScript without types does. */
static void variants_are_checked(void) {
  void *node = begun(walker);
  Value who = values_array(INTS, slots, WALKERS), seen = values_array(FLOATS, places, WALKERS), text = values_text("four");
  Variant given[5] = {values_variant(INTS, &who), values_variant(FLOATS, &seen), values_variant(STRING, &text)}, result;
  GDExtensionCallError error = host_call_variants(node, "act", &result, given, 2);
  size_t count;
  CHECK_EQUAL(error.error, GDEXTENSION_CALL_OK);
  CHECK_EQUAL(values_type(&result), INTS);
  values_items(values_inside(&result), &count);
  CHECK_EQUAL(count, WALKERS);
  values_end_variant(&result);
  error = host_call_variants(node, "act", &result, given, 1);
  CHECK(error.error == GDEXTENSION_CALL_ERROR_TOO_FEW_ARGUMENTS && error.expected == 2);
  error = host_call_variants(node, "act", &result, given, 4);
  CHECK(error.error == GDEXTENSION_CALL_ERROR_TOO_MANY_ARGUMENTS && error.expected == 3);
  error = host_call_variants(node, "act", &result, given, 3);
  CHECK(error.error == GDEXTENSION_CALL_ERROR_INVALID_ARGUMENT && error.argument == 2 && error.expected == INT);
  error = host_call_variants(node, "learn", &result, &given[2], 1);
  CHECK(error.error == GDEXTENSION_CALL_ERROR_INVALID_ARGUMENT && error.argument == 0);
  for (int i = 0; i < 3; ++i) values_end_variant(&given[i]);
  values_end(STRING, &text);
  values_end(FLOATS, &seen);
  values_end(INTS, &who);
  host_free(node);
}

static void a_node_with_a_budget_learns_by_itself(void) {
  void *node = begun(walker);
  const int signals = host_signals, errors = host_errors;
  node_with(node, "set_budget_us", 200);
  host_physics_frame(node);
  CHECK_EQUAL(host_signals, signals);
  gather(node);
  for (int frame = 0; frame < 100000 && host_signals == signals; ++frame) host_physics_frame(node);
  CHECK_EQUAL(host_signals, signals + 1);
  CHECK_EQUAL(host_errors, errors);
  host_free(node);
}

static void it_learns_on_a_thread_beside_the_game(void) {
  void *node = begun(walker);
  const int signals = host_signals;
  CHECK_EQUAL(node_number(node, "learn_beside"), KEEL_NEED_DATA);
  gather(node);
  CHECK(node_number(node, "learn_beside") >= 0);
  CHECK_EQUAL(act_and_observe(node), KEEL_OK);
  if (host_signals == signals) CHECK(node_with(node, "learn", 100) >= 0);
  if (host_signals == signals) CHECK_EQUAL(learned(node, "learn_beside", 0), KEEL_OK);
  CHECK_EQUAL(host_signals, signals + 1);
  gather(node);
  CHECK(node_with(node, "learn", 0) == KEEL_PENDING);
  CHECK_EQUAL(learned(node, "learn_beside", 0), KEEL_OK);
  CHECK_EQUAL(host_signals, signals + 2);
  gather(node);
  CHECK(node_number(node, "learn_beside") >= 0);
  host_free(node);
}

static void it_is_saved_and_goes_on(void) {
  void *node = begun(walker), *other = host_new();
  int32_t ways[WALKERS], again[WALKERS];
  CHECK_EQUAL(node_with_text(node, "save", "user://walkers.keel"), KEEL_OK);
  CHECK_EQUAL(node_with_text(node, "save", "no/such/place/walkers.keel"), KEEL_E_FILE);
  CHECK_EQUAL(node_with_text(other, "open", "no such file"), KEEL_E_FILE);
  CHECK_EQUAL(node_with_text(other, "open", "user://walkers.keel"), KEEL_OK);
  CHECK_EQUAL(node_act(node, "act", slots, WALKERS, places, WALKERS, 0, ways, WALKERS), WALKERS);
  CHECK_EQUAL(node_act(other, "act", slots, WALKERS, places, WALKERS, 0, again, WALKERS), WALKERS);
  CHECK(memcmp(ways, again, sizeof ways) == 0);
  CHECK_EQUAL(node_with_text(other, "restore", "user://walkers.keel"), KEEL_OK);
  remove("walkers.keel");
  host_free(other);
  host_free(node);
}

static void settings_change_while_it_learns(void) {
  void *node = begun(walker);
  int64_t outcome = -1;
  Value settings = values_dictionary("{\"optimizer\": {\"learning_rate\": 0.5}}"), wrong = values_dictionary("{\"threads\": 3}");
  const void *fine[] = {&settings}, *bad[] = {&wrong};
  CHECK(host_call(node, "configure", &outcome, fine) && outcome == KEEL_OK);
  CHECK(host_call(node, "configure", &outcome, bad) && outcome == KEEL_E_CONFIG);
  values_end(DICTIONARY, &wrong);
  values_end(DICTIONARY, &settings);
  host_free(node);
}

static const char *extension;

static void an_older_engine_is_refused(void) { CHECK(!host_open(extension, "classdb_construct_object2")); }

static void it_is_loaded(void) { CHECK(host_open(extension, NULL)); }

static void nothing_is_left(void) {
  host_close();
  CHECK(host_new() == NULL);
  CHECK_EQUAL(keel_live_handles(), 0);
  CHECK_EQUAL(values_alive, 0);
}

int main(int count, char **arguments) {
  if (count != 3) return fprintf(stderr, "usage: %s EXTENSION GOALS\n", arguments[0]), 2;
  extension = arguments[1];
  expected_goals = atoi(arguments[2]);
#define RUN(test) check_run(#test, test)
  RUN(an_older_engine_is_refused);
  RUN(it_is_loaded);
  RUN(it_registers_a_class);
  RUN(properties_are_kept);
  RUN(walkers_learn_as_in_the_quickstart);
  RUN(a_full_recording_is_told);
  RUN(nothing_works_before_it_has_begun);
  RUN(a_wrong_configuration_is_told_and_can_be_mended);
  RUN(whole_numbers_may_be_float);
  RUN(wrong_shapes_are_told_and_lose_nothing);
  RUN(actions_may_be_continuous);
  RUN(records_carry_masks);
  RUN(variants_are_checked);
  RUN(a_node_with_a_budget_learns_by_itself);
  RUN(it_learns_on_a_thread_beside_the_game);
  RUN(it_is_saved_and_goes_on);
  RUN(settings_change_while_it_learns);
  RUN(nothing_is_left);
  return check_summary();
}
