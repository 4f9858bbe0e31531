// keel.hpp as a host with exceptions uses it: results are values, errors are thrown.
#define KEEL_EXCEPTIONS
#include <string>

#include "keel/keel.hpp"

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
  runtime.shutdown(std::chrono::seconds(10));
  return "";
} catch (const keel::Exception &exception) {
  return std::string(keel_status_name(exception.status())) + ": " + exception.what();
}
