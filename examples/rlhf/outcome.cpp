//! The bounds of a run, and its table.
#include "outcome.hpp"

#include <cstdio>
#include <functional>

#include "report.hpp"

namespace rlhf {
namespace {

using npc::number;

constexpr double LEAST_ACCURACY = 0.6, MOST_KL_OF_TARGET = 2;

std::string cell(const std::optional<double> &value) { return value ? number(*value, 3) : "–"; }

std::string padded(const std::string &text, std::size_t width) {
  std::size_t shown = 0;
  for (unsigned char byte : text) shown += (byte & 0xc0) != 0x80;
  return std::string(width > shown ? width - shown : 0, ' ') + text;
}

std::string line(const std::vector<std::string> &cells) {
  const std::size_t widths[] = {5, 6, 9, 12, 10, 13, 7, 6};
  std::string text;
  for (std::size_t i = 0; i < cells.size(); ++i) text += (i ? " | " : "") + padded(cells[i], widths[i]);
  return text + "\n";
}

std::string list(const std::vector<Row> &rows, double Row::*number_of) {
  std::string text;
  for (const Row &row : rows) text += (text.empty() ? "" : ",") + number(row.*number_of, 4);
  return "[" + text + "]";
}

std::string of_round(std::size_t round) { return " after round " + std::to_string(round); }

void judge_row(const std::vector<Row> &rows, std::size_t round, const std::function<void(std::string)> &complain) {
  const Row &row = rows[round], &before = rows[round - 1];
  if (!(row.gold > before.gold))
    complain("the gold score" + of_round(round) + " is " + number(row.gold, 4) + ", wanted more than " +
             number(before.gold, 4));
  const double most = MOST_KL_OF_TARGET * row.kl_target;
  if (!(row.kl > 0 && row.kl <= most))
    complain("the KL" + of_round(round) + " is " + number(row.kl, 4) + " nats, wanted above 0 and at most " +
             number(most, 2));
}

}  // namespace

std::string table(const std::vector<Row> &rows) {
  std::string text = line({"round", "gold", "rm score", "rm accuracy", "refreshed", "kl (target)", "length", "ended"});
  for (std::size_t round = 0; round < rows.size(); ++round) {
    const Row &row = rows[round];
    const std::string kl = number(row.kl, 2) + (round ? " (" + number(row.kl_target, 2) + ")" : "");
    text += line({round ? std::to_string(round) : "sft", number(row.gold, 3), number(row.score, 2), cell(row.accuracy),
                  cell(row.refreshed), kl, number(row.length, 1), number(row.ended, 3)});
  }
  return text;
}

std::string machine_line(const std::vector<Row> &rows, double seconds) {
  std::vector<Row> taught(rows.begin() + 1, rows.end());
  std::string accuracy;
  for (const Row &row : taught) accuracy += (accuracy.empty() ? "" : ",") + number(row.accuracy.value_or(0), 4);
  return "RLHF {\"gold\":" + list(rows, &Row::gold) + ",\"kl\":" + list(rows, &Row::kl) + ",\"rm_accuracy\":[" +
         accuracy + "],\"seconds\":" + number(seconds, 1) + "}";
}

std::vector<std::string> missed_bounds(const std::vector<Row> &rows) {
  std::vector<std::string> sentences;
  const auto complain = [&](std::string sentence) { sentences.push_back(std::move(sentence)); };
  for (std::size_t round = 0; round < rows.size(); ++round) {
    if (round > 0) judge_row(rows, round, complain);
    for (const auto &accuracy : {rows[round].accuracy, rows[round].refreshed})
      if (accuracy && !(*accuracy > LEAST_ACCURACY))
        complain("the reward model's accuracy on the answers" + of_round(round) + " is " + number(*accuracy, 4) +
                 ", wanted more than " + number(LEAST_ACCURACY, 2));
  }
  return sentences;
}

std::vector<std::string> impossible_numbers(const std::vector<Row> &rows) {
  std::vector<std::string> sentences;
  const auto expect = [&](const char *name, double value, double low, double high) {
    if (!(value >= low && value <= high))
      sentences.push_back(std::string(name) + " is impossible: " + number(value, 6));
  };
  for (const Row &row : rows) {
    expect("gold", row.gold, 0, 1);
    expect("rm score", row.score, -1e6, 1e6);
    expect("rm accuracy", row.accuracy.value_or(0), 0, 1);
    expect("refreshed rm accuracy", row.refreshed.value_or(0), 0, 1);
    expect("kl", row.kl, -100, 1000);
    expect("length", row.length, 1, 1000);
    expect("ended", row.ended, 0, 1);
  }
  return sentences;
}

}  // namespace rlhf
