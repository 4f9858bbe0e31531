#include "episode.hpp"

namespace lander {
namespace {

Terrain draw_terrain(Dice &dice) {
  std::array<double, Terrain::POINTS + 1> heights;
  for (double &height : heights) height = dice.uniform(0, HEIGHT / 2);
  return Terrain(heights);
}

// Two draws, in an order that the language fixes.
Point draw(Dice &dice, double most) {
  const double x = dice.uniform(-most, most);
  return {x, dice.uniform(-most, most)};
}

}  // namespace

Episode::Episode(Dice &dice)
    : dice_(&dice),
      terrain_(draw_terrain(dice)),
      flight_(terrain_, draw(dice, PUSH)),
      state_(state(flight_.pose())) {}

double Episode::step(const Thrust &thrust) {
  const double before = potential(state_);
  flight_.step(thrust, draw(*dice_, 1));
  state_ = state(flight_.pose());
  const double earned = reward(before, potential(state_), thrust, fate());
  total_ += earned;
  ++steps_;
  return earned;
}

}  // namespace lander
