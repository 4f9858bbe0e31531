#include "pilot.hpp"

#include <algorithm>
#include <cmath>
#include <deque>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string>

#define KEEL_EXCEPTIONS
#include <keel/keel.hpp>

#include "episode.hpp"

namespace lander {
namespace {

constexpr int LANDERS = 16;
constexpr std::uint64_t EVALUATION = 1000;  // the seed of evaluated flights

template <class Action>
constexpr const char *action_json = "";
template <>
constexpr const char *action_json<std::int32_t> = R"({"type": "discrete", "name": "engine", "choices": 4})";
template <>
constexpr const char *action_json<Throttle> = R"({"type": "continuous", "name": "throttle", "size": 2})";

template <class Action>
std::string network_json(std::uint64_t seed) {
  return R"({"config": {"model_type": "control", "observations": [{"type": "vector", "name": "lander", "size": 8}],)"
         R"( "actions": [)" + std::string(action_json<Action>) + R"(], "hidden": [64, 64]}, "seed": )" +
         std::to_string(seed) + "}";
}

// As the RL Baselines3 Zoo has them for LunarLander: 1024 steps of each lander, minibatches of 64.
std::string session_json(std::uint64_t seed) {
  return R"({"algorithm": {"type": "control_ppo", "rollout_steps": 16384, "epochs": 4, "minibatches": 256,)"
         R"( "discount": 0.999, "gae_lambda": 0.98, "entropy_coef": 0.01}, "optimizer": {"learning_rate": 3e-4},)"
         R"( "seed": )" + std::to_string(seed) + "}";
}

// The last hundred of a stream of numbers.
class Recent {
 public:
  void add(double value) {
    values_.push_back(value);
    if (values_.size() > 100) values_.pop_front();
  }
  double mean() const {
    return values_.empty() ? NAN : std::accumulate(values_.begin(), values_.end(), 0.0) / values_.size();
  }

 private:
  std::deque<double> values_;
};

template <class Action>
class ActingPilot final : public Pilot {
 public:
  explicit ActingPilot(const Settings &settings)
      : seed_(settings.seed),
        runtime_(keel::Runtime::create()),
        policy_(keel::Model::create(runtime_, network_json<Action>(seed_))),
        session_(keel::Session::create(runtime_, session_json(seed_))),
        actor_(begin()) {}

  double learn(long steps, const Progress &progress) override;
  Landing fly(std::uint64_t number, Choice choice) const override;
  Film film(std::uint64_t number) const override;

 private:
  keel::Actor begin() {
    session_.set_model(KEEL_ROLE_POLICY, policy_);
    const std::string layout = session_.layout();
    for (const std::size_t bytes : {sizeof(Observation), sizeof(Action)})
      if (layout.find("\"bytes\":" + std::to_string(bytes) + ",") == std::string::npos)
        throw std::runtime_error("the records are not what the network reads and writes: " + layout);
    return keel::Actor::create(session_);
  }
  Thrust choose(const Episode &episode, Choice choice) const {
    const std::uint32_t slot[] = {0};
    const std::uint32_t greedy = choice == Choice::LIKELIEST ? KEEL_ACT_GREEDY : 0;
    std::vector<Action> actions(1);
    actor_.act(slot, std::vector<Observation>{episode.seen()}, actions, greedy | KEEL_ACT_UNRECORDED);
    return thrust(actions[0]);
  }

  std::uint64_t seed_;
  keel::Runtime runtime_;
  keel::Model policy_;
  keel::Session session_;
  keel::Actor actor_;
};

template <class Action>
double ActingPilot<Action>::learn(long steps, const Progress &progress) {
  std::vector<Dice> dice;
  std::vector<Episode> episodes;
  dice.reserve(LANDERS);
  for (int i = 0; i < LANDERS; ++i) episodes.emplace_back(dice.emplace_back(seed_, i));
  std::vector<std::uint32_t> slots(LANDERS);
  std::iota(slots.begin(), slots.end(), 0);
  std::vector<Observation> seen(LANDERS), last;
  std::vector<Action> actions(LANDERS);
  std::vector<float> rewards(LANDERS);
  std::vector<std::int32_t> status(LANDERS);
  Recent returns;
  for (int i = 0; i < LANDERS; ++i) seen[i] = episodes[i].seen();

  for (long step = 0; step < steps; step += LANDERS) {
    actor_.act(slots, seen, actions);
    if (session_.step().done()) progress(step, returns.mean());
    last.clear();
    for (int i = 0; i < LANDERS; ++i) {
      Episode &episode = episodes[i];
      rewards[i] = static_cast<float>(episode.step(thrust(actions[i])));
      status[i] = episode.cut()    ? KEEL_EPISODE_TRUNCATED
                  : episode.over() ? KEEL_EPISODE_TERMINATED
                                   : KEEL_EPISODE_RUNNING;
      if (episode.cut()) last.push_back(episode.seen());
      if (episode.over()) returns.add(episode.total()), episode = Episode(dice[i]);
      seen[i] = episode.seen();
    }
    actor_.observe(slots, rewards, status, last);
  }
  actor_.act(slots, seen, actions);  // finishes the steps before it
  if (session_.step().done()) progress(steps, returns.mean());
  return returns.mean();
}

template <class Action>
Landing ActingPilot<Action>::fly(std::uint64_t number, Choice choice) const {
  Dice dice(EVALUATION, number);
  Episode episode(dice);
  double reach = 0;
  while (!episode.over()) {
    episode.step(choose(episode, choice));
    reach = std::max(reach, std::abs(episode.flight().pose().x - WIDTH / 2));
  }
  return {episode.total(), episode.fate(), reach, episode.steps()};
}

template <class Action>
Film ActingPilot<Action>::film(std::uint64_t number) const {
  Dice dice(EVALUATION, number);
  Episode episode(dice);
  Film film{episode.terrain(), {}};
  Thrust burnt;
  const auto shoot = [&] {
    const Flight &flight = episode.flight();
    const Pose pose = flight.pose();
    film.frames.push_back({{pose.x, pose.y}, pose.angle, {flight.leg(0), flight.leg(1)}, burnt});
  };
  for (shoot(); !episode.over(); shoot()) {
    burnt = choose(episode, Choice::LIKELIEST);
    episode.step(burnt);
  }
  return film;
}

}  // namespace

std::unique_ptr<Pilot> Pilot::create(const Settings &settings) {
  if (settings.continuous) return std::make_unique<ActingPilot<Throttle>>(settings);
  return std::make_unique<ActingPilot<std::int32_t>>(settings);
}

}  // namespace lander
