#include "carts.hpp"

#include <cmath>

namespace bench {
namespace {

constexpr int limit = 500;

Cart new_cart(Random &random) {
  const float place = 0.05f * random.next(), speed = 0.05f * random.next(), angle = 0.05f * random.next();
  return {place, speed, angle, 0.05f * random.next()};
}

// 20 ms with a push to the left (0) or right (1); whether the cart is lost.
bool pushed(Cart &cart, int32_t push) {
  const float sine = std::sin(cart.angle), cosine = std::cos(cart.angle);
  const float force = ((push ? 10.0f : -10.0f) + 0.05f * cart.turn * cart.turn * sine) / 1.1f;
  const float bend = (9.8f * sine - cosine * force) / (0.5f * (4.0f / 3.0f - 0.1f * cosine * cosine / 1.1f));
  cart.place += 0.02f * cart.speed;
  cart.speed += 0.02f * (force - 0.05f * bend * cosine / 1.1f);
  cart.angle += 0.02f * cart.turn;
  cart.turn += 0.02f * bend;
  return std::fabs(cart.place) > 2.4f || std::fabs(cart.angle) > 0.20943951f;
}

}  // namespace

Carts::Carts(int count) : slots_(first_slots(count)), age_(count, 0), pushes_(count), status_(count), rewards_(count, 1) {
  for (int i = 0; i < count; ++i) carts_.push_back(new_cart(random_));
  final_.reserve(count);
}

void Carts::act(const keel::Actor &actor) { actor.act(slots_, carts_, pushes_); }

void Carts::move(const keel::Actor &actor, int32_t running) {
  final_.clear();
  for (std::size_t i = 0; i < carts_.size(); ++i) {
    const bool lost = pushed(carts_[i], pushes_[i]), old = ++age_[i] == limit;
    status_[i] = lost ? KEEL_EPISODE_TERMINATED : old ? KEEL_EPISODE_TRUNCATED : running;
    if (status_[i] == KEEL_EPISODE_TRUNCATED) final_.push_back(carts_[i]);
    if (!lost && status_[i] != KEEL_EPISODE_TRUNCATED) continue;
    ++episodes, held += age_[i];
    carts_[i] = new_cart(random_), age_[i] = 0;
  }
  actor.observe(slots_, rewards_, status_, final_);
}

}  // namespace bench
