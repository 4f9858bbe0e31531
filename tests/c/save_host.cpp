// Kills a saving process 100 times: after each kill the checkpoint is one that was begun, whole, bit for bit.
// save_host <folder> <kills>. The children are forked before any thread exists, so that libtorch is loaded only once.
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

// Steps and saves for ever; says the hash of each state before it saves it.
[[noreturn]] void save_for_ever(const keel::Session &session, const std::string &path, int said) {
  for (;;) {
    session.step();
    const uint64_t hash = session.state_hash();
    if (write(said, &hash, sizeof hash) != sizeof hash) _exit(3);
    session.save(path).run();
  }
}

size_t leftovers(const std::string &folder) {
  size_t count = 0;
  std::FILE *listing = popen(("ls -A '" + folder + "'").c_str(), "r");
  for (int character = fgetc(listing); character != EOF; character = fgetc(listing)) count += character == '\n';
  pclose(listing);
  return count;
}

// What is wrong after the kill, or nothing.
std::string check(const keel::Runtime &runtime, const std::string &path, const std::set<uint64_t> &begun) {
  if (access(path.c_str(), F_OK) != 0) return begun.size() <= 1 ? "" : "no checkpoint, though a save had ended";
  const keel::Session session = keel::Session::open(runtime, path);
  return begun.count(session.state_hash()) ? "" : "a state that nobody saved";
}

}  // namespace

int main(int, char **arguments) try {
  const std::string folder = arguments[1], path = folder + "/session.checkpoint";
  const long kills = std::stol(arguments[2]);
  std::mt19937_64 random(7);
  const keel::Runtime runtime = keel::Runtime::create(R"({"cuda": "cpu"})");
  const keel::Model model = keel::Model::create(runtime, MODEL);
  const keel::Session session = make_session(runtime, model);
  for (long kill_number = 0; kill_number < kills; ++kill_number) {
    std::remove(path.c_str());
    int pipes[2];
    if (pipe(pipes) != 0) return 2;
    const pid_t child = fork();
    if (child == 0) save_for_ever(session, path, pipes[1]);
    close(pipes[1]);
    std::set<uint64_t> begun;
    uint64_t hash = 0;
    if (read(pipes[0], &hash, sizeof hash) == sizeof hash) begun.insert(hash);
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 20'000));
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    if (!WIFSIGNALED(status)) return std::printf("the child ended by itself: %d\n", status), 1;
    while (read(pipes[0], &hash, sizeof hash) == sizeof hash) begun.insert(hash);
    close(pipes[0]);
    const std::string wrong = check(runtime, path, begun);
    if (!wrong.empty()) return std::printf("kill %ld: %s\n", kill_number, wrong.c_str()), 1;
  }
  if (leftovers(folder) > 2) return std::printf("%zu files were left behind\n", leftovers(folder)), 1;
  return 0;
} catch (const keel::Exception &exception) {
  return std::printf("%s\n", exception.what()), 1;
}
