// What belongs to the process rather than to a tensor: error texts, warnings, threads, the exit handler, host callbacks.
#include "shim.h"

#include <ATen/Parallel.h>
#include <c10/util/Logging.h>
#include <dlfcn.h>
#include <torch/version.h>

#include <cstdlib>
#include <functional>
#include <string>

int32_t shim_initialise(keel::Failure* failure) {
    SHIM_TRY(failure, {
        keel::install_allocator();
        c10::SetStackTraceFetcher(std::function<std::string()>([] { return std::string(); }));
    })
}

const char* shim_version() { return TORCH_VERSION; }

namespace {

class Silent : public c10::WarningHandler {
   public:
    void process(const c10::Warning&) override {}
};

}  // namespace

// Drops this thread's warnings; what received them before goes to the caller, who gives it back. Neither throws.
void* shim_silence() {
    static Silent* const silent = new Silent;  // never destroyed: a thread may warn while the process ends
    c10::WarningHandler* const previous = c10::WarningUtils::get_warning_handler();
    c10::WarningUtils::set_warning_handler(silent);
    return previous;
}

void shim_speak(void* previous) {
    c10::WarningUtils::set_warning_handler(static_cast<c10::WarningHandler*>(previous));
}

int32_t shim_library_path(char* path, size_t capacity, keel::Failure* failure) {
    SHIM_TRY(failure, {
        Dl_info info;
        TORCH_CHECK(dladdr(reinterpret_cast<void*>(&at::init_num_threads), &info) != 0 && info.dli_fname != nullptr,
                    "libtorch_cpu was not found in this process");
        std::snprintf(path, capacity, "%s", info.dli_fname);
    })
}

// at::get_num_threads first: it ends libtorch's per-thread initialisation, which would overwrite a count set before.
int32_t shim_threads(int32_t* threads, keel::Failure* failure) {
    SHIM_TRY(failure, {
        at::internal::lazy_init_num_threads();
        *threads = at::get_num_threads();
    })
}

int32_t shim_set_threads(int32_t threads, keel::Failure* failure) {
    SHIM_TRY(failure, at::set_num_threads(threads))
}

int32_t shim_at_exit(void (*handler)(), keel::Failure* failure) {
    SHIM_TRY(failure, TORCH_CHECK(std::atexit(handler) == 0, "the C library accepts no further exit handler"))
}

int32_t shim_reward(int32_t (*function)(uint64_t, float*, size_t, void*), uint64_t rollouts, float* rewards,
                    size_t count, void* user_data, int32_t* answer, keel::Failure* failure) {
    SHIM_TRY(failure, *answer = function(rollouts, rewards, count, user_data))
}

int32_t shim_start_thread(int32_t (*starter)(void (*)(void*), void*, void*), void (*work)(void*), void* argument,
                          void* user_data, int32_t* answer, keel::Failure* failure) {
    SHIM_TRY(failure, *answer = starter(work, argument, user_data))
}
