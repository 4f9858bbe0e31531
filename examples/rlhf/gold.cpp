//! Grades and ranks.
#include "gold.hpp"

#include <algorithm>
#include <functional>
#include <numeric>

#include "judge.hpp"

namespace rlhf {
namespace {

constexpr double RIGHT = 0.40, POLITE = 0.25, FIRE = 0.20, FLUENT = 0.15;

std::vector<double> distinct(std::vector<double> grades) {
  std::sort(grades.begin(), grades.end(), std::greater<>());
  grades.erase(std::unique(grades.begin(), grades.end()), grades.end());
  return grades;
}

std::vector<std::int32_t> ranked(const std::vector<double> &grades, const std::vector<std::int32_t> &places) {
  const std::vector<double> levels = distinct(grades);
  std::vector<std::int32_t> list;
  for (double grade : grades)
    list.push_back(places[std::find(levels.begin(), levels.end(), grade) - levels.begin()]);
  return list;
}

std::vector<std::int32_t> in_order(const std::vector<double> &grades) {
  std::vector<std::int32_t> places(distinct(grades).size());
  std::iota(places.begin(), places.end(), 1);
  return places;
}

}  // namespace

double gold(const npc::Question &question, const std::string &answer) {
  const npc::Verdict verdict = npc::judge(question, answer);
  return RIGHT * verdict.right + POLITE * verdict.polite + FIRE * verdict.fire + FLUENT * verdict.fluent;
}

std::vector<std::int32_t> ranks(const std::vector<double> &grades) { return ranked(grades, in_order(grades)); }

std::vector<std::int32_t> noisy_ranks(const std::vector<double> &grades, double noise, npc::Dice &dice) {
  std::vector<std::int32_t> places = in_order(grades);
  for (std::size_t i = 1; i < places.size(); ++i)
    if (dice.chance(noise)) std::swap(places[i - 1], places[i]);
  return ranked(grades, places);
}

}  // namespace rlhf
