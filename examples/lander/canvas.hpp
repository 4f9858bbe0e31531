//! A picture in memory: linear light, shapes with soft edges. Owns pixels, knows of no lander.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "rules.hpp"

namespace lander {

/// Linear light, 1 is white.
struct Colour {
  float red = 0, green = 0, blue = 0;

  /// From 0xRRGGBB in sRGB.
  static Colour of(std::uint32_t code);
  Colour operator*(double factor) const;
  Colour operator+(Colour other) const;
};
Colour mixed(Colour from, Colour to, double share);

/// Pixels; y grows downwards.
using Outline = std::vector<Point>;

class Canvas {
 public:
  Canvas(int width, int height);

  int width() const { return width_; }
  int height() const { return height_; }
  Colour at(int x, int y) const { return pixels_[static_cast<std::size_t>(y) * width_ + x]; }

  /// A colour for each place.
  using Paint = std::function<Colour(Point)>;
  void background(const Paint &paint);

  /// Inside of the outline.
  void fill(const Outline &outline, const Paint &paint, double opacity = 1);
  void fill(const Outline &outline, Colour colour, double opacity = 1);
  void disc(Point centre, double radius, const Paint &paint, double opacity = 1);

  /// A line with round ends through these points; overlaps of its own count once.
  void stroke(const Outline &line, double thickness, Colour colour, double opacity = 1);

  /// Light that falls off from the centre as a bell, added to what is there.
  void glow(Point centre, double radius, Colour light);

  void write(const std::string &path) const;

 private:
  struct Box {
    int left, top, right, bottom;
  };
  Box box(const Outline &outline, double margin) const;
  void blend(int x, int y, Colour colour, double opacity);

  int width_, height_;
  std::vector<Colour> pixels_;
};

}  // namespace lander
