//! The page target/demo/report.html: what the innkeeper learned, in curves, shares and answers.
//! Owns the layout. Refuses to measure anything: it is given numbers and verdicts, and draws them.
#pragma once

#include <string>
#include <vector>

#include "chart.hpp"
#include "judge.hpp"

namespace npc {

/// A summary number; `bound` is what it should hold to, `met` whether it does.
struct Tile {
  std::string value, label, bound;
  bool met = true;
};

/// One phase of training and its learning curves.
struct PhaseCurves {
  std::string name, method, explanation;
  double seconds = 0;
  std::vector<Chart> charts;
};

/// A trait of answers and its share after each stage, 0 .. 1.
struct Trait {
  std::string name, meaning;
  std::vector<double> shares;
};

/// A held-out question and one sampled answer per stage.
struct Exchange {
  Question question;
  std::vector<Verdict> answers;
};

struct Page {
  std::vector<Tile> tiles;
  std::vector<std::string> stages;
  std::vector<Trait> traits;
  std::vector<PhaseCurves> phases;
  std::vector<Exchange> exchanges;
  std::string footnote;
};

/// The whole page: one self-contained HTML document without scripts.
std::string render(const Page &page);

/// Grammar words as people write: "good evening , knight ." becomes "Good evening, knight."
std::string readable(const std::string &words);

/// Writes the file and the folders above it. Throws std::runtime_error naming the path.
void write_file(const std::string &path, const std::string &text);

}  // namespace npc
