#include "waits.hpp"

#include <dlfcn.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdarg>

namespace {

thread_local uint64_t count = 0;

bool waits(long number, long operation) {
  const long command = operation & FUTEX_CMD_MASK;
  return number == SYS_futex && (command == FUTEX_WAIT || command == FUTEX_WAIT_BITSET);
}

}  // namespace

extern "C" {

long syscall(long number, ...) noexcept {
  static const auto next = reinterpret_cast<long (*)(long, ...)>(dlsym(RTLD_NEXT, "syscall"));
  long given[6];
  va_list all;
  va_start(all, number);
  for (long &argument : given) argument = va_arg(all, long);
  va_end(all);
  if (waits(number, given[1])) ++count;
  return next(number, given[0], given[1], given[2], given[3], given[4], given[5]);
}

int sched_yield() noexcept {
  static const auto next = reinterpret_cast<int (*)()>(dlsym(RTLD_NEXT, "sched_yield"));
  ++count;
  return next();
}

}  // extern "C"

uint64_t bench::thread_waits() { return count; }
