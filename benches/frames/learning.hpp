// A learner beside frames: the updates of a session, one behind the other, and what its calls cost the frame.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "keel/keel.hpp"
#include "timing.hpp"

namespace bench {

enum class Mode { off, job, pump, blocking };

const char *name(Mode mode);

class Learning {
 public:
  Learning(const keel::Session &session, keel::Microseconds budget) : session_(session), budget_(budget) {}
  // What it does in a frame; whether an update began.
  bool turn(Mode mode);
  // Ends the update that runs. Returns the µs that it and those before worked since the last stop.
  double stop();
  // What its calls took, as members of a JSON object.
  void print();

 private:
  bool begin(Mode mode);
  void look();
  void pump();
  void run();
  void note(const char *what, double value);

  const keel::Session &session_;
  const keel::Microseconds budget_;
  std::optional<keel::Job> job_;
  bool started_ = false;
  double worked_ = 0;
  std::map<std::string, Times> noted_;
};

}  // namespace bench
