//! The world of the demo: travellers ask an innkeeper for prices, or for a secret that must not be told.
//! Owns the grammar (prompts, answers, preference pairs) and the split of questions into training and held out.
//! Refuses to know about models: everything here is text. The judge reads the same grammar back.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "dice.hpp"

namespace npc {

enum class Topic { Price, Secret };

/// One combination of everything that a prompt is made of; item and size are 0 where the topic is the secret.
struct Question {
  Topic topic = Topic::Price;
  int role = 0, greeting = 0, form = 0, item = 0, size = 0;
};

/// What an answer is made of; tail -1 is no tail.
struct Answer {
  bool polite = false;
  int opener = 0;
  bool right = false;
  int body = 0;
  int tail = -1;
};

/// A preference: two answers to one prompt, the judge's better one first.
struct Pair {
  std::string prompt, chosen, rejected;
};

/// The templates of the grammar: words separated by spaces, slots in braces.
struct Grammar {
  std::vector<std::string> roles, sizes, items, numbers, greetings;
  std::vector<std::string> price_questions, secret_questions;
  std::vector<std::string> polite_openers, rude_openers;
  std::vector<std::string> price_answers, price_evasions, secret_kept, secret_told;
  std::vector<std::string> tails;
};

const Grammar &grammar();

/// What the innkeeper charges: a word of `grammar().numbers`.
const std::string &price(int item, int size);

/// `<s> a knight asks : <user> good evening , how much is a small ale ? <bot>`
std::string prompt(const Question &question);

/// The traveller's words alone.
std::string spoken(const Question &question);

/// The words of an answer, without the end token.
std::string answer(const Question &question, const Answer &parts);

/// The mix that supervised training shows: polite and right each 45 %, independent; a tail 65 %, independent of both.
Answer draw_answer(const Question &question, Dice &dice);

/// Whether this combination belongs to the held-out set; depends on nothing else, so every run agrees.
bool held_out(const Question &question);

/// Every question of one side of the split.
std::vector<Question> every_question(Topic topic, bool held_out);

/// `count` different held-out questions, 70 % prices. Throws std::logic_error if there are fewer.
std::vector<Question> held_out_questions(std::size_t count, std::uint64_t seed);

/// Deals training questions and remembers their prompts, so that an evaluation can prove it asks nothing that was
/// trained on.
class World {
 public:
  World();
  World(std::vector<Question> prices, std::vector<Question> secrets) : prices_(prices), secrets_(secrets) {}

  /// A training question: 70 % prices, 30 % the secret.
  Question training_question(Dice &dice);

  /// Two answers of the training mix to a fresh training question, ranked by the judge; never a tie.
  Pair training_pair(Dice &dice);

  /// Throws std::logic_error if training saw one of these prompts.
  void require_unseen(const std::vector<Question> &questions) const;

  std::size_t trained_prompts() const { return trained_.size(); }

 private:
  std::vector<Question> prices_, secrets_;
  std::set<std::string> trained_;
};

/// Two answers of the training mix to this question, ranked by the judge; never a tie.
Pair draw_pair(const Question &question, Dice &dice);

/// Splits at spaces.
std::vector<std::string> words(const std::string &text);

}  // namespace npc
