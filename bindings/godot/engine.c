/* The engine's functions, and what is said to it in more than one call. */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

enum { TYPES = GDEXTENSION_VARIANT_TYPE_VARIANT_MAX };

Engine engine;

static struct {
  GDExtensionMethodBindPtr stringify, parse, globalize, emit, notify, process_physics;
} methods;
static GDExtensionVariantFromTypeConstructorFunc to_variant[TYPES];
static GDExtensionTypeFromVariantConstructorFunc from_variant[TYPES];
static GDExtensionPtrConstructor make[TYPES], copy[TYPES];
static GDExtensionPtrDestructor end[TYPES];
static GDExtensionPtrBuiltInMethod size_of[TYPES], resize[TYPES];

static int packed(Type type) { return type == BYTES || type == INTS || type == FLOATS; }

static GDExtensionPtrBuiltInMethod method_of(Type type, const char *text, GDExtensionInt hash) {
  Name name = engine_name(text);
  GDExtensionPtrBuiltInMethod found = engine.variant_get_ptr_builtin_method(type, &name, hash);
  engine_end_name(&name);
  return found;
}

int engine_open(GDExtensionInterfaceGetProcAddress find, GDExtensionClassLibraryPtr library) {
  static const Type types[] = {INT, STRING, DICTIONARY, BYTES, INTS, FLOATS};
  engine.library = library;
#define FIND(type, name) \
  if (!(engine.name = (type)(void (*)(void))find(#name))) return 0;
  ENGINE_FUNCTIONS(FIND)
#undef FIND
  for (size_t i = 0; i < sizeof types / sizeof *types; ++i) {
    const Type type = types[i];
    to_variant[type] = engine.get_variant_from_type_constructor(type);
    from_variant[type] = engine.get_variant_to_type_constructor(type);
    make[type] = engine.variant_get_ptr_constructor(type, 0);
    copy[type] = engine.variant_get_ptr_constructor(type, 1);
    end[type] = engine.variant_get_ptr_destructor(type);
    if (!packed(type)) continue;
    size_of[type] = method_of(type, "size", 3173160232);
    resize[type] = method_of(type, "resize", 848867239);
    if (!size_of[type] || !resize[type]) return 0;
  }
  return 1;
}

static GDExtensionMethodBindPtr bind(const char *class, const char *method, GDExtensionInt hash) {
  Name of = engine_name(class), name = engine_name(method);
  GDExtensionMethodBindPtr found = engine.classdb_get_method_bind(&of, &name, hash);
  engine_end_name(&of);
  engine_end_name(&name);
  return found;
}

int engine_find_methods(void) {
  return (methods.stringify = bind("JSON", "stringify", 462733549)) &&
         (methods.parse = bind("JSON", "parse_string", 309047738)) &&
         (methods.globalize = bind("ProjectSettings", "globalize_path", 3135753539)) &&
         (methods.emit = bind("Object", "emit_signal", 4047867050)) &&
         (methods.notify = bind("Object", "notification", 4023243586)) &&
         (methods.process_physics = bind("Node", "set_physics_process_internal", 2586408642));
}

void engine_error(const char *where, const char *message) {
  engine.print_error_with_message(message, message, where, "keel", 0, 0);
}

Name engine_name(const char *text) {
  Name name;
  engine.string_name_new_with_utf8_chars(&name, text);
  return name;
}

void engine_end_name(Name *name) {
  engine.variant_get_ptr_destructor(GDEXTENSION_VARIANT_TYPE_STRING_NAME)(name);
}

Value engine_value(Type type) {
  Value value = {.opaque = {0, 0}};
  if (type != NOTHING) make[type](&value, NULL);
  return value;
}

Value engine_copy(Type type, const void *value) {
  Value made = {.opaque = {0, 0}};
  copy[type](&made, &value);
  return made;
}

void engine_end(Type type, Value *value) {
  if (type != NOTHING && end[type]) end[type](value);
}

int engine_converts(const void *variant, Type type) {
  const Type found = engine.variant_get_type(variant);
  return found == type || engine.variant_can_convert_strict(found, type);
}

Value engine_from_variant(const void *variant, Type type) {
  Value value = {.opaque = {0, 0}};
  from_variant[type](&value, (GDExtensionVariantPtr)variant);
  return value;
}

void engine_to_variant(Type type, Value *value, void *variant) { to_variant[type](variant, value); }

char *engine_text(const void *string) {
  const GDExtensionInt length = engine.string_to_utf8_chars(string, NULL, 0);
  char *text = malloc((size_t)length + 1);
  if (!text) return NULL;
  engine.string_to_utf8_chars(string, text, length);
  text[length] = 0;
  return text;
}

Value engine_string(const char *text) {
  Value string = {.opaque = {0, 0}};
  engine.string_new_with_utf8_chars_and_len2(&string, text, (GDExtensionInt)strlen(text));
  return string;
}

/* JSON has one type of numbers, so that the engine writes 64.0 for a 64 that it has read: a whole number is told as one. */
static char *without_empty_fractions(char *json) {
  char *to = json;
  int quoted = 0;
  for (const char *at = json; *at; ++at) {
    if (*at == '"') quoted = !quoted;
    if (quoted && *at == '\\') *to++ = *at++;
    if (!quoted && at[0] == '.' && at[1] == '0' && !strchr("0123456789eE", at[2])) ++at;
    else *to++ = *at;
  }
  *to = 0;
  return json;
}

char *engine_json(const void *dictionary) {
  Value held = engine_copy(DICTIONARY, dictionary), indent = engine_value(STRING), string = engine_value(STRING);
  Variant variant;
  const GDExtensionBool sorted = 0, exact = 1;
  engine_to_variant(DICTIONARY, &held, &variant);
  const GDExtensionConstTypePtr arguments[] = {&variant, &indent, &sorted, &exact};
  engine.object_method_bind_ptrcall(methods.stringify, NULL, arguments, &string);
  char *text = engine_text(&string);
  engine.variant_destroy(&variant);
  engine_end(STRING, &string);
  engine_end(STRING, &indent);
  engine_end(DICTIONARY, &held);
  return text ? without_empty_fractions(text) : NULL;
}

Value engine_dictionary(const char *json) {
  Value string = engine_string(json);
  Variant variant = {{0, 0, 0}};
  const GDExtensionConstTypePtr arguments[] = {&string};
  engine.object_method_bind_ptrcall(methods.parse, NULL, arguments, &variant);
  Value dictionary = engine_converts(&variant, DICTIONARY) ? engine_from_variant(&variant, DICTIONARY) : engine_value(DICTIONARY);
  engine.variant_destroy(&variant);
  engine_end(STRING, &string);
  return dictionary;
}

size_t engine_width(Type type) { return type == BYTES ? 1 : 4; }

size_t engine_size(Type type, const void *array) {
  int64_t size = 0;
  size_of[type]((GDExtensionTypePtr)array, NULL, &size, 0);
  return (size_t)size;
}

const void *engine_view(Type type, const void *array) {
  if (engine_size(type, array) == 0) return NULL;
  if (type == BYTES) return engine.packed_byte_array_operator_index_const(array, 0);
  if (type == INTS) return engine.packed_int32_array_operator_index_const(array, 0);
  return engine.packed_float32_array_operator_index_const(array, 0);
}

void *engine_resize(Type type, void *array, size_t size) {
  if (engine_size(type, array) != size) {
    const int64_t wanted = (int64_t)size;
    const GDExtensionConstTypePtr arguments[] = {&wanted};
    int64_t outcome;
    resize[type](array, arguments, &outcome, 1);
  }
  if (size == 0 || engine_size(type, array) != size) return NULL;
  if (type == BYTES) return engine.packed_byte_array_operator_index(array, 0);
  if (type == INTS) return engine.packed_int32_array_operator_index(array, 0);
  return engine.packed_float32_array_operator_index(array, 0);
}

char *engine_path(const void *path) {
  Name name = engine_name("ProjectSettings");
  Value global = engine_value(STRING);
  const GDExtensionConstTypePtr arguments[] = {path};
  engine.object_method_bind_ptrcall(methods.globalize, engine.global_get_singleton(&name), arguments, &global);
  char *text = engine_text(&global);
  engine_end(STRING, &global);
  engine_end_name(&name);
  return text;
}

GDExtensionObjectPtr engine_node(void) {
  Name name = engine_name("Node");
  GDExtensionObjectPtr node = engine.classdb_construct_object2(&name);
  engine_end_name(&name);
  return node;
}

void engine_postinitialize(GDExtensionObjectPtr node) {
  const int64_t what = 0;
  const GDExtensionBool reversed = 0;
  const GDExtensionConstTypePtr arguments[] = {&what, &reversed};
  engine.object_method_bind_ptrcall(methods.notify, node, arguments, NULL);
}

void engine_process_physics(GDExtensionObjectPtr node, int on) {
  const GDExtensionBool enable = on != 0;
  const GDExtensionConstTypePtr arguments[] = {&enable};
  engine.object_method_bind_ptrcall(methods.process_physics, node, arguments, NULL);
}

void engine_emit(GDExtensionObjectPtr object, const char *signal, Value *dictionary) {
  Name name = engine_name(signal);
  Variant arguments[2], result;
  GDExtensionCallError error = {GDEXTENSION_CALL_OK, 0, 0};
  engine.get_variant_from_type_constructor(GDEXTENSION_VARIANT_TYPE_STRING_NAME)(&arguments[0], &name);
  engine_to_variant(DICTIONARY, dictionary, &arguments[1]);
  const GDExtensionConstVariantPtr given[] = {&arguments[0], &arguments[1]};
  engine.object_method_bind_call(methods.emit, object, given, 2, &result, &error);
  engine.variant_destroy(&result);
  engine.variant_destroy(&arguments[1]);
  engine.variant_destroy(&arguments[0]);
  engine_end_name(&name);
}
