//! Tests of the page and of the numbers on it.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "report.hpp"
#include "result.hpp"

namespace npc {
namespace {

/// The first thing wrong with the nesting of a document's tags; empty when there is none.
std::string nesting_error(const std::string &html) {
  std::vector<std::string> open;
  for (std::size_t at = html.find('<'); at != std::string::npos; at = html.find('<', at + 1)) {
    const std::size_t end = html.find('>', at);
    if (end == std::string::npos) return "unclosed tag at the end";
    const std::string tag = html.substr(at + 1, end - at - 1);
    if (tag[0] == '!') continue;
    const bool closes = tag[0] == '/', alone = tag.back() == '/';
    const std::string name = tag.substr(closes, tag.find_first_of(" /", closes) - closes);
    if (name == "meta" || alone) continue;
    if (!closes)
      open.push_back(name);
    else if (open.empty() || open.back() != name)
      return "unexpected </" + name + ">";
    else
      open.pop_back();
  }
  return open.empty() ? "" : "never closed: " + open.back();
}

std::size_t count(const std::string &text, const std::string &part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

Page small_page() {
  const Question question{Topic::Price, 3, 0, 0, 1, 1};
  const Series line{"a <b> & 'c'", {1, 2, 3}, {0.5, std::nan(""), 0.25}};
  Page page;
  page.tiles = tiles(Result{});
  page.stages = {"untrained", "after SFT", "after DPO", "after PPO"};
  page.traits = {{"Polite", "kind", {0, 0.25, 0.5, 1}}};
  page.phases = {{"Learns", "SFT", "x < y", 1, {{"Loss", "step", {line, line}}}},
                 {"Learns", "DPO", "", 2, {{"Empty", "step", {Series{"none", {}, {}}}}}},
                 {"Learns", "PPO", "", 3, {{"One", "step", {Series{"one", {1}, {2}}}}}}};
  page.exchanges = {{question,
                     {judge(question, "<s> coins"), judge(question, "make it quick . ask the cook , not me ."),
                      judge(question, "welcome , good monk . a large stew costs six coins ."),
                      judge(question,
                            "welcome , good monk . a large stew costs six coins . sit down and warm yourself by "
                            "the fire .")}}};
  return page;
}

TEST(Report, IsWellFormedAndSelfContained) {
  const std::string html = render(small_page());
  EXPECT_EQ(nesting_error(html), "");
  EXPECT_EQ(count(html, "<svg"), 3u);
  EXPECT_EQ(count(html, "class='tile"), 9u) << "eight tiles and their box";
  for (const char *outside : {"http", "src=", "<link", "@import", "url(", "<script"})
    EXPECT_EQ(count(html, outside), 0u);
  EXPECT_EQ(count(html, "nan"), 0u);
  EXPECT_EQ(count(html, "nothing was measured"), 1u);
  EXPECT_NE(nesting_error(html.substr(0, html.size() - 9)), "");
}

TEST(Report, EscapesWhatItShows) {
  const std::string html = render(small_page());
  EXPECT_EQ(count(html, "<b> &"), 0u);
  EXPECT_GE(count(html, "a &lt;b&gt; &amp; &#39;c&#39;"), 1u);
  EXPECT_EQ(count(html, "<s>"), 0u);
}

TEST(Report, MarksWhatTheJudgeSaw) {
  const std::string html = render(small_page());
  EXPECT_EQ(count(html, "title='polite'"), 2u);
  EXPECT_EQ(count(html, "title='right'"), 2u);
  EXPECT_EQ(count(html, "title='mentions the fire'>Sit down and warm yourself by the fire.</mark>"), 1u);
  EXPECT_EQ(count(html, "<mark class='bad' title='rude, or takes"), 1u);
  EXPECT_EQ(count(html, "<mark class='odd' title='not a sentence of the grammar'>"), 1u);
}

TEST(Report, WritesAFileInANewFolder) {
  const std::string folder = testing::TempDir() + "npc_report_" + std::to_string(std::rand());
  write_file(folder + "/deep/page.html", "words");
  std::ifstream stream(folder + "/deep/page.html");
  std::stringstream text;
  text << stream.rdbuf();
  EXPECT_EQ(text.str(), "words");
  std::filesystem::remove_all(folder);
  EXPECT_THROW(write_file("/dev/null/page.html", "words"), std::exception);
}

TEST(Report, Readable) {
  EXPECT_EQ(readable("good evening , i would like a small ale . what do i owe ?"),
            "Good evening, I would like a small ale. What do I owe?");
}

TEST(Chart, TicksAreRoundAndCover) {
  EXPECT_EQ(ticks(0, 1, 5), (std::vector<double>{0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0}));
  const std::vector<double> wide = ticks(-3, 288, 5);
  EXPECT_EQ(wide, (std::vector<double>{-100, 0, 100, 200, 300}));
}

TEST(Chart, SmoothingIsACentredMean) {
  EXPECT_EQ(smoothed({1, 2, 6, 4, 2}, 3), (std::vector<double>{1, 3, 4, 4, 2}));
  EXPECT_EQ(smoothed({1, 2}, 1), (std::vector<double>{1, 2}));
  EXPECT_TRUE(smoothed({}, 3).empty());
}

Result good_result() {
  Result result;
  result.sft_loss = 0.5, result.preference_accuracy = 0.95, result.preferred_share = 0.9, result.fluent_dpo = 0.9;
  result.fluent_ppo = 0.8, result.reward_before = 0.2, result.reward_after = 0.6, result.kl_per_sequence = 4,
  result.seconds = 100;
  return result;
}

TEST(Result, BoundsNameWhatTheyMiss) {
  EXPECT_TRUE(missed_bounds(good_result()).empty());
  Result result = good_result();
  result.fluent_ppo = 0.74;
  ASSERT_EQ(missed_bounds(result).size(), 1u);
  EXPECT_EQ(missed_bounds(result)[0], "the share of fluent answers after PPO is 0.7400, wanted ≥ 0.75");
  EXPECT_EQ(missed_bounds(Result{}).size(), 5u);
  result = good_result();
  result.kl_per_sequence = std::nan("");
  EXPECT_EQ(missed_bounds(result).size(), 1u);
  EXPECT_EQ(impossible_numbers(result).size(), 1u);
  EXPECT_TRUE(impossible_numbers(good_result()).empty());
}

TEST(Result, DemoLineHasTheAgreedKeys) {
  EXPECT_EQ(demo_line(good_result()),
            "DEMO {\"sft_loss\":0.5000,\"preference_accuracy\":0.9500,\"preferred_share\":0.9000,\"fluent_dpo\":0.9000,"
            "\"fluent_ppo\":0.8000,\"reward_before\":0.2000,\"reward_after\":0.6000,\"kl_per_sequence\":4.0000,"
            "\"seconds\":100.0}");
}

}  // namespace
}  // namespace npc
