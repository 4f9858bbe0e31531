// keel.hpp's Actor: what it refuses leaves its slots where they stand, and what is not recorded is not learned from.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "keel/keel.hpp"

namespace {

struct Seen {
  float place[2];
  uint8_t legal[3];  // of the ways
};
struct Chosen {
  int32_t way;
  float push;
};

constexpr Seen anywhere{{0.5f, -0.5f}, {1, 1, 1}};

class Acting : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(runtime_ && policy_ && session_);
    ASSERT_TRUE(session_->set_model(KEEL_ROLE_POLICY, *policy_));
    auto actor = keel::Actor::create(*session_);
    ASSERT_TRUE(actor) << actor.error().message;
    actor_ = std::move(*actor);
  }

  keel_status act(std::vector<Chosen> &chosen, uint32_t flags = 0) const {
    return status(actor_.act(slots_, std::vector<Seen>(slots_.size(), anywhere), chosen, flags));
  }
  keel_status observe(const std::vector<float> &rewards, const std::vector<int32_t> &how,
                      const std::vector<Seen> &last = {}) const {
    return status(actor_.observe(slots_, rewards, how, last));
  }
  static keel_status status(const keel::Result<void> &result) { return result ? KEEL_OK : result.error().status; }

  keel::Result<keel::Runtime> runtime_ = keel::Runtime::create(R"({"cuda": "cpu"})");
  keel::Result<keel::Model> policy_ = keel::Model::create(*runtime_, R"({"config": {"model_type": "control",
      "hidden": [4], "observations": [{"type": "vector", "name": "place", "size": 2}, {"type": "mask", "action": "way"}],
      "actions": [{"type": "discrete", "name": "way", "choices": 3},
                  {"type": "continuous", "name": "push", "size": 1, "low": -1, "high": 1}]}})");
  keel::Result<keel::Session> session_ = keel::Session::create(
      *runtime_, R"({"algorithm": {"type": "control_ppo", "rollout_steps": 4, "minibatches": 2}})");
  keel::Actor actor_;
  const std::vector<uint32_t> slots_{3, 1};
  const std::vector<float> rewards_{1, 0};
  const std::vector<int32_t> goes_on_{KEEL_EPISODE_RUNNING, KEEL_EPISODE_RUNNING};
};

TEST_F(Acting, RecordsAreStructs) {
  const auto layout = session_->layout();
  ASSERT_TRUE(layout);
  EXPECT_NE(layout->find("\"observation\":{\"bytes\":" + std::to_string(sizeof(Seen)) + ","), std::string::npos) << *layout;
  EXPECT_NE(layout->find("\"action\":{\"bytes\":" + std::to_string(sizeof(Chosen)) + ","), std::string::npos) << *layout;
}

TEST_F(Acting, ObserveRefusesListsThatDoNotMatch) {
  std::vector<Chosen> chosen(2);
  ASSERT_EQ(act(chosen), KEEL_OK);
  EXPECT_EQ(observe({1}, goes_on_), KEEL_E_SHAPE);
  const keel::View<int32_t> first(goes_on_.data(), 1);
  EXPECT_EQ(status(actor_.observe(slots_, rewards_, first, std::vector<Seen>())), KEEL_E_NULL_POINTER);
  EXPECT_EQ(observe(rewards_, {KEEL_EPISODE_TRUNCATED, KEEL_EPISODE_TRUNCATED}, {anywhere}), KEEL_E_SHAPE);
  EXPECT_EQ(observe(rewards_, goes_on_, {anywhere}), KEEL_E_SHAPE);
  EXPECT_EQ(observe(rewards_, {KEEL_EPISODE_RUNNING, 9}), KEEL_E_INVALID_ARGUMENT);
  EXPECT_EQ(act(chosen), KEEL_E_STATE) << "nothing of it was observed";
  EXPECT_EQ(observe(rewards_, {KEEL_EPISODE_TRUNCATED, KEEL_EPISODE_TERMINATED}, {anywhere}), KEEL_OK);
  EXPECT_EQ(observe(rewards_, goes_on_), KEEL_E_STATE) << "these episodes have ended";
}

TEST_F(Acting, ActRefusesRecordsThatDoNotMatch) {
  std::vector<Chosen> one(1), two(2);
  EXPECT_EQ(act(one), KEEL_E_SHAPE);
  EXPECT_EQ(status(actor_.act(slots_, std::vector<Seen>{anywhere}, two)), KEEL_E_SHAPE);
  const Seen stuck{{0, 0}, {0, 0, 0}};
  EXPECT_EQ(status(actor_.act(slots_, std::vector<Seen>{anywhere, stuck}, two)), KEEL_E_DATA);
  EXPECT_EQ(act(two), KEEL_OK) << "no slot has acted before";
}

TEST_F(Acting, GivenActionsAreReadAndLearnedFrom) {
  std::vector<Chosen> given{{2, 0.25f}, {0, -0.75f}};
  for (int step = 0; step < 2; ++step) {
    std::vector<Chosen> illegal{{2, 0.25f}, {3, 0}};
    EXPECT_EQ(act(illegal, KEEL_ACT_GIVEN), KEEL_E_DATA);
    ASSERT_EQ(act(given, KEEL_ACT_GIVEN), KEEL_OK);
    EXPECT_EQ(given[0].way, 2);
    EXPECT_EQ(given[1].push, -0.75f);
    ASSERT_EQ(observe(rewards_, {KEEL_EPISODE_TERMINATED, KEEL_EPISODE_TERMINATED}), KEEL_OK);
  }
  const auto report = session_->step();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_TRUE(report->done());
}

TEST_F(Acting, WhatIsNotRecordedIsNotLearnedFrom) {
  std::vector<Chosen> chosen(2), again(2);
  for (int step = 0; step < 8; ++step)
    ASSERT_EQ(act(step ? again : chosen, KEEL_ACT_GREEDY | KEEL_ACT_UNRECORDED), KEEL_OK);
  EXPECT_EQ(again[0].way, chosen[0].way);
  EXPECT_EQ(again[0].push, chosen[0].push);
  EXPECT_EQ(observe(rewards_, goes_on_), KEEL_E_STATE) << "no slot has acted";
  const auto report = session_->step();
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->needs_data());
}

TEST_F(Acting, AnActorThatDoesNotRecordLeavesNothing) {
  const auto watcher = keel::Actor::create(*session_, R"({"recorded": false})");
  ASSERT_TRUE(watcher) << watcher.error().message;
  const std::vector<Seen> seen(slots_.size(), anywhere);
  std::vector<Chosen> chosen(2);
  for (int step = 0; step < 8; ++step) {
    ASSERT_EQ(status(watcher->act(slots_, seen, chosen, KEEL_ACT_GREEDY)), KEEL_OK);
    EXPECT_EQ(status(watcher->act(slots_, seen, chosen, KEEL_ACT_GREEDY)), KEEL_E_STATE) << "these were not observed";
    const std::vector<int32_t> ended{KEEL_EPISODE_RUNNING, KEEL_EPISODE_TERMINATED};
    ASSERT_EQ(status(watcher->observe(slots_, rewards_, ended, std::vector<Seen>())), KEEL_OK);
  }
  const auto report = session_->step();
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->needs_data());
  EXPECT_EQ(keel::Actor::create(*session_, R"({"recorded": 1})").error().status, KEEL_E_CONFIG);
  EXPECT_EQ(keel::Actor::create(*session_, R"({"record": false})").error().status, KEEL_E_CONFIG);
}

}  // namespace
