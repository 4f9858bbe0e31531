// Starts a job and returns from main in the middle of it: exit_host <update|control|hosted|generate|load> <microseconds>
// <model directory>. "hosted" is an update on a thread of the host's own. A job that has failed by then is an error.
#include <chrono>
#include <exception>
#include <string>
#include <thread>

#include "learning.hpp"

namespace {

int32_t start_thread(keel_thread_work work, void *argument, void *) {
  std::thread(work, argument).detach();
  return 0;
}

keel::Job make(const std::string &kind, const std::string &directory, const keel::Runtime &runtime) {
  if (kind == "load") return keel::Model::load(runtime, directory);
  if (kind == "control") {
    const keel::Session session = learning::control(runtime, 256, 2048, 100);
    learning::play(session, 2048);
    return std::move(*session.update());
  }
  const keel::Model model = keel::Model::create(runtime, learning::llama(128, 4));
  const keel::Session session = learning::language(runtime, model, 0);
  if (kind == "generate") {
    const keel::Batch prompts = learning::rows(runtime, KEEL_BATCH_PROMPTS, "prompt", 64);
    return session.generate(prompts, R"({"max_new_tokens": 256, "ignore_eos": true})");
  }
  if (kind == "hosted") runtime.set_thread_starter(&start_thread, nullptr);
  session.push(learning::rows(runtime, KEEL_BATCH_DEMONSTRATIONS, "response", 64));
  return std::move(*session.update());
}

}  // namespace

int main(int, char **arguments) try {
  const keel::Runtime runtime = keel::Runtime::create();
  const keel::Job job = make(arguments[1], arguments[3], runtime);
  job.start();
  std::this_thread::sleep_for(std::chrono::microseconds(std::stol(arguments[2])));
  return job.error().status == KEEL_OK ? 0 : 6;
} catch (const std::exception &) {
  return 2;
}
