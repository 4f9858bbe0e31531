// Counts where a thread waits: the program's syscall and sched_yield stand before those of the C library.
#pragma once

#include <cstdint>

namespace bench {

// Calls by which the calling thread has waited for a lock of keel's, or given way to who held it, so far.
uint64_t thread_waits();

}  // namespace bench
