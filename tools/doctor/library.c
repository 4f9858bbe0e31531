/* libkeel as a host loads it, and the libtorch that came with it. What the loader says is explained. */
#include "examine.h"
#include "report.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool is_file(const char *directory, const char *name) {
  char path[PATH_MAX + 64];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  return access(path, R_OK) == 0;
}

bool is_for_cuda(const struct tree *tree) { return is_file(tree->libraries, "libkeel_cuda.so"); }

static void advise_libtorch(const struct tree *tree) {
  if (is_for_cuda(tree))
    advise("%s/bin/keel-doctor --fetch (libtorch and CUDA's libraries, 3 GB to download)", tree->prefix);
  else
    advise("unpack keel-…-cpu.tar.zst again into an empty directory, or %s/bin/keel-doctor --fetch", tree->prefix);
}

static bool begins(const char *text, const char *start) { return strncmp(text, start, strlen(start)) == 0; }

/* The package that brings a library of the system. */
static void advise_missing(const struct tree *tree, const char *name) {
  if (begins(name, "libtorch") || begins(name, "libc10") || begins(name, "libcudart") || begins(name, "libcupti"))
    advise_libtorch(tree);
  else if (begins(name, "libgomp"))
    advise("apt-get install libgomp1 (Debian, Ubuntu), dnf install libgomp (Fedora, RHEL), or unpack the archive again");
  else if (begins(name, "libstdc++"))
    advise("apt-get install libstdc++6 (Debian, Ubuntu), or dnf install libstdc++ (Fedora, RHEL)");
  else
    advise("install the package of your system that brings %s", name);
}

/* Turns dlerror's sentence into a finding that names its cause. */
static void explain(const struct tree *tree, const char *sentence) {
  const char *colon = strstr(sentence, ": ");
  char name[256] = "";
  if (colon) {
    snprintf(name, sizeof name, "%.*s", (int)(colon - sentence), sentence);
    if (strrchr(name, '/')) memmove(name, strrchr(name, '/') + 1, strlen(strrchr(name, '/') + 1) + 1);
  }
  if (strstr(sentence, "version `GLIBC")) {
    found("loading", BROKEN, "this system is too old: %s", sentence);
    advise("use Debian 12, Ubuntu 22.04, RHEL 9 or newer, or build keel on this system: make install");
  } else if (strstr(sentence, "No such file or directory")) {
    found("loading", BROKEN, "%s is not there: %s", name, sentence);
    advise_missing(tree, name);
  } else if (strstr(sentence, "file too short") || strstr(sentence, "invalid ELF header")) {
    found("loading", BROKEN, "%s is damaged: %s", name, sentence);
    const char *const searched = getenv("LD_LIBRARY_PATH");
    advise("unpack the archive again, and look at LD_LIBRARY_PATH ('%s')", searched ? searched : "");
  } else if (strstr(sentence, "undefined symbol")) {
    found("loading", BROKEN, "the libraries do not belong together: %s", sentence);
    advise("unpack one archive into an empty directory, and look at LD_LIBRARY_PATH for another libtorch");
  } else {
    found("loading", BROKEN, "%s", sentence);
    advise("unpack the archive again into an empty directory");
  }
}

/* The text of a key in keel_build_info's flat JSON. */
static void read_key(const char *json, const char *key, char *value, size_t capacity) {
  char quoted[64];
  snprintf(quoted, sizeof quoted, "\"%s\":\"", key);
  const char *from = strstr(json, quoted);
  from = from ? from + strlen(quoted) : "";
  snprintf(value, capacity, "%.*s", (int)strcspn(from, "\""), from);
}

/* The functions that the doctor calls, all of which every libkeel has. */
struct entries {
  uint32_t (*abi_version)(void);
  const char *(*version)(void);
  keel_status (*build_info)(char *, size_t, size_t *, struct keel_error *);
};

static bool look_up(void *library, struct entries *entries, struct keel *keel) {
  *(void **)&entries->abi_version = dlsym(library, "keel_abi_version");
  *(void **)&entries->version = dlsym(library, "keel_version");
  *(void **)&entries->build_info = dlsym(library, "keel_build_info");
  *(void **)&keel->runtime_create = dlsym(library, "keel_runtime_create");
  *(void **)&keel->runtime_devices = dlsym(library, "keel_runtime_devices");
  return entries->abi_version && entries->version && entries->build_info && keel->runtime_create && keel->runtime_devices;
}

static bool speaks_the_abi(const struct entries *entries, const char *path) {
  const uint32_t own = KEEL_ABI_VERSION, other = entries->abi_version();
  if (own == other) return true;
  found("libkeel", BROKEN, "%s speaks ABI %u.%u, the header that came with this doctor ABI %u.%u", path, other >> 16,
        other & 0xffff, own >> 16, own & 0xffff);
  advise("unpack one archive into an empty directory; a host is compiled against the header that came with its library");
  return false;
}

static void report_library(const struct entries *entries, struct keel *keel, const char *path) {
  char info[8192] = "", abi[32], profile[32], version[64], real[PATH_MAX];
  entries->build_info(info, sizeof info, NULL, NULL);
  read_key(info, "abi", abi, sizeof abi);
  read_key(info, "profile", profile, sizeof profile);
  read_key(info, "libtorch", version, sizeof version);
  read_key(info, "libtorch_directory", keel->torch, sizeof keel->torch);
  found("libkeel", FOUND, "keel %s, ABI %s, %s, at %s", entries->version(), abi, profile,
        realpath(path, real) ? real : path);
  found("libtorch", FOUND, "%s at %s", version, keel->torch);
}

bool examine_library(const struct tree *tree, struct keel *keel) {
  const char *const path = tree->library;
  struct entries entries;
  if (access(path, R_OK) != 0) {
    found("libkeel", BROKEN, "%s is not there", path);
    advise("unpack the archive again, or name another library with --library PATH");
    return false;
  }
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    explain(tree, dlerror());
    return false;
  }
  if (!look_up(library, &entries, keel)) {
    found("libkeel", BROKEN, "%s is not a libkeel", path);
    advise("unpack the archive again into an empty directory");
    return false;
  }
  if (!speaks_the_abi(&entries, path)) return false;
  report_library(&entries, keel, path);
  snprintf(keel->directory, sizeof keel->directory, "%.*s", (int)(strrchr(path, '/') - path), path);
  return true;
}
