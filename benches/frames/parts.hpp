// What the program measures; each part prints lines of JSON.
#pragma once

#include <functional>
#include <string>

#include "learning.hpp"
#include "work.hpp"

namespace bench {

// A host with a learner, in windows of so many seconds, so many times each way.
struct Windows {
  double seconds;
  int rounds;
  std::string share;  // of its time, that a started job works
};

inline std::string runtime_json(const Windows &windows) {
  return R"({"cuda": "cpu", "learner_threads": {"share": )" + windows.share + "}}";
}

struct Player {
  std::function<void()> play;   // its part of a frame
  std::function<void()> begun;  // an update began
  std::function<void()> fresh;  // a window begins
};

// Windows without and with a learner in turns, and at last some that block; prints a line for each, one for the calls.
void windows(const char *part, const Windows &windows, const keel::Session &session, const Player &player);

// 1024 carts whose policy learns.
void control(const Windows &windows);
// A host that does nothing but its work, beside a language model of 15 million parameters.
void language(const Windows &windows);
// What a call costs that does next to nothing.
void call();

}  // namespace bench
