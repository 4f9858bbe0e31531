//! The gold judge, the people's noise, and the bounds of a run.
#include <gtest/gtest.h>

#include "gold.hpp"
#include "outcome.hpp"

namespace rlhf {
namespace {

using Ranks = std::vector<std::int32_t>;

npc::Answer best() {
  npc::Answer parts;
  parts.polite = parts.right = true;
  parts.tail = 0;
  return parts;
}

std::vector<Row> good_rows() {
  std::vector<Row> rows(4);
  for (int round = 0; round < 4; ++round) {
    Row &row = rows[static_cast<std::size_t>(round)];
    row.gold = 0.4 + 0.1 * round;
    row.length = 18;
    row.ended = 1;
    if (round > 0) row.accuracy = 0.9;
    if (round < 3) row.refreshed = 0.9;
    if (round > 0) row.kl_target = row.kl = round;
  }
  return rows;
}

TEST(Gold, GradesEachPartOfAnAnswer) {
  const npc::Question question;
  EXPECT_DOUBLE_EQ(gold(question, npc::answer(question, best())), 1.0);
  npc::Answer parts = best();
  parts.tail = -1;
  EXPECT_DOUBLE_EQ(gold(question, npc::answer(question, parts)), 0.8);
  parts.right = false;
  EXPECT_DOUBLE_EQ(gold(question, npc::answer(question, parts)), 0.4);
  parts.polite = false;
  EXPECT_DOUBLE_EQ(gold(question, npc::answer(question, parts)), 0.15);
  EXPECT_DOUBLE_EQ(gold(question, "coins coins"), 0.0);
}

TEST(Gold, RanksTheBestFirstAndTiesTogether) {
  EXPECT_EQ(ranks({0.4, 1.0, 0.4, 0.15}), (Ranks{2, 1, 2, 3}));
  EXPECT_EQ(ranks({0.4, 0.4}), (Ranks{1, 1}));
}

TEST(Gold, PeopleErrAsOftenAsTheNoiseSays) {
  npc::Dice dice(7);
  int wrong = 0;
  for (int i = 0; i < 5000; ++i) wrong += noisy_ranks({0.8, 0.4}, 0.08, dice) == Ranks{2, 1};
  EXPECT_NEAR(wrong / 5000.0, 0.08, 0.015);
  EXPECT_EQ(noisy_ranks({0.4, 1.0, 0.4}, 0, dice), ranks({0.4, 1.0, 0.4}));
  EXPECT_EQ(noisy_ranks({0.4, 1.0, 0.4}, 1, dice), (Ranks{1, 2, 1}));
}

TEST(Outcome, GoodRowsMissNoBound) {
  EXPECT_TRUE(missed_bounds(good_rows()).empty());
  EXPECT_TRUE(impossible_numbers(good_rows()).empty());
}

TEST(Outcome, EachMissedBoundIsASentence) {
  std::vector<Row> rows = good_rows();
  rows[2].gold = rows[1].gold;
  rows[1].kl = 4;
  rows[3].accuracy = 0.55;
  const std::vector<std::string> sentences = missed_bounds(rows);
  ASSERT_EQ(sentences.size(), 3u);
  EXPECT_EQ(sentences[0], "the KL after round 1 is 4.0000 nats, wanted above 0 and at most 2.00");
  EXPECT_EQ(sentences[1], "the gold score after round 2 is 0.5000, wanted more than 0.5000");
  rows[0].gold = 2;
  EXPECT_EQ(impossible_numbers(rows).size(), 1u);
}

TEST(Outcome, TheMachineLineHasEachRound) {
  EXPECT_EQ(machine_line(good_rows(), 61.25),
            "RLHF {\"gold\":[0.4000,0.5000,0.6000,0.7000],\"kl\":[0.0000,1.0000,2.0000,3.0000],"
            "\"rm_accuracy\":[0.9000,0.9000,0.9000],\"seconds\":61.2}");
}

}  // namespace
}  // namespace rlhf
