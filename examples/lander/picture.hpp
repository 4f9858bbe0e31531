//! The picture of a flight: sky, moon, flags, and the lander at intervals along its way, its engines burning.
#pragma once

#include "canvas.hpp"
#include "film.hpp"

namespace lander {

Canvas draw(const Film &film);

}  // namespace lander
