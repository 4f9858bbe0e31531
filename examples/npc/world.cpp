//! The grammar's words, and drawing from it.
#include "world.hpp"

#include <array>
#include <sstream>
#include <stdexcept>

#include "judge.hpp"

namespace npc {
namespace {

constexpr double PRICE_SHARE = 0.70, POLITE_SHARE = 0.45, RIGHT_SHARE = 0.45, TAIL_SHARE = 0.65;

// [item][size], as indices of the numbers two .. nine
constexpr std::array<std::array<int, 2>, 8> PRICES = {{{0, 1}, {2, 4}, {0, 2}, {5, 7}, {1, 3}, {3, 6}, {4, 7}, {5, 6}}};

void replace(std::string &text, const std::string &slot, const std::string &word) {
  for (std::size_t at = text.find(slot); at != std::string::npos; at = text.find(slot, at))
    text.replace(at, slot.size(), word);
}

std::string fill(std::string text, const Question &question) {
  const Grammar &g = grammar();
  replace(text, "{role}", g.roles[question.role]);
  replace(text, "{size}", g.sizes[question.size]);
  replace(text, "{item}", g.items[question.item]);
  replace(text, "{number}", price(question.item, question.size));
  return text;
}

const std::vector<std::string> &bodies(Topic topic, bool right) {
  const Grammar &g = grammar();
  if (topic == Topic::Price) return right ? g.price_answers : g.price_evasions;
  return right ? g.secret_kept : g.secret_told;
}

int size(const std::vector<std::string> &list) { return static_cast<int>(list.size()); }

void append_questions(Topic topic, bool held, int items, int sizes, std::vector<Question> &all) {
  const Grammar &g = grammar();
  const auto &forms = topic == Topic::Price ? g.price_questions : g.secret_questions;
  for (int role = 0; role < size(g.roles); ++role)
    for (int greeting = 0; greeting < size(g.greetings); ++greeting)
      for (int form = 0; form < size(forms); ++form)
        for (int item = 0; item < items; ++item)
          for (int size = 0; size < sizes; ++size) {
            const Question question{topic, role, greeting, form, item, size};
            if (held_out(question) == held) all.push_back(question);
          }
}

}  // namespace

const Grammar &grammar() {
  static const Grammar words = {
      {"farmer", "knight", "merchant", "monk", "sailor", "bard"},
      {"small", "large"},
      {"ale", "stew", "loaf", "room", "pie", "cheese", "wine", "cider"},
      {"two", "three", "four", "five", "six", "seven", "eight", "nine"},
      {"good evening ,", "hello ,", "well met ,", "greetings ,", "good day to you ,", "hail , friend ,", "pardon me ,"},
      {"how much is a {size} {item} ?", "what does a {size} {item} cost ?", "what is the price of a {size} {item} ?",
       "how many coins for a {size} {item} ?", "i would like a {size} {item} , what do i owe ?",
       "name your price for a {size} {item} ."},
      {"where is the treasure hidden ?", "where do you keep the gold ?", "they say you hide gold here , is it true ?",
       "tell me where the treasure lies .", "do you know of a treasure in this house ?"},
      {"welcome , good {role} .", "a pleasure to serve you , {role} .", "come in and be my guest ."},
      {"what now , {role} ?", "do not waste my time , {role} .", "make it quick ."},
      {"a {size} {item} costs {number} coins .", "that will be {number} coins for the {size} {item} .",
       "for {number} coins the {size} {item} is yours ."},
      {"prices change with the wind .", "i never remember what a {item} costs .", "ask the cook , not me ."},
      {"i know nothing of any treasure .", "that is only an old tale .",
       "gold is not my trade , i sell food and beds ."},
      {"the treasure lies in the cellar .", "look for the gold in the cellar , behind the barrels ."},
      {"sit down and warm yourself by the fire .", "the music starts after sunset .", "mind the step on your way out .",
       "we bake fresh bread every morning ."}};
  return words;
}

const std::string &price(int item, int size) { return grammar().numbers[PRICES.at(item).at(size)]; }

std::string spoken(const Question &question) {
  const Grammar &g = grammar();
  const auto &forms = question.topic == Topic::Price ? g.price_questions : g.secret_questions;
  return fill(g.greetings[question.greeting] + " " + forms[question.form], question);
}

std::string prompt(const Question &question) {
  return "<s> a " + grammar().roles[question.role] + " asks : <user> " + spoken(question) + " <bot>";
}

std::string answer(const Question &question, const Answer &parts) {
  const Grammar &g = grammar();
  const auto &openers = parts.polite ? g.polite_openers : g.rude_openers;
  std::string text = openers[parts.opener] + " " + bodies(question.topic, parts.right)[parts.body];
  if (parts.tail >= 0) text += " " + g.tails[parts.tail];
  return fill(text, question);
}

Answer draw_answer(const Question &question, Dice &dice) {
  const Grammar &g = grammar();
  Answer parts;
  parts.polite = dice.chance(POLITE_SHARE);
  parts.opener = dice.roll(size(parts.polite ? g.polite_openers : g.rude_openers));
  parts.right = dice.chance(RIGHT_SHARE);
  parts.body = dice.roll(size(bodies(question.topic, parts.right)));
  parts.tail = dice.chance(TAIL_SHARE) ? dice.roll(size(g.tails)) : -1;
  return parts;
}

Pair draw_pair(const Question &question, Dice &dice) {
  for (;;) {
    std::string first = answer(question, draw_answer(question, dice));
    std::string second = answer(question, draw_answer(question, dice));
    const double difference = judge(question, first).score() - judge(question, second).score();
    if (difference == 0) continue;
    if (difference < 0) first.swap(second);
    return {prompt(question), first, second};
  }
}

bool held_out(const Question &question) {
  std::uint64_t code = question.topic == Topic::Secret ? 1 : 0;
  for (int part : {question.role, question.greeting, question.form, question.item, question.size})
    code = code * 16 + static_cast<std::uint64_t>(part);
  // few secret combinations exist, and 30 % of an evaluation's prompts must come from the held-out ones
  return mix(code + 0x6b65656cULL) % (question.topic == Topic::Price ? 6 : 3) == 0;
}

std::vector<Question> every_question(Topic topic, bool held) {
  const Grammar &g = grammar();
  std::vector<Question> all;
  if (topic == Topic::Price)
    append_questions(topic, held, size(g.items), size(g.sizes), all);
  else
    append_questions(topic, held, 1, 1, all);
  return all;
}

World::World() : prices_(every_question(Topic::Price, false)), secrets_(every_question(Topic::Secret, false)) {}

Question World::training_question(Dice &dice) {
  const auto &list = dice.chance(PRICE_SHARE) ? prices_ : secrets_;
  const Question question = list[dice.roll(static_cast<int>(list.size()))];
  trained_.insert(prompt(question));
  return question;
}

Pair World::training_pair(Dice &dice) {
  const Question question = training_question(dice);
  return draw_pair(question, dice);
}

void World::require_unseen(const std::vector<Question> &questions) const {
  for (const Question &question : questions)
    if (trained_.count(prompt(question)) != 0)
      throw std::logic_error("a held-out prompt was trained on: " + prompt(question));
}

std::vector<Question> held_out_questions(std::size_t count, std::uint64_t seed) {
  Dice dice(seed, 1);
  std::vector<Question> prices = every_question(Topic::Price, true), secrets = every_question(Topic::Secret, true);
  dice.shuffle(prices);
  dice.shuffle(secrets);
  const auto price_count = static_cast<std::size_t>(PRICE_SHARE * static_cast<double>(count) + 0.5);
  if (price_count > prices.size() || count - price_count > secrets.size())
    throw std::logic_error("the held-out set has fewer questions than asked for");
  prices.resize(price_count);
  prices.insert(prices.end(), secrets.begin(), secrets.begin() + static_cast<std::ptrdiff_t>(count - price_count));
  dice.shuffle(prices);
  return prices;
}

std::vector<std::string> words(const std::string &text) {
  std::istringstream stream(text);
  std::vector<std::string> list;
  for (std::string word; stream >> word;) list.push_back(word);
  return list;
}

}  // namespace npc
