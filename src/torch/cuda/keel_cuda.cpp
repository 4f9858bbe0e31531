// libkeel_cuda.so: what needs the symbols of libtorch_cuda at link time, behind a C interface.
//
// libkeel itself links only libtorch_cpu and libc10, so that one binary serves machines with and without CUDA; it loads
// this library after libtorch_cuda, where it lies beside libkeel. tools/build-cuda-shim builds it without nvcc. An entry
// returns KEEL_CUDA_OK or a failure with its sentence in `message` (NUL-terminated, cut to `capacity`); none throws.
// `device` counts as CUDA does. Refuses: kernels, tensors, the choice of a device.
#include <ATen/Context.h>
#include <ATen/core/CachingHostAllocator.h>
#include <ATen/cuda/CUDAGeneratorImpl.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/Event.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <new>
#include <optional>

#define KEEL_CUDA_API __attribute__((visibility("default")))

extern "C" {

enum : int32_t { KEEL_CUDA_OK = 0, KEEL_CUDA_FAILED = 1, KEEL_CUDA_OUT_OF_MEMORY = 2, KEEL_CUDA_UNKNOWN = 3 };

// Bytes, but for `failed_allocations`. `free` and `total` are the device's, the rest is this process's allocator's; `cap` is
// 0 where there is none.
struct keel_cuda_memory {
    uint64_t free, total, allocated, peak_allocated, reserved, peak_reserved, failed_allocations, cap;
};

}  // extern "C"

namespace {

void tell(char* message, size_t capacity, const char* text) {
    if (message != nullptr && capacity > 0) std::snprintf(message, capacity, "%s", text);
}

template <class Work>
int32_t contained(char* message, size_t capacity, Work work) {
    try {
        work();
        return KEEL_CUDA_OK;
    } catch (const c10::OutOfMemoryError& error) {
        tell(message, capacity, error.what_without_backtrace());
        return KEEL_CUDA_OUT_OF_MEMORY;
    } catch (const c10::Error& error) {
        tell(message, capacity, error.what_without_backtrace());
    } catch (const std::bad_alloc& error) {
        tell(message, capacity, error.what());
        return KEEL_CUDA_OUT_OF_MEMORY;
    } catch (const std::exception& error) {
        tell(message, capacity, error.what());
    } catch (...) {
        tell(message, capacity, "an exception of an unknown type");
        return KEEL_CUDA_UNKNOWN;
    }
    return KEEL_CUDA_FAILED;
}

// The allocator and the streams exist only after libtorch has initialised CUDA: a first tensor does, and so does this.
c10::DeviceIndex checked(int32_t device) {
    const int32_t count = c10::cuda::device_count();
    TORCH_CHECK(device >= 0 && device < count, "device: expected one of ", count, " CUDA devices, got cuda:", device);
    at::globalContext().lazyInitDevice(c10::DeviceType::CUDA);
    return static_cast<c10::DeviceIndex>(device);
}

c10::DeviceAllocator& allocator() { return *c10::getDeviceAllocator(c10::DeviceType::CUDA); }

uint64_t bytes(int64_t count) { return count > 0 ? static_cast<uint64_t>(count) : 0; }

// What is given to `later` from now on waits for what `earlier` was given before.
void order(const c10::cuda::CUDAStream& earlier, const c10::cuda::CUDAStream& later) {
    if (earlier == later) return;
    c10::Event event(c10::DeviceType::CUDA);
    event.record(earlier.unwrap());
    event.block(later.unwrap());
}

template <class Work>
void quietly(Work work) noexcept {
    try {
        work();
    } catch (...) {
    }
}

// A recording that can break off: libtorch's own leaves the allocators and the generators recording for ever then.
struct Recording : at::cuda::CUDAGraph {
    void abandon(c10::DeviceIndex device) noexcept {
        if (!capture_ended_) quietly([&] { capture_end(); });  // ends what an operator made invalid, with an exception
        if (capture_ended_) return;
        quietly([&] { c10::cuda::CUDACachingAllocator::endAllocateToPool(device, mempool_id_); });
        quietly([&] { c10::cuda::CUDACachingAllocator::releasePool(device, mempool_id_); });
        quietly([&] { at::getHostAllocator(at::kCUDA)->end_allocate_to_pool(mempool_id_); });
        quietly([&] { at::getHostAllocator(at::kCUDA)->release_pool(mempool_id_); });
        for (auto& [generator, increment] : captured_generator_states_) generator->capturing_ = false;
    }
};

}  // namespace

// Work on one device, recorded once and replayed. It has a stream of its own, since CUDA records no default stream, and
// memory of its own, so that what the recorded work allocated stays where it was. One thread at a time.
struct keel_cuda_graph {
    explicit keel_cuda_graph(c10::DeviceIndex index) : device(index), own(c10::cuda::getStreamFromPool(false, index)) {}

    ~keel_cuda_graph() { abandon(); }

    // Ends a recording that broke off: the device and the allocators are as before.
    void abandon() noexcept {
        if (!under_way) return;
        under_way = false;
        recording->abandon(device);
        quietly([&] { recording.reset(); });
    }

    const c10::DeviceIndex device;
    const c10::cuda::CUDAStream own;
    std::optional<c10::cuda::CUDAStream> before;  // the thread's stream, while it works on `own`
    std::unique_ptr<Recording> recording;
    bool under_way = false;
};

extern "C" {

// The version of this interface: libkeel uses the library only if it is the one libkeel was written for.
KEEL_CUDA_API uint32_t keel_cuda_interface() { return 3; }

KEEL_CUDA_API int32_t keel_cuda_read_memory(int32_t device, keel_cuda_memory* memory, char* message, size_t capacity) {
    return contained(message, capacity, [&] {
        const auto index = checked(device);
        const auto [free, total] = allocator().getMemoryInfo(index);
        const auto stats = allocator().getDeviceStats(index);
        const auto& allocated = stats.allocated_bytes[0];
        const auto& reserved = stats.reserved_bytes[0];
        const double share = c10::cuda::CUDACachingAllocator::get()->getMemoryFraction(index);
        *memory = {free, total, bytes(allocated.current), bytes(allocated.peak), bytes(reserved.current),
                   bytes(reserved.peak), bytes(stats.num_ooms),
                   share < 1 ? static_cast<uint64_t>(share * static_cast<double>(total) + 0.5) : 0};
    });
}

// The allocator takes at most so many bytes of the device from now on; 0: all there are.
KEEL_CUDA_API int32_t keel_cuda_cap_memory(int32_t device, uint64_t most, char* message, size_t capacity) {
    return contained(message, capacity, [&] {
        const auto index = checked(device);
        const double total = static_cast<double>(allocator().getMemoryInfo(index).second);
        const double share = most == 0 ? 1.0 : std::min(1.0, static_cast<double>(most) / total);
        c10::cuda::CUDACachingAllocator::setMemoryFraction(share, index);
    });
}

// The peaks start again from what is allocated now.
KEEL_CUDA_API int32_t keel_cuda_reset_peaks(int32_t device, char* message, size_t capacity) {
    return contained(message, capacity, [&] { allocator().resetPeakStats(checked(device)); });
}

// Gives the blocks that the allocator keeps but nobody uses back to the devices.
KEEL_CUDA_API int32_t keel_cuda_empty_cache(char* message, size_t capacity) {
    return contained(message, capacity, [&] {
        checked(0);
        allocator().emptyCache();
    });
}

// Waits until the device has done everything it was given.
KEEL_CUDA_API int32_t keel_cuda_synchronize(int32_t device, char* message, size_t capacity) {
    return contained(message, capacity, [&] {
        const c10::DeviceGuard guard(c10::Device(c10::DeviceType::CUDA, checked(device)));
        c10::cuda::device_synchronize();
    });
}

// The cudaStream_t that libtorch uses for this device on the calling thread; null is CUDA's default stream.
KEEL_CUDA_API int32_t keel_cuda_current_stream(int32_t device, void** stream, char* message, size_t capacity) {
    return contained(message, capacity, [&] { *stream = c10::cuda::getCurrentCUDAStream(checked(device)).stream(); });
}

// What the calling thread gives to this device from now on waits for what `stream`, a cudaStream_t, was given before.
KEEL_CUDA_API int32_t keel_cuda_wait_for(int32_t device, void* stream, char* message, size_t capacity) {
    return contained(message, capacity, [&] {
        const auto index = checked(device);
        const c10::DeviceGuard guard(c10::Device(c10::DeviceType::CUDA, index));
        order(c10::cuda::getStreamFromExternal(static_cast<cudaStream_t>(stream), index),
              c10::cuda::getCurrentCUDAStream(index));
    });
}

// A graph with nothing recorded yet; the caller ends it with keel_cuda_graph_destroy.
KEEL_CUDA_API int32_t keel_cuda_graph_create(int32_t device, keel_cuda_graph** graph, char* message, size_t capacity) {
    return contained(message, capacity, [&] {
        const auto index = checked(device);
        const c10::DeviceGuard guard(c10::Device(c10::DeviceType::CUDA, index));
        *graph = new keel_cuda_graph(index);
    });
}

// The calling thread works on the graph's stream until keel_cuda_graph_leave, behind what it gave to its own before.
KEEL_CUDA_API int32_t keel_cuda_graph_enter(keel_cuda_graph* graph, char* message, size_t capacity) {
    return contained(message, capacity, [&] {
        TORCH_CHECK(!graph->before, "graph: entered twice");
        const c10::DeviceGuard guard(c10::Device(c10::DeviceType::CUDA, graph->device));
        const auto current = c10::cuda::getCurrentCUDAStream(graph->device);
        order(current, graph->own);
        c10::cuda::setCurrentCUDAStream(graph->own);
        graph->before = current;
    });
}

// The thread's stream is what it was, behind what was done meanwhile. A recording that was not ended is given up.
KEEL_CUDA_API int32_t keel_cuda_graph_leave(keel_cuda_graph* graph, char* message, size_t capacity) {
    return contained(message, capacity, [&] {
        if (!graph->before) return;
        const c10::DeviceGuard guard(c10::Device(c10::DeviceType::CUDA, graph->device));
        graph->abandon();
        const auto before = *graph->before;
        graph->before.reset();
        c10::cuda::setCurrentCUDAStream(before);
        order(graph->own, before);
    });
}

// What the thread gives to the device from now on is recorded and not done. Other threads are not hindered.
KEEL_CUDA_API int32_t keel_cuda_graph_begin(keel_cuda_graph* graph, char* message, size_t capacity) {
    return contained(message, capacity, [&] {
        TORCH_CHECK(graph->before && !graph->recording, "graph: expected to be entered, with nothing recorded yet");
        const c10::DeviceGuard guard(c10::Device(c10::DeviceType::CUDA, graph->device));
        graph->recording = std::make_unique<Recording>();
        graph->under_way = true;
        try {
            graph->recording->capture_begin(at::cuda::graph_pool_handle(), cudaStreamCaptureModeThreadLocal);
        } catch (...) {
            graph->abandon();
            throw;
        }
    });
}

// The recording is whole and can be replayed; where it is not, nothing is recorded.
KEEL_CUDA_API int32_t keel_cuda_graph_end(keel_cuda_graph* graph, char* message, size_t capacity) {
    return contained(message, capacity, [&] {
        TORCH_CHECK(graph->under_way, "graph: expected a recording under way");
        const c10::DeviceGuard guard(c10::Device(c10::DeviceType::CUDA, graph->device));
        try {
            graph->recording->capture_end();
            graph->under_way = false;
        } catch (...) {
            graph->abandon();
            throw;
        }
    });
}

// Gives the recorded work to the thread's current stream.
KEEL_CUDA_API int32_t keel_cuda_graph_replay(keel_cuda_graph* graph, char* message, size_t capacity) {
    return contained(message, capacity, [&] {
        TORCH_CHECK(graph->recording && !graph->under_way, "graph: expected a whole recording");
        graph->recording->replay();
    });
}

KEEL_CUDA_API void keel_cuda_graph_destroy(keel_cuda_graph* graph) {
    quietly([&] { delete graph; });
}

}  // extern "C"
