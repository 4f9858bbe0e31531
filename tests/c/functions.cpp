#include "functions.hpp"

const std::vector<Function> &functions() {
  static const std::vector<Function> all = {
#include "functions.inc"
  };
  return all;
}
