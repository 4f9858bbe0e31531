/* An AlignedAgent: a node of the engine's, its properties, and the agent behind it. */
#ifndef KEEL_GODOT_NODE_H
#define KEEL_GODOT_NODE_H

#include "agent.h"
#include "engine.h"

typedef struct {
  GDExtensionObjectPtr object;
  Value model, session; /* Dictionaries, as they were set */
  int64_t budget_us;    /* of each physics frame, by the node itself; 0: none */
  Agent agent;
  keel_status status; /* of the last method that can fail */
} Node;

/* Keeps a method's status and tells the engine of an error. */
keel_status node_say(Node *node, const char *method, keel_status status);
/* Learns, and emits `updated` when an update has ended. */
keel_status node_learn(Node *node, const char *method, uint64_t budget_us, int beside);

/* Acting and observing, as methods: `records` says what the script gives and takes. */
void node_act(Node *node, const char *method, const void *const *arguments, void *actions, Record observations, Record records);
void node_observe(Node *node, const char *method, const void *const *arguments, int64_t *status, Record observations);

#endif
