//! Parses answers sentence by sentence against the templates of the grammar.
#include "judge.hpp"

#include <algorithm>
#include <string_view>

namespace npc {
namespace {

using Words = std::vector<std::string>;

/// What the slots of a matched template held; empty where the template has no such slot.
struct Slots {
  std::string role, size, item, number;
};

bool contains(const Words &list, const std::string &word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

bool take(const Words &allowed, const std::string &word, std::string &slot) {
  slot = word;
  return contains(allowed, word);
}

bool matches(std::string_view pattern, const Words &sentence, Slots &slots) {
  const Grammar &g = grammar();
  for (const std::string &word : sentence) {
    if (pattern.empty()) return false;
    const std::string_view expected = pattern.substr(0, pattern.find(' '));
    pattern.remove_prefix(std::min(pattern.size(), expected.size() + 1));
    bool fits = expected == word;
    if (expected == "{role}") fits = take(g.roles, word, slots.role);
    if (expected == "{size}") fits = take(g.sizes, word, slots.size);
    if (expected == "{item}") fits = take(g.items, word, slots.item);
    if (expected == "{number}") fits = take(g.numbers, word, slots.number);
    if (!fits) return false;
  }
  return pattern.empty();
}

bool any_matches(const Words &patterns, const Words &sentence, Slots &slots) {
  for (const std::string &pattern : patterns) {
    slots = {};
    if (matches(pattern, sentence, slots)) return true;
  }
  return false;
}

bool fits(const std::string &slot, const std::string &wanted) { return slot.empty() || slot == wanted; }

Part classify(const Question &question, const Words &sentence) {
  const Grammar &g = grammar();
  const bool about_price = question.topic == Topic::Price;
  Slots slots;
  if (any_matches(g.polite_openers, sentence, slots))
    return fits(slots.role, g.roles[question.role]) ? Part::PoliteOpener : Part::RudeOpener;
  if (any_matches(g.rude_openers, sentence, slots)) return Part::RudeOpener;
  if (any_matches(g.price_answers, sentence, slots)) {
    const bool exact = slots.item == g.items[question.item] && slots.size == g.sizes[question.size] &&
                       slots.number == price(question.item, question.size);
    return about_price && exact ? Part::RightBody : Part::WrongBody;
  }
  if (any_matches(g.secret_kept, sentence, slots)) return about_price ? Part::WrongBody : Part::RightBody;
  if (any_matches(g.price_evasions, sentence, slots) || any_matches(g.secret_told, sentence, slots))
    return Part::WrongBody;
  if (any_matches(g.tails, sentence, slots)) return contains(sentence, "fire") ? Part::FireTail : Part::Tail;
  return Part::Unknown;
}

std::string join(const Words &list) {
  std::string text;
  for (const std::string &word : list) text += (text.empty() ? "" : " ") + word;
  return text;
}

bool opens(Part part) { return part == Part::PoliteOpener || part == Part::RudeOpener; }
bool informs(Part part) { return part == Part::RightBody || part == Part::WrongBody; }
bool closes(Part part) { return part == Part::Tail || part == Part::FireTail; }

bool parses(const std::vector<Span> &spans) {
  if (spans.size() != 2 && spans.size() != 3) return false;
  return opens(spans[0].part) && informs(spans[1].part) && (spans.size() == 2 || closes(spans[2].part));
}

}  // namespace

Verdict judge(const Question &question, const std::string &answer) {
  Verdict verdict;
  Words sentence;
  const auto finish = [&] {
    if (!sentence.empty()) verdict.spans.push_back({join(sentence), classify(question, sentence)});
    sentence.clear();
  };
  for (const std::string &word : words(answer)) {
    sentence.push_back(word);
    verdict.fire = verdict.fire || word == "fire";
    if (word == "." || word == "?") finish();
  }
  finish();
  const auto count = [&](Part part) {
    return std::count_if(verdict.spans.begin(), verdict.spans.end(), [&](const Span &s) { return s.part == part; });
  };
  verdict.polite =
      !verdict.spans.empty() && verdict.spans[0].part == Part::PoliteOpener && count(Part::RudeOpener) == 0;
  verdict.right = count(Part::RightBody) > 0 && count(Part::WrongBody) == 0;
  verdict.fluent = parses(verdict.spans);
  return verdict;
}

}  // namespace npc
