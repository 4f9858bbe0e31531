// Starts a job on keel's thread and returns from main in the middle of it: exit_host <update|generate|load>
// <microseconds> <model directory>. A job that has failed by then is an error.
#include <chrono>
#include <string>
#include <thread>

#include "keel/keel.hpp"

namespace {

const char *const MODEL =
    R"({"config": {"model_type": "llama", "vocab_size": 256, "hidden_size": 128, "intermediate_size": 256,
  "num_hidden_layers": 4, "num_attention_heads": 4, "max_position_embeddings": 512}})";

keel::Result<keel::Job> make(const std::string &kind, const std::string &directory, const keel::Runtime &runtime,
                             const keel::Session &session) {
  if (kind == "load") return keel::Model::load(runtime, directory);
  const std::vector<std::vector<int32_t>> rows(16, std::vector<int32_t>(64, 3));
  if (kind == "generate") {
    auto prompts = keel::Batch::create(runtime, KEEL_BATCH_PROMPTS, rows.size());
    if (!prompts) return prompts.error();
    if (auto set = prompts->set("prompt", rows); !set) return set.error();
    return session.generate(*prompts, R"({"max_new_tokens": 256, "ignore_eos": true})");
  }
  auto batch = keel::Batch::create(runtime, KEEL_BATCH_DEMONSTRATIONS, rows.size());
  if (!batch) return batch.error();
  if (auto set = batch->set("response", rows); !set) return set.error();
  if (auto first = session.push(*batch); !first) return first.error();
  auto update = session.update();
  if (!update) return update.error();
  return std::move(**update);
}

}  // namespace

int main(int, char **arguments) {
  auto runtime = keel::Runtime::create();
  if (!runtime) return 2;
  auto model = keel::Model::create(*runtime, MODEL);
  if (!model) return 3;
  auto session = keel::Session::create(*runtime, R"({"algorithm": {"type": "sft", "batch_size": 16}})");
  if (!session || !session->set_model(KEEL_ROLE_POLICY, *model)) return 4;
  auto job = make(arguments[1], arguments[3], *runtime, *session);
  if (!job || !job->start()) return 5;
  std::this_thread::sleep_for(std::chrono::microseconds(std::stol(arguments[2])));
  return job->error().status == KEEL_OK ? 0 : 6;
}
