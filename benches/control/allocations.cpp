#include "allocations.hpp"

#include <dlfcn.h>

#include <atomic>
#include <cstddef>

namespace {

std::atomic<uint64_t> count{0};
thread_local uint64_t thread_count = 0;

// The C library's function behind one of the program's own. glibc's dlsym does not allocate when it finds the name.
template <class Function>
Function *next(std::atomic<Function *> &found, const char *name) {
  Function *function = found.load(std::memory_order_relaxed);
  if (!function) found = function = reinterpret_cast<Function *>(dlsym(RTLD_NEXT, name));
  count.fetch_add(1, std::memory_order_relaxed), ++thread_count;
  return function;
}

std::atomic<void *(*)(std::size_t)> next_malloc;
std::atomic<void *(*)(std::size_t, std::size_t)> next_calloc, next_aligned_alloc;
std::atomic<void *(*)(void *, std::size_t)> next_realloc;
std::atomic<int (*)(void **, std::size_t, std::size_t)> next_posix_memalign;

}  // namespace

extern "C" {

void *malloc(std::size_t size) { return next(next_malloc, "malloc")(size); }
void *calloc(std::size_t number, std::size_t size) { return next(next_calloc, "calloc")(number, size); }
void *realloc(void *old, std::size_t size) { return next(next_realloc, "realloc")(old, size); }
void *aligned_alloc(std::size_t align, std::size_t size) {
  return next(next_aligned_alloc, "aligned_alloc")(align, size);
}
int posix_memalign(void **out, std::size_t align, std::size_t size) {
  return next(next_posix_memalign, "posix_memalign")(out, align, size);
}

}  // extern "C"

uint64_t bench::allocations() { return count.load(std::memory_order_relaxed); }
uint64_t bench::thread_allocations() { return thread_count; }
