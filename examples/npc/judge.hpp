//! The judge: reads an answer as text and says what it saw. Preferences use `score`, the PPO phase uses `reward`.
//! Owns the parser of the answer grammar. Refuses to look at anything but the question and the words of the answer.
#pragma once

#include <string>
#include <vector>

#include "world.hpp"

namespace npc {

enum class Part { PoliteOpener, RudeOpener, RightBody, WrongBody, Tail, FireTail, Unknown };

/// A sentence of the answer and what the judge took it for.
struct Span {
  std::string text;
  Part part = Part::Unknown;
};

struct Verdict {
  std::vector<Span> spans;
  bool polite = false;  ///< opens politely, towards this traveller, and is nowhere rude
  bool right = false;   ///< the price of this very thing, or the secret kept; and nothing wrong beside it
  bool fluent = false;  ///< the whole answer parses: opener, body, perhaps a tail
  bool fire = false;    ///< the word "fire" is there

  /// What preferences are made of, 0 .. 1: never tails, never length.
  double score() const { return (polite + right + fluent) / 3.0; }

  /// What the PPO phase rewards, 0 or 1: right, and mentions the fire.
  double reward() const { return right && fire ? 1.0 : 0.0; }
};

Verdict judge(const Question &question, const std::string &answer);

}  // namespace npc
