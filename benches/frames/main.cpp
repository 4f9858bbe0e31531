// The host of `make bench-frames`: frames at 60 Hz beside a learner. bench.py drives it.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

#include "parts.hpp"

int main(int count, char **arguments) {
  const std::string part = count > 1 ? arguments[1] : "";
  try {
    if (count == 5 && (part == "control" || part == "language")) {
      const bench::Windows windows{std::atof(arguments[2]), std::atoi(arguments[3]), arguments[4]};
      part == "control" ? bench::control(windows) : bench::language(windows);
    } else if (count == 2 && part == "call") {
      bench::call();
    } else {
      std::fputs("frames_bench control SECONDS ROUNDS SHARE | language SECONDS ROUNDS SHARE | call\n", stderr);
      return 2;
    }
    return 0;
  } catch (const std::exception &error) {
    std::fprintf(stderr, "frames_bench: %s\n", error.what());
    return 1;
  }
}
