// The device against the CPU: the same model, data and seeds through the same ABI give the same numbers.
//
// Without a CUDA device every test skips, and the runner counts the skips; with KEEL_REQUIRE_GPU in the environment it
// fails, since a machine that is there for these tests must run them.
#include "gpu.hpp"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cmath>

// The structs of dlpack.h 1.x, as a host would have them.
struct DLTensor {
  void *data;
  int32_t device_type;
  int32_t device_id;
  int32_t ndim;
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
  int64_t *shape;
  int64_t *strides;
  uint64_t byte_offset;
};

struct DLManagedTensorVersioned {
  uint32_t major;
  uint32_t minor;
  void *manager_ctx;
  void (*deleter)(DLManagedTensorVersioned *);
  uint64_t flags;
  DLTensor dl_tensor;
};

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

// Device memory without a CUDA compiler: the runtime that libtorch has loaded.
struct DeviceMemory {
  DeviceMemory() {
    void *const library = dlopen("libcudart.so.13", RTLD_NOW | RTLD_NOLOAD);
    if (library == nullptr) return;
    allocate = reinterpret_cast<int (*)(void **, size_t)>(dlsym(library, "cudaMalloc"));
    copy = reinterpret_cast<int (*)(void *, const void *, size_t, int)>(dlsym(library, "cudaMemcpy"));
  }
  int (*allocate)(void **, size_t) = nullptr;
  int (*copy)(void *, const void *, size_t, int) = nullptr;
};

// A tensor [2, width] in device memory.
struct DeviceTensor {
  DeviceTensor(const DeviceMemory &memory, const void *values, int64_t width, uint8_t code) : shape{2, width} {
    void *data = nullptr;
    const size_t bytes = static_cast<size_t>(8 * width);
    if (memory.allocate(&data, bytes) != 0 || memory.copy(data, values, bytes, 1) != 0) throw std::runtime_error("no memory");
    managed = {1, 0, this, [](DLManagedTensorVersioned *self) { ++static_cast<DeviceTensor *>(self->manager_ctx)->deleted; },
               0, {data, 2, 0, 2, code, 32, 1, shape, nullptr, 0}};
  }
  int64_t shape[2];
  int deleted = 0;
  DLManagedTensorVersioned managed;
};

TEST_F(Gpu, ControlActsOnDeviceMemoryAsOnTheHosts) {
  const DeviceMemory memory;
  ASSERT_TRUE(memory.allocate != nullptr && memory.copy != nullptr) << "libcudart.so.13 is not loaded";
  const std::vector<gpu::Cart> carts{{0.5f, -0.25f, 1.0f, 2.0f}, {-0.5f, 0.25f, 0.0f, 1.0f}};
  const std::vector<uint32_t> slots{0, 1};
  std::vector<int32_t> expected(2), found(2, 9);
  const keel::Session plain = gpu::control(runtime(), "cuda:0", 64, 2, 4), other = gpu::control(runtime(), "cuda:0", 64, 2, 4);
  keel::Actor::create(plain).act(slots, carts, expected);
  DeviceTensor observations(memory, carts.data(), 4, 2), actions(memory, found.data(), 1, 0);
  keel::Actor::create(other).act_dlpack(slots, {&observations.managed}, &actions.managed);
  EXPECT_EQ(observations.deleted + actions.deleted, 2);
  ASSERT_EQ(memory.copy(found.data(), actions.managed.dl_tensor.data, 8, 2), 0);
  EXPECT_EQ(found, expected);
  EXPECT_EQ(uint64_t(plain.state_hash()), uint64_t(other.state_hash()));
}

}  // namespace
