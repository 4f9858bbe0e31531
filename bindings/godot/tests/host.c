/* Loading, the class as it was registered, and its nodes. */
#define _GNU_SOURCE
#include "host.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interface.h"

enum { MOST = 64, PHYSICS_FRAME = 26 };

static struct {
  void *library;
  GDExtensionInitialization levels;
  GDExtensionClassCreationInfo4 class;
  GDExtensionClassMethodInfo methods[MOST];
  char names[MOST][64], signatures[MOST][256], properties[MOST][64], signals[MOST][64], constants[MOST][64];
  int64_t values[MOST];
  int method_count, property_count, signal_count, constant_count, there;
} host;

static HostNode *made; /* the node that the extension has asked for last */

/* --- what the extension calls --- */

HostNode *host_node(void) { return made = calloc(1, sizeof *made); }

void host_set_instance(HostNode *node, void *instance) { node->instance = instance; }

void host_register_class(const GDExtensionClassCreationInfo4 *info) { host.class = *info, host.there = 1; }

void host_unregister_class(void) { host.there = 0; }

static void sign(const GDExtensionClassMethodInfo *info, char *text, size_t room) {
  int at = snprintf(text, room, "%s(", values_of_text(info->name));
  const uint32_t required = info->argument_count - info->default_argument_count;
  for (uint32_t i = 0; i < info->argument_count; ++i) {
    const GDExtensionPropertyInfo *one = &info->arguments_info[i];
    at += snprintf(text + at, room - (size_t)at, "%s%s: %d%s", i ? ", " : "", values_of_text(one->name), one->type, i < required ? "" : "?");
    if (i >= required && values_type(info->default_arguments[i - required]) != one->type) abort();
  }
  snprintf(text + at, room - (size_t)at, ") -> %d", info->has_return_value ? (int)info->return_value_info->type : 0);
}

void host_register_method(const GDExtensionClassMethodInfo *info) {
  const int at = host.method_count++;
  host.methods[at] = *info;
  snprintf(host.names[at], sizeof host.names[at], "%s", values_of_text(info->name));
  sign(info, host.signatures[at], sizeof host.signatures[at]);
}

void host_register_property(const GDExtensionPropertyInfo *info, const char *setter, const char *getter) {
  if (!host_method(setter) || !host_method(getter)) abort();
  snprintf(host.properties[host.property_count++], 64, "%s", values_of_text(info->name));
}

void host_register_signal(const char *name) { snprintf(host.signals[host.signal_count++], 64, "%s", name); }

void host_register_constant(const char *name, int64_t value) {
  snprintf(host.constants[host.constant_count], 64, "%s", name);
  host.values[host.constant_count++] = value;
}

/* --- what a test calls --- */

int host_open(const char *path, const char *lacking) {
  memset(&host, 0, sizeof host);
  host.library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!host.library) return fprintf(stderr, "%s\n", dlerror()), 0;
  GDExtensionInitializationFunction begin = (GDExtensionInitializationFunction)(uintptr_t)dlsym(host.library, "keel_godot_init");
  interface_lacks(lacking);
  if (!begin || !begin(interface_find, NULL, &host.levels)) return 0;
  for (int level = 0; level < GDEXTENSION_MAX_INITIALIZATION_LEVEL; ++level)
    host.levels.initialize(host.levels.userdata, (GDExtensionInitializationLevel)level);
  return 1;
}

void host_close(void) {
  for (int level = GDEXTENSION_MAX_INITIALIZATION_LEVEL - 1; level >= 0; --level)
    host.levels.deinitialize(host.levels.userdata, (GDExtensionInitializationLevel)level);
}

void *host_new(void) {
  GDExtensionObjectPtr node = host.there ? host.class.create_instance_func(host.class.class_userdata, 1) : NULL;
  return node == made ? node : NULL;
}

void host_free(void *node) {
  host.class.free_instance_func(host.class.class_userdata, ((HostNode *)node)->instance);
  free(node);
}

int host_processes(const void *node) { return ((const HostNode *)node)->processes; }

void host_physics_frame(void *node) {
  if (host_processes(node)) host.class.notification_func(((HostNode *)node)->instance, PHYSICS_FRAME, 0);
}

static int at_name(const char names[][64], int count, const char *name) {
  for (int i = 0; i < count; ++i)
    if (strcmp(names[i], name) == 0) return i;
  return -1;
}

const GDExtensionClassMethodInfo *host_method(const char *name) {
  const int at = at_name(host.names, host.method_count, name);
  return at < 0 ? NULL : &host.methods[at];
}

const char *host_signature(const char *name) {
  const int at = at_name(host.names, host.method_count, name);
  return at < 0 ? "" : host.signatures[at];
}

int host_property(const char *name) { return at_name(host.properties, host.property_count, name) >= 0; }

int host_registered_signal(const char *name) { return at_name(host.signals, host.signal_count, name) >= 0; }

int host_constant(const char *name, int64_t *value) {
  const int at = at_name(host.constants, host.constant_count, name);
  if (at >= 0) *value = host.values[at];
  return at >= 0;
}

int host_call(void *node, const char *name, void *result, const void *const *arguments) {
  const GDExtensionClassMethodInfo *method = host_method(name);
  if (method) method->ptrcall_func(method->method_userdata, ((HostNode *)node)->instance, arguments, result);
  return method != NULL;
}

GDExtensionCallError host_call_variants(void *node, const char *name, Variant *result, const Variant *arguments, int count) {
  const GDExtensionClassMethodInfo *method = host_method(name);
  GDExtensionCallError error = {GDEXTENSION_CALL_ERROR_INVALID_METHOD, 0, 0};
  GDExtensionConstVariantPtr places[8];
  for (int i = 0; i < count; ++i) places[i] = &arguments[i];
  *result = (Variant){{0, 0, 0}};
  if (method) method->call_func(method->method_userdata, ((HostNode *)node)->instance, places, count, result, &error);
  return error;
}
