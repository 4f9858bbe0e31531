#include <algorithm>
#include <cstdio>

#include "frames.hpp"
#include "parts.hpp"

namespace bench {
namespace {

constexpr double work_ms = 4;
constexpr keel::Microseconds budget(2000);

Seen window(double seconds, Mode mode, Work &work, Learning &learning, const Player &player) {
  player.fresh();
  return frames(seconds, work, player.play, [&] {
    if (learning.turn(mode)) player.begun();
  });
}

void print(const char *part, Mode mode, Seen &seen, double worked, double seconds) {
  const double whole = mode == Mode::pump ? static_cast<double>(budget.count()) * seen.deadlines : 1e6 * seconds;
  std::printf("{\"part\": \"%s\", \"mode\": \"%s\", \"deadlines\": %ld, \"late\": %ld, \"work_p50\": %.1f, \"work_p99\": %.1f, "
              "\"busy\": %.3f, \"allocations\": %llu, \"waits\": %llu}\n",
              part, name(mode), seen.deadlines, seen.late, seen.work.quantile(0.5), seen.work.quantile(0.99),
              worked / whole, static_cast<unsigned long long>(seen.allocations),
              static_cast<unsigned long long>(seen.waits));
  std::fflush(stdout);
}

}  // namespace

void windows(const char *part, const Windows &windows, const keel::Session &session, const Player &player) {
  Work work(work_ms);
  for (const Mode mode : {Mode::job, Mode::pump, Mode::blocking}) {  // warms up
    Learning learning(session, budget);
    window(1, mode, work, learning, player);
    learning.stop();
  }
  Learning learning(session, budget);
  const auto measure = [&](Mode mode) {
    Seen seen = window(windows.seconds, mode, work, learning, player);
    print(part, mode, seen, learning.stop(), windows.seconds);
  };
  for (int round = 0; round < windows.rounds; ++round)
    for (const Mode mode : {Mode::off, Mode::job, Mode::off, Mode::pump}) measure(mode);
  for (int round = 0; round < std::max(1, windows.rounds / 5); ++round) measure(Mode::blocking);
  std::printf("{\"part\": \"%s\", \"work_steps\": %ld, \"budget\": %ld, \"calls\": {", part, work.steps(),
              static_cast<long>(budget.count()));
  learning.print();
  std::printf("}}\n");
}

}  // namespace bench
