/* What Godot calls when it loads the extension. */
#include "aligned_agent.h"
#include "engine.h"

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

static int registered;

static void initialize(void *userdata, GDExtensionInitializationLevel level) {
  (void)userdata;
  if (level != GDEXTENSION_INITIALIZATION_SCENE) return;
  registered = aligned_agent_register();
  if (!registered) engine_error("keel_godot_init", "keel needs Godot 4.4 or newer: a method that it calls is not there");
}

static void deinitialize(void *userdata, GDExtensionInitializationLevel level) {
  (void)userdata;
  if (level == GDEXTENSION_INITIALIZATION_SCENE && registered) aligned_agent_unregister();
}

EXPORT GDExtensionBool keel_godot_init(GDExtensionInterfaceGetProcAddress find, GDExtensionClassLibraryPtr library,
                                       GDExtensionInitialization *initialization) {
  if (!engine_open(find, library)) return 0;
  initialization->minimum_initialization_level = GDEXTENSION_INITIALIZATION_SCENE;
  initialization->initialize = initialize;
  initialization->deinitialize = deinitialize;
  return 1;
}
