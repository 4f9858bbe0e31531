//! The policy: keel's runtime, network, session and actor, learning from sixteen landers at once in this process.
//! Owns the settings of training. Refuses to draw and to judge: main.cpp does.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "film.hpp"
#include "rules.hpp"

namespace lander {

struct Settings {
  bool continuous = false;
  std::uint64_t seed = 0;
};

/// How one evaluated flight went.
struct Landing {
  double total;  ///< the return
  Fate fate;     ///< FLIES where the limit of steps came first
  double reach;  ///< how far to the side it was, at most, in units
  int steps;
};

class Pilot {
 public:
  static std::unique_ptr<Pilot> create(const Settings &settings);
  virtual ~Pilot() = default;

  /// Learns from `steps` steps. After each update it tells the steps so far and the mean return of the last 100 episodes.
  /// Returns that mean as it is in the end.
  using Progress = std::function<void(long steps, double mean_return)>;
  virtual double learn(long steps, const Progress &progress) = 0;

  /// Flies and learns nothing. Flight `number` has the same terrain, push and noise for every policy.
  enum class Choice { LIKELIEST, DRAWN };
  virtual Landing fly(std::uint64_t number, Choice choice) const = 0;

  /// The flight of likeliest choices, to look at.
  virtual Film film(std::uint64_t number) const = 0;
};

}  // namespace lander
