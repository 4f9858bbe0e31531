/* The processor, the C library and the C++ library. */
#include "examine.h"
#include "report.h"

#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <link.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

static const char *vectors(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f")) return "AVX-512";
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "AVX2";
#endif
  return "no AVX2";
}

static void examine_cxx_library(void) {
  void *library = dlopen("libstdc++.so.6", RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    found("libstdc++", BROKEN, "%s", dlerror());
    advise("apt-get install libstdc++6 (Debian, Ubuntu), or dnf install libstdc++ (Fedora, RHEL)");
    return;
  }
  struct link_map *map = NULL;
  dlinfo(library, RTLD_DI_LINKMAP, &map);
  char path[PATH_MAX];
  found("libstdc++", FOUND, "%s", map && realpath(map->l_name, path) ? path : "libstdc++.so.6");
}

void examine_machine(void) {
  struct utsname system;
  uname(&system);
  const double bytes = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGE_SIZE);
  found("machine", FOUND, "%s %s, %ld processors with %s, %.0f GB memory", system.sysname, system.machine,
        sysconf(_SC_NPROCESSORS_ONLN), vectors(), bytes / 1e9);
  found("glibc", FOUND, "%s", gnu_get_libc_version());
  examine_cxx_library();
}
