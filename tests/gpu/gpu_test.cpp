// The device against the CPU: the same model, data and seeds through the same ABI give the same numbers.
//
// Without a CUDA device every test skips, and the runner counts the skips; with KEEL_REQUIRE_GPU in the environment it
// fails, since a machine that is there for these tests must run them.
#include "gpu.hpp"

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

}  // namespace
