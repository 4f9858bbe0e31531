//! Seeded chance, the same numbers on every platform. Refuses to be cryptographic.
#pragma once

#include <cstdint>

namespace lander {

/// A stream of random numbers (SplitMix64); two of one seed differ where their names do.
class Dice {
 public:
  explicit Dice(std::uint64_t seed, std::uint64_t stream = 0)
      : state_(mix(seed + 0x9e3779b97f4a7c15ULL) ^ mix(stream * 0xd1342543de82ef95ULL + 1)) {}

  double uniform(double low, double high) {
    const std::uint64_t drawn = mix(state_ += 0x9e3779b97f4a7c15ULL);
    return low + (high - low) * (static_cast<double>(drawn >> 11) * 0x1p-53);
  }

 private:
  static std::uint64_t mix(std::uint64_t value) {
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
    return value ^ (value >> 31);
  }

  std::uint64_t state_;
};

}  // namespace lander
