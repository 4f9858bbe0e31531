#include "picture.hpp"

#include <algorithm>
#include <cmath>

#include "dice.hpp"
#include "scene.hpp"

namespace lander {
namespace {

constexpr double APART = 2.1;  // units between two landers of the picture
constexpr int SHUTTER = 9;     // steps over which an engine's power is averaged: it flickers

// From the lander's own pixels, y upwards, to those of the picture.
struct Placed {
  const Frame &frame;
  Point operator()(double x, double y) const {
    const double sine = std::sin(frame.angle), cosine = std::cos(frame.angle);
    return Camera::pixel({frame.place.x + PIXEL * (cosine * x - sine * y), frame.place.y + PIXEL * (sine * x + cosine * y)});
  }
  Outline operator()(const Outline &outline) const {
    Outline placed;
    for (const Point &point : outline) placed.push_back((*this)(point.x, point.y));
    return placed;
  }
};

double apart(Point a, Point b) { return std::hypot(a.x - b.x, a.y - b.y); }

Thrust averaged(const std::vector<Frame> &frames, std::size_t middle) {
  Thrust sum;
  const std::size_t from = middle < SHUTTER / 2 ? 0 : middle - SHUTTER / 2;
  const std::size_t to = std::min(frames.size(), middle + SHUTTER / 2 + 1);
  for (std::size_t i = from; i < to; ++i) {
    const Thrust &thrust = frames[i].thrust;
    sum.main += thrust.main / SHUTTER;
    sum.direction += thrust.side * thrust.direction / SHUTTER;
  }
  sum.side = std::abs(sum.direction);
  sum.direction = sum.direction < 0 ? -1 : 1;
  return sum;
}

// A flame as beads of light from white over amber to red, in the lander's own pixels.
void paint_flame(Canvas &canvas, const Placed &placed, Point from, Point along, double power, double size) {
  const Colour hot = Colour::of(0xfff3d0), amber = Colour::of(0xffa62b), red = Colour::of(0xd63a1a);
  constexpr int beads = 22;
  for (int bead = 0; bead < beads; ++bead) {
    const double share = static_cast<double>(bead) / beads, length = size * (6 + 22 * power) * share;
    const Colour light = share < 0.35 ? mixed(hot, amber, share / 0.35) : mixed(amber, red, (share - 0.35) / 0.65);
    const double radius = size * Camera::SCALE * PIXEL * (2.5 - 1.7 * share) * (0.7 + 0.5 * power);
    canvas.glow(placed(from.x + along.x * length, from.y + along.y * length), radius,
                light * (0.42 * std::sqrt(power) * (1 - share)));
  }
}

void paint_flames(Canvas &canvas, const Placed &placed, const Thrust &thrust, double opacity) {
  if (thrust.main > 0.02) {
    canvas.glow(placed(0, -20), 30, Colour::of(0xff8a2a) * (0.10 * thrust.main * opacity));
    paint_flame(canvas, placed, {0, -15}, {0, -1}, thrust.main * opacity, 1.25);
  }
  if (thrust.side > 0.02)  // the engine on the right pushes to the left
    paint_flame(canvas, placed, {-thrust.direction * 18, 12}, {-thrust.direction, 0}, thrust.side * opacity, 0.55);
}

void paint_legs(Canvas &canvas, const Placed &placed, double opacity) {
  const Colour metal = Colour::of(0xb9c0d8), pad = Colour::of(0xe6eaf6);
  for (const auto &leg : placed.frame.legs) {
    const Point top = Camera::pixel(leg[0]), foot = Camera::pixel(leg[1]);
    const double side = apart(top, placed(-15, -8)) < apart(top, placed(15, -8)) ? -1 : 1;
    canvas.stroke({placed(side * 12, -4), top, foot}, 4.2, metal, opacity);
    canvas.stroke({placed(side * 7, -10), {(top.x + 2 * foot.x) / 3, (top.y + 2 * foot.y) / 3}}, 2.2, metal, 0.8 * opacity);
    const double dx = (foot.y - top.y) * 0.24, dy = (top.x - foot.x) * 0.24;
    canvas.stroke({{foot.x - dx, foot.y - dy}, {foot.x + dx, foot.y + dy}}, 4, pad, opacity);
  }
}

void paint_lander(Canvas &canvas, const Frame &frame, const Thrust &thrust, double opacity) {
  const Placed placed{frame};
  paint_flames(canvas, placed, thrust, opacity);
  paint_legs(canvas, placed, opacity);
  canvas.fill(placed({{-4, -10}, {4, -10}, {7, -15}, {-7, -15}}), Colour::of(0x5c6078), opacity);
  const Outline hull(HULL.begin(), HULL.end());
  canvas.fill(placed(hull), Colour::of(0xc4cae0), opacity);
  canvas.fill(placed({{2, 17}, {14, 17}, {17, 0}, {5, 0}}), Colour::of(0x8f96b4), opacity);
  canvas.fill(placed({{-17, 0}, {17, 0}, {17, -10}, {-17, -10}}), Colour::of(0xd9a441), opacity);
  canvas.fill(placed({{5, 0}, {17, 0}, {17, -10}, {5, -10}}), Colour::of(0xa3752a), opacity);
  canvas.fill(placed({{-17, 0}, {17, 0}, {17, -1.6}, {-17, -1.6}}), Colour::of(0xf2d08a), 0.8 * opacity);
  canvas.fill(placed({{-9, 12.5}, {0, 12.5}, {0.6, 5.5}, {-10.4, 5.5}}), Colour::of(0x12233f), opacity);
  canvas.fill(placed({{-9, 12.5}, {-4.5, 12.5}, {-8, 5.5}, {-10.4, 5.5}}), Colour::of(0x66c3ff), 0.75 * opacity);
  Outline closed = placed(hull);
  closed.push_back(closed.front());
  canvas.stroke(closed, 1.4, Colour::of(0xf3f5fc), 0.7 * opacity);
}

// The way of the lander's middle, brighter towards its end, and embers where the main engine burned.
void paint_trail(Canvas &canvas, const std::vector<Frame> &frames) {
  Dice dice(11);
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const double age = static_cast<double>(i) / frames.size();
    const Placed placed{frames[i]};
    if (frames[i].thrust.main > 0)
      canvas.glow(placed(dice.uniform(-5, 5), dice.uniform(-46, -22)), dice.uniform(3, 8),
                  Colour::of(0xff8f3a) * ((0.03 + 0.07 * age) * frames[i].thrust.main));
    if (i > 0)
      canvas.stroke({Camera::pixel(frames[i - 1].place), Camera::pixel(frames[i].place)}, 1.8, Colour::of(0x9fc4ff),
                    0.18 + 0.5 * age);
  }
}

// The frames of the picture: the last, and before it one whenever the lander was far enough from those after it.
std::vector<std::size_t> chosen(const std::vector<Frame> &frames) {
  std::vector<std::size_t> chosen{frames.size() - 1};
  for (std::size_t i = frames.size(); i-- > 0;)
    if (apart(frames[i].place, frames[chosen.back()].place) >= APART) chosen.push_back(i);
  std::reverse(chosen.begin(), chosen.end());
  return chosen;
}

}  // namespace

Canvas draw(const Film &film) {
  Canvas canvas(Camera::WIDTH, Camera::HEIGHT);
  paint_sky(canvas);
  paint_trail(canvas, film.frames);
  paint_ground(canvas, film.terrain);  // embers end where it begins
  const std::vector<std::size_t> shown = chosen(film.frames);
  for (std::size_t i = 0; i < shown.size(); ++i) {
    const double opacity = i + 1 == shown.size() ? 1 : 0.45 + 0.45 * static_cast<double>(i) / shown.size();
    paint_lander(canvas, film.frames[shown[i]], averaged(film.frames, shown[i]), opacity);
  }
  return canvas;
}

}  // namespace lander
