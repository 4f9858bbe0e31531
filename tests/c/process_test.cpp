// Processes that end: by returning from main in mid-job, and by being killed in mid-save; and one that looks at itself.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "world.hpp"

namespace {

// Runs a program; its status, and all that it printed.
int run(const std::vector<std::string> &command, std::string &printed) {
  int pipes[2];
  if (pipe2(pipes, O_CLOEXEC) != 0) return -1;
  std::vector<char *> arguments;
  for (const std::string &one : command) arguments.push_back(const_cast<char *>(one.c_str()));
  arguments.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    dup2(pipes[1], STDOUT_FILENO);
    dup2(pipes[1], STDERR_FILENO);
    close(pipes[0]);
    execv(arguments[0], arguments.data());
    _exit(127);
  }
  close(pipes[1]);
  char buffer[4096];
  for (ssize_t got; (got = read(pipes[0], buffer, sizeof buffer)) > 0;)
    printed.append(buffer, static_cast<size_t>(got));
  close(pipes[0]);
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

constexpr int KINDS = 5, EXITS = 30 * KINDS;

// Five kinds of job by turns; most exits come within 5 ms of the start, the others up to 140 ms after it.
void exit_in_mid_job(int number, const std::string &directory) {
  const std::vector<std::string> kinds{"update", "control", "hosted", "generate", "load"};
  const std::string kind = kinds[static_cast<size_t>(number % KINDS)];
  const int turn = number / KINDS;
  const std::string microseconds = std::to_string(turn < 20 ? 250 * turn : 5000 + 1500 * (turn - 20) * (turn - 19));
  std::string printed;
  EXPECT_EQ(run({EXIT_HOST, kind, microseconds, directory}, printed), 0) << kind << " after " << microseconds << " us";
  EXPECT_EQ(printed, "") << kind << " after " << microseconds << " us";
}

// A model directory that takes some milliseconds to load.
void save_model(const std::string &directory) {
  const keel_runtime runtime = make_runtime();
  const keel_model model = make_model(runtime, 0, 4, 256);
  Caught caught;
  ASSERT_EQ(keel_model_save(model, directory.data(), directory.size(), caught), KEEL_OK) << caught.message();
  keel_model_destroy(model);
  keel_runtime_destroy(runtime);
}

}  // namespace

TEST(Process, ReturnsFromMainInTheMiddleOfAJob) {
  std::string folder = testing::TempDir() + "keel_exit_XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  save_model(folder);
  std::atomic<int> next{0};
  std::vector<std::thread> workers;
  for (int worker = 0; worker < 2; ++worker) {
    workers.emplace_back([&] {
      for (int number = next++; number < EXITS; number = next++) exit_in_mid_job(number, folder);
    });
  }
  for (std::thread &worker : workers) worker.join();
  EXPECT_EQ(std::system(("rm -r '" + folder + "'").c_str()), 0);
}

TEST(Process, IsToItsHostAsItWas) {
  std::string folder = testing::TempDir() + "keel_same_XXXXXX", printed;
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  EXPECT_EQ(run({NEIGHBOUR_HOST, "same", folder}, printed), 0) << printed;
  EXPECT_EQ(printed, "");
  EXPECT_EQ(std::system(("rm -r '" + folder + "'").c_str()), 0);
}

TEST(Process, DoesNotGrowInAThousandCycles) {
  std::string printed;
  EXPECT_EQ(run({NEIGHBOUR_HOST, "growth", "1000"}, printed), 0) << printed;
}

TEST(Process, GrowthIsSeen) {
  std::string printed;
  const int status = run({NEIGHBOUR_HOST, "leak", "30"}, printed);
  ASSERT_TRUE(WIFEXITED(status)) << printed;
  EXPECT_EQ(WEXITSTATUS(status), 1 + 4) << printed;
  EXPECT_NE(printed.find("130 live handles"), std::string::npos) << printed;
}

TEST(Process, KeepsItsTensorsInTheHostsMemory) {
  std::string printed;
  EXPECT_EQ(run({ALLOCATOR_HOST}, printed), 0) << printed;
  EXPECT_EQ(printed, "");
}

TEST(Process, IsKilledInTheMiddleOfASave) {
  std::string folder = testing::TempDir() + "keel_kill_XXXXXX", printed;
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  // One thread of OpenMP, whose pool does not survive a fork.
  EXPECT_EQ(run({"/usr/bin/env", "OMP_NUM_THREADS=1", SAVE_HOST, folder, "100"}, printed), 0) << printed;
  int within = 0, after = 0;
  EXPECT_EQ(std::sscanf(printed.c_str(), "%d kills within a save, %d after one", &within, &after), 2) << printed;
  EXPECT_GE(within, 20) << "few kills met a save";
  EXPECT_GE(after, 20) << "few saves ended before the kill";
  EXPECT_EQ(std::system(("rm -r '" + folder + "'").c_str()), 0);
}
