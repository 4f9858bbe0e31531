//! lander: a policy learns to land on the moon in this process; then it is judged, and its flight drawn. See usage().
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "picture.hpp"
#include "pilot.hpp"

namespace lander {
namespace {

constexpr int FLIGHTS = 100;
constexpr long FULL = 1000000;

struct Options {
  Settings settings;
  long steps = FULL;
  bool assert_bounds = false;
  std::string picture;
};

int usage() {
  std::puts(
      "lander [--continuous] [--steps N] [--seed N] [--assert] [--picture FILE.png]\n"
      "  --continuous  throttles between off and full rather than engines on and off\n"
      "  --steps N     to learn from; 1000000 unless said\n"
      "  --assert      exit with 1 unless the mean return of 100 flights is at least 200; of a run of fewer than 1000000\n"
      "                steps, unless the last 100 episodes of training are 100 better than those of an untrained policy\n"
      "  --picture     draw the flight that came furthest to the side among those that landed");
  return 2;
}

struct Judged {
  std::vector<Landing> flights;
  double mean = 0, deviation = 0;
  int landed = 0;
};

Judged judge(const Pilot &pilot, Pilot::Choice choice) {
  Judged judged;
  double squares = 0;
  for (int number = 0; number < FLIGHTS; ++number) {
    const Landing flight = pilot.fly(number, choice);
    judged.mean += flight.total / FLIGHTS;
    squares += flight.total * flight.total / FLIGHTS;
    judged.landed += flight.fate == Fate::RESTS;
    judged.flights.push_back(flight);
  }
  judged.deviation = std::sqrt(std::max(squares - judged.mean * judged.mean, 0.0));
  return judged;
}

// The flight that has most to show.
int finest(const std::vector<Landing> &flights) {
  int best = 0;
  const auto worth = [](const Landing &flight) { return flight.reach + (flight.fate == Fate::RESTS ? WIDTH : 0); };
  for (int number = 1; number < FLIGHTS; ++number)
    if (worth(flights[number]) > worth(flights[best])) best = number;
  return best;
}

int run(const Options &options) {
  const auto start = std::chrono::steady_clock::now();
  const auto seconds = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  // Drawn, since the likeliest choice of a policy that is nearly even is one and the same all the time.
  const Judged before = judge(*Pilot::create(options.settings), Pilot::Choice::DRAWN);
  const std::unique_ptr<Pilot> pilot = Pilot::create(options.settings);
  std::printf("untrained: mean return %.1f over %d flights\n", before.mean, FLIGHTS);
  const double recent = pilot->learn(options.steps, [&](long steps, double mean) {
    std::printf("%4.0f s  %8ld steps  mean return of the last 100 episodes %7.1f\n", seconds(), steps, mean);
    std::fflush(stdout);
  });
  const double learned = seconds();
  const Judged after = judge(*pilot, Pilot::Choice::LIKELIEST);
  if (!options.picture.empty()) {
    const int number = finest(after.flights);
    draw(pilot->film(number)).write(options.picture);
    std::printf("%s: flight %d, return %.1f\n", options.picture.c_str(), number, after.flights[number].total);
  }
  const bool full = options.steps >= FULL;
  const double judged = full ? after.mean : recent, bound = full ? 200 : before.mean + 100;
  const bool good = !options.assert_bounds || judged >= bound;  // no number is not good
  if (!good) std::printf("the mean return %.1f is not %.1f or more\n", judged, bound);
  std::printf("LANDER {\"actions\": \"%s\", \"seed\": %llu, \"steps\": %ld, \"untrained\": %.1f, \"training\": %.1f, "
              "\"return\": %.1f, \"deviation\": %.1f, \"landed\": %d, \"flights\": %d, \"learning_seconds\": %.1f}\n",
              options.settings.continuous ? "continuous" : "discrete",
              static_cast<unsigned long long>(options.settings.seed), options.steps, before.mean, recent,
              after.mean, after.deviation, after.landed, FLIGHTS, learned);
  return good ? 0 : 1;
}

bool parse(int count, char **arguments, Options &options) {
  for (int i = 1; i < count; ++i) {
    const std::string option = arguments[i];
    const bool more = i + 1 < count;
    if (option == "--continuous")
      options.settings.continuous = true;
    else if (option == "--assert")
      options.assert_bounds = true;
    else if (option == "--steps" && more)
      options.steps = std::strtol(arguments[++i], nullptr, 10);
    else if (option == "--seed" && more)
      options.settings.seed = std::strtoull(arguments[++i], nullptr, 10);
    else if (option == "--picture" && more)
      options.picture = arguments[++i];
    else
      return false;
  }
  return options.steps > 0;
}

}  // namespace
}  // namespace lander

int main(int count, char **arguments) {
  lander::Options options;
  if (!lander::parse(count, arguments, options)) return lander::usage();
  try {
    return lander::run(options);
  } catch (const std::exception &error) {
    std::fprintf(stderr, "lander: %s\n", error.what());
    return 1;
  }
}
