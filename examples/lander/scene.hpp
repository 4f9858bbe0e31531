//! What stands in the picture before anything flies: the sky, the mountains behind, the moon's ground, the pad's flags.
#pragma once

#include "canvas.hpp"

namespace lander {

/// From the world's units, y upwards, to pixels: sixty a unit, the world's left lower corner at the picture's.
struct Camera {
  static constexpr double SCALE = 60;
  static constexpr int WIDTH = 1200, HEIGHT = 830;
  static Point pixel(Point place) { return {place.x * SCALE, HEIGHT - place.y * SCALE}; }
};

void paint_sky(Canvas &canvas);
void paint_ground(Canvas &canvas, const Terrain &terrain);

}  // namespace lander
