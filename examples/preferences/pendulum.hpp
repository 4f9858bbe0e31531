//! A pendulum that ought to stand upright, as Gymnasium's Pendulum-v1 has it, and dice.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace preferences {

constexpr double PI = 3.14159265358979323846;
constexpr int EPISODE = 200;

struct Dice {
  std::uint64_t state;

  explicit Dice(std::uint64_t seed) : state(seed * 0x9e3779b97f4a7c15u + 1) {}
  // In [0, 1).
  double roll() {
    state += 0x9e3779b97f4a7c15u;
    std::uint64_t mixed = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    return static_cast<double>((mixed ^ (mixed >> 31)) >> 11) / 9007199254740992.0;
  }
  std::size_t below(std::size_t count) { return static_cast<std::size_t>(roll() * static_cast<double>(count)); }
};

// The observation record.
struct View {
  float cosine, sine, speed;
};

struct Pendulum {
  double angle, speed;
  int age = 0;

  explicit Pendulum(Dice &dice) : angle((2 * dice.roll() - 1) * PI), speed(2 * dice.roll() - 1) {}
  View view() const {
    return {static_cast<float>(std::cos(angle)), static_cast<float>(std::sin(angle)), static_cast<float>(speed)};
  }
  // 50 ms under a torque within ±2; the reward.
  double turn(double torque) {
    torque = std::clamp(torque, -2.0, 2.0);
    const double off = std::remainder(angle, 2 * PI);
    const double reward = -(off * off + 0.1 * speed * speed + 0.001 * torque * torque);
    speed = std::clamp(speed + (15 * std::sin(angle) + 3 * torque) * 0.05, -8.0, 8.0);
    angle += speed * 0.05;
    ++age;
    return reward;
  }
};

}  // namespace preferences
