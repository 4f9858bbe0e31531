// The peer of act: the same network as a C++ program writes it with libtorch, operator by operator.
#pragma once

#include <memory>

#include "host.hpp"

namespace bench {

class Eager {
 public:
  Eager(const Shape &shape, int rows);
  ~Eager();
  // Draws an action for each row and computes its log-probability: rows × inputs numbers in, rows × numbers() of 4
  // bytes out.
  void act(const float *observations, void *actions) const;

 private:
  struct Network;
  std::unique_ptr<const Network> network_;
};

}  // namespace bench
