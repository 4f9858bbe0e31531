// What a host does in a frame beside keel: always the same count of steps through a table.
#pragma once

#include <cstdint>
#include <vector>

namespace bench {

class Work {
 public:
  // So many steps that they take about `milliseconds` where nothing else runs.
  explicit Work(double milliseconds);
  void run() { walk(steps_); }
  long steps() const { return steps_; }

 private:
  void walk(long steps);

  std::vector<uint32_t> table_;
  uint32_t place_ = 0;
  long steps_ = 1 << 16;
};

}  // namespace bench
