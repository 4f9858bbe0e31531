/* The NVIDIA driver and its devices, and whether keel can use them. */
#include "examine.h"
#include "report.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

enum { DRIVER_NEEDED = 13000, COMPUTE_CAPABILITY_MAJOR = 75, COMPUTE_CAPABILITY_MINOR = 76 };

struct driver {
  int (*init)(unsigned), (*version)(int *), (*count)(int *), (*name)(char *, int, int), (*attribute)(int *, int, int),
      (*memory)(size_t *, int);
};

static bool open_driver(struct driver *driver) {
  void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library) return false;
  *(void **)&driver->init = dlsym(library, "cuInit");
  *(void **)&driver->version = dlsym(library, "cuDriverGetVersion");
  *(void **)&driver->count = dlsym(library, "cuDeviceGetCount");
  *(void **)&driver->name = dlsym(library, "cuDeviceGetName");
  *(void **)&driver->attribute = dlsym(library, "cuDeviceGetAttribute");
  *(void **)&driver->memory = dlsym(library, "cuDeviceTotalMem_v2");
  return driver->init && driver->version && driver->count && driver->name && driver->attribute && driver->memory;
}

static void report_device(const struct driver *driver, int device) {
  char name[256] = "";
  int major = 0, minor = 0;
  size_t memory = 0;
  driver->name(name, sizeof name, device);
  driver->attribute(&major, COMPUTE_CAPABILITY_MAJOR, device);
  driver->attribute(&minor, COMPUTE_CAPABILITY_MINOR, device);
  driver->memory(&memory, device);
  found("gpu", FOUND, "%d: %s, compute capability %d.%d, %.0f GB", device, name, major, minor, (double)memory / 1e9);
}

bool examine_driver(void) {
  struct driver driver;
  if (!open_driver(&driver)) {
    found("driver", ABSENT, "no NVIDIA driver (libcuda.so.1)");
    return false;
  }
  int version = 0, devices = 0;
  driver.version(&version);
  const int status = driver.init(0);
  if (status != 0 || driver.count(&devices) != 0 || devices == 0) {
    found("driver", WRONG, "an NVIDIA driver for CUDA %d.%d that finds no GPU (cuInit: %d)", version / 1000,
          version % 1000 / 10, status);
    advise("nvidia-smi says why; in a container, give it the GPUs");
    return false;
  }
  found("driver", version < DRIVER_NEEDED ? WRONG : FOUND, "NVIDIA, for CUDA %d.%d", version / 1000, version % 1000 / 10);
  if (version < DRIVER_NEEDED) advise("install driver 580 or newer: this libtorch needs CUDA 13.0");
  for (int device = 0; device < devices && device < 8; ++device) report_device(&driver, device);
  return version >= DRIVER_NEEDED;
}

/* A process decides about CUDA once, so that the first runtime asks for what the driver promises. */
static const char *usable(const struct tree *tree, const struct keel *keel, bool driver, char *devices, size_t capacity) {
  keel_runtime runtime = 0;
  keel_error error = KEEL_ERROR_INIT;
  const char *const ask = driver ? "{\"cuda\": \"cuda\"}" : "{\"cuda\": \"cpu\"}";
  if (keel->runtime_create(KEEL_ABI_VERSION, ask, strlen(ask), &runtime, &error) < 0) {
    if (!driver) return "";
    found("cuda", WRONG, "%s", error.message);
    advise("%s/bin/keel-doctor --fetch (CUDA's libraries, 3 GB to download)", tree->prefix);
    return "cpu";
  }
  keel->runtime_devices(runtime, devices, capacity, NULL, NULL);
  return strstr(devices, "cuda:") ? "cuda" : "cpu";
}

const char *examine_devices(const struct tree *tree, const struct keel *keel, bool driver) {
  const bool libraries = is_file(keel->torch, "libtorch_cuda.so"), own = is_file(keel->directory, "libkeel_cuda.so");
  found("libtorch_cuda", libraries ? FOUND : ABSENT, "%s", libraries ? "beside libtorch_cpu" : "not there");
  found("libkeel_cuda", own ? FOUND : ABSENT, "%s", own ? "beside libkeel" : "not there: no CUDA graphs, no caps on GPU memory");
  char devices[1024] = "[\"cpu\"]";
  const char *ready_for = usable(tree, keel, driver, devices, sizeof devices);
  if (*ready_for == '\0') {
    found("devices", BROKEN, "no runtime could be made");
    advise("unpack one archive into an empty directory");
    return "cpu";
  }
  found("devices", FOUND, "%s", devices);
  return ready_for;
}
