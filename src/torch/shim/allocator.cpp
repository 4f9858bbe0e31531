// The memory of tensors on the host: libtorch's own or the host's, counted, and refused beyond a cap.
#include "shim.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/alignment.h>
#include <c10/core/impl/alloc_cpu.h>

#include <atomic>
#include <mutex>

namespace {

using Allocate = void* (*)(size_t, size_t, void*);
using Release = void (*)(void*, size_t, void*);

std::atomic<uint64_t> allocated{0}, peak_allocated{0}, cap{0};
thread_local int uncapped = 0;

// Decided once: whether keel's allocator is libtorch's, and whose memory it gives.
std::mutex deciding;
bool decided = false;
bool counting = false;
Allocate host_allocate = nullptr;
Release host_release = nullptr;
void* host_data = nullptr;

void charge(uint64_t bytes) {
    uint64_t before = allocated.load(std::memory_order_relaxed);
    do {
        const uint64_t most = uncapped > 0 ? 0 : cap.load(std::memory_order_relaxed);
        TORCH_CHECK_WITH(OutOfMemoryError, most == 0 || (before <= most && bytes <= most - before),
                         "out of memory: the cap on tensors in host memory is ", most, " bytes, of which ", before,
                         " are used, and ", bytes, " more were needed");
    } while (!allocated.compare_exchange_weak(before, before + bytes, std::memory_order_relaxed));
    const uint64_t now = before + bytes;
    uint64_t peak = peak_allocated.load(std::memory_order_relaxed);
    while (peak < now && !peak_allocated.compare_exchange_weak(peak, now, std::memory_order_relaxed)) {
    }
}

void discharge(uint64_t bytes) noexcept { allocated.fetch_sub(bytes, std::memory_order_relaxed); }

// Before the data of each tensor stands its size, in a block as long as the alignment, which it keeps.
constexpr size_t HEAD = c10::gAlignment;
static_assert(HEAD >= sizeof(uint64_t));

void* take(size_t bytes) {
    if (host_allocate == nullptr) return c10::alloc_cpu(bytes);
    void* const memory = host_allocate(bytes, HEAD, host_data);
    TORCH_CHECK_WITH(OutOfMemoryError, memory != nullptr, "out of memory: the host's allocator has no ", bytes, " bytes");
    if (reinterpret_cast<uintptr_t>(memory) % HEAD == 0) return memory;
    host_release(memory, bytes, host_data);
    TORCH_CHECK(false, "allocator: expected memory aligned to ", HEAD, " bytes");
}

void give_back(void* memory, size_t bytes) {
    if (host_release == nullptr) return c10::free_cpu(memory);
    host_release(memory, bytes, host_data);
}

void release(void* data) {
    if (data == nullptr) return;
    char* const memory = static_cast<char*>(data) - HEAD;
    const uint64_t bytes = *reinterpret_cast<uint64_t*>(memory);
    discharge(bytes);
    try {
        give_back(memory, bytes + HEAD);
    } catch (...) {  // a host's exception in a destructor would end the process
    }
}

class Counting final : public c10::Allocator {
   public:
    c10::DataPtr allocate(size_t bytes) override {
        const c10::Device cpu(c10::DeviceType::CPU);
        if (bytes == 0) return {nullptr, nullptr, &release, cpu};
        TORCH_CHECK_WITH(OutOfMemoryError, bytes < (SIZE_MAX >> 1), "out of memory: no machine has ", bytes, " bytes");
        charge(bytes);
        try {
            char* const memory = static_cast<char*>(take(bytes + HEAD));
            *reinterpret_cast<uint64_t*>(memory) = bytes;
            return {memory + HEAD, memory + HEAD, &release, cpu};
        } catch (...) {
            discharge(bytes);
            throw;
        }
    }

    c10::DeleterFnPtr raw_deleter() const override { return &release; }

    void copy_data(void* to, const void* from, std::size_t count) const override { default_copy_data(to, from, count); }
};

void decide() {
    if (decided) return;
    decided = true;
    counting = c10::GetCPUAllocator() == c10::GetDefaultCPUAllocator();
    if (counting) c10::SetCPUAllocator(new Counting);  // never destroyed: tensors may outlive everything
}

}  // namespace

void keel::install_allocator() {
    const std::lock_guard<std::mutex> lock(deciding);
    decide();
}

keel::Uncapped::Uncapped() { ++uncapped; }
keel::Uncapped::~Uncapped() { --uncapped; }

// 0 where it is not known: the process has an allocator of its own. Does not throw.
int32_t shim_host_memory(HostMemory* memory) {
    *memory = {allocated.load(), peak_allocated.load(), cap.load()};
    const std::lock_guard<std::mutex> lock(deciding);
    return counting ? 1 : 0;
}

int32_t shim_cap_host_memory(uint64_t bytes, keel::Failure* failure) {
    SHIM_TRY(failure, {
        keel::install_allocator();
        TORCH_CHECK(counting || bytes == 0, "this process has an allocator of its own for libtorch's tensors");
        cap = bytes;
    })
}

int32_t shim_set_allocator(void* (*allocate)(size_t, size_t, void*), void (*take_back)(void*, size_t, void*),
                           void* user_data, keel::Failure* failure) {
    SHIM_TRY(failure, {
        const std::lock_guard<std::mutex> lock(deciding);
        TORCH_CHECK(!decided, "allocator: expected before the first runtime of the process");
        host_allocate = allocate;
        host_release = take_back;
        host_data = user_data;
        decide();
        if (counting) return keel::OUTCOME_OK;
        host_allocate = nullptr;
        host_release = nullptr;
        TORCH_CHECK(false, "allocator: this process has another one for libtorch's tensors");
    })
}
