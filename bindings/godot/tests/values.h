/* The host's values, laid out in the engine's sizes: names, strings, dictionaries (which here are JSON), packed arrays and
   variants; each is counted, so that a test can tell what was never ended. */
#ifndef KEEL_GODOT_TESTS_VALUES_H
#define KEEL_GODOT_TESTS_VALUES_H

#include "engine.h"

/* Names, strings, dictionaries and arrays that are alive. */
extern long values_alive;

Value values_text(const char *text);
const char *values_of_text(const void *value);
Value values_dictionary(const char *json);
const char *values_of_dictionary(const void *value);
Value values_array(Type type, const void *items, size_t count);
const void *values_items(const void *value, size_t *count);

Value values_make(Type type);
Value values_copy(Type type, const void *value);
void values_end(Type type, void *value);
/* The memory of an array's own, of this size. */
void *values_resize(Type type, void *value, size_t count);
void *values_own(Type type, void *value);

Variant values_variant(Type type, const void *value);
Type values_type(const void *variant);
const void *values_inside(const void *variant);
void values_end_variant(void *variant);

#endif
