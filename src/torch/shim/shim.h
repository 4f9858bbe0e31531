// What the Rust side of src/torch may call, and what the files of this directory share.
// Every entry ends in SHIM_TRY: no exception leaves it; the sentence of the failure goes to the caller's Failure.
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>
#include <c10/util/Exception.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <new>

namespace keel {

struct Failure {
    char message[1000];
};

enum Outcome : int32_t { OUTCOME_OK = 0, OUTCOME_ERROR = 1, OUTCOME_MEMORY = 2, OUTCOME_FOREIGN = 3 };

inline int32_t fail(Failure* failure, Outcome outcome, const char* sentence) noexcept {
    std::snprintf(failure->message, sizeof failure->message, "%s", sentence);
    return outcome;
}

// Counts libtorch's tensors on the host from now on, unless the process has chosen an allocator of its own. Once.
void install_allocator();

// While it lives, what this thread allocates is counted and not refused.
struct Uncapped {
    Uncapped();
    ~Uncapped();
};

}  // namespace keel

namespace keel {
struct HeadPass;
}

struct DLManagedTensorVersioned;

namespace torch::jit {
struct Module;
}

#define SHIM_TRY(failure, ...)                                                         \
    try {                                                                              \
        __VA_ARGS__;                                                                   \
        return keel::OUTCOME_OK;                                                       \
    } catch (const c10::OutOfMemoryError& error) {                                     \
        return keel::fail(failure, keel::OUTCOME_MEMORY, error.what_without_backtrace()); \
    } catch (const c10::Error& error) {                                                \
        return keel::fail(failure, keel::OUTCOME_ERROR, error.what_without_backtrace());  \
    } catch (const std::bad_alloc& error) {                                            \
        return keel::fail(failure, keel::OUTCOME_MEMORY, error.what());                \
    } catch (const std::exception& error) {                                            \
        return keel::fail(failure, keel::OUTCOME_ERROR, error.what());                 \
    } catch (...) {                                                                    \
        return keel::fail(failure, keel::OUTCOME_FOREIGN, "an exception that is no std::exception"); \
    }

extern "C" {

// process.cpp
int32_t shim_initialise(keel::Failure* failure);
const char* shim_version();
void* shim_silence();
void shim_speak(void* previous);
int32_t shim_library_path(char* path, size_t capacity, keel::Failure* failure);
int32_t shim_threads(int32_t* threads, keel::Failure* failure);
int32_t shim_set_threads(int32_t threads, keel::Failure* failure);
int32_t shim_at_exit(void (*handler)(), keel::Failure* failure);
int32_t shim_reward(int32_t (*function)(uint64_t, float*, size_t, void*), uint64_t rollouts, float* rewards,
                    size_t count, void* user_data, int32_t* answer, keel::Failure* failure);
int32_t shim_start_thread(int32_t (*starter)(void (*)(void*), void*, void*), void (*work)(void*), void* argument,
                          void* user_data, int32_t* answer, keel::Failure* failure);

// allocator.cpp
struct HostMemory {
    uint64_t allocated, peak_allocated, cap;
};
int32_t shim_host_memory(HostMemory* memory);
int32_t shim_cap_host_memory(uint64_t bytes, keel::Failure* failure);
int32_t shim_set_allocator(void* (*allocate)(size_t, size_t, void*), void (*release)(void*, size_t, void*),
                           void* user_data, keel::Failure* failure);

// optimizer.cpp
struct AdamW {
    double learning_rate, beta1, beta2, weight_decay, epsilon;
};
int32_t shim_fused_adamw(const AdamW* rule, at::Tensor* parameter, at::Tensor* gradient, at::Tensor* first_moment,
                         at::Tensor* second_moment, at::Tensor* step, keel::Failure* failure);
int32_t shim_adamw_at(const AdamW* rule, at::Tensor* rate, at::Tensor* parameter, at::Tensor* gradient,
                      at::Tensor* first_moment, at::Tensor* second_moment, at::Tensor* step, keel::Failure* failure);
int32_t shim_clip_gradient(at::Tensor* gradient, double max_norm, double* norm, keel::Failure* failure);
int32_t shim_add_squares(const at::Tensor* part, double* squares, keel::Failure* failure);
int32_t shim_set_gradient(at::Tensor* parameter, const at::Tensor* gradient, keel::Failure* failure);
int32_t shim_backward(const at::Tensor* const* outputs, const at::Tensor* const* gradients, size_t count,
                      keel::Failure* failure);

// log_probs.cpp
int32_t shim_token_log_probs(const at::Tensor* hidden, const at::Tensor* head, const at::Tensor* targets,
                             double temperature, size_t tile_bytes, at::Tensor** log_probs, at::Tensor** entropies,
                             keel::Failure* failure);
int32_t shim_head_create(const at::Tensor* hidden, const at::Tensor* head, const at::Tensor* targets,
                         double temperature, size_t tile_bytes, keel::HeadPass** pass, size_t* tiles,
                         keel::Failure* failure);
void shim_head_destroy(keel::HeadPass* pass);
int32_t shim_head_read(keel::HeadPass* pass, size_t tile, keel::Failure* failure);
int32_t shim_head_results(keel::HeadPass* pass, at::Tensor** log_probs, at::Tensor** entropies, keel::Failure* failure);
int32_t shim_head_turn(keel::HeadPass* pass, const at::Tensor* log_probs, const at::Tensor* entropies,
                       keel::Failure* failure);
int32_t shim_head_walk(keel::HeadPass* pass, size_t tile, at::Tensor* head_gradient, keel::Failure* failure);
int32_t shim_head_hidden_gradient(const keel::HeadPass* pass, at::Tensor** gradient, keel::Failure* failure);

// attention.cpp
int32_t shim_decode_attention(const at::Tensor* query, const at::Tensor* keys, const at::Tensor* values,
                              const at::Tensor* rows, const at::Tensor* lengths, double scale, at::Tensor** output,
                              keel::Failure* failure);

// memory.cpp
int32_t shim_external(void* data, const int64_t* sizes, const int64_t* strides, size_t dimensions, int32_t type,
                      int32_t cuda, void* owner, void (*release)(void*), at::Tensor** output, keel::Failure* failure);
int32_t shim_dlpack_export(const at::Tensor* tensor, DLManagedTensorVersioned** output, keel::Failure* failure);
int32_t shim_dlpack_release(DLManagedTensorVersioned* managed, keel::Failure* failure);

// generator.cpp
int32_t shim_generator_create(uint64_t seed, at::Generator** output, keel::Failure* failure);
void shim_generator_destroy(at::Generator* generator);
int32_t shim_generator_normal(at::Generator* generator, at::Tensor* tensor, double mean, double deviation,
                              keel::Failure* failure);
int32_t shim_generator_uniform(at::Generator* generator, at::Tensor* tensor, double low, double high,
                               keel::Failure* failure);
int32_t shim_generator_state(const at::Generator* generator, at::Tensor** output, keel::Failure* failure);
int32_t shim_generator_set_state(at::Generator* generator, const at::Tensor* state, keel::Failure* failure);

// script.cpp
int32_t shim_script_load(const char* bytes, size_t size, torch::jit::Module** output, keel::Failure* failure);
void shim_script_destroy(torch::jit::Module* module);
int32_t shim_script_tensors(const torch::jit::Module* module, void* context,
                            void (*each)(void* context, const char* name, at::Tensor* tensor, int32_t parameter),
                            keel::Failure* failure);
int32_t shim_script_forward(torch::jit::Module* module, const at::Tensor* observations, at::Tensor** outputs,
                            at::Tensor** values, keel::Failure* failure);
int32_t shim_script_warm_up(keel::Failure* failure);
}
