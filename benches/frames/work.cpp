#include "work.hpp"

#include <algorithm>

#include "timing.hpp"

namespace bench {

Work::Work(double milliseconds) : table_(1 << 16) {  // 256 KiB, as much as a small part of a game touches
  for (uint32_t &entry : table_) entry = place_ = place_ * 1664525u + 1013904223u;
  Times times(64);
  for (int run = 0; run < 64; ++run) times.add(microseconds([&] { walk(steps_); }));
  steps_ = static_cast<long>(steps_ * milliseconds * 1000 / times.quantile(0));
}

void Work::walk(long steps) {
  for (; steps > 0; --steps) {
    uint32_t &entry = table_[place_ >> 16];
    place_ = place_ * 1664525u + entry;
    entry ^= place_;
  }
}

}  // namespace bench
