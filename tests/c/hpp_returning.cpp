// keel.hpp as a host without exceptions and RTTI uses it: every result is looked at.
#include <string>

#include "keel/keel.hpp"

namespace {

std::string said(const keel::Error &error) { return std::string(error.name()) + ": " + error.message; }

std::string generate(const keel::Session &session) {
  auto job = session.generate(std::vector<std::string>{"a b", "c"}, R"({"max_new_tokens": 3, "ignore_eos": true})");
  if (!job) return said(job.error());
  for (auto report = job->pump(keel::Microseconds(500)); !report || !report->done();
       report = job->pump(keel::Microseconds(500))) {
    if (!report) return said(report.error());
  }
  auto rollouts = job->batch();
  if (!rollouts) return said(rollouts.error());
  auto texts = rollouts->texts("response");
  if (!texts) return said(texts.error());
  if (texts->size() != 2 || (*texts)[0].empty()) return "expected two texts";
  auto log_probs = rollouts->numbers("rollout_log_probs");
  if (!log_probs) return said(log_probs.error());
  return log_probs->row(1).size() == 3 ? "" : "expected three log-probabilities";
}

}  // namespace

// What went wrong, or nothing.
std::string hpp_returning(const std::string &model_json) {
  auto runtime = keel::Runtime::create();
  if (!runtime) return said(runtime.error());
  auto model = keel::Model::create(*runtime, model_json);
  if (!model) return said(model.error());
  auto session = keel::Session::create(*runtime, R"({"algorithm": {"type": "sft", "batch_size": 2, "epochs": 1}})");
  if (!session) return said(session.error());
  if (auto set = session->set_model(KEEL_ROLE_POLICY, *model); !set) return said(set.error());
  auto update = session->update();
  if (!update) return said(update.error());
  if (*update) return "an update without rows";
  auto batch = keel::Batch::create(*runtime, KEEL_BATCH_DEMONSTRATIONS, 2);
  if (!batch) return said(batch.error());
  if (auto set = batch->set("prompt", std::vector<std::string>{"a", "b"}); !set) return said(set.error());
  if (auto set = batch->set("response", std::vector<std::string>{"c", "d e"}); !set) return said(set.error());
  if (auto set = batch->set("weight", std::vector<float>{1.0f, 0.5f}); !set) return said(set.error());
  if (auto first = session->push(*batch); !first) return said(first.error());
  auto report = session->step();
  if (!report) return said(report.error());
  if (!report->done() || report->optimizer_steps != 1) return "expected one step";
  auto failed = keel::Model::load(*runtime, "no/such/place").and_then([](keel::Job job) { return job.run(); });
  if (failed || failed.status() != KEEL_E_FILE) return "expected KEEL_E_FILE";
  if (auto wrong = batch->set("reward", std::vector<float>{1.0f, 0.5f}); wrong) return "expected no such column";
  keel::Session moved = std::move(*session);
  *session = std::move(moved);
  return generate(*session);
}
