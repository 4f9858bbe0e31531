/* The counting of tests, and calls of a node's methods with C's arrays. */
#include "checks.h"

#include <stdio.h>
#include <string.h>

static int failed_here, passed, failed;

int check_that(int condition, const char *text, const char *file, int line) {
  if (!condition) printf("%s:%d: not so: %s\n", file, line, text), failed_here = 1;
  return condition;
}

int check_equal(long long found, long long expected, const char *text, const char *file, int line) {
  if (found == expected) return 1;
  printf("%s:%d: %s is %lld, expected %lld; the last error was: %s\n", file, line, text, found, expected, host_error);
  return failed_here = 1, 0;
}

int check_text(const char *found, const char *part, const char *file, int line) {
  if (strstr(found, part)) return 1;
  printf("%s:%d: `%s` is not in `%s`\n", file, line, part, found);
  return failed_here = 1, 0;
}

void check_run(const char *name, Test test) {
  failed_here = 0;
  test();
  printf("%s %s\n", failed_here ? "FAILED" : "ok    ", name);
  ++*(failed_here ? &failed : &passed);
}

int check_summary(void) {
  printf("%d passed, %d failed\n", passed, failed);
  return failed != 0 || passed == 0;
}

void node_set(void *node, const char *property, const char *json) {
  char setter[64];
  Value value = values_dictionary(json);
  const void *arguments[] = {&value};
  snprintf(setter, sizeof setter, "set_%s", property);
  CHECK(host_call(node, setter, NULL, arguments));
  values_end(DICTIONARY, &value);
}

int64_t node_number(void *node, const char *method) {
  int64_t result = -1;
  CHECK(host_call(node, method, &result, NULL));
  return result;
}

int64_t node_with(void *node, const char *method, int64_t number) {
  int64_t result = 0;
  const void *arguments[] = {&number};
  CHECK(host_call(node, method, &result, arguments));
  return result;
}

int64_t node_with_text(void *node, const char *method, const char *text) {
  int64_t result = 0;
  Value value = values_text(text);
  const void *arguments[] = {&value};
  CHECK(host_call(node, method, &result, arguments));
  values_end(STRING, &value);
  return result;
}

const char *node_json(void *node, const char *method) {
  static char text[65536];
  Value result = values_make(DICTIONARY);
  CHECK(host_call(node, method, &result, NULL));
  snprintf(text, sizeof text, "%s", values_of_dictionary(&result));
  values_end(DICTIONARY, &result);
  return text;
}

size_t node_act(void *node, const char *method, const int32_t *slots, size_t count, const float *observations, size_t numbers,
                int64_t flags, void *actions, size_t room) {
  const Type type = strcmp(method, "act") == 0 ? INTS : FLOATS;
  const int32_t older[3] = {7, 7, 7};
  Value who = values_array(INTS, slots, count), seen = values_array(FLOATS, observations, numbers);
  Value result = values_array(type, older, 3), shared = values_copy(type, &result);
  const void *arguments[] = {&who, &seen, &flags};
  size_t made, kept;
  CHECK(host_call(node, method, &result, arguments));
  const void *items = values_items(&result, &made);
  if (actions && items) memcpy(actions, items, (made < room ? made : room) * 4);
  CHECK(memcmp(values_items(&shared, &kept), older, sizeof older) == 0 && kept == 3);
  values_end(type, &shared);
  values_end(type, &result);
  values_end(FLOATS, &seen);
  values_end(INTS, &who);
  return made;
}

int64_t node_observe(void *node, const int32_t *slots, size_t count, const float *rewards, size_t reward_count, const int32_t *status,
                     size_t status_count, const float *last, size_t last_count) {
  int64_t result = -1;
  Value who = values_array(INTS, slots, count), gained = values_array(FLOATS, rewards, reward_count);
  Value how = values_array(INTS, status, status_count), end = values_array(FLOATS, last, last_count);
  const void *arguments[] = {&who, &gained, &how, &end};
  CHECK(host_call(node, "observe", &result, arguments));
  values_end(FLOATS, &end);
  values_end(INTS, &how);
  values_end(FLOATS, &gained);
  values_end(INTS, &who);
  return result;
}
