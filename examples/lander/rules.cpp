#include "rules.hpp"

#include <algorithm>
#include <cmath>

namespace lander {
namespace {

constexpr double LEG_DOWN = 18 * PIXEL;

}  // namespace

Terrain::Terrain(std::array<double, POINTS + 1> heights) {
  constexpr int middle = POINTS / 2;
  std::fill(heights.begin() + middle - 2, heights.begin() + middle + 3, PAD_HEIGHT);
  for (int i = 0; i < POINTS; ++i) {
    x[i] = WIDTH / (POINTS - 1) * i;
    const double before = heights[i == 0 ? POINTS : i - 1];  // the twelfth lies left of the first
    y[i] = 0.33 * (before + heights[i] + heights[i + 1]);
  }
  pad_left = x[middle - 1];
  pad_right = x[middle + 1];
}

Thrust thrust(std::int32_t choice) {
  switch (choice) {
    case 1: return {0, 1, -1};
    case 2: return {1, 0, 0};
    case 3: return {0, 1, 1};
    default: return {};
  }
}

Thrust thrust(Throttle throttle) {
  Thrust burnt;
  const double main = std::clamp(static_cast<double>(throttle.main), -1.0, 1.0);
  const double side = std::clamp(static_cast<double>(throttle.side), -1.0, 1.0);
  if (main > 0) burnt.main = 0.5 + 0.5 * main;
  if (std::abs(side) > 0.5) burnt.side = std::abs(side), burnt.direction = side > 0 ? 1 : -1;
  return burnt;
}

State state(const Pose &pose) {
  return {(pose.x - WIDTH / 2) / (WIDTH / 2),
          (pose.y - (PAD_HEIGHT + LEG_DOWN)) / (HEIGHT / 2),
          pose.vx * (WIDTH / 2) / FRAMES_PER_SECOND,
          pose.vy * (HEIGHT / 2) / FRAMES_PER_SECOND,
          pose.angle,
          20.0 * pose.turn / FRAMES_PER_SECOND,
          pose.legs[0] ? 1.0 : 0.0,
          pose.legs[1] ? 1.0 : 0.0};
}

Observation observation(const State &state) {
  Observation seen;
  std::transform(state.begin(), state.end(), seen.values.begin(), [](double value) { return static_cast<float>(value); });
  return seen;
}

double potential(const State &state) {
  const double distance = std::sqrt(state[0] * state[0] + state[1] * state[1]);
  const double speed = std::sqrt(state[2] * state[2] + state[3] * state[3]);
  return -100 * distance - 100 * speed - 100 * std::abs(state[4]) + 10 * state[6] + 10 * state[7];
}

double reward(double potential_before, double potential_now, const Thrust &thrust, Fate fate) {
  if (fate == Fate::LOST) return -100;
  if (fate == Fate::RESTS) return 100;
  return potential_now - potential_before - 0.3 * thrust.main - 0.03 * thrust.side;
}

}  // namespace lander
