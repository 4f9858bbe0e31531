#include <cstdio>

#include "empty.hpp"
#include "host.hpp"
#include "parts.hpp"

namespace bench {
namespace {

// ns of one call, in the best of many runs.
template <class Call>
double nanoseconds(Call &&call) {
  constexpr int runs = 200, calls = 20000;
  Times times(runs);
  for (int run = 0; run < runs; ++run)
    times.add(microseconds([&] {
      for (int i = 0; i < calls; ++i) call();
    }));
  return times.quantile(0) * 1000 / calls;
}

}  // namespace

void call() {
  const Host host(cart, session_json(R"(, "rollout_steps": 1, "epochs": 1, "minibatches": 1)", 1));
  const keel::Batch batch = keel::Batch::create(host.runtime, KEEL_BATCH_PROMPTS, 1);
  const auto slot = first_slots(1);
  std::vector<int32_t> action(1);
  host.actor.act(slot, std::vector<float>(4), action);
  host.actor.observe(slot, std::vector<float>(1), std::vector<int32_t>{KEEL_EPISODE_TERMINATED}, std::vector<float>{});
  const auto job = host.session.update();
  job->run();
  uint64_t rows = 0;
  keel_error error = KEEL_ERROR_INIT;
  keel_report report = KEEL_REPORT_INIT;
  const std::vector<uint32_t> nobody;
  const std::vector<float> nothing;
  std::vector<int32_t> none;
  std::printf("{\"part\": \"call\", \"empty\": %.2f, \"live_handles\": %.2f, \"batch_rows\": %.2f, \"Batch::rows\": %.2f, "
              "\"job_poll\": %.2f, \"Actor::act of no slot\": %.2f}\n",
              nanoseconds([&] { empty_rows(batch.id(), &rows, &error); }),
              nanoseconds([&] { rows += keel_live_handles(); }),
              nanoseconds([&] { keel_batch_rows(batch.id(), &rows, &error); }),
              nanoseconds([&] { rows += batch.rows(); }),
              nanoseconds([&] { keel_job_poll(job->id(), &report, &error); }),
              nanoseconds([&] { host.actor.act(nobody, nothing, none); }));
}

}  // namespace bench
