// Kills a saving process 100 times: after each kill the checkpoint is one that was begun, whole, bit for bit.
// save_host <folder> <kills>. Each child goes on from the checkpoint that the last one left, and overwrites it. They are
// forked, so that libtorch is loaded only once; the caller sees to it that OpenMP has one thread.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <random>
#include <set>
#include <string>
#include <thread>

#define KEEL_EXCEPTIONS
#include "keel/keel.hpp"

namespace {

const char *const MODEL =
    R"({"config": {"model_type": "llama", "vocab_size": 512, "hidden_size": 128, "intermediate_size": 512,
  "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 64}})";

keel::Session make_session(const keel::Runtime &runtime, const keel::Model &model) {
  keel::Session session = keel::Session::create(
      runtime,
      R"({"algorithm": {"type": "sft", "batch_size": 1, "epochs": 0}, "optimizer": {"learning_rate": 0.001}, "threads": 1})");
  session.set_model(KEEL_ROLE_POLICY, model);
  keel::Batch batch = keel::Batch::create(runtime, KEEL_BATCH_DEMONSTRATIONS, 2);
  batch.set("response", std::vector<std::vector<int32_t>>{{1, 2, 3}, {4, 5}});
  session.push(batch);
  return session;
}

// Steps and saves for ever; says the hash of each state before it saves it, and 0 after.
[[noreturn]] void save_for_ever(const keel::Session &session, const std::string &path, int said) {
  const auto say = [said](uint64_t word) {
    if (write(said, &word, sizeof word) != sizeof word) _exit(3);
  };
  if (access(path.c_str(), F_OK) == 0) session.restore(path).run();
  for (;;) {
    session.step();
    say(session.state_hash());
    session.save(path).run();
    say(0);
  }
}

size_t leftovers(const std::string &folder) {
  size_t count = 0;
  std::FILE *listing = popen(("ls -A '" + folder + "'").c_str(), "r");
  for (int character = fgetc(listing); character != EOF; character = fgetc(listing)) count += character == '\n';
  pclose(listing);
  return count;
}

// What a child said until it was killed.
struct Said {
  std::set<uint64_t> begun;
  size_t saves = 0;
  bool saving = false;  // the kill came between the begin of a save and its end

  void hear(uint64_t word) {
    saving = word != 0;
    saves += word == 0;
    if (saving) begun.insert(word);
  }
};

// The state in the checkpoint; 0 if there is none.
uint64_t saved(const keel::Runtime &runtime, const std::string &path) {
  if (access(path.c_str(), F_OK) != 0) return 0;
  return keel::Session::open(runtime, path).state_hash();
}

}  // namespace

int main(int, char **arguments) try {
  const std::string folder = arguments[1], path = folder + "/session.checkpoint";
  const long kills = std::stol(arguments[2]);
  std::mt19937_64 random(7);
  const keel::Runtime runtime = keel::Runtime::create(R"({"cuda": "cpu"})");
  const keel::Model model = keel::Model::create(runtime, MODEL);
  const keel::Session session = make_session(runtime, model);
  uint64_t last = 0;
  int within = 0, after = 0;
  for (long kill_number = 0; kill_number < kills; ++kill_number) {
    int pipes[2];
    if (pipe(pipes) != 0) return 2;
    const pid_t child = fork();
    if (child == 0) save_for_ever(session, path, pipes[1]);
    close(pipes[1]);
    Said said;
    uint64_t word = 0;
    if (read(pipes[0], &word, sizeof word) == sizeof word) said.hear(word);
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 100'000));
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    if (!WIFSIGNALED(status)) return std::printf("the child ended by itself: %d\n", status), 1;
    while (read(pipes[0], &word, sizeof word) == sizeof word) said.hear(word);
    close(pipes[0]);
    const uint64_t found = saved(runtime, path);
    // Until the first save has ended, the last child's checkpoint may still stand.
    const bool right = said.begun.count(found) != 0 || (said.saves == 0 && found == last);
    if (!right) return std::printf("kill %ld: a state that nobody saved\n", kill_number), 1;
    last = found;
    within += said.saving;
    after += said.saves > 0;
  }
  if (leftovers(folder) > 2) return std::printf("%zu files were left behind\n", leftovers(folder)), 1;
  std::printf("%d kills within a save, %d after one\n", within, after);
  return 0;
} catch (const keel::Exception &exception) {
  return std::printf("%s\n", exception.what()), 1;
}
