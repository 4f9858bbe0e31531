// The life of a reward callback: it is not called any more, and not being called, once it was replaced.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <optional>

#define KEEL_EXCEPTIONS
#include "keel/keel.hpp"
#include "world.hpp"

namespace {

using std::chrono::milliseconds;

// A session whose next update must ask for rewards.
struct Asking {
  Asking() {
    session.set_model(KEEL_ROLE_POLICY, keel::Model::create(runtime, tiny_model()));
    push();
  }
  void push() {
    const keel::Job job = session.generate(std::vector<std::string>{"a b", "c"}, R"({"max_new_tokens": 3})");
    job.run();
    session.push(job.batch());
  }
  keel::Runtime runtime = keel::Runtime::create(R"({"cuda": "cpu"})");
  keel::Session session = keel::Session::create(runtime, R"({"algorithm": {"type": "ppo", "epochs": 1}})");
};

int32_t zeros(float *rewards, size_t count) {
  std::fill(rewards, rewards + count, 0.0f);
  return 0;
}

// Says that it was entered, stays until it is let go, says that it returns.
struct Slow {
  std::promise<void> entered, go;
  std::atomic<bool> returned{false};
  int32_t judge(float *rewards, size_t count) {
    entered.set_value();
    go.get_future().wait();
    returned = true;
    return zeros(rewards, count);
  }
};

}  // namespace

TEST(Callback, IsReplacedWhenItsCallOnAnotherThreadHasReturned) {
  Asking asking;
  const keel_session session = asking.session.id();
  Slow slow;
  const auto judge = [](keel_batch, float *rewards, size_t count, void *user_data) -> int32_t {
    return static_cast<Slow *>(user_data)->judge(rewards, count);
  };
  ASSERT_EQ(keel_session_set_callback(session, KEEL_CALLBACK_REWARD, judge, &slow, nullptr), KEEL_OK);
  auto learner = std::async(std::launch::async, [&] { return keel_session_step(session, nullptr, nullptr); });
  slow.entered.get_future().wait();
  auto remover = std::async(std::launch::async, [&] {
    EXPECT_EQ(keel_session_set_callback(session, KEEL_CALLBACK_REWARD, nullptr, nullptr, nullptr), KEEL_OK);
    EXPECT_TRUE(slow.returned) << "its user_data may be freed from here on";
  });
  EXPECT_EQ(remover.wait_for(milliseconds(100)), std::future_status::timeout);
  slow.go.set_value();
  remover.get();
  EXPECT_EQ(learner.get(), KEEL_OK);
}

TEST(Callback, OfASessionThatEndsHasReturnedBefore) {
  std::optional<Asking> asking(std::in_place);
  Slow slow;
  asking->session.set_reward([&](const keel::Batch &, float *rewards, size_t n) { return slow.judge(rewards, n); });
  const keel::Job update = std::move(*asking->session.update());
  auto learner = std::async(std::launch::async, [&] { update.run(); });
  slow.entered.get_future().wait();
  auto ender = std::async(std::launch::async, [&] {
    asking.reset();
    EXPECT_TRUE(slow.returned);
  });
  EXPECT_EQ(ender.wait_for(milliseconds(100)), std::future_status::timeout);
  slow.go.set_value();
  ender.get();
  learner.get();
}

TEST(Callback, ThatReplacesItselfLivesUntilItReturns) {
  Asking asking;
  auto token = std::make_shared<int>(7);
  const std::weak_ptr<int> watch = token;
  bool lived = false;
  asking.session.set_reward([&, held = std::move(token)](const keel::Batch &, float *rewards, size_t n) {
    asking.session.set_reward([](const keel::Batch &, float *r, size_t count) { return zeros(r, count); });
    lived = !watch.expired();
    return zeros(rewards, n);
  });
  EXPECT_TRUE(asking.session.step().done());
  EXPECT_TRUE(lived);
  EXPECT_TRUE(watch.expired()) << "and no longer";
  asking.push();
  EXPECT_TRUE(asking.session.step().done()) << "the new one answers";
}

TEST(Callback, DoesNotGoWithAHandleThatIsGivenAway) {
  Asking asking;
  auto token = std::make_shared<int>(7);
  const std::weak_ptr<int> watch = token;
  asking.session.set_reward([held = std::move(token)](const keel::Batch &, float *rewards, size_t n) {
    return zeros(rewards, n);
  });
  const keel_session given = asking.session.release();
  EXPECT_TRUE(watch.expired());
  EXPECT_EQ(keel_session_step(given, nullptr, nullptr), KEEL_NEED_DATA);
  keel_session_destroy(given);
}

TEST(Wrapper, AJobSaysWhatItIsAt) {
  Asking asking;
  const std::vector<std::string> prompts{"a b"};
  const keel::Job job = asking.session.generate(prompts, R"({"max_new_tokens": 3, "ignore_eos": true})");
  std::vector<std::string> stages{job.stage()};
  while (job.pump(keel::Microseconds(0)).pending()) stages.push_back(job.stage());
  EXPECT_GT(stages.size(), 3u);
  EXPECT_EQ(std::count(stages.begin(), stages.end(), ""), 0);
  EXPECT_EQ(stages.front(), "read prompts");
  EXPECT_EQ(stages.back(), "sample");
}

TEST(Wrapper, ATimeThatHasPassedIsNone) {
  Asking asking;
  const std::vector<std::string> prompts{"a b"};
  const keel::Job job = asking.session.generate(prompts, R"({"max_new_tokens": 9, "ignore_eos": true})");
  const keel::Report report = job.pump(keel::Microseconds(-1));
  EXPECT_TRUE(report.pending());
  EXPECT_EQ(report.slices, 1u);
  EXPECT_TRUE(job.wait(keel::Microseconds::min()).pending());
  asking.runtime.shutdown(keel::Microseconds(-1));
}
