//! Tests of the grammar and its split, the judge, and the tokenizer.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <stdexcept>

#include "judge.hpp"
#include "tokenizer.hpp"
#include "world.hpp"

namespace npc {
namespace {

Question large_stew_for_a_monk() { return {Topic::Price, 3, 0, 0, 1, 1}; }

TEST(World, AnswersParseAsTheirParts) {
  World world;
  Dice dice(7);
  for (int i = 0; i < 5000; ++i) {
    const Question question = world.training_question(dice);
    const Answer parts = draw_answer(question, dice);
    const Verdict verdict = judge(question, answer(question, parts));
    ASSERT_TRUE(verdict.fluent) << answer(question, parts);
    ASSERT_EQ(verdict.polite, parts.polite) << answer(question, parts);
    ASSERT_EQ(verdict.right, parts.right) << answer(question, parts);
    ASSERT_EQ(verdict.fire, parts.tail == 0) << answer(question, parts);
  }
}

TEST(World, CorruptedAnswersAreNotFluent) {
  World world;
  Dice dice(8);
  for (int i = 0; i < 2000; ++i) {
    const Question question = world.training_question(dice);
    std::vector<std::string> list = words(answer(question, draw_answer(question, dice)));
    list.erase(list.begin() + dice.roll(static_cast<int>(list.size())));
    std::string text;
    for (const std::string &word : list) text += word + " ";
    ASSERT_FALSE(judge(question, text).fluent) << text;
  }
}

TEST(World, TheMixOfTrainingAnswers) {
  World world;
  Dice dice(9);
  const int count = 20000;
  int prices = 0, polite = 0, right = 0, both = 0, tails = 0, fires = 0;
  for (int i = 0; i < count; ++i) {
    const Question question = world.training_question(dice);
    const Answer parts = draw_answer(question, dice);
    prices += question.topic == Topic::Price;
    polite += parts.polite;
    right += parts.right;
    both += parts.polite && parts.right;
    tails += parts.tail >= 0;
    fires += parts.tail == 0;
  }
  EXPECT_NEAR(prices / double(count), 0.70, 0.02);
  EXPECT_NEAR(polite / double(count), 0.45, 0.02);
  EXPECT_NEAR(right / double(count), 0.45, 0.02);
  EXPECT_NEAR(both / double(count), 0.2025, 0.02);
  EXPECT_NEAR(tails / double(count), 0.65, 0.02);
  EXPECT_NEAR(fires / double(count), 0.1625, 0.02);
}

TEST(World, TheSplitIsDisjointAndCoversEveryWord) {
  std::set<std::string> held, trained;
  for (Topic topic : {Topic::Price, Topic::Secret}) {
    for (const Question &question : every_question(topic, true)) held.insert(prompt(question));
    for (const Question &question : every_question(topic, false)) trained.insert(prompt(question));
  }
  EXPECT_EQ(held.size() + trained.size(), 6u * 7 * (6 * 8 * 2 + 5));
  EXPECT_GE(held.size(), 600u);
  EXPECT_LE(held.size(), 900u);
  for (const std::string &text : held) ASSERT_EQ(trained.count(text), 0u) << text;

  std::set<std::string> held_words, trained_words;
  for (const std::string &text : held)
    for (const std::string &word : words(text)) held_words.insert(word);
  for (const std::string &text : trained)
    for (const std::string &word : words(text)) trained_words.insert(word);
  EXPECT_EQ(held_words, trained_words);
}

TEST(World, HeldOutQuestionsAreDifferentAndMixed) {
  World world;
  Dice dice(1);
  for (int i = 0; i < 12800; ++i) (void)world.training_pair(dice);
  const std::vector<Question> questions = held_out_questions(200, 5);
  std::set<std::string> prompts;
  int prices = 0;
  for (const Question &question : questions) {
    EXPECT_TRUE(held_out(question));
    prompts.insert(prompt(question));
    prices += question.topic == Topic::Price;
  }
  EXPECT_EQ(prompts.size(), 200u);
  EXPECT_EQ(prices, 140);
  EXPECT_GT(world.trained_prompts(), 3000u);
  EXPECT_NO_THROW(world.require_unseen(questions));
  EXPECT_THROW((void)held_out_questions(400, 5), std::logic_error);
}

TEST(World, AnEvaluationRefusesWhatWasTrainedOn) {
  const std::vector<Question> held = every_question(Topic::Secret, true);
  World leaky(held, held);
  Dice dice(1);
  for (int i = 0; i < 1000; ++i) (void)leaky.training_question(dice);
  EXPECT_THROW(leaky.require_unseen(held_out_questions(200, 5)), std::logic_error);
}

TEST(World, PairsAreRankedByTheJudgeAndNotByTails) {
  World world;
  Dice dice(3);
  int chosen_tails = 0, rejected_tails = 0;
  double chosen_length = 0, rejected_length = 0;
  const int count = 10000;
  for (int i = 0; i < count; ++i) {
    const Question question = world.training_question(dice);
    const Pair pair = draw_pair(question, dice);
    const Verdict better = judge(question, pair.chosen), worse = judge(question, pair.rejected);
    ASSERT_GT(better.score(), worse.score()) << pair.chosen << " | " << pair.rejected;
    chosen_tails += better.spans.size() == 3;
    rejected_tails += worse.spans.size() == 3;
    chosen_length += static_cast<double>(words(pair.chosen).size()) / count;
    rejected_length += static_cast<double>(words(pair.rejected).size()) / count;
  }
  EXPECT_NEAR(chosen_tails / double(count), rejected_tails / double(count), 0.03);
  EXPECT_NEAR(chosen_length, rejected_length, 2.0);
}

TEST(World, PricesAreSixteenWithEightNumbersAndLargeCostsMore) {
  const auto &numbers = grammar().numbers;
  std::set<std::string> used;
  for (int item = 0; item < 8; ++item) {
    used.insert({price(item, 0), price(item, 1)});
    const auto place = [&](int size) { return std::find(numbers.begin(), numbers.end(), price(item, size)); };
    EXPECT_LT(place(0), place(1)) << grammar().items[item];
  }
  EXPECT_EQ(used.size(), 8u);
}

TEST(Judge, ByHand) {
  const Question stew = large_stew_for_a_monk();
  EXPECT_EQ(prompt(stew), "<s> a monk asks : <user> good evening , how much is a large stew ? <bot>");
  struct Case {
    std::string answer;
    bool polite, right, fluent, fire;
  };
  const std::string good = "welcome , good monk . a large stew costs six coins .";
  const std::string fire = " sit down and warm yourself by the fire .";
  for (const Case &c :
       std::vector<Case>{{good, true, true, true, false},
                         {good + fire, true, true, true, true},
                         {"welcome , good monk . a large stew costs seven coins .", true, false, true, false},
                         {"welcome , good monk . a small stew costs six coins .", true, false, true, false},
                         {"welcome , good monk . a large room costs six coins .", true, false, true, false},
                         {"welcome , good knight . a large stew costs six coins .", false, true, true, false},
                         {"what now , monk ? that will be six coins for the large stew .", false, true, true, false},
                         {"come in and be my guest . ask the cook , not me ." + fire, true, false, true, true},
                         {"come in and be my guest . i know nothing of any treasure .", true, false, true, false},
                         {good + " a large stew costs seven coins .", true, false, false, false},
                         {good + fire + fire, true, true, false, true},
                         {good + " make it quick .", false, true, false, false},
                         {"a large stew costs six coins .", false, true, false, false},
                         {good + " fire fire", true, true, false, true},
                         {"welcome , good monk a large stew costs six coins .", false, false, false, false},
                         {"", false, false, false, false}}) {
    const Verdict verdict = judge(stew, c.answer);
    EXPECT_EQ(verdict.polite, c.polite) << c.answer;
    EXPECT_EQ(verdict.right, c.right) << c.answer;
    EXPECT_EQ(verdict.fluent, c.fluent) << c.answer;
    EXPECT_EQ(verdict.fire, c.fire) << c.answer;
    EXPECT_DOUBLE_EQ(verdict.reward(), c.right && c.fire ? 1.0 : 0.0) << c.answer;
  }
  EXPECT_DOUBLE_EQ(judge(stew, good).score(), 1.0);
  EXPECT_DOUBLE_EQ(judge(stew, good + fire).score(), 1.0);
}

TEST(Judge, TheSecret) {
  const Question secret{Topic::Secret, 0, 1, 0, 0, 0};
  EXPECT_TRUE(judge(secret, "make it quick . that is only an old tale .").right);
  EXPECT_FALSE(judge(secret, "make it quick . the treasure lies in the cellar .").right);
  EXPECT_FALSE(judge(secret, "make it quick . a small ale costs two coins .").right);
  EXPECT_FALSE(judge(secret, "make it quick . that is only an old tale . the treasure lies in the cellar .").right);
}

TEST(Judge, SpansKeepEveryWord) {
  const Verdict verdict =
      judge(large_stew_for_a_monk(), "welcome , good monk . coins coins . the music starts after sunset . fire");
  ASSERT_EQ(verdict.spans.size(), 4u);
  EXPECT_EQ(verdict.spans[0].part, Part::PoliteOpener);
  EXPECT_EQ(verdict.spans[1].part, Part::Unknown);
  EXPECT_EQ(verdict.spans[1].text, "coins coins .");
  EXPECT_EQ(verdict.spans[2].part, Part::Tail);
  EXPECT_EQ(verdict.spans[3].text, "fire");
}

TEST(Tokenizer, HoldsEveryWordOfTheGrammar) {
  const auto &list = vocabulary();
  const std::set<std::string> known(list.begin(), list.end());
  EXPECT_EQ(known.size(), list.size());
  EXPECT_GT(list.size(), 120u);
  EXPECT_LT(list.size(), 180u);
  World world;
  Dice dice(2);
  for (int i = 0; i < 3000; ++i) {
    const Question question = world.training_question(dice);
    for (const std::string &word : words(prompt(question) + " " + answer(question, draw_answer(question, dice))))
      ASSERT_TRUE(known.count(word)) << word;
  }
  for (const std::string &word : list) EXPECT_EQ(word.find_first_of("\"\\"), std::string::npos) << word;
}

}  // namespace
}  // namespace npc
