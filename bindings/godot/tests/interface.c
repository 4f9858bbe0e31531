/* The engine's functions, as far as the extension takes them. */
#include "interface.h"

#include <stdio.h>
#include <string.h>

#include "host.h"

char host_error[2048], host_error_where[128], host_signal[64], host_signal_json[1024];
int host_errors, host_signals;

#define NAMES GDEXTENSION_VARIANT_TYPE_STRING_NAME

static void print_error_with_message(const char *code, const char *message, const char *where, const char *file, int32_t line, GDExtensionBool editor) {
  (void)code, (void)file, (void)line, (void)editor;
  snprintf(host_error, sizeof host_error, "%s", message);
  snprintf(host_error_where, sizeof host_error_where, "%s", where);
  ++host_errors;
}

static void string_name_new_with_utf8_chars(void *name, const char *text) { *(uint64_t *)name = values_text(text).opaque[0]; }

static GDExtensionInt string_new_with_utf8_chars_and_len2(void *string, const char *text, GDExtensionInt length) {
  char copy[65536];
  if (length < 0 || (size_t)length >= sizeof copy) return 1;
  memcpy(copy, text, (size_t)length);
  copy[length] = 0;
  *(uint64_t *)string = values_text(copy).opaque[0];
  return 0;
}

static GDExtensionInt string_to_utf8_chars(const void *string, char *text, GDExtensionInt room) {
  const char *held = values_of_text(string);
  const size_t length = strlen(held);
  if (text) memcpy(text, held, length < (size_t)room ? length : (size_t)room);
  return (GDExtensionInt)length;
}

static void variant_destroy(void *variant) { values_end_variant(variant); }

static Type variant_get_type(const void *variant) { return values_type(variant); }

static GDExtensionBool variant_can_convert_strict(Type from, Type to) {
  return (from == GDEXTENSION_VARIANT_TYPE_FLOAT && to == INT) || (from == NAMES && to == STRING);
}

/* Functions without a type in their arguments: one for each type. */
#define OF_TYPE(type, name)                                                                                       \
  static void name##_to_variant(void *variant, void *value) { *(Variant *)variant = values_variant(type, value); } \
  static void name##_from_variant(void *value, void *variant) {                                                   \
    const Value made = values_copy(type, values_inside(variant));                                                 \
    memcpy(value, &made, sizes(type));                                                                            \
  }                                                                                                               \
  static void name##_make(void *value, const GDExtensionConstTypePtr *arguments) {                                \
    const Value made = values_make(type);                                                                         \
    (void)arguments;                                                                                              \
    memcpy(value, &made, sizes(type));                                                                            \
  }                                                                                                               \
  static void name##_copy(void *value, const GDExtensionConstTypePtr *arguments) {                                \
    const Value made = values_copy(type, arguments[0]);                                                           \
    memcpy(value, &made, sizes(type));                                                                            \
  }                                                                                                               \
  static void name##_end(void *value) { values_end(type, value); }

#define OF_ARRAY(type, name)                                                                                              \
  OF_TYPE(type, name)                                                                                                     \
  static void name##_size(void *array, const GDExtensionConstTypePtr *arguments, void *result, int32_t count) {           \
    size_t size;                                                                                                          \
    (void)arguments, (void)count;                                                                                         \
    values_items(array, &size);                                                                                           \
    *(int64_t *)result = (int64_t)size;                                                                                   \
  }                                                                                                                       \
  static void name##_resize(void *array, const GDExtensionConstTypePtr *arguments, void *result, int32_t count) {         \
    (void)count;                                                                                                          \
    values_resize(type, array, (size_t)*(const int64_t *)arguments[0]);                                                   \
    *(int64_t *)result = 0;                                                                                               \
  }

static size_t sizes(Type type) { return type == BYTES || type == INTS || type == FLOATS ? 16 : 8; }

OF_TYPE(INT, int)
OF_TYPE(STRING, string)
OF_TYPE(NAMES, name)
OF_TYPE(DICTIONARY, dictionary)
OF_ARRAY(BYTES, bytes)
OF_ARRAY(INTS, ints)
OF_ARRAY(FLOATS, floats)

#define BY_TYPE(type, name) \
  [type] = {name##_to_variant, name##_from_variant, {name##_make, name##_copy}, name##_end, NULL, NULL}
#define BY_ARRAY(type, name) \
  [type] = {name##_to_variant, name##_from_variant, {name##_make, name##_copy}, name##_end, name##_size, name##_resize}

static const struct {
  GDExtensionVariantFromTypeConstructorFunc to_variant;
  GDExtensionTypeFromVariantConstructorFunc from_variant;
  GDExtensionPtrConstructor constructors[2];
  GDExtensionPtrDestructor end;
  GDExtensionPtrBuiltInMethod size, resize;
} types[GDEXTENSION_VARIANT_TYPE_VARIANT_MAX] = {
    BY_TYPE(INT, int),         BY_TYPE(STRING, string), BY_TYPE(NAMES, name),     BY_TYPE(DICTIONARY, dictionary),
    BY_ARRAY(BYTES, bytes), BY_ARRAY(INTS, ints),    BY_ARRAY(FLOATS, floats),
};

static GDExtensionVariantFromTypeConstructorFunc get_variant_from_type_constructor(Type type) { return types[type].to_variant; }

static GDExtensionTypeFromVariantConstructorFunc get_variant_to_type_constructor(Type type) { return types[type].from_variant; }

static GDExtensionPtrConstructor variant_get_ptr_constructor(Type type, int32_t index) { return types[type].constructors[index]; }

/* Numbers are not ended. */
static GDExtensionPtrDestructor variant_get_ptr_destructor(Type type) { return type == INT ? NULL : types[type].end; }

static GDExtensionPtrBuiltInMethod variant_get_ptr_builtin_method(Type type, const void *name, GDExtensionInt hash) {
  if (strcmp(values_of_text(name), "size") == 0 && hash == 3173160232) return types[type].size;
  return strcmp(values_of_text(name), "resize") == 0 && hash == 848867239 ? types[type].resize : NULL;
}

static void *own(Type type, void *array, GDExtensionInt index) { return (char *)values_own(type, array) + index * (type == BYTES ? 1 : 4); }

static const void *view(const void *array) {
  size_t count;
  return values_items(array, &count);
}

static uint8_t *packed_byte_array_operator_index(void *array, GDExtensionInt index) { return own(BYTES, array, index); }

static int32_t *packed_int32_array_operator_index(void *array, GDExtensionInt index) { return own(INTS, array, index); }

static float *packed_float32_array_operator_index(void *array, GDExtensionInt index) { return own(FLOATS, array, index); }

static const uint8_t *packed_byte_array_operator_index_const(const void *array, GDExtensionInt index) { return (const uint8_t *)view(array) + index; }

static const int32_t *packed_int32_array_operator_index_const(const void *array, GDExtensionInt index) { return (const int32_t *)view(array) + index; }

static const float *packed_float32_array_operator_index_const(const void *array, GDExtensionInt index) { return (const float *)view(array) + index; }

static int project_settings;

static GDExtensionObjectPtr global_get_singleton(const void *name) {
  return strcmp(values_of_text(name), "ProjectSettings") == 0 ? &project_settings : NULL;
}

/* The engine's methods, with the hashes that extension_api.json of Godot 4.6 gives. */
enum { STRINGIFY, PARSE, GLOBALIZE, EMIT, NOTIFICATION, PROCESS, METHODS };
static const struct {
  const char *class, *name;
  GDExtensionInt hash;
} methods[METHODS] = {
    {"JSON", "stringify", 462733549},      {"JSON", "parse_string", 309047738},
    {"ProjectSettings", "globalize_path", 3135753539}, {"Object", "emit_signal", 4047867050},
    {"Object", "notification", 4023243586}, {"Node", "set_physics_process_internal", 2586408642},
};

static GDExtensionMethodBindPtr classdb_get_method_bind(const void *class, const void *name, GDExtensionInt hash) {
  for (int i = 0; i < METHODS; ++i)
    if (strcmp(methods[i].class, values_of_text(class)) == 0 && strcmp(methods[i].name, values_of_text(name)) == 0)
      return methods[i].hash == hash ? &methods[i] : NULL;
  return NULL;
}

static void globalize(const void *path, void *result) {
  static const char prefix[] = "user://";
  const char *text = values_of_text(path);
  char global[1024];
  if (strncmp(text, prefix, sizeof prefix - 1) == 0) snprintf(global, sizeof global, "./%s", text + sizeof prefix - 1);
  else snprintf(global, sizeof global, "%s", text);
  values_end(STRING, result);
  *(uint64_t *)result = values_text(global).opaque[0];
}

static void object_method_bind_ptrcall(GDExtensionMethodBindPtr method, void *object, const GDExtensionConstTypePtr *arguments, void *result) {
  if (method == &methods[STRINGIFY]) {
    values_end(STRING, result);
    *(uint64_t *)result = values_text(values_of_dictionary(values_inside(arguments[0]))).opaque[0];
  } else if (method == &methods[PARSE]) {
    Value parsed = values_dictionary(values_of_text(arguments[0]));
    *(Variant *)result = values_variant(DICTIONARY, &parsed);
    values_end(DICTIONARY, &parsed);
  } else if (method == &methods[GLOBALIZE]) {
    if (object == &project_settings) globalize(arguments[0], result);
  } else if (method == &methods[NOTIFICATION]) {
    ((HostNode *)object)->notified = *(const int64_t *)arguments[0] == 0;
  } else if (method == &methods[PROCESS]) {
    ((HostNode *)object)->processes = *(const GDExtensionBool *)arguments[0];
  }
}

static void object_method_bind_call(GDExtensionMethodBindPtr method, void *object, const GDExtensionConstVariantPtr *arguments, GDExtensionInt count,
                                    void *result, GDExtensionCallError *error) {
  const int fits = method == &methods[EMIT] && object && count == 2 && values_type(arguments[0]) == NAMES;
  *(Variant *)result = (Variant){{0, 0, 0}};
  error->error = fits ? GDEXTENSION_CALL_OK : GDEXTENSION_CALL_ERROR_INVALID_METHOD;
  if (!fits) return;
  snprintf(host_signal, sizeof host_signal, "%s", values_of_text(values_inside(arguments[0])));
  snprintf(host_signal_json, sizeof host_signal_json, "%s", values_of_dictionary(values_inside(arguments[1])));
  ++host_signals;
}

static GDExtensionObjectPtr classdb_construct_object2(const void *name) {
  return strcmp(values_of_text(name), "Node") == 0 ? host_node() : NULL;
}

static void object_set_instance(void *object, const void *class, void *instance) {
  (void)class;
  host_set_instance(object, instance);
}

static void classdb_register_extension_class4(void *library, const void *name, const void *parent, const GDExtensionClassCreationInfo4 *info) {
  (void)library, (void)name, (void)parent;
  host_register_class(info);
}

static void classdb_register_extension_class_method(void *library, const void *name, const GDExtensionClassMethodInfo *info) {
  (void)library, (void)name;
  host_register_method(info);
}

static void classdb_register_extension_class_property(void *library, const void *name, const GDExtensionPropertyInfo *info, const void *setter, const void *getter) {
  (void)library, (void)name;
  host_register_property(info, values_of_text(setter), values_of_text(getter));
}

static void classdb_register_extension_class_signal(void *library, const void *name, const void *signal, const GDExtensionPropertyInfo *info, GDExtensionInt count) {
  (void)library, (void)name, (void)info, (void)count;
  host_register_signal(values_of_text(signal));
}

static void classdb_register_extension_class_integer_constant(void *library, const void *name, const void *group, const void *constant, GDExtensionInt value,
                                                              GDExtensionBool is_bitfield) {
  (void)library, (void)name, (void)group, (void)is_bitfield;
  host_register_constant(values_of_text(constant), value);
}

static void classdb_unregister_extension_class(void *library, const void *name) {
  (void)library, (void)name;
  host_unregister_class();
}

static const char *absent;

void interface_lacks(const char *name) { absent = name; }

GDExtensionInterfaceFunctionPtr interface_find(const char *name) {
  if (absent && strcmp(absent, name) == 0) return NULL;
#define FOUND(type, function)                             \
  if (strcmp(name, #function) == 0) {                     \
    const type typed = function;                          \
    return (GDExtensionInterfaceFunctionPtr)(void (*)(void))typed; \
  }
  ENGINE_FUNCTIONS(FOUND)
#undef FOUND
  return NULL;
}
