//! What the phases share: the progress line and small pieces of configuration.
#include "phases.hpp"

#include <unistd.h>

#include <cstdio>

namespace npc {

Progress::Progress(std::string phase, int steps) : phase_(std::move(phase)), steps_(steps) {}

void Progress::step(int done, const std::string &numbers) {
  const bool terminal = isatty(STDOUT_FILENO) != 0, last = done == steps_;
  if (!terminal && !last && done % ((steps_ + 4) / 5) != 0) return;
  std::printf("%s%s  %3d/%d  %s  %.0f s   %s", terminal ? "\r" : "", phase_.c_str(), done, steps_, numbers.c_str(),
              seconds(), terminal && !last ? "" : "\n");
  std::fflush(stdout);
}

double Progress::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

std::string optimizer(double learning_rate, const std::string &schedule) {
  return R"("optimizer": {"learning_rate": )" + number(learning_rate, 6) +
         R"(, "betas": [0.9, 0.95], "max_grad_norm": 1)" + schedule + "}";
}

void record(Series &series, int step, double value) {
  series.x.push_back(step);
  series.y.push_back(value);
}

}  // namespace npc
