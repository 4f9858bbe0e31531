// Counts what the process takes from the heap: the program's malloc and its kin stand before those of the C library.
#pragma once

#include <cstdint>

namespace bench {

// Calls of malloc, calloc, realloc, posix_memalign and aligned_alloc so far, on all threads.
uint64_t allocations();
// Those of the calling thread.
uint64_t thread_allocations();

}  // namespace bench
