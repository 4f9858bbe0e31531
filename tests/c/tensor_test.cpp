// DLPack: a tensor in is keel's in every outcome and its deleter is called once; a tensor out is the host's.
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <numeric>

#include "world.hpp"

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

// A tensor of int32 whose deletions are counted.
struct Owned {
  explicit Owned(std::vector<int64_t> given) : shape(std::move(given)) {
    const int64_t count = std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
    for (int64_t at = 0; at < count; ++at) values.push_back(static_cast<int32_t>(at));
    managed = {1,    0,
               this, [](DLManagedTensorVersioned *self) { ++static_cast<Owned *>(self->manager_ctx)->deleted; },
               0,    {values.data(), 1, 0, static_cast<int32_t>(shape.size()), 0, 32, 1, shape.data(), nullptr, 0}};
  }
  std::vector<int32_t> values;
  std::vector<int64_t> shape;
  int deleted = 0;
  DLManagedTensorVersioned managed;
};

}  // namespace

TEST(Tensor, ComesInAsAColumn) {
  World world;
  keel_batch batch = make_prompts(world.runtime, {"a", "b"});
  Owned tensor({2, 3});
  Caught caught;
  ASSERT_EQ(keel_batch_set_dlpack(batch, "prompt", 6, &tensor.managed, nullptr, caught), KEEL_OK) << caught.message();
  EXPECT_EQ(tensor.deleted, 1);
  int32_t type = 0;
  const void *values = nullptr;
  const uint64_t *offsets = nullptr;
  size_t count = 0;
  ASSERT_EQ(keel_batch_get(batch, "prompt", 6, &type, &values, &count, &offsets, caught), KEEL_OK);
  ASSERT_EQ(count, 6u);
  EXPECT_EQ(offsets[1], 3u);
  EXPECT_EQ(static_cast<const int32_t *>(values)[5], 5);
  keel_batch_destroy(batch);
}

TEST(Tensor, IsTakenInEveryOutcome) {
  World world;
  keel_batch batch = make_prompts(world.runtime, {"a", "b"});
  Caught caught;
  const auto refused = [&](Owned &tensor, keel_batch into, const char *column, void *stream, keel_status expected) {
    EXPECT_EQ(keel_batch_set_dlpack(into, column, 6, &tensor.managed, stream, caught), expected) << caught.message();
    EXPECT_EQ(tensor.deleted, 1) << caught.message();
  };
  Owned wrong_handle({2}), wrong_column({2}), wrong_text({2}), wrong_rows({3}), wrong_type({2}), wrong_version({2}),
      wrong_device({2}), wrong_shape({2}), with_stream({2});
  refused(wrong_handle, 0, "prompt", nullptr, KEEL_E_INVALID_HANDLE);
  refused(wrong_column, batch, "reward", nullptr, KEEL_E_INVALID_ARGUMENT);
  refused(wrong_text, batch, "a\xff____", nullptr, KEEL_E_INVALID_TEXT);
  refused(wrong_rows, batch, "prompt", nullptr, KEEL_E_SHAPE);
  wrong_type.managed.dl_tensor.code = 2;
  wrong_type.managed.dl_tensor.bits = 64;
  wrong_type.shape[0] = 1;
  refused(wrong_type, batch, "prompt", nullptr, KEEL_E_SHAPE);
  wrong_version.managed.major = 9;
  refused(wrong_version, batch, "prompt", nullptr, KEEL_E_VERSION);
  wrong_device.managed.dl_tensor.device_type = 2;
  refused(wrong_device, batch, "prompt", nullptr, KEEL_E_DEVICE);
  wrong_shape.shape[0] = -2;
  refused(wrong_shape, batch, "prompt", nullptr, KEEL_E_SHAPE);
  refused(with_stream, batch, "prompt", &batch, KEEL_E_UNSUPPORTED);
  EXPECT_EQ(keel_batch_set_dlpack(batch, "prompt", 6, nullptr, nullptr, caught), KEEL_E_NULL_POINTER);
  keel_batch_destroy(batch);
}

TEST(Tensor, IsActedOnAndTakenInEveryOutcome) {
  World world;
  const keel_session session = make_control_session(world.runtime);
  keel_actor actor = 0;
  Caught caught;
  ASSERT_EQ(keel_actor_create(session, nullptr, 0, &actor, caught), KEEL_OK);
  const uint32_t slots[] = {2, 5};
  const auto place = [] {
    auto tensor = std::make_unique<Owned>(std::vector<int64_t>{2, 1});
    tensor->managed.dl_tensor.code = 2;  // the bits of 0 and 1 as floats: nearly 0
    return tensor;
  };
  const auto act = [&](keel_actor who, const std::vector<DLManagedTensorVersioned *> &places, Owned &ways, uint32_t flags = 0) {
    return keel_actor_act_dlpack(who, slots, 2, places.data(), places.size(), &ways.managed, nullptr, flags, nullptr, caught);
  };
  const auto refused = [&](keel_status found, keel_status expected, const std::vector<const Owned *> &tensors) {
    EXPECT_EQ(found, expected) << caught.message();
    for (const Owned *tensor : tensors) EXPECT_EQ(tensor->deleted, 1) << caught.message();
  };
  {
    const auto places = place(), more = place();
    Owned ways({2, 1});
    refused(act(0, {&places->managed, &more->managed}, ways), KEEL_E_INVALID_HANDLE, {places.get(), more.get(), &ways});
  }
  {
    const auto places = place(), more = place();
    Owned ways({2, 1});
    refused(act(actor, {&places->managed, &more->managed}, ways), KEEL_E_SHAPE, {places.get(), more.get(), &ways});
  }
  {
    const auto places = place();
    Owned ways({2, 1});
    refused(act(actor, {&places->managed, nullptr}, ways), KEEL_E_NULL_POINTER, {places.get(), &ways});
  }
  {
    const auto places = place();
    Owned ways({2, 1});
    refused(act(actor, {&places->managed, &places->managed}, ways), KEEL_E_INVALID_ARGUMENT, {places.get(), &ways});
  }
  {
    const auto places = place();
    Owned ways({2, 1});
    refused(act(actor, {&places->managed}, ways, 64), KEEL_E_INVALID_ARGUMENT, {places.get(), &ways});
  }
  const auto places = place();
  Owned ways({2, 1});
  ways.values = {7, 7};
  ASSERT_EQ(act(actor, {&places->managed}, ways), KEEL_OK) << caught.message();
  EXPECT_EQ(places->deleted + ways.deleted, 2);
  const auto again = place();
  Owned chosen({2, 1});
  refused(act(actor, {&again->managed}, chosen), KEEL_E_STATE, {again.get(), &chosen});
  EXPECT_EQ(chosen.values, (std::vector<int32_t>{0, 1})) << "an action of a refused call was written";
  // the same act on records
  keel_actor other = 0;
  const keel_session plain = make_control_session(world.runtime);
  ASSERT_EQ(keel_actor_create(plain, nullptr, 0, &other, caught), KEEL_OK);
  int32_t records[2] = {9, 9};
  ASSERT_EQ(keel_actor_act(other, slots, 2, places->values.data(), 8, records, 8, 0, nullptr, caught), KEEL_OK);
  EXPECT_EQ(ways.values, (std::vector<int32_t>{records[0], records[1]}));
  keel_actor_destroy(actor);
  keel_actor_destroy(other);
  keel_session_destroy(session);
  keel_session_destroy(plain);
}

TEST(Tensor, HoldsTheLogitsOfEachResponseToken) {
  World world;
  const keel_batch prompts = make_prompts(world.runtime, {"a b", "c", "d e f"});
  const std::string json = R"({"logits": true, "max_new_tokens": 6, "samples": 2, "seed": 1})";
  keel_job job = 0;
  keel_batch rollouts = 0;
  Caught caught;
  ASSERT_EQ(keel_session_generate(world.session, prompts, json.data(), json.size(), &job, caught), KEEL_OK)
      << caught.message();
  ASSERT_EQ(keel_job_run(job, nullptr, caught), KEEL_OK) << caught.message();
  ASSERT_EQ(keel_job_batch(job, &rollouts, caught), KEEL_OK) << caught.message();
  keel_job_destroy(job);
  const auto view = [&](const std::string &column, int32_t type, size_t *count, const uint64_t **offsets) {
    const void *values = nullptr;
    EXPECT_EQ(keel_batch_get(rollouts, column.data(), column.size(), &type, &values, count, offsets, caught), KEEL_OK)
        << caught.message();
    return values;
  };
  const uint64_t *ends = nullptr, *offsets = nullptr;
  size_t tokens = 0, count = 0;
  const auto *responses = static_cast<const int32_t *>(view("response", KEEL_TYPE_I32, &tokens, &ends));
  const auto *said = static_cast<const float *>(view("rollout_log_probs", KEEL_TYPE_F32, &count, nullptr));
  const auto *logits = static_cast<const float *>(view("logits", KEEL_TYPE_F32, &count, &offsets));
  ASSERT_EQ(count, tokens * 16);
  for (size_t row = 0; row <= 6; ++row) EXPECT_EQ(offsets[row], ends[row] * 16);
  DLManagedTensorVersioned *tensor = nullptr;
  ASSERT_EQ(keel_batch_get_dlpack(rollouts, "logits", 6, &tensor, caught), KEEL_OK) << caught.message();
  const DLTensor &table = tensor->dl_tensor;
  ASSERT_EQ(table.ndim, 2);
  EXPECT_EQ(table.shape[0], static_cast<int64_t>(tokens));
  EXPECT_EQ(table.shape[1], 16);
  EXPECT_EQ(std::vector<int>({table.device_type, table.code, table.bits, table.lanes}), std::vector<int>({1, 2, 32, 1}));
  EXPECT_TRUE(table.strides == nullptr || (table.strides[0] == 16 && table.strides[1] == 1));
  const auto *numbers = reinterpret_cast<const float *>(static_cast<const char *>(table.data) + table.byte_offset);
  EXPECT_EQ(std::vector<float>(numbers, numbers + count), std::vector<float>(logits, logits + count));
  for (size_t token = 0; token < tokens; ++token) {
    double sum = 0;
    for (size_t word = 0; word < 16; ++word) sum += std::exp(static_cast<double>(logits[token * 16 + word]));
    EXPECT_NEAR(logits[token * 16 + static_cast<size_t>(responses[token])] - std::log(sum), said[token], 1e-5) << token;
  }
  keel_batch_destroy(rollouts);
  tensor->deleter(tensor);
  keel_batch_destroy(prompts);
}

TEST(Tensor, GoesOutAndOutlivesItsBatch) {
  World world;
  keel_batch batch = make_demonstrations(world.runtime, 3);
  const float weights[] = {0.5f, 1.5f, 2.5f};
  Caught caught;
  ASSERT_EQ(keel_batch_set(batch, "weight", 6, KEEL_TYPE_F32, weights, 3, nullptr, caught), KEEL_OK)
      << caught.message();
  DLManagedTensorVersioned *tensor = nullptr;
  ASSERT_EQ(keel_batch_get_dlpack(batch, "weight", 6, &tensor, caught), KEEL_OK) << caught.message();
  keel_batch_destroy(batch);
  EXPECT_EQ(tensor->major, 1u);
  EXPECT_EQ(tensor->dl_tensor.ndim, 1);
  EXPECT_EQ(tensor->dl_tensor.shape[0], 3);
  EXPECT_EQ(tensor->dl_tensor.code, 2);
  EXPECT_EQ(tensor->dl_tensor.bits, 32);
  EXPECT_EQ(static_cast<const float *>(tensor->dl_tensor.data)[2], 2.5f);
  tensor->deleter(tensor);
}
