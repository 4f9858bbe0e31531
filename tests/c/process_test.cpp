// Processes that end: by returning from main in mid-job, and by being killed in mid-save.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

// Runs a program; its status, and all that it printed.
int run(const std::vector<std::string> &command, std::string &printed) {
  int pipes[2];
  if (pipe(pipes) != 0) return -1;
  const pid_t child = fork();
  if (child == 0) {
    dup2(pipes[1], STDOUT_FILENO);
    dup2(pipes[1], STDERR_FILENO);
    close(pipes[0]);
    std::vector<char *> arguments;
    for (const std::string &one : command) arguments.push_back(const_cast<char *>(one.c_str()));
    arguments.push_back(nullptr);
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

}  // namespace

TEST(Process, ReturnsFromMainInTheMiddleOfAJob) {
  for (const std::string kind : {"update", "generate", "load"}) {
    for (const std::string microseconds :
         {"0", "100", "1000", "3000", "5000", "20000", "60000", "150000", "300000", "600000"}) {
      std::string printed;
      EXPECT_EQ(run({EXIT_HOST, kind, microseconds}, printed), 0) << kind << " after " << microseconds << " us";
      EXPECT_EQ(printed, "") << kind << " after " << microseconds << " us";
    }
  }
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
