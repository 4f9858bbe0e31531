// The host of `make bench-control`: what keel's side of it costs. bench.py drives it, beside the peers.
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "parts.hpp"

int main(int count, char **arguments) {
  const std::vector<std::string> words(arguments + 1, arguments + count);
  try {
    if (words.size() == 1 && words[0] == "act") {
      bench::act();
    } else if (words.size() == 4 && words[0] == "update") {
      bench::update(bench::shape_named(words[1]), words[2], std::atoi(words[3].c_str()));
    } else if (words.size() == 3 && words[0] == "cartpole") {
      bench::cartpole(std::atoi(words[1].c_str()), std::atoi(words[2].c_str()));
    } else if (words.size() == 2 && words[0] == "half_cheetah") {
      bench::half_cheetah(std::atoi(words[1].c_str()));
    } else {
      std::fputs("control_bench act | update SHAPE LEARNER TIMES | cartpole CARTS UPDATES | half_cheetah UPDATES\n", stderr);
      return 2;
    }
    return 0;
  } catch (const std::exception &error) {
    std::fprintf(stderr, "control_bench: %s\n", error.what());
    return 1;
  }
}
