/* How the engine's two ways to call a method, by its types and by variants, reach one function. */
#include "method.h"

enum { PROPERTY_USAGE_DEFAULT = 6 };

static void call_by_type(void *userdata, GDExtensionClassInstancePtr self, const GDExtensionConstTypePtr *arguments,
                         GDExtensionTypePtr result) {
  ((const Method *)userdata)->call(self, arguments, result);
}

/* What is wrong with the arguments of a call. */
static GDExtensionCallError fault_in(const Method *method, const GDExtensionConstVariantPtr *arguments, int64_t count) {
  if (count > method->count) return (GDExtensionCallError){GDEXTENSION_CALL_ERROR_TOO_MANY_ARGUMENTS, 0, method->count};
  if (count < method->count - method->optional)
    return (GDExtensionCallError){GDEXTENSION_CALL_ERROR_TOO_FEW_ARGUMENTS, 0, method->count - method->optional};
  for (int i = 0; i < count; ++i)
    if (!engine_converts(arguments[i], method->arguments[i].type))
      return (GDExtensionCallError){GDEXTENSION_CALL_ERROR_INVALID_ARGUMENT, i, (int32_t)method->arguments[i].type};
  return (GDExtensionCallError){GDEXTENSION_CALL_OK, 0, 0};
}

static void call_by_variant(void *userdata, GDExtensionClassInstancePtr self, const GDExtensionConstVariantPtr *arguments,
                            GDExtensionInt count, GDExtensionVariantPtr result, GDExtensionCallError *error) {
  const Method *method = userdata;
  Value values[METHOD_ARGUMENTS], returned;
  const void *given[METHOD_ARGUMENTS];
  *error = fault_in(method, arguments, count);
  if (error->error != GDEXTENSION_CALL_OK) return;
  for (int i = 0; i < method->count; ++i) {
    const Type type = method->arguments[i].type;
    values[i] = i < count ? engine_from_variant(arguments[i], type) : engine_value(type);
    given[i] = &values[i];
  }
  returned = engine_value(method->result);
  method->call(self, given, &returned);
  if (method->result != NOTHING) engine_to_variant(method->result, &returned, result);
  engine_end(method->result, &returned);
  for (int i = 0; i < method->count; ++i) engine_end(method->arguments[i].type, &values[i]);
}

/* What the engine is told of a value; it copies the three names, which end with property_end. */
typedef struct {
  Name name, class;
  Value hint;
} Words;

static GDExtensionPropertyInfo property_of(const char *name, Type type, Words *words) {
  *words = (Words){engine_name(name), engine_name(""), engine_value(STRING)};
  return (GDExtensionPropertyInfo){type, &words->name, &words->class, 0, &words->hint, PROPERTY_USAGE_DEFAULT};
}

static void property_end(Words *words) {
  engine_end_name(&words->name);
  engine_end_name(&words->class);
  engine_end(STRING, &words->hint);
}

void method_register(const char *class, const Method *method) {
  Name of = engine_name(class), name = engine_name(method->name);
  Words words[METHOD_ARGUMENTS + 1];
  GDExtensionPropertyInfo arguments[METHOD_ARGUMENTS], result = property_of("", method->result, &words[METHOD_ARGUMENTS]);
  GDExtensionClassMethodArgumentMetadata plain[METHOD_ARGUMENTS] = {GDEXTENSION_METHOD_ARGUMENT_METADATA_NONE};
  Variant defaults[METHOD_ARGUMENTS];
  GDExtensionVariantPtr places[METHOD_ARGUMENTS];
  for (int i = 0; i < method->count; ++i) arguments[i] = property_of(method->arguments[i].name, method->arguments[i].type, &words[i]);
  for (int i = 0; i < method->optional; ++i) {
    const Type type = method->arguments[method->count - method->optional + i].type;
    Value empty = engine_value(type);
    engine_to_variant(type, &empty, places[i] = &defaults[i]);
    engine_end(type, &empty);
  }
  const GDExtensionClassMethodInfo info = {
      .name = &name,
      .method_userdata = (void *)method,
      .call_func = call_by_variant,
      .ptrcall_func = call_by_type,
      .method_flags = GDEXTENSION_METHOD_FLAGS_DEFAULT,
      .has_return_value = method->result != NOTHING,
      .return_value_info = &result,
      .argument_count = (uint32_t)method->count,
      .arguments_info = arguments,
      .arguments_metadata = plain,
      .default_argument_count = (uint32_t)method->optional,
      .default_arguments = places,
  };
  engine.classdb_register_extension_class_method(engine.library, &of, &info);
  for (int i = 0; i < method->optional; ++i) engine.variant_destroy(&defaults[i]);
  for (int i = 0; i < method->count; ++i) property_end(&words[i]);
  property_end(&words[METHOD_ARGUMENTS]);
  engine_end_name(&name);
  engine_end_name(&of);
}

void method_register_property(const char *class, const Property *property) {
  Name of = engine_name(class), setter = engine_name(property->setter), getter = engine_name(property->getter);
  Words words;
  const GDExtensionPropertyInfo info = property_of(property->name, property->type, &words);
  engine.classdb_register_extension_class_property(engine.library, &of, &info, &setter, &getter);
  property_end(&words);
  engine_end_name(&getter);
  engine_end_name(&setter);
  engine_end_name(&of);
}

void method_register_constant(const char *class, const Constant *constant) {
  Name of = engine_name(class), group = engine_name(constant->group), name = engine_name(constant->name);
  engine.classdb_register_extension_class_integer_constant(engine.library, &of, &group, &name, constant->value, 0);
  engine_end_name(&name);
  engine_end_name(&group);
  engine_end_name(&of);
}

void method_register_signal(const char *class, const char *signal, const char *argument) {
  Name of = engine_name(class), name = engine_name(signal);
  Words words;
  const GDExtensionPropertyInfo info = property_of(argument, DICTIONARY, &words);
  engine.classdb_register_extension_class_signal(engine.library, &of, &name, &info, 1);
  property_end(&words);
  engine_end_name(&name);
  engine_end_name(&of);
}
