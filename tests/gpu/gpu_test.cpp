// The device against the CPU: the same model, data and seeds through the same ABI give the same numbers.
//
// Without a CUDA device every test skips, and the runner counts the skips; with KEEL_REQUIRE_GPU in the environment it
// fails, since a machine that is there for these tests must run them.
#include "device.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace {

constexpr double kTolerance = 2e-3;  // relative, after several optimiser steps on two devices

keel::Runtime &runtime() {
  static keel::Runtime runtime = keel::Runtime::create(R"({"cuda": "auto"})");
  return runtime;
}

class Gpu : public ::testing::Test {
 protected:
  void SetUp() override {
    if (gpu::has_device(runtime())) return;
    if (std::getenv("KEEL_REQUIRE_GPU") != nullptr) FAIL() << "no CUDA device: " << std::string(runtime().devices());
    GTEST_SKIP() << "no CUDA device";
  }
};

keel::Session session(const std::string &algorithm, const std::string &device, const keel::Model &model) {
  keel::Session session = keel::Session::create(
      runtime(), R"({"algorithm": )" + algorithm + R"(, "optimizer": {"learning_rate": 0.001}, "device": ")" + device + "\"}");
  session.set_model(KEEL_ROLE_POLICY, model);
  return session;
}

void expect_close(double left, double right, double tolerance, const std::string &what) {
  EXPECT_NEAR(left, right, tolerance * std::max(1.0, std::abs(left))) << what;
}

TEST_F(Gpu, GreedyGenerationEqualsTheCpus) {
  std::vector<std::vector<int32_t>> answers;
  for (const std::string device : {"cpu", "cuda:0"}) {
    const keel::Model model = gpu::llama(runtime(), device, 64, 3, 64);
    const keel::Session sampler = session(R"({"type": "sft"})", device, model);
    const keel::Job job = sampler.generate(gpu::prompts(runtime(), 7, 3, 5), R"({"max_new_tokens": 24, "temperature": 0})");
    job.run();
    const keel::Batch batch = job.batch();
    const auto responses = batch.tokens("response");
    std::vector<int32_t> flat;
    for (size_t row = 0; row < responses.rows; ++row) flat.insert(flat.end(), responses.row(row).begin(), responses.row(row).end());
    answers.push_back(flat);
  }
  EXPECT_EQ(answers[0], answers[1]);
}

TEST_F(Gpu, SftFollowsTheCpu) {
  std::vector<double> losses[2];
  for (const int on_gpu : {0, 1}) {
    const std::string device = on_gpu ? "cuda:0" : "cpu";
    const keel::Model model = gpu::llama(runtime(), device, 64, 3, 64);
    const keel::Session trainer = session(R"({"type": "sft", "batch_size": 8, "epochs": 0})", device, model);
    keel::Batch batch = keel::Batch::create(runtime(), KEEL_BATCH_DEMONSTRATIONS, 24);
    batch.set("prompt", gpu::rows(24, 2, 6, 1));
    batch.set("response", gpu::rows(24, 4, 9, 2));
    trainer.push(batch);
    for (int step = 0; step < 10; ++step) {
      trainer.step();
      losses[on_gpu].push_back(gpu::metric(trainer, "loss/nll"));
    }
  }
  expect_close(losses[0][0], losses[1][0], 1e-5, "first loss");
  for (size_t step = 0; step < losses[0].size(); ++step) {
    expect_close(losses[0][step], losses[1][step], kTolerance, "step " + std::to_string(step));
  }
}

TEST_F(Gpu, DpoFollowsTheCpu) {
  std::vector<double> losses[2];
  for (const int on_gpu : {0, 1}) {
    const std::string device = on_gpu ? "cuda:0" : "cpu";
    const keel::Model model = gpu::llama(runtime(), device, 64, 3, 64);
    const keel::Session trainer = session(R"({"type": "dpo", "batch_size": 8, "epochs": 0})", device, model);
    keel::Batch batch = keel::Batch::create(runtime(), KEEL_BATCH_PREFERENCES, 16);
    batch.set("prompt", gpu::rows(16, 2, 6, 1));
    batch.set("chosen", gpu::rows(16, 4, 9, 2));
    batch.set("rejected", gpu::rows(16, 4, 9, 3));
    trainer.push(batch);
    for (int step = 0; step < 10; ++step) {
      trainer.step();
      losses[on_gpu].push_back(gpu::metric(trainer, "loss/preference"));
    }
  }
  EXPECT_NEAR(losses[1][0], std::log(2.0), 1e-6);
  for (size_t step = 0; step < losses[0].size(); ++step) {
    expect_close(losses[0][step], losses[1][step], kTolerance, "step " + std::to_string(step));
  }
}

TEST_F(Gpu, PpoStartsAtRatioOneAndKlZeroAndRaisesItsReward) {
  const keel::Model model = gpu::llama(runtime(), "cuda:0", 64, 3, 64);
  const keel::Session trainer = session(
      R"({"type": "ppo", "epochs": 2, "minibatches": 2, "gae_lambda": 1.0, "advantages": "center",
          "kl": {"type": "fixed", "coef": 0.01}})",
      "cuda:0", model);
  double first = 0, last = 0;
  for (int update = 0; update < 25; ++update) {
    const keel::Job job = trainer.generate(gpu::prompts(runtime(), 64, 3, 5),
                                           R"({"max_new_tokens": 12, "seed": )" + std::to_string(update) + "}");
    job.run();
    keel::Batch rollouts = job.batch();
    rollouts.set("reward", gpu::even_share(rollouts));
    trainer.push(rollouts);
    trainer.step();
    last = gpu::metric(trainer, "reward/mean");
    if (update > 0) continue;
    first = last;
    EXPECT_LT(gpu::metric(trainer, "policy/ratio_max_log"), 1e-5);
    EXPECT_LT(gpu::metric(trainer, "rollout/log_prob_drift"), 1e-5);
    EXPECT_EQ(gpu::metric(trainer, "kl/sequence"), 0.0);
  }
  EXPECT_GT(last, first + 0.1);
}

TEST_F(Gpu, ACheckpointMovesBetweenDevices) {
  const keel::Model on_cpu = gpu::llama(runtime(), "cpu", 64, 2, 64);
  const keel::Model on_gpu = gpu::llama(runtime(), "cuda:0", 64, 2, 64);
  const keel::Session left = session(R"({"type": "sft", "batch_size": 4, "epochs": 0})", "cpu", on_cpu);
  const keel::Session right = session(R"({"type": "sft", "batch_size": 4, "epochs": 0})", "cuda:0", on_gpu);
  keel::Batch batch = keel::Batch::create(runtime(), KEEL_BATCH_DEMONSTRATIONS, 8);
  batch.set("response", gpu::rows(8, 6, 4, 1));
  left.push(batch);
  for (int step = 0; step < 3; ++step) left.step();
  const keel::Blob blob = left.export_state();
  right.import_state(blob.bytes());
  EXPECT_EQ(uint64_t(left.state_hash()), uint64_t(right.state_hash()));
  left.step();
  right.step();
  expect_close(gpu::metric(left, "loss/nll"), gpu::metric(right, "loss/nll"), 1e-5, "next step");
}

// The metrics of some updates on the same steps: carts are driven by one session on the CPU, whose state the other takes
// before each update, so that the recordings are the same.
std::vector<std::vector<double>> learned(const std::string &device, const std::string &more) {
  const size_t slots = 16, steps = 64;
  const keel::Session driver = gpu::control(runtime(), "cpu", 64, slots, steps, more);
  const keel::Session learner = gpu::control(runtime(), device, 64, slots, steps, more);
  const keel::Actor actor = keel::Actor::create(driver);
  std::vector<gpu::Cart> carts(slots);
  for (size_t slot = 0; slot < slots; ++slot) carts[slot].place = 0.1f * static_cast<float>(slot);
  std::vector<std::vector<double>> all;
  for (int update = 0; update < 4; ++update) {
    gpu::drive(actor, carts, steps + 1);
    const keel::Blob blob = driver.export_state();
    learner.import_state(blob.bytes());
    learner.step();
    driver.step();
    std::vector<double> values;
    for (const char *name : {"loss/policy", "loss/value", "entropy/action", "gradient/norm"}) {
      values.push_back(gpu::metric(learner, name));
    }
    all.push_back(values);
  }
  return all;
}

TEST_F(Gpu, ACapOnDeviceMemoryIsKeptAndCanBeRaised) {
  const auto train = [] {
    const keel::Model model = gpu::llama(runtime(), "cuda:0", 1024, 8, 64);
    const keel::Session trainer = session(R"({"type": "sft", "batch_size": 4, "epochs": 0})", "cuda:0", model);
    keel::Batch batch = keel::Batch::create(runtime(), KEEL_BATCH_DEMONSTRATIONS, 4);
    batch.set("response", gpu::rows(4, 8, 1, 0));
    trainer.push(batch);
    trainer.step();
  };
  keel::Runtime::create(R"({"memory": {"device_bytes": 268435456}})");
  EXPECT_NE(runtime().memory().find("\"cap_bytes\":268435456"), std::string::npos) << runtime().memory();
  try {
    train();
    ADD_FAILURE() << "weights, gradients and moments of 400 MB fit into 256 MiB";
  } catch (const keel::Exception &error) {
    EXPECT_EQ(error.status(), KEEL_E_OUT_OF_MEMORY) << error.what();
  }
  keel::Runtime::create(R"({"memory": {"device_bytes": 0}})");
  train();
}

TEST_F(Gpu, ControlPpoFollowsTheCpu) {
  const auto cpu = learned("cpu", ""), device = learned("cuda:0", ""), off = learned("cuda:0", R"(, "graph": "off")");
  for (size_t update = 0; update < cpu.size(); ++update) {
    for (size_t value = 0; value < cpu[update].size(); ++value) {
      const std::string what = "update " + std::to_string(update) + ", value " + std::to_string(value);
      expect_close(cpu[update][value], device[update][value], kTolerance, what);
      EXPECT_NEAR(off[update][value], device[update][value], 1e-6 * std::max(1.0, std::abs(off[update][value]))) << what;
    }
  }
}

TEST_F(Gpu, ControlPpoReplaysItsSteps) {
  const size_t slots = 16, steps = 64;
  const keel::Session session = gpu::control(runtime(), "cuda:0", 64, slots, steps);
  const keel::Actor actor = keel::Actor::create(session);
  std::vector<gpu::Cart> carts(slots);
  for (int update = 0; update < 3; ++update) {
    gpu::drive(actor, carts, steps + (update == 0 ? 1 : 0));
    session.step();
  }
  EXPECT_EQ(gpu::metric(session, "graph/replayed"), 1.0);
}

// Carts that two sessions of one device see, one as records and one in device memory: the first chooses, the second is told.
struct Pair {
  explicit Pair(size_t count)
      : carts(count), chosen(count), records(gpu::control(runtime(), "cuda:0", 64, count, 32)),
        tensors(gpu::control(runtime(), "cuda:0", 64, count, 32)), plays(keel::Actor::create(records)),
        acts(keel::Actor::create(tensors)), observations(memory, count, 4, gpu::kFloat), actions(memory, count, 1, gpu::kInt) {
    for (uint32_t slot = 0; slot < count; ++slot) {
      slots.push_back(slot);
      carts[slot].place = 0.01f * static_cast<float>(slot);
    }
  }

  // Both act, by the flags that the second is given; returns what it has in its memory then.
  std::vector<int32_t> act(uint32_t flags) {
    plays.act(slots, carts, chosen);
    observations.write(carts.data());
    actions.write(chosen.data());
    acts.act_dlpack(slots, {observations.offer()}, actions.offer(), nullptr, flags);
    ++offered;
    std::vector<int32_t> found(slots.size());
    actions.read(found.data());
    return found;
  }

  // Both are told what came of it: every ninth cart is stopped at times, and would have gone on.
  void observe(size_t step) {
    std::vector<float> rewards;
    std::vector<int32_t> status;
    std::vector<gpu::Cart> finals;
    for (size_t slot = 0; slot < slots.size(); ++slot) {
      rewards.push_back(gpu::push(carts[slot], chosen[slot]));
      const bool stops = (step + slot) % 9 == 8;
      status.push_back(stops ? KEEL_EPISODE_TRUNCATED : KEEL_EPISODE_RUNNING);
      if (!stops) continue;
      finals.push_back(carts[slot]);
      carts[slot] = {};
    }
    plays.observe(slots, rewards, status, finals);
    acts.observe(slots, rewards, status, finals);
  }

  gpu::DeviceMemory memory;
  std::vector<uint32_t> slots;
  std::vector<gpu::Cart> carts;
  std::vector<int32_t> chosen;
  keel::Session records, tensors;
  keel::Actor plays, acts;
  gpu::DeviceMatrix observations, actions;
  int offered = 0;
};

TEST_F(Gpu, ControlActsOnDeviceMemoryAsOnTheHosts) {
  Pair pair(66);
  for (size_t step = 0; step < 3; ++step) {
    EXPECT_EQ(pair.act(0), pair.chosen);
    pair.observe(step);
  }
  EXPECT_EQ(pair.observations.let_go + pair.actions.let_go, 2 * pair.offered);
}

TEST_F(Gpu, ControlLearnsFromDeviceMemoryWhatItLearnsFromTheHosts) {
  Pair pair(16);
  size_t step = 0;
  for (int update = 0; update < 4; ++update) {
    for (const size_t end = step + 33; step < end; ++step) {
      EXPECT_EQ(pair.act(KEEL_ACT_GIVEN), pair.chosen);
      pair.observe(step);
    }
    if (update == 2) {  // saved in mid-episode, its observations come back as the host's
      const keel::Blob blob = pair.tensors.export_state();
      pair.tensors.import_state(blob.bytes());
    }
    pair.records.step();
    pair.tensors.step();
    for (const char *name : {"loss/policy", "loss/value", "entropy/action", "gradient/norm", "value/mean", "returns/mean",
                             "steps/trained"}) {
      expect_close(gpu::metric(pair.records, name), gpu::metric(pair.tensors, name), kTolerance,
                   name + (", update " + std::to_string(update)));
    }
  }
}

TEST_F(Gpu, ControlRefusesWhatIsNotFiniteInDeviceMemory) {
  Pair pair(5);
  pair.act(0);
  pair.observe(0);
  const uint64_t before = pair.tensors.state_hash();
  pair.carts[3].speed = std::nanf("");
  pair.observations.write(pair.carts.data());
  try {
    pair.acts.act_dlpack(pair.slots, {pair.observations.offer()}, pair.actions.offer());
    FAIL() << "a NaN was taken";
  } catch (const keel::Exception &error) {
    EXPECT_EQ(error.status(), KEEL_E_NON_FINITE);
  }
  EXPECT_EQ(uint64_t(pair.tensors.state_hash()), before);
}

}  // namespace
