//! The rules of LunarLander: the ground, what an action burns, what is observed, what is rewarded. Pure functions; nothing
//! here knows of Box2D (flight.hpp) or of keel (training.hpp).
//!
//! They are those of Gymnasium's LunarLander-v3 without wind, written from its documentation and behaviour;
//! golden/flights.txt holds them to it. Lengths are in Box2D's units, thirty of the original's pixels.
#pragma once

#include <array>
#include <cstdint>

namespace lander {

constexpr double PIXEL = 1.0 / 30;
constexpr double WIDTH = 600 * PIXEL, HEIGHT = 400 * PIXEL;
constexpr double PAD_HEIGHT = HEIGHT / 4;
constexpr int FRAMES_PER_SECOND = 50;
constexpr int STEP_LIMIT = 1000;
constexpr double PUSH = 1000;  ///< the most force at the start, to each side

struct Point {
  double x, y;
};

/// The corners of the lander's body, in pixels from its middle.
constexpr std::array<Point, 6> HULL{{{-14, 17}, {-17, 0}, {-17, -10}, {17, -10}, {17, 0}, {14, 17}}};

/// The ground: eleven points from the left edge to the right one, flat around the middle.
struct Terrain {
  static constexpr int POINTS = 11;
  std::array<double, POINTS> x, y;
  double pad_left, pad_right;  ///< where the flags stand

  /// Smoothed from heights drawn in [0, HEIGHT / 2].
  explicit Terrain(std::array<double, POINTS + 1> heights);
};

/// The engines' power in one step: 0 for off, otherwise from a half to 1.
struct Thrust {
  double main = 0, side = 0;
  double direction = 0;  ///< of the side engine that burns: -1 the left one, 1 the right one
};

/// The discrete action: 0 nothing, 1 the left engine, 2 the main one, 3 the right one.
Thrust thrust(std::int32_t choice);

/// The continuous action, as the policy draws it: each is cut to [-1, 1]. The main engine burns above 0, a side engine beyond
/// half of its range.
struct Throttle {
  float main, side;
};
Thrust thrust(Throttle throttle);

/// Where the lander is and how it moves.
struct Pose {
  float x, y, vx, vy, angle, turn;
  std::array<bool, 2> legs;  ///< which stand on the ground
};

/// What the policy reads: place and speed relative to the pad, angle, turn, and the legs.
struct Observation {
  std::array<float, 8> values;
};

/// The observation before it is rounded to what the policy reads; rewards are computed from this one.
using State = std::array<double, 8>;
State state(const Pose &pose);
Observation observation(const State &state);

/// What a state is worth; a step is rewarded with the difference.
double potential(const State &state);

/// How an episode stands after a step. One that is out of sight ends as a crash does.
enum class Fate { FLIES, LOST, RESTS };

double reward(double potential_before, double potential_now, const Thrust &thrust, Fate fate);

}  // namespace lander
