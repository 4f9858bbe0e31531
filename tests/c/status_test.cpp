// Every status that a host can reach, reached once, and the structs that carry it.
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <map>
#include <thread>

#include "world.hpp"

namespace {

keel_status set_reward(World &world, std::vector<float> rewards, keel_error *error) {
  keel_batch batch = 0;
  keel_status status = keel_batch_create(world.runtime, KEEL_BATCH_ROLLOUTS, 2, &batch, error);
  if (status == KEEL_OK)
    status = keel_batch_set(batch, "reward", 6, KEEL_TYPE_F32, rewards.data(), rewards.size(), nullptr, error);
  keel_batch_destroy(batch);
  return status;
}

keel_status load(World &world, const std::string &path, const std::string &json, keel_error *error) {
  keel_job job = 0;
  const keel_status status =
      keel_model_load(world.runtime, path.data(), path.size(), json.data(), json.size(), &job, error);
  return status < 0 ? status : finish(job, error);
}

keel_status push_demonstrations(World &world, uint64_t rows, keel_error *error) {
  keel_batch batch = make_demonstrations(world.runtime, rows);
  const keel_status status = keel_session_push(world.session, batch, nullptr, error);
  keel_batch_destroy(batch);
  return status;
}

keel_status more_rows_than_fit(World &, keel_error *error) {
  World world(R"({"algorithm": {"type": "sft", "batch_size": 2}, "queue_capacity": 3})");
  EXPECT_EQ(push_demonstrations(world, 2, error), KEEL_OK);
  return push_demonstrations(world, 2, error);
}

keel_status second_update(World &world, keel_error *error) {
  keel_job first = 0, second = 0;
  EXPECT_EQ(push_demonstrations(world, 4, error), KEEL_OK);
  EXPECT_EQ(keel_session_update(world.session, &first, error), KEEL_OK);
  const keel_status status = keel_session_update(world.session, &second, error);
  EXPECT_EQ(keel_job_cancel(first, nullptr), KEEL_OK);
  keel_job_destroy(first);
  return status;
}

keel_status cancelled(World &world, keel_error *error) {
  keel_job job = 0;
  EXPECT_EQ(push_demonstrations(world, 4, error), KEEL_OK);
  EXPECT_EQ(keel_session_update(world.session, &job, error), KEEL_OK);
  EXPECT_EQ(keel_job_cancel(job, error), KEEL_OK);
  return finish(job, error);
}

keel_status first_pump(World &world, keel_error *error) {
  keel_job job = 0;
  EXPECT_EQ(push_demonstrations(world, 4, error), KEEL_OK);
  EXPECT_EQ(keel_session_update(world.session, &job, error), KEEL_OK);
  const keel_status status = keel_job_pump(job, 0, nullptr, error);
  EXPECT_EQ(keel_job_cancel(job, nullptr), KEEL_OK);
  keel_job_destroy(job);
  return status;
}

keel_status tensor_of_text(World &world, keel_error *error) {
  keel_batch batch = make_prompts(world.runtime, {"a"});
  struct DLManagedTensorVersioned *tensor = nullptr;
  const keel_status status = keel_batch_get_dlpack(batch, "prompt", 6, &tensor, error);
  keel_batch_destroy(batch);
  return status;
}

keel_status huge_column(World &world, keel_error *error) {
  keel_batch batch = 0;
  EXPECT_EQ(keel_batch_create(world.runtime, KEEL_BATCH_PROMPTS, 1, &batch, error), KEEL_OK);
  const keel_status status = keel_batch_set(batch, "prompt", 6, KEEL_TYPE_UTF8, "a", size_t{1} << 60, nullptr, error);
  keel_batch_destroy(batch);
  return status;
}

keel_status throwing_callback(World &, keel_error *error) {
  World world(R"({"algorithm": {"type": "ppo"}})");
  auto thrower = [](keel_batch, float *, size_t, void *) -> int32_t { throw 7; };
  EXPECT_EQ(keel_session_set_callback(world.session, KEEL_CALLBACK_REWARD, thrower, nullptr, error), KEEL_OK);
  keel_batch prompts = make_prompts(world.runtime, {"a b", "c"});
  keel_batch rollouts = 0;
  keel_job job = 0;
  const std::string json = R"({"max_new_tokens": 4})";
  EXPECT_EQ(keel_session_generate(world.session, prompts, json.data(), json.size(), &job, error), KEEL_OK);
  EXPECT_EQ(keel_job_run(job, nullptr, error), KEEL_OK);
  EXPECT_EQ(keel_job_batch(job, &rollouts, error), KEEL_OK);
  EXPECT_EQ(keel_session_push(world.session, rollouts, nullptr, error), KEEL_OK);
  keel_job_destroy(job);
  keel_batch_destroy(rollouts);
  keel_batch_destroy(prompts);
  return keel_session_step(world.session, nullptr, error);
}

// A file that is there but is no checkpoint.
keel_status wrong_file(World &world, keel_error *error) {
  keel_job job = 0;
  const std::string path = "/proc/self/status";
  EXPECT_EQ(keel_session_restore(world.session, path.data(), path.size(), &job, error), KEEL_OK);
  return finish(job, error);
}

// A call that another thread is inside of; pumps a job of many slices from two threads until they meet.
keel_status two_drivers(World &world, keel_error *error) {
  keel_job job = 0;
  keel_batch prompts = make_prompts(world.runtime, {"a"});
  const std::string json = R"({"max_new_tokens": 200, "ignore_eos": true, "samples": 16})";
  EXPECT_EQ(keel_session_generate(world.session, prompts, json.data(), json.size(), &job, error), KEEL_OK);
  std::thread other([&] { keel_job_run(job, nullptr, nullptr); });
  keel_report report = KEEL_REPORT_INIT;
  while (report.slices == 0 && keel_job_poll(job, &report, nullptr) == KEEL_PENDING) {
  }
  const keel_status status = keel_job_pump(job, 0, nullptr, error);
  other.join();
  keel_job_destroy(job);
  keel_batch_destroy(prompts);
  return status;
}

keel_status no_time(World &, keel_error *error) {
  World world;
  keel_job job = 0;
  keel_batch prompts = make_prompts(world.runtime, {"a b c"});
  const std::string json = R"({"max_new_tokens": 250, "ignore_eos": true, "samples": 256})";
  EXPECT_EQ(keel_session_generate(world.session, prompts, json.data(), json.size(), &job, error), KEEL_OK);
  EXPECT_EQ(keel_job_start(job, error), KEEL_OK);
  const keel_status status = keel_runtime_shutdown(world.runtime, 0, error);
  EXPECT_EQ(keel_runtime_shutdown(world.runtime, 60'000'000, nullptr), KEEL_OK);
  keel_job_destroy(job);
  keel_batch_destroy(prompts);
  return status;
}

keel_status create_with(World &, uint32_t header, const std::string &json, keel_error *error) {
  keel_runtime runtime = 0;
  const keel_status status = keel_runtime_create(header, json.data(), json.size(), &runtime, error);
  keel_runtime_destroy(runtime);
  return status;
}

using Reach = std::function<keel_status(World &, keel_error *)>;

const std::vector<std::pair<keel_status, Reach>> REACHED = {
    {KEEL_OK, [](World &world, keel_error *error) { return keel_session_clear(world.session, error); }},
    {KEEL_PENDING, first_pump},
    {KEEL_NEED_DATA, [](World &world, keel_error *error) { return keel_session_step(world.session, nullptr, error); }},
    {KEEL_EMPTY,
     [](World &world, keel_error *error) {
       return keel_runtime_next_event(world.runtime, 999, nullptr, 0, nullptr, error);
     }},
    {KEEL_FULL, more_rows_than_fit},
    {KEEL_E_INVALID_ARGUMENT,
     [](World &world, keel_error *error) {
       keel_batch batch = 0;
       return keel_batch_create(world.runtime, 99, 1, &batch, error);
     }},
    {KEEL_E_INVALID_HANDLE, [](World &, keel_error *error) { return keel_session_clear(0, error); }},
    {KEEL_E_NULL_POINTER,
     [](World &world, keel_error *error) { return keel_session_update(world.session, nullptr, error); }},
    {KEEL_E_INVALID_TEXT,
     [](World &world, keel_error *error) { return load(world, std::string("a\0b", 3), "{}", error); }},
    {KEEL_E_CAPACITY,
     [](World &world, keel_error *error) { return keel_model_info(world.model, nullptr, 0, nullptr, error); }},
    {KEEL_E_CONCURRENT, two_drivers},
    {KEEL_E_IN_USE, second_update},
    {KEEL_E_STATE,
     [](World &world, keel_error *error) {
       keel_session session = make_session(world.runtime, R"({"algorithm": {"type": "dpo"}})");
       keel_model model = 0;
       const keel_status status = keel_session_model(session, KEEL_ROLE_POLICY, nullptr, 0, &model, error);
       keel_session_destroy(session);
       return status;
     }},
    {KEEL_E_VERSION,
     [](World &world, keel_error *error) { return create_with(world, KEEL_ABI_VERSION + 1, "{}", error); }},
    {KEEL_E_CANCELLED, cancelled},
    {KEEL_E_TIMEOUT, no_time},
    {KEEL_E_UNSUPPORTED, tensor_of_text},
    {KEEL_E_CONFIG, [](World &world, keel_error *error) { return create_with(world, KEEL_ABI_VERSION, "{", error); }},
    {KEEL_E_NON_FINITE,
     [](World &world, keel_error *error) { return set_reward(world, {1.0f, std::nanf("")}, error); }},
    {KEEL_E_SHAPE, [](World &world, keel_error *error) { return set_reward(world, {1.0f}, error); }},
    {KEEL_E_DEVICE,
     [](World &world, keel_error *error) { return load(world, "somewhere", R"({"device": "cuda:63"})", error); }},
    {KEEL_E_OUT_OF_MEMORY, huge_column},
    {KEEL_E_FILE, [](World &world, keel_error *error) { return load(world, "no/such/directory", "{}", error); }},
    {KEEL_E_FORMAT, wrong_file},
    {KEEL_E_DATA,
     [](World &world, keel_error *error) {
       keel_batch batch = 0;
       EXPECT_EQ(keel_batch_create(world.runtime, KEEL_BATCH_DEMONSTRATIONS, 1, &batch, error), KEEL_OK);
       const keel_status status = keel_session_push(world.session, batch, nullptr, error);
       keel_batch_destroy(batch);
       return status;
     }},
    {KEEL_E_CALLBACK, throwing_callback},
};

// What no host can provoke: faults inside of keel, which the Rust tests plant.
const std::vector<keel_status> UNREACHED = {KEEL_E_INTERNAL, KEEL_E_PANIC, KEEL_E_POISONED};

}  // namespace

TEST(Status, EachIsReachedAndSaysWhatHappened) {
  const uint64_t alive = keel_live_handles();
  for (const auto &[expected, reach] : REACHED) {
    World world;
    Caught caught;
    SCOPED_TRACE(keel_status_name(expected));
    const keel_status status = reach(world, caught);
    EXPECT_STREQ(keel_status_name(status), keel_status_name(expected)) << caught.message();
    EXPECT_EQ(caught.error.status, expected);
    EXPECT_EQ(caught.message().empty(), expected >= 0 && expected != KEEL_FULL) << caught.message();
  }
  EXPECT_EQ(keel_live_handles(), alive);
}

TEST(Status, NoneIsForgotten) {
  std::map<std::string, int> seen;
  for (const auto &[status, reach] : REACHED) ++seen[keel_status_name(status)];
  for (const keel_status status : UNREACHED) ++seen[keel_status_name(status)];
  size_t named = 0;
  for (keel_status status = -1000; status < 1000; ++status) {
    const std::string name = keel_status_name(status);
    if (name == "KEEL_E_UNKNOWN") continue;
    ++named;
    EXPECT_EQ(seen[name], 1) << name;
  }
  EXPECT_EQ(named, REACHED.size() + UNREACHED.size());
  EXPECT_STREQ(keel_status_name(std::numeric_limits<keel_status>::min()), "KEEL_E_UNKNOWN");
}

TEST(Status, AnErrorIsWrittenOnlyAsFarAsItsSizeSays) {
  struct {
    keel_error error;
    char after[64];
  } room;
  for (const uint32_t size : {0u, 4u, 8u, 9u, 30u, 1024u, 1088u, 0xffffffffu}) {
    std::memset(static_cast<void *>(&room), '#', sizeof room);
    room.error.struct_size = size;
    EXPECT_EQ(keel_session_clear(0, &room.error), KEEL_E_INVALID_HANDLE);
    EXPECT_EQ(room.error.struct_size, size);
    const char *const bytes = reinterpret_cast<const char *>(&room);
    for (size_t at = size < 8 ? 4 : size < 1024 ? size : 1024; at < sizeof room; ++at)
      ASSERT_EQ(bytes[at], '#') << size;
    EXPECT_TRUE(size < 8 || room.error.status == KEEL_E_INVALID_HANDLE) << size;
    EXPECT_TRUE(size <= 8 || std::strlen(room.error.message) < size - 8) << size;
  }
}

TEST(Status, AReportOfAnotherSizeIsFilledAsFarAsItGoes) {
  World world;
  keel_job job = 0;
  ASSERT_EQ(push_demonstrations(world, 2, nullptr), KEEL_OK);
  ASSERT_EQ(keel_session_update(world.session, &job, nullptr), KEEL_OK);
  struct {
    keel_report report = KEEL_REPORT_INIT;
    uint64_t newer[4] = {0, 0, 0, 0};
  } larger;
  Caught caught;
  larger.report.struct_size = 0;
  EXPECT_EQ(keel_job_poll(job, &larger.report, caught), KEEL_E_INVALID_ARGUMENT);
  EXPECT_EQ(caught.message(), "report: expected a struct_size set by KEEL_REPORT_INIT, got 0");
  larger.report.struct_size = sizeof larger;
  EXPECT_EQ(keel_job_poll(job, &larger.report, caught), KEEL_PENDING) << caught.message();
  EXPECT_EQ(larger.report.state, KEEL_JOB_PENDING);
  larger.newer[1] = 1;
  EXPECT_EQ(keel_job_poll(job, &larger.report, caught), KEEL_E_INVALID_ARGUMENT);
  EXPECT_EQ(caught.message(), "report: byte 56 is not 0, but this library knows only the first 48");
  keel_report shorter = KEEL_REPORT_INIT;
  shorter.struct_size = 8;
  shorter.slices = 77;
  EXPECT_EQ(keel_job_run(job, &shorter, caught), KEEL_OK) << caught.message();
  EXPECT_EQ(shorter.state, KEEL_JOB_DONE);
  EXPECT_EQ(shorter.slices, 77u);
  keel_job_destroy(job);
}
