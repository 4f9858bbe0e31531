#include "scene.hpp"

#include <algorithm>
#include <cmath>

#include "dice.hpp"

namespace lander {
namespace {

constexpr double SUN_X = -0.62, SUN_Y = 0.48, SUN_Z = 0.62;  // where the light comes from, y upwards, z to the viewer

// Between neighbours of a list of heights and colours.
Colour sky(double share) {
  static const Colour top = Colour::of(0x05070f), middle = Colour::of(0x101a3a), low = Colour::of(0x3c3766);
  return share < 0.55 ? mixed(top, middle, share / 0.55) : mixed(middle, low, (share - 0.55) / 0.45);
}

void paint_stars(Canvas &canvas) {
  Dice dice(7);
  for (int star = 0; star < 330; ++star) {
    const Point place{dice.uniform(0, canvas.width()), dice.uniform(0, 0.8 * canvas.height())};
    const double bright = std::pow(dice.uniform(0, 1), 5), dim = 1 - place.y / canvas.height();
    const Colour tint = mixed(Colour::of(0xbcd0ff), Colour::of(0xffe6c4), dice.uniform(0, 1));
    canvas.glow(place, 0.55 + 0.75 * bright, tint * ((0.12 + 0.9 * bright) * dim));
    if (bright > 0.75) canvas.glow(place, 5, tint * (0.05 * dim));
  }
}

// The earth, half in its own shadow.
void paint_earth(Canvas &canvas) {
  const Point centre{1052, 128};
  const double radius = 47;
  canvas.glow(centre, 1.6 * radius, Colour::of(0x3f6fd0) * 0.10);
  canvas.disc(centre, radius, [&](Point at) {
    const double x = (at.x - centre.x) / radius, y = (centre.y - at.y) / radius;
    const double z = std::sqrt(std::max(1 - x * x - y * y, 0.0));
    const double light = std::max(x * SUN_X + y * SUN_Y + z * SUN_Z, 0.0);
    const double land = std::sin(5.1 * x + 2.3 * y + 1.7 * std::sin(4.3 * y)) + std::sin(6.7 * y - 3.1 * x + 0.8);
    const double cloud = std::sin(9 * y + 2.2 * std::sin(3.7 * x)) * std::sin(4.6 * x + 2.9 * y + 0.6);
    Colour surface = mixed(Colour::of(0x1d55b4), Colour::of(0x4d8f5c), 2.2 * (land - 0.55));
    surface = mixed(surface, Colour::of(0xf2f6ff), 1.8 * (cloud - 0.25));
    const double rim = std::pow(1 - z, 3);
    return surface * (0.015 + 1.05 * light) + Colour::of(0x6ea8ff) * (0.55 * rim * light);
  });
}

// A ridge as sums of waves, from its colour at the crest to the haze at its foot.
void paint_ridge(Canvas &canvas, std::uint64_t name, double height, double rough, Colour crest, Colour haze) {
  Dice dice(name);
  Outline outline{{-4.0, static_cast<double>(canvas.height())}};
  std::vector<double> waves;
  for (int wave = 0; wave < 8; ++wave) waves.push_back(dice.uniform(0, 6.28));
  for (int x = -4; x <= canvas.width() + 4; x += 3) {
    double up = 0, size = rough;
    for (std::size_t wave = 0; wave < waves.size(); ++wave, size *= 0.56)
      up += size * (1 - 2 * std::abs(std::sin(0.0021 * std::pow(1.87, wave) * x + waves[wave])));
    outline.push_back({static_cast<double>(x), canvas.height() - height - up});
  }
  outline.push_back({canvas.width() + 4.0, static_cast<double>(canvas.height())});
  const double top = canvas.height() - height - rough, low = canvas.height() - 0.45 * height;
  canvas.fill(outline, [=](Point at) { return mixed(crest, haze, (at.y - top) / (low - top)); });
}

void paint_flag(Canvas &canvas, double x) {
  const auto at = [x](double right, double up) { return Camera::pixel({x + right * PIXEL, PAD_HEIGHT * 0.99 + up * PIXEL}); };
  canvas.stroke({at(0, 0), at(0, 44)}, 2.2, Colour::of(0xe9ecf6));
  canvas.fill({at(0.6, 44), at(0.6, 32), at(20, 38)}, Colour::of(0xffb52e));
  canvas.fill({at(0.6, 44), at(0.6, 38), at(20, 38)}, Colour::of(0xffd267), 0.8);
  canvas.glow(at(0, 44), 3, Colour::of(0xffd98a) * 0.6);
}

// Craters lie where nothing else is drawn, flat as the eye sees them from the side.
void paint_craters(Canvas &canvas, const Terrain &terrain) {
  Dice dice(21);
  const auto ground = [&](double x) {
    const int i = std::clamp(static_cast<int>(x / WIDTH * (Terrain::POINTS - 1)), 0, Terrain::POINTS - 2);
    const double share = (x - terrain.x[i]) / (terrain.x[i + 1] - terrain.x[i]);
    return terrain.y[i] + share * (terrain.y[i + 1] - terrain.y[i]);
  };
  const auto ellipse = [](Point centre, double wide, double high) {
    Outline outline;
    for (int i = 0; i < 40; ++i)
      outline.push_back({centre.x + wide * std::cos(i * 6.2832 / 40), centre.y + high * std::sin(i * 6.2832 / 40)});
    return outline;
  };
  for (int crater = 0; crater < 46; ++crater) {
    const double x = dice.uniform(0.2, WIDTH - 0.2), deep = dice.uniform(0.18, 2.6), size = dice.uniform(4, 17);
    const double below = ground(x) - deep;
    const Point centre = Camera::pixel({x, below});
    if (below < 0.15 || ground(x - 0.4) - below < 0.25 || ground(x + 0.4) - below < 0.25) continue;
    canvas.fill(ellipse(centre, size, 0.30 * size), Colour::of(0x0b0d16), 0.34);
    canvas.fill(ellipse({centre.x + 1, centre.y + 0.09 * size}, 0.86 * size, 0.22 * size), Colour::of(0x8a90ac), 0.16);
  }
}

}  // namespace

void paint_sky(Canvas &canvas) {
  canvas.background([&](Point at) { return sky(std::floor(at.y) / canvas.height()); });
  paint_stars(canvas);
  paint_earth(canvas);
  paint_ridge(canvas, 3, 285, 52, Colour::of(0x262a52), Colour::of(0x39386a));
  paint_ridge(canvas, 5, 205, 58, Colour::of(0x1b1e40), Colour::of(0x2a2b57));
}

void paint_ground(Canvas &canvas, const Terrain &terrain) {
  Outline surface, outline;
  for (int i = 0; i < Terrain::POINTS; ++i) surface.push_back(Camera::pixel({terrain.x[i], terrain.y[i]}));
  outline = surface;
  outline.push_back({static_cast<double>(canvas.width()), static_cast<double>(canvas.height())});
  outline.push_back({0, static_cast<double>(canvas.height())});
  const Colour lit = Colour::of(0x8087a5), deep = Colour::of(0x141624);
  const double top = canvas.height() - Camera::SCALE * 6.4, low = canvas.height() + 40.0;
  canvas.fill(outline, [=](Point at) { return mixed(lit, deep, std::sqrt((std::floor(at.y) - top) / (low - top))); });
  paint_craters(canvas, terrain);
  canvas.stroke(surface, 9, Colour::of(0xc9d0ea), 0.10);
  canvas.stroke(surface, 2.4, Colour::of(0xdfe4f6), 0.9);
  const Point left = Camera::pixel({terrain.pad_left, PAD_HEIGHT * 0.99});
  const Point right = Camera::pixel({terrain.pad_right, PAD_HEIGHT * 0.99});
  for (double x = left.x + 6; x < right.x; x += 12) canvas.glow({x, left.y}, 7, Colour::of(0xffa838) * 0.08);
  canvas.stroke({left, right}, 3.4, Colour::of(0xffcf78));
  paint_flag(canvas, terrain.pad_left);
  paint_flag(canvas, terrain.pad_right);
}

}  // namespace lander
