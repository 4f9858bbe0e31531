/* A host that stands for Godot: the few functions that the extension takes from it, and what a test asks of it. */
#ifndef KEEL_GODOT_TESTS_HOST_H
#define KEEL_GODOT_TESTS_HOST_H

#include "method.h"
#include "values.h"

/* Loads the extension, and begins the levels of initialisation; 0 where it refuses. lacking: a function that this engine
   does not have, or NULL. */
int host_open(const char *path, const char *lacking);
void host_close(void);

/* Nodes of the class that was registered. */
void *host_new(void);
void host_free(void *node);
void host_physics_frame(void *node); /* notifies it if it wants that */
int host_processes(const void *node);

/* Calls by types: result and arguments as the engine lays them out. 0 where there is no such method. */
int host_call(void *node, const char *method, void *result, const void *const *arguments);
/* Calls by variants. */
GDExtensionCallError host_call_variants(void *node, const char *method, Variant *result, const Variant *arguments, int count);

/* What was registered. */
const GDExtensionClassMethodInfo *host_method(const char *name);
const char *host_signature(const char *method); /* such as "act(slots: 30, observations: 32, flags: 2?) -> 30", ? where it may be left out */
int host_constant(const char *name, int64_t *value);
int host_property(const char *name);
int host_registered_signal(const char *name);

/* What the extension told: the last error, how many in all, the last signal with its dictionary, how many in all. */
extern char host_error[2048], host_error_where[128], host_signal[64], host_signal_json[1024];
extern int host_errors, host_signals;

#endif
