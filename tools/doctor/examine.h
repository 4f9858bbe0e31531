/* What keel-doctor looks at. Each function adds what it found to the report. */
#ifndef KEEL_DOCTOR_EXAMINE_H
#define KEEL_DOCTOR_EXAMINE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include <keel/keel.h>

/* The unpacked tree that the doctor lies in, its directory of libraries, and the library to examine; not yet known to be
   there. */
struct tree {
  char prefix[PATH_MAX], libraries[PATH_MAX + 64], library[PATH_MAX + 128];
};

/* A libkeel that was loaded, by the functions that the doctor calls. */
struct keel {
  char directory[PATH_MAX], torch[PATH_MAX];
  keel_status (*runtime_create)(uint32_t, const char *, size_t, keel_runtime *, struct keel_error *);
  keel_status (*runtime_devices)(keel_runtime, char *, size_t, size_t *, struct keel_error *);
};

void examine_machine(void);
/* Whether the library was loaded and speaks the ABI of the doctor's header. */
bool examine_library(const struct tree *tree, struct keel *keel);
/* Whether there is a driver with a device. */
bool examine_driver(void);
/* What keel is ready for: "cpu" or "cuda". */
const char *examine_devices(const struct tree *tree, const struct keel *keel, bool driver);

bool is_file(const char *directory, const char *name);
bool is_for_cuda(const struct tree *tree);

#endif
