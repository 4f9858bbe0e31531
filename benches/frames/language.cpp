#include <cstdio>

#include "host.hpp"
#include "parts.hpp"

namespace bench {
namespace {

constexpr int vocabulary = 6144, rows = 64, prompt = 16, response = 48;

const char *const llama = R"({"initialization": "fan_in", "config": {"model_type": "llama", "vocab_size": 6144,
  "hidden_size": 384, "intermediate_size": 1024, "num_hidden_layers": 6, "num_attention_heads": 6,
  "max_position_embeddings": 128, "bos_token_id": 0, "eos_token_id": 1}})";
// A row is a forward and a backward of its own, so that slices are as short as they can be.
const char *const method = R"({"algorithm": {"type": "sft", "batch_size": 4, "epochs": 0}, "micro_batch_tokens": 64})";

std::vector<std::vector<int32_t>> sentences(Random &random, int length) {
  std::vector<std::vector<int32_t>> all(rows, std::vector<int32_t>(length));
  for (auto &row : all)
    for (int32_t &token : row) token = 2 + static_cast<int32_t>((random.next() + 1) * 0.5f * (vocabulary - 2));
  return all;
}

}  // namespace

void language(const Windows &windows) {
  const keel::Runtime runtime = keel::Runtime::create(runtime_json(windows));
  const keel::Model model = keel::Model::create(runtime, llama);
  const keel::Session session = keel::Session::create(runtime, method);
  session.set_model(KEEL_ROLE_POLICY, model);
  Random random;
  keel::Batch demonstrations = keel::Batch::create(runtime, KEEL_BATCH_DEMONSTRATIONS, rows);
  demonstrations.set("prompt", sentences(random, prompt));
  demonstrations.set("response", sentences(random, response));
  session.push(demonstrations);
  std::printf("{\"part\": \"model\", \"info\": %s}\n", model.info().c_str());
  const auto nothing = [] {};
  bench::windows("language", windows, session, {nothing, nothing, nothing});
}

}  // namespace bench
