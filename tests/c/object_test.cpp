// Handles, versions, batches and events.
#include <gtest/gtest.h>

#include <cstring>

#include "world.hpp"

TEST(Handle, FitsADoubleAndLivesUntilItsDestroy) {
  const uint64_t before = keel_live_handles();
  keel_runtime runtime = make_runtime();
  EXPECT_EQ(keel_live_handles(), before + 1);
  EXPECT_LT(runtime, uint64_t{1} << 53);
  EXPECT_EQ(static_cast<uint64_t>(static_cast<double>(runtime)), runtime);
  keel_batch batch = make_prompts(runtime, {"a"});
  keel_runtime_destroy(runtime);
  EXPECT_EQ(keel_live_handles(), before + 1);
  uint64_t rows = 0;
  EXPECT_EQ(keel_batch_rows(batch, &rows, nullptr), KEEL_OK) << "a batch outlives the handle of its runtime";
  EXPECT_EQ(rows, 1u);
  keel_batch_destroy(batch);
  keel_batch_destroy(batch);
  EXPECT_EQ(keel_live_handles(), before);
}

TEST(Handle, ThatWasDestroyedIsNeverValidAgain) {
  World world;
  Caught caught;
  keel_batch stale = make_prompts(world.runtime, {"a"});
  keel_batch_destroy(stale);
  for (int times = 0; times < 1000; ++times) {
    keel_batch batch = make_prompts(world.runtime, {"a"});
    EXPECT_NE(batch, stale);
    keel_batch_destroy(batch);
  }
  uint64_t rows = 0;
  EXPECT_EQ(keel_batch_rows(stale, &rows, caught), KEEL_E_INVALID_HANDLE);
  EXPECT_EQ(caught.message(), "batch: expected a batch handle, got one that was destroyed");
  EXPECT_EQ(keel_batch_rows(world.model, &rows, caught), KEEL_E_INVALID_HANDLE);
  EXPECT_EQ(caught.message(), "batch: expected a batch handle, got a model handle");
  EXPECT_EQ(keel_batch_rows(0, &rows, caught), KEEL_E_INVALID_HANDLE);
  EXPECT_EQ(caught.message(), "batch: expected a batch handle, got 0");
}

TEST(Version, IsRefusedInASentenceUnlessItFits) {
  EXPECT_EQ(keel_abi_version(), static_cast<uint32_t>(KEEL_ABI_VERSION));
  EXPECT_STREQ(keel_version(), "0.1.0");
  keel_runtime runtime = 77;
  Caught caught;
  EXPECT_EQ(keel_runtime_create(7u << 16 | 3, nullptr, 0, &runtime, caught), KEEL_E_VERSION);
  EXPECT_EQ(runtime, 77u);
  EXPECT_EQ(caught.message(),
            "header_abi: the host was compiled against keel.h with ABI 7.3, this library speaks 0.1; compile the host "
            "against this library's header");
}

TEST(Version, TellsWhatWasLoaded) {
  size_t needed = 0;
  EXPECT_EQ(keel_build_info(nullptr, 0, &needed, nullptr), KEEL_E_CAPACITY);
  std::string text(needed, '\0');
  EXPECT_EQ(keel_build_info(text.data(), text.size(), nullptr, nullptr), KEEL_OK);
  EXPECT_NE(text.find(R"("abi":"0.1")"), std::string::npos) << text;
  EXPECT_NE(text.find(R"("libtorch":"2.11.0)"), std::string::npos) << text;
  EXPECT_NE(text.find("libkeel.so"), std::string::npos) << text;
  EXPECT_NE(text.find(R"("libtorch_directory":"/)"), std::string::npos) << text;
}

TEST(Schema, ExistsForEveryConfiguration) {
  for (const std::string kind : {"runtime", "load", "create", "control", "generate", "session", "columns"}) {
    size_t needed = 0;
    EXPECT_EQ(keel_config_schema(kind.data(), kind.size(), nullptr, 0, &needed, nullptr), KEEL_E_CAPACITY) << kind;
    EXPECT_GT(needed, 100u) << kind;
  }
  Caught caught;
  EXPECT_EQ(keel_config_schema("modle", 5, nullptr, 0, nullptr, caught), KEEL_E_INVALID_ARGUMENT);
  EXPECT_EQ(caught.message(), "kind: expected runtime, load, create, control, control_reward, generate, session or columns, got \"modle\"");
}

TEST(Model, EncodesAndDecodes) {
  World world;
  int32_t tokens[8] = {0};
  size_t needed = 0;
  EXPECT_EQ(keel_model_encode(world.model, "a c m", 5, 0, nullptr, 0, &needed, nullptr), KEEL_E_CAPACITY);
  EXPECT_EQ(needed, 3u);
  EXPECT_EQ(keel_model_encode(world.model, "a c m", 5, 0, tokens, 8, &needed, nullptr), KEEL_OK);
  EXPECT_EQ((std::vector<int32_t>(tokens, tokens + needed)), (std::vector<int32_t>{3, 5, 15}));
  char text[16];
  tokens[3] = 1;
  EXPECT_EQ(keel_model_decode(world.model, tokens, 4, KEEL_DECODE_SKIP_SPECIAL, text, sizeof text, &needed, nullptr),
            KEEL_OK);
  EXPECT_EQ(std::string(text, needed), "a c m");
  EXPECT_EQ(keel_model_decode(world.model, tokens, 4, 0, text, sizeof text, &needed, nullptr), KEEL_OK);
  EXPECT_EQ(std::string(text, needed), "a c m </s>");
  Caught caught;
  EXPECT_EQ(keel_model_encode(world.model, "a", 1, 2, tokens, 8, &needed, caught), KEEL_E_INVALID_ARGUMENT);
  EXPECT_EQ(caught.message(), "flags: expected 0 or 1, got 2");
  const int32_t beyond[] = {-1, 99999};
  EXPECT_LT(keel_model_decode(world.model, beyond, 2, 0, text, sizeof text, &needed, caught), 0);
}

TEST(Batch, GivesBackWhatWasSet) {
  World world;
  keel_batch batch = make_demonstrations(world.runtime, 3);
  const float weights[] = {0.5f, 1.0f, 2.0f};
  ASSERT_EQ(keel_batch_set(batch, "weight", 6, KEEL_TYPE_F32, weights, 3, nullptr, nullptr), KEEL_OK);
  int32_t type = 0;
  const void *values = nullptr;
  const uint64_t *offsets = nullptr;
  size_t count = 0;
  ASSERT_EQ(keel_batch_get(batch, "weight", 6, &type, &values, &count, &offsets, nullptr), KEEL_OK);
  EXPECT_EQ(type, KEEL_TYPE_F32);
  EXPECT_EQ(count, 3u);
  EXPECT_EQ(offsets, nullptr);
  EXPECT_EQ(std::memcmp(values, weights, sizeof weights), 0);
  type = KEEL_TYPE_UTF8;
  ASSERT_EQ(keel_batch_get(batch, "response", 8, &type, &values, &count, &offsets, nullptr), KEEL_OK);
  EXPECT_EQ(std::string(static_cast<const char *>(values), count), "i jf g hf g h");
  EXPECT_EQ((std::vector<uint64_t>(offsets, offsets + 4)), (std::vector<uint64_t>{0, 3, 8, 13}));
  Caught caught;
  type = KEEL_TYPE_I32;
  EXPECT_EQ(keel_batch_get(batch, "weight", 6, &type, &values, &count, nullptr, caught), KEEL_E_INVALID_ARGUMENT);
  EXPECT_EQ(caught.message(), "type: weight holds f32, expected that or 0, got i32");
  EXPECT_EQ(keel_batch_get(batch, "rewrad", 6, &type, &values, &count, nullptr, caught), KEEL_E_DATA);
  keel_batch_destroy(batch);
}

TEST(Batch, DecodesTokensAndNoOtherNumbers) {
  World world(R"({"algorithm": {"type": "ppo"}})");
  const std::string json = R"({"max_new_tokens": 4})";
  keel_batch prompts = make_prompts(world.runtime, {"a b", "c"}), rollouts = 0;
  keel_job job = 0;
  Caught caught;
  ASSERT_EQ(keel_session_generate(world.session, prompts, json.data(), json.size(), &job, caught), KEEL_OK);
  ASSERT_EQ(keel_job_run(job, nullptr, caught), KEEL_OK) << caught.message();
  ASSERT_EQ(keel_job_batch(job, &rollouts, caught), KEEL_OK) << caught.message();
  const void *values = nullptr;
  size_t count = 0;
  int32_t type = KEEL_TYPE_UTF8;
  EXPECT_EQ(keel_batch_get(rollouts, "prompt", 6, &type, &values, &count, nullptr, caught), KEEL_OK);
  EXPECT_EQ(std::string(static_cast<const char *>(values), count), "a bc");
  const int32_t other[] = {4, 5, 6};
  const uint64_t offsets[] = {0, 1, 3};
  ASSERT_EQ(keel_batch_set(rollouts, "prompt", 6, KEEL_TYPE_I32, other, 3, offsets, caught), KEEL_OK);
  EXPECT_EQ(keel_batch_get(rollouts, "prompt", 6, &type, &values, &count, nullptr, caught), KEEL_OK);
  EXPECT_EQ(std::string(static_cast<const char *>(values), count), "bc d") << "the text of the tokens before is gone";
  EXPECT_EQ(keel_batch_get(rollouts, "finish_reason", 13, &type, &values, &count, nullptr, caught),
            KEEL_E_INVALID_ARGUMENT);
  EXPECT_EQ(caught.message(), "type: finish_reason holds i32, expected that or 0, got utf8");
  keel_batch_destroy(rollouts);
  keel_job_destroy(job);
  keel_batch_destroy(prompts);
}

TEST(Batch, OfRowsThatNothingFillsIsRefusedBeforeItCostsMemory) {
  World world;
  keel_batch batch = 0;
  Caught caught;
  ASSERT_EQ(keel_batch_create(world.runtime, KEEL_BATCH_PROMPTS, UINT32_MAX, &batch, caught), KEEL_OK);
  EXPECT_EQ(keel_batch_set(batch, "prompt", 6, KEEL_TYPE_UTF8, nullptr, 0, nullptr, caught), KEEL_E_SHAPE)
      << caught.message();
  keel_batch_destroy(batch);
}

TEST(Batch, RefusesOffsetsThatDoNotFit) {
  World world;
  keel_batch batch = make_prompts(world.runtime, {"a", "b"});
  const int32_t tokens[] = {3, 4, 5};
  Caught caught;
  const uint64_t short_of_it[] = {0, 1, 2}, falling[] = {0, 4, 3}, late[] = {1, 2, 3}, huge[] = {0, 1, UINT64_MAX};
  for (const uint64_t *const wrong : {short_of_it, falling, late, huge}) {
    EXPECT_EQ(keel_batch_set(batch, "prompt", 6, KEEL_TYPE_I32, tokens, 3, wrong, caught), KEEL_E_SHAPE)
        << caught.message();
  }
  EXPECT_EQ(keel_batch_set(batch, "prompt", 6, KEEL_TYPE_I32, tokens, 3, nullptr, caught), KEEL_E_SHAPE)
      << caught.message();
  EXPECT_EQ(keel_batch_set(batch, "prompt", 6, 77, tokens, 2, nullptr, caught), KEEL_E_INVALID_ARGUMENT)
      << caught.message();
  const int32_t negative[] = {3, -1};
  EXPECT_EQ(keel_batch_set(batch, "prompt", 6, KEEL_TYPE_I32, negative, 2, nullptr, caught), KEEL_E_DATA)
      << caught.message();
  const char *const odd = reinterpret_cast<const char *>(tokens) + 1;
  EXPECT_EQ(keel_batch_set(batch, "prompt", 6, KEEL_TYPE_I32, odd, 2, nullptr, caught), KEEL_E_INVALID_ARGUMENT);
  EXPECT_EQ(caught.message().rfind("values: expected a pointer aligned to 4 bytes, got 0x", 0), 0u) << caught.message();
  int32_t type = 0;
  const void *values = nullptr;
  size_t count = 0;
  ASSERT_EQ(keel_batch_get(batch, "prompt", 6, &type, &values, &count, nullptr, nullptr), KEEL_OK);
  EXPECT_EQ(std::string(static_cast<const char *>(values), count), "ab") << "what was refused changed nothing";
  keel_batch_destroy(batch);
}

TEST(Batch, RefusesToDecodeTokensWithoutATokenizer) {
  World world;
  keel_batch batch = 0;
  ASSERT_EQ(keel_batch_create(world.runtime, KEEL_BATCH_PROMPTS, 1, &batch, nullptr), KEEL_OK);
  const int32_t tokens[] = {3, 4};
  ASSERT_EQ(keel_batch_set(batch, "prompt", 6, KEEL_TYPE_I32, tokens, 2, nullptr, nullptr), KEEL_OK);
  int32_t type = KEEL_TYPE_UTF8;
  const void *values = nullptr;
  size_t count = 0;
  Caught caught;
  EXPECT_EQ(keel_batch_get(batch, "prompt", 6, &type, &values, &count, nullptr, caught), KEEL_E_STATE);
  EXPECT_EQ(caught.message(), "prompt: it holds tokens, and a batch that the host made has no tokenizer");
  keel_batch_destroy(batch);
}

TEST(Event, StaysUntilThereIsRoomForIt) {
  World world;
  keel_job job = 0;
  const std::string path = "no/such/place";
  ASSERT_EQ(keel_model_load(world.runtime, path.data(), path.size(), nullptr, 0, &job, nullptr), KEEL_OK);
  Caught caught;
  EXPECT_EQ(keel_job_run(job, nullptr, caught), KEEL_E_FILE);
  size_t needed = 0;
  EXPECT_EQ(keel_runtime_next_event(world.runtime, job + 1, nullptr, 0, &needed, nullptr), KEEL_EMPTY);
  EXPECT_EQ(keel_runtime_next_event(world.runtime, job, nullptr, 0, &needed, nullptr), KEEL_E_CAPACITY);
  EXPECT_EQ(keel_runtime_next_event(world.runtime, job, nullptr, needed, nullptr, nullptr), KEEL_E_NULL_POINTER);
  std::string text(needed, '\0');
  EXPECT_EQ(keel_runtime_next_event(world.runtime, job, text.data(), needed - 1, &needed, nullptr), KEEL_E_CAPACITY);
  EXPECT_EQ(keel_runtime_next_event(world.runtime, 0, text.data(), needed, &needed, nullptr), KEEL_OK);
  EXPECT_NE(text.find("\"source\":" + std::to_string(job)), std::string::npos) << text;
  EXPECT_EQ(keel_runtime_next_event(world.runtime, 0, nullptr, 0, &needed, nullptr), KEEL_EMPTY);
  keel_job_destroy(job);
}
