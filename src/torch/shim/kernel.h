// The vector arithmetic of the CPU kernels: sixteen float lanes whatever the processor, so that results do not depend
// on its vector width, and one parallel loop over independent items.
#pragma once

#include <ATen/Parallel.h>
#include <omp.h>

#include <cstdint>
#include <cstring>

// What chooses a clone runs before a sanitizer is ready.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_THREAD__)
#define KEEL_KERNEL __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"), noinline))
#else
#define KEEL_KERNEL __attribute__((noinline))
#endif
#define KEEL_INLINE inline __attribute__((always_inline))

namespace keel {

constexpr int64_t LANES = 16;
typedef float Floats __attribute__((vector_size(64)));
typedef int32_t Ints __attribute__((vector_size(64)));

KEEL_INLINE Floats load(const float* from) {
    Floats value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

KEEL_INLINE void store(float* to, const Floats& value) { std::memcpy(to, &value, sizeof value); }

KEEL_INLINE Floats splat(float value) { return value - Floats{}; }

// The first `count` values of `from`, the other lanes holding `rest`.
KEEL_INLINE Floats load_part(const float* from, int64_t count, float rest) {
    Floats value = splat(rest);
    std::memcpy(&value, from, static_cast<size_t>(count) * sizeof(float));
    return value;
}

KEEL_INLINE void store_part(float* to, const Floats& value, int64_t count) {
    std::memcpy(to, &value, static_cast<size_t>(count) * sizeof(float));
}

KEEL_INLINE float sum(const Floats& value) {
    typedef float Half __attribute__((vector_size(32)));
    typedef float Quarter __attribute__((vector_size(16)));
    Half low, high;
    std::memcpy(&low, &value, 32);
    std::memcpy(&high, reinterpret_cast<const char*>(&value) + 32, 32);
    const Half half = low + high;
    Quarter left, right;
    std::memcpy(&left, &half, 16);
    std::memcpy(&right, reinterpret_cast<const char*>(&half) + 16, 16);
    const Quarter quarter = left + right;
    return (quarter[0] + quarter[2]) + (quarter[1] + quarter[3]);
}

KEEL_INLINE float largest(const Floats& value) {
    float result = value[0];
    for (int lane = 1; lane < LANES; ++lane) result = value[lane] > result ? value[lane] : result;
    return result;
}

// e^x for x <= 88, to two units in the last place; 0 below -87.3, NaN for NaN (Cephes' reduction and polynomial).
KEEL_INLINE Floats exponential(const Floats& x) {
    const Floats floor = splat(-87.3f);
    const Floats bounded = x < floor ? floor : x;
    const Floats shifted = bounded * 1.44269504f + 12582912.0f;
    const Floats power = shifted - 12582912.0f;
    const Floats rest = (bounded - power * 0.693359375f) + power * 2.12194440e-4f;
    Floats series = rest * 1.9875691500e-4f + 1.3981999507e-3f;
    series = series * rest + 8.3334519073e-3f;
    series = series * rest + 4.1665795894e-2f;
    series = series * rest + 1.6666665459e-1f;
    series = series * rest + 5.0000001201e-1f;
    series = series * (rest * rest) + rest + 1.0f;
    const Ints exponent = ((Ints)shifted - 0x4B400000 + 127) << 23;
    const Floats result = series * (Floats)exponent;
    return x < floor ? Floats{} : result;
}

// Calls item(i, member) for every i in [0, count), on the threads of the calling thread when `work` (operations) is
// worth it; `member` < at::get_num_threads() names the thread. Items are independent and do not throw, so the result
// does not depend on the number of threads.
template <typename Item>
void parallel(int64_t count, double work, const Item& item) {
    if (count < 2 || work < 2e5 || at::in_parallel_region() || at::get_num_threads() < 2) {
        for (int64_t i = 0; i < count; ++i) item(i, 0);
        return;
    }
#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t i = 0; i < count; ++i) item(i, omp_get_thread_num());
}

}  // namespace keel
