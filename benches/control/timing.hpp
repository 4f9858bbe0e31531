// How long things took.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <ctime>
#include <utility>
#include <vector>

namespace bench {

template <class Work>
double microseconds(Work &&work) {
  const auto begin = std::chrono::steady_clock::now();
  std::forward<Work>(work)();
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count();
}

// Wall seconds, and those that this process computed: another's do not count.
struct Spent {
  double wall = 0, cpu = 0;
};

inline Spent now() {
  timespec cpu;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
  const auto wall = std::chrono::steady_clock::now().time_since_epoch();
  const double seconds = static_cast<double>(cpu.tv_sec) + 1e-9 * static_cast<double>(cpu.tv_nsec);
  return {std::chrono::duration<double>(wall).count(), seconds};
}

// Microseconds that the calling thread has computed.
inline double thread_microseconds() {
  timespec cpu;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
  return 1e6 * static_cast<double>(cpu.tv_sec) + 1e-3 * static_cast<double>(cpu.tv_nsec);
}

template <class Work>
Spent spent(Work &&work) {
  const Spent begin = now();
  std::forward<Work>(work)();
  const Spent end = now();
  return {end.wall - begin.wall, end.cpu - begin.cpu};
}

// Many times of one thing. Takes no memory after construction.
class Times {
 public:
  explicit Times(std::size_t most) { all_.reserve(most); }
  void add(double time) { all_.push_back(time); }
  // The smallest time that a share of all times does not exceed: 0 is the minimum, 0.5 the median.
  double quantile(double share) {
    const std::size_t place = std::min(all_.size() - 1, static_cast<std::size_t>(share * all_.size()));
    std::nth_element(all_.begin(), all_.begin() + place, all_.end());
    return all_[place];
  }

 private:
  std::vector<double> all_;
};

}  // namespace bench
