/* The engine's functions by their names. */
#ifndef KEEL_GODOT_TESTS_INTERFACE_H
#define KEEL_GODOT_TESTS_INTERFACE_H

#include "gdextension_interface.h"

typedef struct {
  void *instance;
  int processes, notified;
} HostNode;

GDExtensionInterfaceFunctionPtr interface_find(const char *name);
void interface_lacks(const char *name);

HostNode *host_node(void);
void host_set_instance(HostNode *node, void *instance);
void host_register_class(const GDExtensionClassCreationInfo4 *info);
void host_unregister_class(void);
void host_register_method(const GDExtensionClassMethodInfo *info);
void host_register_property(const GDExtensionPropertyInfo *info, const char *setter, const char *getter);
void host_register_signal(const char *name);
void host_register_constant(const char *name, int64_t value);

#endif
