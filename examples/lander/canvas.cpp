#include "canvas.hpp"

#include <algorithm>
#include <cmath>

#include "png.hpp"

namespace lander {
namespace {

float linear(std::uint32_t code) {
  const float value = static_cast<float>(code & 0xff) / 255;
  return value <= 0.04045f ? value / 12.92f : std::pow((value + 0.055f) / 1.055f, 2.4f);
}

std::uint8_t code(float light) {
  const float value = std::clamp(light, 0.0f, 1.0f);
  const float encoded = value <= 0.0031308f ? 12.92f * value : 1.055f * std::pow(value, 1 / 2.4f) - 0.055f;
  return static_cast<std::uint8_t>(std::lround(255 * encoded));
}

double distance(Point point, Point from, Point to) {
  const double dx = to.x - from.x, dy = to.y - from.y, length = dx * dx + dy * dy;
  const double along =
      length > 0 ? std::clamp(((point.x - from.x) * dx + (point.y - from.y) * dy) / length, 0.0, 1.0) : 0;
  return std::hypot(point.x - from.x - along * dx, point.y - from.y - along * dy);
}

// Where a level line crosses the outline, from left to right: inside is between the first and the second, and so on.
std::vector<double> crossings(double y, const Outline &outline) {
  std::vector<double> found;
  for (std::size_t i = 0, last = outline.size() - 1; i < outline.size(); last = i++) {
    const Point a = outline[i], b = outline[last];
    if ((a.y > y) != (b.y > y)) found.push_back(a.x + (b.x - a.x) * (y - a.y) / (b.y - a.y));
  }
  std::sort(found.begin(), found.end());
  return found;
}

// How much of each pixel from `left` on lies inside, in the pixels' row y.
std::vector<double> coverage(int y, int left, int right, const Outline &outline) {
  constexpr int lines = 8;
  std::vector<double> covered(std::max(right - left, 0));
  for (int line = 0; line < lines; ++line) {
    const std::vector<double> found = crossings(y + (line + 0.5) / lines, outline);
    for (std::size_t i = 0; i + 1 < found.size(); i += 2) {
      const double from = std::max<double>(found[i], left), to = std::min<double>(found[i + 1], right);
      for (int x = static_cast<int>(from); x < to; ++x)
        covered[x - left] += std::max(std::min(to, x + 1.0) - std::max<double>(from, x), 0.0) / lines;
    }
  }
  return covered;
}

}  // namespace

Colour Colour::of(std::uint32_t code) { return {linear(code >> 16), linear(code >> 8), linear(code)}; }

Colour Colour::operator*(double factor) const {
  const float by = static_cast<float>(factor);
  return {red * by, green * by, blue * by};
}

Colour Colour::operator+(Colour other) const { return {red + other.red, green + other.green, blue + other.blue}; }

Colour mixed(Colour from, Colour to, double share) {
  const double part = std::clamp(share, 0.0, 1.0);
  return from * (1 - part) + to * part;
}

Canvas::Canvas(int width, int height)
    : width_(width), height_(height), pixels_(static_cast<std::size_t>(width) * height) {}

Canvas::Box Canvas::box(const Outline &outline, double margin) const {
  Box box{width_, height_, 0, 0};
  for (const Point &point : outline) {
    box.left = std::min(box.left, static_cast<int>(std::floor(point.x - margin)));
    box.top = std::min(box.top, static_cast<int>(std::floor(point.y - margin)));
    box.right = std::max(box.right, static_cast<int>(std::ceil(point.x + margin)));
    box.bottom = std::max(box.bottom, static_cast<int>(std::ceil(point.y + margin)));
  }
  return {std::max(box.left, 0), std::max(box.top, 0), std::min(box.right, width_), std::min(box.bottom, height_)};
}

void Canvas::blend(int x, int y, Colour colour, double opacity) {
  Colour &pixel = pixels_[static_cast<std::size_t>(y) * width_ + x];
  pixel = mixed(pixel, colour, opacity);
}

void Canvas::background(const Paint &paint) {
  for (int y = 0; y < height_; ++y)
    for (int x = 0; x < width_; ++x) blend(x, y, paint({x + 0.5, y + 0.5}), 1);
}

void Canvas::fill(const Outline &outline, const Paint &paint, double opacity) {
  const Box area = box(outline, 0);
  for (int y = area.top; y < area.bottom; ++y) {
    const std::vector<double> covered = coverage(y, area.left, area.right, outline);
    for (int x = area.left; x < area.right; ++x)
      if (const double share = covered[x - area.left]; share > 0) blend(x, y, paint({x + 0.5, y + 0.5}), share * opacity);
  }
}

void Canvas::fill(const Outline &outline, Colour colour, double opacity) {
  fill(outline, [colour](Point) { return colour; }, opacity);
}

void Canvas::disc(Point centre, double radius, const Paint &paint, double opacity) {
  const Box area = box({centre}, radius + 1);
  for (int y = area.top; y < area.bottom; ++y)
    for (int x = area.left; x < area.right; ++x) {
      const double covered = radius + 0.5 - std::hypot(x + 0.5 - centre.x, y + 0.5 - centre.y);
      if (covered > 0) blend(x, y, paint({x + 0.5, y + 0.5}), std::min(covered, 1.0) * opacity);
    }
}

void Canvas::stroke(const Outline &line, double thickness, Colour colour, double opacity) {
  const Box area = box(line, thickness / 2 + 1);
  for (int y = area.top; y < area.bottom; ++y)
    for (int x = area.left; x < area.right; ++x) {
      double nearest = thickness + 2;
      for (std::size_t i = 0; i + 1 < line.size(); ++i)
        nearest = std::min(nearest, distance({x + 0.5, y + 0.5}, line[i], line[i + 1]));
      const double covered = thickness / 2 + 0.5 - nearest;
      if (covered > 0) blend(x, y, colour, std::min({covered, thickness, 1.0}) * opacity);
    }
}

void Canvas::glow(Point centre, double radius, Colour light) {
  const Box area = box({centre}, 3 * radius);
  for (int y = area.top; y < area.bottom; ++y)
    for (int x = area.left; x < area.right; ++x) {
      const double dx = (x + 0.5 - centre.x) / radius, dy = (y + 0.5 - centre.y) / radius;
      Colour &pixel = pixels_[static_cast<std::size_t>(y) * width_ + x];
      pixel = pixel + light * std::exp(-(dx * dx + dy * dy));
    }
}

void Canvas::write(const std::string &path) const {
  Bytes rgb;
  rgb.reserve(3 * pixels_.size());
  for (const Colour &pixel : pixels_) rgb.insert(rgb.end(), {code(pixel.red), code(pixel.green), code(pixel.blue)});
  write_png(path, width_, height_, rgb);
}

}  // namespace lander
