// libkeel_cuda.so: what needs the symbols of libtorch_cuda at link time, behind a C interface.
//
// libkeel itself links only libtorch_cpu and libc10, so that one binary serves machines with and without CUDA; it loads
// this library after libtorch_cuda, where it lies beside libkeel. tools/build-cuda-shim builds it without nvcc. An entry
// returns KEEL_CUDA_OK or a failure with its sentence in `message` (NUL-terminated, cut to `capacity`); none throws.
// `device` counts as CUDA does. Refuses: kernels, tensors, the choice of a device.
#include <ATen/Context.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/DeviceGuard.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>

#include <cstdint>
#include <cstdio>
#include <new>

#define KEEL_CUDA_API __attribute__((visibility("default")))

extern "C" {

enum : int32_t { KEEL_CUDA_OK = 0, KEEL_CUDA_FAILED = 1, KEEL_CUDA_OUT_OF_MEMORY = 2, KEEL_CUDA_UNKNOWN = 3 };

// Bytes, but for `failed_allocations`. `free` and `total` are the device's, the rest is this process's allocator's.
struct keel_cuda_memory {
    uint64_t free, total, allocated, peak_allocated, reserved, peak_reserved, failed_allocations;
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

}  // namespace

extern "C" {

// The version of this interface: libkeel uses the library only if it is the one libkeel was written for.
KEEL_CUDA_API uint32_t keel_cuda_interface() { return 1; }

KEEL_CUDA_API int32_t keel_cuda_read_memory(int32_t device, keel_cuda_memory* memory, char* message, size_t capacity) {
    return contained(message, capacity, [&] {
        const auto index = checked(device);
        const auto [free, total] = allocator().getMemoryInfo(index);
        const auto stats = allocator().getDeviceStats(index);
        const auto& allocated = stats.allocated_bytes[0];
        const auto& reserved = stats.reserved_bytes[0];
        *memory = {free, total, bytes(allocated.current), bytes(allocated.peak), bytes(reserved.current),
                   bytes(reserved.peak), bytes(stats.num_ooms)};
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

}  // extern "C"
