//! One flight in Box2D: the moon, the lander, its two legs on motorised joints, the impulses of its engines.
//! Owns the world and its bodies. Refuses chance: the terrain, the push at the start and the engines' noise are given, so that
//! the same inputs make the same flight.
#pragma once

#include <array>
#include <memory>

#include "rules.hpp"

namespace lander {

class Flight {
 public:
  /// Begins at the top of the picture with `push`, a force of one step, and lives through that step.
  Flight(const Terrain &terrain, Point push);
  ~Flight();
  Flight(Flight &&) noexcept;
  Flight &operator=(Flight &&) noexcept;

  /// A fiftieth of a second; `noise`, each in [-1, 1], is how far the flames stray.
  void step(const Thrust &thrust, Point noise);

  Pose pose() const;
  Fate fate() const;

  /// The middle of a leg's upper end and that of its lower one.
  std::array<Point, 2> leg(int side) const;

 private:
  struct World;
  std::unique_ptr<World> world_;
};

}  // namespace lander
