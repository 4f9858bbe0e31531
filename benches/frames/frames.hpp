// Frames at 60 Hz: what a host does in each, and which come too late.
#pragma once

#include <cmath>
#include <thread>

#include "allocations.hpp"
#include "timing.hpp"
#include "waits.hpp"
#include "work.hpp"

namespace bench {

// What was seen of the frames of some seconds.
struct Seen {
  explicit Seen(long deadlines) : deadlines(deadlines), work(deadlines) {}
  long deadlines, late = 0;  // those at which no new frame was ready
  Times work;                // µs that the host's own work took, of each frame
  uint64_t allocations = 0, waits = 0;  // of this thread while it played
};

// Frames for so many seconds: play, work, learn, sleep. A frame must end before the next should begin; one that ends later
// takes the place of those that should have begun meanwhile.
template <class Play, class Learn>
Seen frames(double seconds, Work &work, Play &&play, Learn &&learn) {
  using Clock = std::chrono::steady_clock;
  const auto period = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(1.0 / 60));
  Seen seen(std::lround(60 * seconds));
  const auto begin = Clock::now();
  for (long frame = 0; frame < seen.deadlines;) {
    std::this_thread::sleep_until(begin + frame * period);
    const uint64_t allocations = thread_allocations(), waits = thread_waits();
    play();
    seen.allocations += thread_allocations() - allocations, seen.waits += thread_waits() - waits;
    seen.work.add(microseconds([&] { work.run(); }));
    learn();
    const long now = (Clock::now() - begin) / period;
    seen.late += std::min(now, seen.deadlines) - frame;
    frame = now + 1;
  }
  return seen;
}

}  // namespace bench
