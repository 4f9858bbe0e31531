/* A host in C: the smallest whole life of a runtime. Built and run against every form in which keel reaches a host. */
#include <keel/keel.h>
#include <stdio.h>
#include <string.h>

int main(void) {
    static const char config[] = "{\"cuda\": \"cpu\"}";
    keel_runtime runtime = 0;
    keel_error error = KEEL_ERROR_INIT;
    if (keel_runtime_create(KEEL_ABI_VERSION, config, strlen(config), &runtime, &error) != KEEL_OK) {
        fprintf(stderr, "runtime: %s\n", error.message);
        return 1;
    }
    keel_runtime_destroy(runtime);
    printf("keel %s, ABI %u, handles alive: %u\n", keel_version(), (unsigned)keel_abi_version(), (unsigned)keel_live_handles());
    return keel_abi_version() == KEEL_ABI_VERSION && keel_live_handles() == 0 ? 0 : 1;
}
