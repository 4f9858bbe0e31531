/* One counted block behind each value. */
#include "values.h"

#include <stdlib.h>
#include <string.h>

long values_alive;

typedef struct {
  int users;
  size_t count;
  char bytes[];
} Block;

static Block *block(const void *bytes, size_t count, size_t width) {
  Block *made = calloc(1, sizeof *made + count * width + 1);
  if (!made) abort();
  made->users = 1;
  made->count = count;
  if (bytes) memcpy(made->bytes, bytes, count * width);
  ++values_alive;
  return made;
}

static void drop(Block *held) {
  if (!held || --held->users) return;
  free(held);
  --values_alive;
}

static size_t width(Type type) { return type == BYTES ? 1 : 4; }

/* An array keeps its block in its second word, as the engine does; all others in their only one. */
static int place(Type type) { return type == BYTES || type == INTS || type == FLOATS; }

static int counted(Type type) {
  return place(type) || type == STRING || type == DICTIONARY || type == GDEXTENSION_VARIANT_TYPE_STRING_NAME;
}

static Block *held(Type type, const void *value) { return (Block *)(uintptr_t)((const uint64_t *)value)[place(type)]; }

static Value with(Type type, Block *held_block) {
  Value value = {.opaque = {0, 0}};
  value.opaque[place(type)] = (uint64_t)(uintptr_t)held_block;
  return value;
}

Value values_text(const char *text) { return with(STRING, block(text, strlen(text), 1)); }

const char *values_of_text(const void *value) { return held(STRING, value) ? held(STRING, value)->bytes : ""; }

Value values_dictionary(const char *json) { return values_text(json); }

const char *values_of_dictionary(const void *value) { return held(DICTIONARY, value) ? held(DICTIONARY, value)->bytes : "{}"; }

Value values_array(Type type, const void *items, size_t count) { return with(type, block(items, count, width(type))); }

const void *values_items(const void *value, size_t *count) {
  const Block *array = held(INTS, value);
  *count = array ? array->count : 0;
  return array ? array->bytes : NULL;
}

Value values_make(Type type) {
  if (type == DICTIONARY) return values_dictionary("{}");
  return (Value){.opaque = {0, 0}};
}

Value values_copy(Type type, const void *value) {
  Value made = {.opaque = {*(const uint64_t *)value, 0}};
  if (!counted(type)) return made;
  Block *shared = held(type, value);
  if (shared) ++shared->users;
  return with(type, shared);
}

void values_end(Type type, void *value) {
  if (counted(type)) drop(held(type, value));
}

void *values_own(Type type, void *value) {
  Block *array = held(type, value);
  if (array->users > 1) {
    ((uint64_t *)value)[1] = (uint64_t)(uintptr_t)block(array->bytes, array->count, width(type));
    drop(array);
  }
  return held(type, value)->bytes;
}

void *values_resize(Type type, void *value, size_t count) {
  Block *old = held(type, value), *made = block(NULL, count, width(type));
  if (old) memcpy(made->bytes, old->bytes, (old->count < count ? old->count : count) * width(type));
  drop(old);
  ((uint64_t *)value)[1] = (uint64_t)(uintptr_t)made;
  return made->bytes;
}

Variant values_variant(Type type, const void *value) {
  Variant variant = {{(uint64_t)type, 0, 0}};
  const Value made = type == NOTHING ? (Value){.opaque = {0, 0}} : values_copy(type, value);
  memcpy(&variant.opaque[1], &made, sizeof made);
  return variant;
}

Type values_type(const void *variant) { return (Type)((const Variant *)variant)->opaque[0]; }

const void *values_inside(const void *variant) { return &((const Variant *)variant)->opaque[1]; }

void values_end_variant(void *variant) {
  values_end(values_type(variant), (void *)values_inside(variant));
  *(Variant *)variant = (Variant){{0, 0, 0}};
}
