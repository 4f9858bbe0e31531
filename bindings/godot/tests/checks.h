/* Checks that go on after one has failed, and short words for what the tests of the node do often. */
#ifndef KEEL_GODOT_TESTS_CHECKS_H
#define KEEL_GODOT_TESTS_CHECKS_H

#include "host.h"

#define CHECK(condition) check_that((condition) != 0, #condition, __FILE__, __LINE__)
#define CHECK_EQUAL(found, expected) check_equal((long long)(found), (long long)(expected), #found, __FILE__, __LINE__)
#define CHECK_TEXT(found, part) check_text(found, part, __FILE__, __LINE__)

int check_that(int condition, const char *text, const char *file, int line);
int check_equal(long long found, long long expected, const char *text, const char *file, int line);
/* That one text has the other in it. */
int check_text(const char *found, const char *part, const char *file, int line);

typedef void (*Test)(void);
void check_run(const char *name, Test test);
/* Prints the summary; the exit status. */
int check_summary(void);

/* Properties, and methods of no argument, one number, one text. */
void node_set(void *node, const char *property, const char *json);
int64_t node_number(void *node, const char *method);
int64_t node_with(void *node, const char *method, int64_t number);
int64_t node_with_text(void *node, const char *method, const char *text);
/* What a Dictionary method gives, as JSON; the text lives until the next call. */
const char *node_json(void *node, const char *method);
/* As act and act_continuous, with as many actions copied as fit; how many there were. */
size_t node_act(void *node, const char *method, const int32_t *slots, size_t count, const float *observations, size_t numbers,
                int64_t flags, void *actions, size_t room);
int64_t node_observe(void *node, const int32_t *slots, size_t count, const float *rewards, size_t reward_count, const int32_t *status,
                     size_t status_count, const float *last, size_t last_count);

#endif
