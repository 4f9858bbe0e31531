// What a host does with a session: step, generate, reward, save, restore; in pieces, on keel's thread, from two
// threads.
#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>
#include <thread>

#include "world.hpp"

namespace {

void push(World &world, uint64_t rows = 8) {
  keel_batch batch = make_demonstrations(world.runtime, rows);
  Caught caught;
  ASSERT_EQ(keel_session_push(world.session, batch, nullptr, caught), KEEL_OK) << caught.message();
  keel_batch_destroy(batch);
}

uint64_t hash(keel_session session) {
  uint64_t hash = 0;
  Caught caught;
  EXPECT_EQ(keel_session_state_hash(session, &hash, caught), KEEL_OK) << caught.message();
  return hash;
}

void step(keel_session session) {
  Caught caught;
  keel_report report = KEEL_REPORT_INIT;
  ASSERT_EQ(keel_session_step(session, &report, caught), KEEL_OK) << caught.message();
  EXPECT_EQ(report.state, KEEL_JOB_DONE);
  EXPECT_EQ(report.optimizer_steps, 1u);
  EXPECT_EQ(report.progress, 1.0f);
}

keel_job update(keel_session session) {
  keel_job job = 0;
  Caught caught;
  EXPECT_EQ(keel_session_update(session, &job, caught), KEEL_OK) << caught.message();
  return job;
}

keel_job generate(World &world, const std::string &json) {
  keel_batch prompts = make_prompts(world.runtime, {"a b", "c d e", "f"});
  keel_job job = 0;
  Caught caught;
  EXPECT_EQ(keel_session_generate(world.session, prompts, json.data(), json.size(), &job, caught), KEEL_OK)
      << caught.message();
  keel_batch_destroy(prompts);
  return job;
}

std::string column(keel_batch batch, const std::string &name) {
  int32_t type = KEEL_TYPE_UTF8;
  const void *values = nullptr;
  size_t count = 0;
  Caught caught;
  EXPECT_EQ(keel_batch_get(batch, name.data(), name.size(), &type, &values, &count, nullptr, caught), KEEL_OK)
      << caught.message();
  return std::string(static_cast<const char *>(values), count);
}

}  // namespace

TEST(Session, TheThreeDriversMakeTheSameNumbers) {
  std::vector<uint64_t> hashes;
  for (int driver = 0; driver < 3; ++driver) {
    World world;
    push(world);
    const keel_job job = update(world.session);
    Caught caught;
    keel_status status = KEEL_PENDING;
    if (driver == 0) status = keel_job_run(job, nullptr, caught);
    if (driver == 1) {
      while (status == KEEL_PENDING) status = keel_job_pump(job, 0, nullptr, caught);
    }
    if (driver == 2) {
      ASSERT_EQ(keel_job_start(job, caught), KEEL_OK) << caught.message();
      while (status == KEEL_PENDING) status = keel_job_wait(job, 1'000'000, nullptr, caught);
    }
    EXPECT_EQ(status, KEEL_OK) << caught.message();
    keel_job_destroy(job);
    hashes.push_back(hash(world.session));
  }
  EXPECT_EQ(hashes[0], hashes[1]);
  EXPECT_EQ(hashes[0], hashes[2]);
}

TEST(Session, AnUpdateSaysHowFarItIsAndWhatItIsAt) {
  World world;
  push(world);
  const keel_job job = update(world.session);
  Caught caught;
  char words[64];
  float before = 0.0f;
  std::string last;
  for (keel_status status = KEEL_PENDING; status == KEEL_PENDING; status = keel_job_pump(job, 0, nullptr, caught)) {
    float progress = -1.0f;
    size_t needed = 0;
    EXPECT_EQ(keel_job_progress(job, &progress, words, 1, &needed, caught), KEEL_E_CAPACITY);
    EXPECT_EQ(progress, -1.0f) << "nothing is written where the words have no room";
    ASSERT_EQ(keel_job_progress(job, &progress, words, sizeof words, &needed, caught), KEEL_OK) << caught.message();
    EXPECT_TRUE(progress >= before && progress < 1.0f) << before << " to " << progress;
    last = std::string(words, needed);
    before = progress;
  }
  EXPECT_EQ(last, "optimiser step 1/1");
  EXPECT_GT(before, 0.5f);
  ASSERT_EQ(keel_job_progress(job, &before, words, sizeof words, nullptr, nullptr), KEEL_OK);
  EXPECT_EQ(before, 1.0f);
  EXPECT_EQ(keel_job_progress(job, nullptr, words, sizeof words, nullptr, nullptr), KEEL_OK);
  keel_job_destroy(job);
  EXPECT_EQ(keel_job_progress(job, &before, words, sizeof words, nullptr, nullptr), KEEL_E_INVALID_HANDLE);
}

TEST(Session, LearnsAndSaysItsNumbers) {
  World world(R"({"algorithm": {"type": "sft", "batch_size": 8, "epochs": 0}, "optimizer": {"learning_rate": 0.01}})");
  push(world);
  step(world.session);
  const std::string first = text_of(keel_session_metrics, world.session);
  const size_t at = first.find("\"loss");
  ASSERT_NE(at, std::string::npos) << first;
  const double before = std::stod(first.substr(first.find(':', at) + 1));
  for (int times = 0; times < 20; ++times) step(world.session);
  const std::string last = text_of(keel_session_metrics, world.session);
  const double after = std::stod(last.substr(last.find(':', last.find("\"loss")) + 1));
  EXPECT_LT(after, 0.7 * before) << last;
  const std::string config = text_of(keel_session_config, world.session);
  EXPECT_NE(config.find("weight_decay"), std::string::npos) << "defaults are filled in: " << config;
}

TEST(Session, GoesOnBitForBitFromAFileAndFromABlob) {
  World world;
  push(world);
  step(world.session);
  const uint64_t saved = hash(world.session);
  const std::string path = testing::TempDir() + "keel_session.checkpoint";
  keel_job job = 0;
  keel_blob blob = 0;
  Caught caught;
  ASSERT_EQ(keel_session_save(world.session, path.data(), path.size(), &job, caught), KEEL_OK) << caught.message();
  ASSERT_EQ(finish(job, caught), KEEL_OK) << caught.message();
  ASSERT_EQ(keel_session_export(world.session, &blob, caught), KEEL_OK) << caught.message();
  step(world.session);
  const uint64_t next = hash(world.session);
  EXPECT_NE(next, saved);

  ASSERT_EQ(keel_session_restore(world.session, path.data(), path.size(), &job, caught), KEEL_OK) << caught.message();
  ASSERT_EQ(finish(job, caught), KEEL_OK) << caught.message();
  EXPECT_EQ(hash(world.session), saved);
  step(world.session);
  EXPECT_EQ(hash(world.session), next);

  const uint8_t *data = nullptr;
  size_t size = 0;
  ASSERT_EQ(keel_blob_data(blob, &data, &size, caught), KEEL_OK);
  EXPECT_EQ(keel_session_import(world.session, data, size / 2, caught), KEEL_E_FORMAT) << caught.message();
  EXPECT_EQ(hash(world.session), next) << "a bad import changes nothing";
  ASSERT_EQ(keel_session_import(world.session, data, size, caught), KEEL_OK) << caught.message();
  EXPECT_EQ(hash(world.session), saved);
  keel_blob_destroy(blob);

  keel_session opened = 0;
  ASSERT_EQ(keel_session_open(world.runtime, path.data(), path.size(), &opened, caught), KEEL_OK) << caught.message();
  EXPECT_EQ(hash(opened), saved);
  step(opened);
  EXPECT_EQ(hash(opened), next);
  keel_session_destroy(opened);
  std::remove(path.c_str());
}

TEST(Session, GeneratesTextThatItsBatchDecodes) {
  World world;
  const std::string json = R"({"max_new_tokens": 6, "seed": 3, "ignore_eos": true})";
  std::string texts[2];
  for (std::string &text : texts) {
    const keel_job job = generate(world, json);
    Caught caught;
    keel_batch none = 77;
    EXPECT_EQ(keel_job_batch(job, &none, caught), KEEL_E_STATE) << "it has not run yet";
    EXPECT_EQ(none, 77u);
    ASSERT_EQ(keel_job_run(job, nullptr, caught), KEEL_OK) << caught.message();
    keel_batch rollouts = 0;
    ASSERT_EQ(keel_job_batch(job, &rollouts, caught), KEEL_OK) << caught.message();
    keel_job_destroy(job);
    EXPECT_EQ(column(rollouts, "prompt"), "a bc d ef");
    text = column(rollouts, "response");
    EXPECT_EQ(text, column(rollouts, "response")) << "decoded twice";
    keel_batch_destroy(rollouts);
  }
  EXPECT_FALSE(texts[0].empty());
  EXPECT_EQ(texts[0], texts[1]);
}

TEST(Session, ACallbackRewardsAndAThrowingOneLeavesItReady) {
  World world(R"({"algorithm": {"type": "ppo", "epochs": 1}})");
  struct Host {
    int calls = 0;
    bool angry = true;
  } host;
  const auto reward = [](keel_batch rollouts, float *rewards, size_t count, void *user_data) -> int32_t {
    Host &host = *static_cast<Host *>(user_data);
    ++host.calls;
    EXPECT_FALSE(column(rollouts, "response").empty());
    if (host.angry) throw std::runtime_error("the judge left");
    for (size_t row = 0; row < count; ++row) rewards[row] = static_cast<float>(row);
    return 0;
  };
  Caught caught;
  ASSERT_EQ(keel_session_set_callback(world.session, KEEL_CALLBACK_REWARD, reward, &host, caught), KEEL_OK);
  const keel_job job = generate(world, R"({"max_new_tokens": 4, "ignore_eos": true})");
  ASSERT_EQ(keel_job_run(job, nullptr, caught), KEEL_OK) << caught.message();
  keel_batch rollouts = 0;
  ASSERT_EQ(keel_job_batch(job, &rollouts, caught), KEEL_OK);
  keel_job_destroy(job);
  ASSERT_EQ(keel_session_push(world.session, rollouts, nullptr, caught), KEEL_OK) << caught.message();
  keel_batch_destroy(rollouts);
  const uint64_t alive = keel_live_handles();
  const uint64_t before = hash(world.session);

  const keel_job on_a_thread = update(world.session);
  EXPECT_EQ(keel_job_start(on_a_thread, caught), KEEL_E_STATE) << "a callback comes on the host's threads only";
  keel_report report = KEEL_REPORT_INIT;
  EXPECT_EQ(keel_job_run(on_a_thread, &report, caught), KEEL_E_CALLBACK);
  EXPECT_EQ(report.state, KEEL_JOB_FAILED) << "a report is written on failure too";
  EXPECT_NE(caught.message().find("the judge left"), std::string::npos) << caught.message();
  EXPECT_EQ(keel_job_poll(on_a_thread, nullptr, caught), KEEL_E_CALLBACK) << "the failure stays on the job";
  EXPECT_EQ(keel_job_error(on_a_thread, caught), KEEL_E_CALLBACK);
  keel_job_destroy(on_a_thread);
  EXPECT_EQ(hash(world.session), before) << "the rows and weights are as they were";
  EXPECT_EQ(host.calls, 1);

  host.angry = false;
  EXPECT_EQ(keel_session_step(world.session, nullptr, caught), KEEL_OK) << caught.message();
  EXPECT_EQ(host.calls, 2);
  EXPECT_EQ(keel_live_handles(), alive);
  ASSERT_EQ(keel_session_set_callback(world.session, KEEL_CALLBACK_REWARD, nullptr, nullptr, caught), KEEL_OK);
}

TEST(Session, RewardsComeByIdToo) {
  World world(R"({"algorithm": {"type": "ppo", "epochs": 1}})");
  Caught caught;
  const keel_job job = generate(world, R"({"max_new_tokens": 4, "ignore_eos": true})");
  ASSERT_EQ(keel_job_run(job, nullptr, caught), KEEL_OK) << caught.message();
  keel_batch rollouts = 0;
  ASSERT_EQ(keel_job_batch(job, &rollouts, caught), KEEL_OK);
  keel_job_destroy(job);
  uint64_t first = 0;
  ASSERT_EQ(keel_session_push(world.session, rollouts, &first, caught), KEEL_OK) << caught.message();
  keel_batch_destroy(rollouts);
  EXPECT_EQ(keel_session_step(world.session, nullptr, caught), KEEL_NEED_DATA);
  const uint64_t ids[] = {first, first + 1, first + 2};
  const float rewards[] = {0.0f, 1.0f, 0.5f}, infinite[] = {0.0f, INFINITY, 0.0f};
  EXPECT_EQ(keel_session_reward(world.session, ids, 3, rewards, 2, caught), KEEL_E_SHAPE) << caught.message();
  EXPECT_EQ(keel_session_reward(world.session, ids, 3, infinite, 3, caught), KEEL_E_NON_FINITE) << caught.message();
  const uint64_t unknown[] = {first + 77};
  EXPECT_EQ(keel_session_reward(world.session, unknown, 1, rewards, 1, caught), KEEL_E_DATA) << caught.message();
  EXPECT_EQ(keel_session_step(world.session, nullptr, caught), KEEL_NEED_DATA);
  ASSERT_EQ(keel_session_reward(world.session, ids, 3, rewards, 3, caught), KEEL_OK) << caught.message();
  step(world.session);
}

TEST(Session, AsksForRewardsByQuery) {
  World world(R"({"algorithm": {"type": "ppo", "epochs": 1}})");
  Caught caught;
  keel_batch queries = 7;
  EXPECT_EQ(keel_session_take_queries(world.session, &queries, caught), KEEL_EMPTY);
  EXPECT_EQ(queries, 0u);
  const keel_job job = generate(world, R"({"max_new_tokens": 4, "ignore_eos": true})");
  ASSERT_EQ(keel_job_run(job, nullptr, caught), KEEL_OK) << caught.message();
  keel_batch rollouts = 0;
  ASSERT_EQ(keel_job_batch(job, &rollouts, caught), KEEL_OK);
  keel_job_destroy(job);
  uint64_t first = 0;
  ASSERT_EQ(keel_session_push(world.session, rollouts, &first, caught), KEEL_OK) << caught.message();
  keel_batch_destroy(rollouts);
  const uint64_t early[] = {first};
  const float rewards[] = {0.0f, 1.0f, 0.5f};
  EXPECT_EQ(keel_session_answer(world.session, early, 1, rewards, 1, caught), KEEL_E_DATA) << "nobody asked yet";
  ASSERT_EQ(keel_session_take_queries(world.session, &queries, caught), KEEL_OK) << caught.message();
  int32_t type = 0;
  const void *values = nullptr;
  const uint64_t *offsets = nullptr;
  size_t count = 0;
  ASSERT_EQ(keel_batch_get(queries, "id", 2, &type, &values, &count, &offsets, caught), KEEL_OK) << caught.message();
  ASSERT_EQ(count, 3u);
  const std::vector<uint64_t> ids(static_cast<const uint64_t *>(values), static_cast<const uint64_t *>(values) + 3);
  EXPECT_EQ(ids, (std::vector<uint64_t>{first, first + 1, first + 2}));
  keel_batch again = 0;
  EXPECT_EQ(keel_session_take_queries(world.session, &again, caught), KEEL_EMPTY) << "each is asked about once";
  EXPECT_EQ(keel_session_step(world.session, nullptr, caught), KEEL_NEED_DATA);
  const float infinite[] = {0.0f, INFINITY, 0.0f};
  EXPECT_EQ(keel_session_answer(world.session, ids.data(), 3, infinite, 3, caught), KEEL_E_NON_FINITE);
  ASSERT_EQ(keel_session_answer(world.session, ids.data(), 3, rewards, 3, caught), KEEL_OK) << caught.message();
  EXPECT_EQ(keel_session_answer(world.session, ids.data(), 1, rewards, 1, caught), KEEL_E_DATA) << "answered already";
  keel_batch_destroy(queries);
  step(world.session);
}

TEST(Session, TwoOnTwoThreadsDoNotDisturbEachOther) {
  uint64_t alone = 0;
  {
    World world;
    push(world);
    for (int times = 0; times < 5; ++times) step(world.session);
    alone = hash(world.session);
  }
  uint64_t hashes[2] = {0, 0};
  std::vector<std::thread> threads;
  for (uint64_t &found : hashes) {
    threads.emplace_back([&found] {
      World world;
      push(world);
      for (int times = 0; times < 5; ++times) step(world.session);
      found = hash(world.session);
    });
  }
  for (std::thread &thread : threads) thread.join();
  EXPECT_EQ(hashes[0], alone);
  EXPECT_EQ(hashes[1], alone);
}

TEST(Session, TakesRowsAndQuestionsWhileItLearns) {
  World world;
  push(world, 64);
  const keel_job job = update(world.session);
  Caught caught;
  ASSERT_EQ(keel_job_start(job, caught), KEEL_OK) << caught.message();
  for (int times = 0; times < 50; ++times) {
    push(world, 2);
    text_of(keel_session_metrics, world.session);
    text_of(keel_session_config, world.session);
    keel_job_poll(job, nullptr, nullptr);
  }
  keel_status status = KEEL_PENDING;
  while (status == KEEL_PENDING) status = keel_job_wait(job, 1'000'000, nullptr, caught);
  EXPECT_EQ(status, KEEL_OK) << caught.message();
  keel_job_destroy(job);
}

TEST(Session, OutlivesEveryOtherHandle) {
  World world;
  push(world);
  keel_job job = update(world.session);
  keel_session_destroy(world.session);
  keel_model_destroy(world.model);
  keel_runtime_destroy(world.runtime);
  Caught caught;
  EXPECT_EQ(finish(job, caught), KEEL_OK) << caught.message();
}

TEST(Session, AModelHasOneTrainer) {
  World world;
  const keel_session other = make_session(world.runtime, R"({"algorithm": {"type": "sft"}})");
  Caught caught;
  EXPECT_EQ(keel_session_set_model(other, KEEL_ROLE_POLICY, nullptr, 0, world.model, caught), KEEL_E_IN_USE)
      << caught.message();
  EXPECT_EQ(keel_session_set_model(other, 99, nullptr, 0, world.model, caught), KEEL_E_INVALID_ARGUMENT)
      << caught.message();
  EXPECT_EQ(keel_session_set_model(other, KEEL_ROLE_POLICY, "x", 1, world.model, caught), KEEL_E_INVALID_ARGUMENT)
      << caught.message();
  keel_model policy = 0;
  ASSERT_EQ(keel_session_model(world.session, KEEL_ROLE_POLICY, nullptr, 0, &policy, caught), KEEL_OK);
  EXPECT_EQ(text_of(keel_model_info, policy), text_of(keel_model_info, world.model));
  keel_model_destroy(policy);
  keel_session_destroy(other);
}

TEST(Session, IsControlledWhileItLives) {
  World world(R"({"algorithm": {"type": "sft", "batch_size": 2, "epochs": 0}, "kept_versions": 2})");
  push(world);
  Caught caught;
  keel_job job = 0;
  const auto done = [&](keel_status made) {
    ASSERT_EQ(made, KEEL_OK) << caught.message();
    ASSERT_EQ(finish(job, caught), KEEL_OK) << caught.message();
  };
  const std::string rate = R"({"optimizer": {"learning_rate": 0.125}})", seed = R"({"seed": 7})";
  done(keel_session_configure(world.session, rate.data(), rate.size(), &job, caught));
  EXPECT_NE(text_of(keel_session_config, world.session).find("\"learning_rate\": 0.125"), std::string::npos);
  EXPECT_EQ(keel_session_configure(world.session, seed.data(), seed.size(), &job, caught), KEEL_E_CONFIG);
  EXPECT_EQ(caught.message().rfind("/seed: expected 0", 0), 0u) << caught.message();
  EXPECT_EQ(keel_session_roll_back(world.session, 99, &job, caught), KEEL_E_INVALID_ARGUMENT);
  EXPECT_EQ(caught.message().rfind("version: expected one of [", 0), 0u) << caught.message();
  done(keel_session_publish(world.session, &job, caught));

  ASSERT_EQ(keel_session_pause(world.session, caught), KEEL_OK);
  keel_report report = KEEL_REPORT_INIT;
  EXPECT_EQ(keel_session_step(world.session, &report, caught), KEEL_E_STATE);
  const keel_job paused = update(world.session);
  EXPECT_EQ(keel_job_pump(paused, 1000000, &report, caught), KEEL_PENDING);
  EXPECT_EQ(keel_job_run(paused, &report, caught), KEEL_PENDING);
  EXPECT_EQ(report.slices, 0u);
  EXPECT_EQ(keel_job_start(paused, caught), KEEL_OK);
  EXPECT_EQ(keel_job_wait(paused, 20000, &report, caught), KEEL_PENDING);
  EXPECT_EQ(report.slices, 0u);
  ASSERT_EQ(keel_session_resume(world.session, caught), KEEL_OK);
  while (keel_job_wait(paused, 1000000, &report, caught) == KEEL_PENDING) {
  }
  EXPECT_EQ(report.state, KEEL_JOB_DONE);
  keel_job_destroy(paused);

  ASSERT_EQ(keel_session_pause(world.session, caught), KEEL_OK);
  const keel_job left = update(world.session);
  EXPECT_EQ(keel_job_start(left, caught), KEEL_OK);
  keel_session_destroy(world.session);
  while (keel_job_wait(left, 1000000, &report, caught) == KEEL_PENDING) {
  }
  EXPECT_EQ(report.state, KEEL_JOB_DONE) << "a destroyed session is not paused";
  keel_job_destroy(left);
}
