//! A flight as it can be drawn: where the lander was at each step and what burned.
#pragma once

#include <array>
#include <vector>

#include "rules.hpp"

namespace lander {

struct Frame {
  Point place;
  double angle;
  std::array<std::array<Point, 2>, 2> legs;  ///< upper and lower end of each
  Thrust thrust;                             ///< of the step that led here
};

struct Film {
  Terrain terrain;
  std::vector<Frame> frames;
};

}  // namespace lander
