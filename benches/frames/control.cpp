#include "carts.hpp"
#include "parts.hpp"

namespace bench {
namespace {

constexpr int carts = 1024, rollout = 2048;
constexpr int turns = rollout / carts + 1;  // a step is learned from once another follows it

}  // namespace

void control(const Windows &windows) {
  const Host host(cart, session_json("", 1), runtime_json(windows));
  const keel::Actor apart = keel::Actor::create(host.session, R"({"recorded": false})");
  Carts all(carts);
  int recorded = 0;
  // Records what the next update needs; what is done until that one begins leaves nothing.
  const auto play = [&] {
    const bool records = recorded < turns;
    const keel::Actor &actor = records ? host.actor : apart;
    recorded += records;
    all.act(actor);
    all.move(actor, records && recorded == turns ? KEEL_EPISODE_ABANDONED : KEEL_EPISODE_RUNNING);
  };
  for (int turn = 0; turn < 2 * turns; ++turn) {  // as many steps, and as many cut off, as ever lie there at once
    all.act(host.actor);
    all.move(host.actor, KEEL_EPISODE_TRUNCATED);
  }
  const auto begun = [&] { recorded = 0; };
  const auto fresh = [&] {
    host.session.clear();
    for (recorded = 0; recorded < turns;) play();
  };
  bench::windows(windows.share == "1" ? "control_whole" : "control", windows, host.session, {play, begun, fresh});
}

}  // namespace bench
