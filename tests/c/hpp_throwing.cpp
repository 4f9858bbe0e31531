// keel.hpp as a host with exceptions uses it: results are values, errors are thrown.
#define KEEL_EXCEPTIONS
#include <string>

#include "keel/keel.hpp"

namespace {

struct Place {
  float x;
};

// A control session of two slots until it has learned once; what went wrong, or nothing.
std::string acts(const keel::Runtime &runtime) {
  const keel::Model policy = keel::Model::create(runtime, R"({"config": {"model_type": "control", "hidden": [4],
      "observations": [{"type": "vector", "name": "place", "size": 1}],
      "actions": [{"type": "discrete", "name": "way", "choices": 2}]}})");
  const keel::Session session =
      keel::Session::create(runtime, R"({"algorithm": {"type": "control_ppo", "rollout_steps": 4, "minibatches": 2}})");
  session.set_model(KEEL_ROLE_POLICY, policy);
  if (session.layout().find("\"bytes\":4") == std::string::npos) return session.layout();
  const keel::Actor actor = keel::Actor::create(session);
  const std::vector<uint32_t> slots{0, 1};
  std::vector<int32_t> ways(2);
  for (int step = 0; step < 2; ++step) {
    if (!session.step().needs_data()) return "expected a need of steps";
    actor.act(slots, std::vector<Place>{{0.5f}, {-0.5f}}, ways);
    actor.observe(slots, std::vector<float>{1.0f, 0.0f}, std::vector<int32_t>{KEEL_EPISODE_TERMINATED, KEEL_EPISODE_TRUNCATED},
                  std::vector<Place>{{-1.0f}});
  }
  if (!session.step().done()) return "expected an update";
  const Place places[] = {{0.25f}, {0.75f}};
  uint64_t decisions[2] = {};
  actor.act(slots.data(), slots.size(), places, ways.data(), 0, decisions);
  if (decisions[1] != decisions[0] + 1) return "expected decisions one by one";
  const float rewards[] = {1.0f, 0.0f};
  const int32_t status[] = {KEEL_EPISODE_TERMINATED, KEEL_EPISODE_TRUNCATED};
  actor.observe(slots.data(), slots.size(), rewards, status, places, 1);
  actor.act(slots, std::vector<Place>{{0.5f}, {-0.5f}}, ways, KEEL_ACT_GREEDY | KEEL_ACT_UNRECORDED);
  return "";
}

}  // namespace

// What went wrong, or nothing.
std::string hpp_throwing(const std::string &model_json) try {
  const keel::Runtime runtime = keel::Runtime::create(R"({"cuda": "cpu"})");
  const keel::Model model = keel::Model::create(runtime, model_json);
  keel::Session session = keel::Session::create(runtime, R"({"algorithm": {"type": "ppo", "epochs": 1}})");
  session.set_model(KEEL_ROLE_POLICY, model);
  if (model.decode(model.encode("a b c")) != "a b c") return "the text changed";
  const keel::Job job =
      session.generate(std::vector<std::string>{"a", "b"}, R"({"max_new_tokens": 4, "ignore_eos": true})");
  job.run();
  keel::Batch rollouts = job.batch();
  if (rollouts.texts("response").to_vector().size() != 2) return "expected two texts";
  if (rollouts.tokens("response").row(0).size() != 4) return "expected four tokens";
  rollouts.set_dlpack("finish_reason", rollouts.get_dlpack("finish_reason"));
  session.push(rollouts);
  if (!session.step().needs_data()) return "expected a need of rewards";
  int calls = 0;
  session.set_reward([&](const keel::Batch &batch, float *rewards, size_t count) {
    ++calls;
    for (size_t row = 0; row < count; ++row) rewards[row] = static_cast<float>(batch.texts("response")[row].size());
    return 0;
  });
  const std::string before = session.metrics();
  if (!session.step().done() || calls != 1) return "expected one call and one step";
  if (session.metrics() == before) return "expected other numbers";
  const keel::Blob state = session.export_state();
  const uint64_t hash = session.state_hash();
  session.import_state(state.bytes());
  if (session.state_hash() != hash) return "the state changed";
  if (!runtime.next_event()) return "expected an event";
  try {
    keel::Model::load(runtime, "no/such/place").run();
    return "expected an exception";
  } catch (const keel::Exception &exception) {
    if (exception.status() != KEEL_E_FILE) return exception.what();
  }
  const std::string wrong = acts(runtime);
  if (!wrong.empty()) return wrong;
  runtime.shutdown(std::chrono::seconds(10));
  return "";
} catch (const keel::Exception &exception) {
  return std::string(keel_status_name(exception.status())) + ": " + exception.what();
}
