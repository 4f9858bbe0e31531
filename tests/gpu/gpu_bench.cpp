// Tokens a second of generation and of the three algorithms, device against CPU in one run, the time of an update of control
// PPO with and without CUDA graphs, and of an act on observations in device memory, there and by way of the host.
//
// The last line is BENCH {…}: ratios of the device's speed to the CPU's, the device's tokens a second, milliseconds, and
// microseconds.
#include "device.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

struct Speeds {
  double generate, sft, dpo, ppo;
};

keel::Session session(const keel::Runtime &runtime, const std::string &algorithm, const std::string &device,
                      const keel::Model &model) {
  keel::Session session =
      keel::Session::create(runtime, R"({"algorithm": )" + algorithm + R"(, "device": ")" + device + "\"}");
  session.set_model(KEEL_ROLE_POLICY, model);
  return session;
}

// Tokens a second of `steps` updates after one that warms up.
double speed(const keel::Session &session, size_t tokens, int steps) {
  session.step();
  const auto start = Clock::now();
  for (int step = 0; step < steps; ++step) session.step();
  return static_cast<double>(tokens) * steps / seconds_since(start);
}

Speeds measure(const keel::Runtime &runtime, const std::string &device, int hidden, int layers, int steps) {
  Speeds speeds{};
  const size_t count = 64, length = 64;
  const auto model = [&] { return gpu::llama(runtime, device, hidden, layers, 8192); };
  {
    const keel::Model policy = model();
    const keel::Session trainer = session(runtime, R"({"type": "sft", "batch_size": 64, "epochs": 0})", device, policy);
    keel::Batch batch = keel::Batch::create(runtime, KEEL_BATCH_DEMONSTRATIONS, count);
    batch.set("response", gpu::rows(count, length, 0, 1));
    trainer.push(batch);
    speeds.sft = speed(trainer, count * length, steps);
  }
  {
    const keel::Model policy = model();
    const keel::Session trainer = session(runtime, R"({"type": "dpo", "batch_size": 64, "epochs": 0})", device, policy);
    keel::Batch batch = keel::Batch::create(runtime, KEEL_BATCH_PREFERENCES, count);
    batch.set("prompt", gpu::rows(count, 8, 0, 1));
    batch.set("chosen", gpu::rows(count, length, 0, 2));
    batch.set("rejected", gpu::rows(count, length, 0, 3));
    trainer.push(batch);
    speeds.dpo = speed(trainer, 2 * count * (length + 8), steps);
  }
  const keel::Model policy = model();
  const keel::Session trainer = session(runtime, R"({"type": "ppo", "epochs": 1})", device, policy);
  const auto sample = [&](int seed) {
    const keel::Job job = trainer.generate(
        gpu::prompts(runtime, count, 8, 0),
        R"({"max_new_tokens": 64, "ignore_eos": true, "seed": )" + std::to_string(seed) + "}");
    job.run();
    return keel::Batch(job.batch());
  };
  sample(0);
  auto start = Clock::now();
  keel::Batch rollouts = sample(1);
  speeds.generate = static_cast<double>(count * length) / seconds_since(start);
  rollouts.set("reward", gpu::even_share(rollouts));
  trainer.push(rollouts);
  trainer.step();
  trainer.push(rollouts);
  start = Clock::now();
  trainer.step();
  speeds.ppo = static_cast<double>(count * length) / seconds_since(start);
  return speeds;
}

// Milliseconds of an update of 16 minibatches, after two that warm up.
double update_ms(const keel::Runtime &runtime, const std::string &device, const std::string &more, bool smoke) {
  const size_t slots = smoke ? 16 : 1024, steps = smoke ? 8 : 32;
  const keel::Session session = gpu::control(runtime, device, 64, slots, steps, more);
  const keel::Actor actor = keel::Actor::create(session);
  std::vector<gpu::Cart> carts(slots);
  double best = 1e9;
  for (int update = 0; update < (smoke ? 3 : 7); ++update) {
    gpu::drive(actor, carts, steps + (update == 0 ? 1 : 0));
    const auto start = Clock::now();
    session.step();
    if (update > 1) best = std::min(best, 1e3 * seconds_since(start));
  }
  return best;
}

// Microseconds of an act of many slots whose observations lie in device memory, recorded: the policy is where it learns, so that
// a session on the CPU has them copied.
double act_us(const keel::Runtime &runtime, const std::string &device, bool smoke) {
  const size_t count = smoke ? 64 : 4096;
  const keel::Session session = gpu::control(runtime, device, 256, count, 64);
  const keel::Actor actor = keel::Actor::create(session);
  const gpu::DeviceMemory memory;
  gpu::DeviceMatrix observations(memory, count, 4, gpu::kFloat), actions(memory, count, 1, gpu::kInt);
  const std::vector<gpu::Cart> carts(count);
  observations.write(carts.data());
  std::vector<uint32_t> slots;
  for (uint32_t slot = 0; slot < count; ++slot) slots.push_back(slot);
  const std::vector<int32_t> status(count, KEEL_EPISODE_RUNNING);
  std::vector<double> times;
  for (int step = 0; step < (smoke ? 3 : 60); ++step) {
    const auto start = Clock::now();
    actor.act_dlpack(slots, {observations.offer()}, actions.offer());
    times.push_back(1e6 * seconds_since(start));
    actor.observe(slots, std::vector<float>(count, 0.5f), status, std::vector<gpu::Cart>{});
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

}  // namespace

int main(int argc, char **argv) {
  const bool smoke = argc > 1 && std::string(argv[1]) == "smoke";
  const keel::Runtime runtime = keel::Runtime::create();
  if (!gpu::has_device(runtime)) {
    std::puts("skipped: no CUDA device");
    return 0;
  }
  const int hidden = smoke ? 64 : 512, layers = smoke ? 2 : 8, steps = smoke ? 2 : 5;
  const Speeds cpu = measure(runtime, "cpu", hidden, layers, steps);
  const Speeds device = measure(runtime, "cuda:0", hidden, layers, steps);
  const double update_cpu = update_ms(runtime, "cpu", "", smoke), update_graph = update_ms(runtime, "cuda:0", "", smoke);
  const double update_plain = update_ms(runtime, "cuda:0", R"(, "graph": "off")", smoke);
  const double act_host = act_us(runtime, "cpu", smoke), act_device = act_us(runtime, "cuda:0", smoke);
  std::printf(
      "BENCH {\"generate_ratio\":%.2f,\"sft_ratio\":%.2f,\"dpo_ratio\":%.2f,\"ppo_ratio\":%.2f,\"generate_tokens\":%.0f,"
      "\"sft_tokens\":%.0f,\"dpo_tokens\":%.0f,\"ppo_tokens\":%.0f,"
      "\"control_update_ms\":%.2f,\"control_update_graph_ms\":%.2f,\"control_update_plain_ms\":%.2f,"
      "\"control_act_host_us\":%.1f,\"control_act_device_us\":%.1f}\n",
      device.generate / cpu.generate, device.sft / cpu.sft, device.dpo / cpu.dpo, device.ppo / cpu.ppo, device.generate,
      device.sft, device.dpo, device.ppo, update_cpu, update_graph, update_plain,
      act_host, act_device);
  return 0;
}
