/* A class as tables: what its methods, properties, signals and constants are called and take, and their registration. */
#ifndef KEEL_GODOT_METHOD_H
#define KEEL_GODOT_METHOD_H

#include "engine.h"

enum { METHOD_ARGUMENTS = 4 };

typedef struct {
  const char *name;
  Type type;
} Argument;

/* call: arguments as the engine lays out their types; result: an empty or an older value of the type, to be replaced.
   The last `optional` arguments may be left out, and are empty then. */
typedef struct {
  const char *name;
  void (*call)(void *self, const void *const *arguments, void *result);
  Type result;
  int count, optional;
  Argument arguments[METHOD_ARGUMENTS];
} Method;

typedef struct {
  const char *name, *setter, *getter;
  Type type;
} Property;

typedef struct {
  const char *group, *name;
  int64_t value;
} Constant;

void method_register(const char *class, const Method *method);
void method_register_property(const char *class, const Property *property);
void method_register_constant(const char *class, const Constant *constant);
/* A signal with one Dictionary. */
void method_register_signal(const char *class, const char *name, const char *argument);

#endif
