//! Labels of a scripted judge, and the reward model that learns from them.
#pragma once

#include "agent.hpp"

namespace preferences {

class Judge {
 public:
  // Labels that are shuffled among the pairs say nothing.
  Judge(const keel::Runtime &runtime, std::uint64_t seed, bool shuffled);
  // Compares so many pairs of segments of the traces by their true return, and learns from all labels so far.
  void label(const std::vector<Trace> &traces, std::size_t pairs);
  const keel::Model &model() const { return model_; }
  std::size_t labels() const { return labels_; }

 private:
  const keel::Runtime &runtime_;
  bool shuffled_;
  Dice dice_;
  keel::Model model_;
  keel::Session session_;
  std::size_t labels_ = 0;
};

}  // namespace preferences
