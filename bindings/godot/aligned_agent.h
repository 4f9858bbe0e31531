/* The node that GDScript sees. */
#ifndef KEEL_GODOT_ALIGNED_AGENT_H
#define KEEL_GODOT_ALIGNED_AGENT_H

/* With the classes of the scene there; 0 where the engine has not what it needs. */
int aligned_agent_register(void);
void aligned_agent_unregister(void);

#endif
