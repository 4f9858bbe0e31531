// 10^5 calls of all exported functions in random order with random arguments, valid and not. The process lives, and
// when everything is destroyed no handle is left.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <random>
#include <set>

#include "functions.hpp"
#include "world.hpp"

namespace {

class Fuzz {
 public:
  explicit Fuzz(uint64_t seed) : random_(seed), directory_(testing::TempDir() + "keel_fuzz"),
        checkpoint_(testing::TempDir() + "keel_fuzz.checkpoint") {
    for (auto &word : wild_) word = random_();
    for (auto &word : tame_) word = (3 + random_() % 12) | (3 + random_() % 12) << 32;
  }

  void run(size_t calls) {
    const std::vector<Function> &all = functions();
    for (size_t call = 0; call < calls; ++call) step(all[random_() % all.size()]);
    destroy_all();
  }

  size_t succeeded = 0;
  size_t failed = 0;
  size_t unexplained = 0;
  std::set<std::string> working;  // the functions that succeeded at least once

 private:
  static constexpr size_t ROOM = 1 << 14;
  static constexpr const char *SFT = R"({"algorithm": {"type": "sft", "batch_size": 1, "epochs": 0}, "threads": 1, "kept_versions": 4})";

  void step(const Function &function) {
    if (keel_live_handles() > 400) destroy_all();
    for (const std::string noun : {"runtime", "model", "batch", "session", "actor", "blob"}) {
      if (lacks(noun)) furnish();
    }
    tame_call_ = random_() % 2 == 0;
    if (function.name == "keel_runtime_shutdown" && random_() % 8) return;
    std::vector<uint64_t> values;
    for (size_t index = 0; index < function.parameters.size(); ++index)
      values.push_back(value(function, index, values));
    std::fill(std::begin(output_), std::end(output_), 0);
    error_ = KEEL_ERROR_INIT;
    const keel_status status = function.call(values.data());
    if (function.destroys()) return forget({function.parameters[0].noun(), values[0]});
    if (!function.fallible) return;
    status < 0 ? ++failed : ++succeeded;
    if (status == KEEL_OK) working.insert(function.name);
    if (status < 0 && values.back() != 0 && error_.message[0] == '\0') ++unexplained;
    if (status >= 0) keep(function, values);
  }

  bool lacks(const std::string &noun) const {
    return std::none_of(alive_.begin(), alive_.end(), [&](const auto &one) { return one.first == noun; });
  }

  // Objects with which every function can succeed.
  void furnish() {
    const keel_runtime runtime = make_runtime();
    const keel_model model = make_model(runtime);
    const keel_session session = make_session(runtime, SFT);
    keel_session_set_model(session, KEEL_ROLE_POLICY, nullptr, 0, model, nullptr);
    const keel_batch rows = make_demonstrations(runtime, 2);
    keel_session_push(session, rows, nullptr, nullptr);
    keel_job job = 0;
    keel_session_save(session, checkpoint_.data(), checkpoint_.size(), &job, nullptr);
    finish(job, nullptr);
    keel_model_save(model, directory_.data(), directory_.size(), nullptr);
    keel_blob blob = 0;
    keel_session_export(session, &blob, nullptr);
    const keel_session control = make_control_session(runtime);
    keel_actor actor = 0;
    keel_actor_create(control, nullptr, 0, &actor, nullptr);
    alive_.insert(alive_.end(), {{"session", control}, {"actor", actor}});
    alive_.insert(alive_.end(), {{"runtime", runtime}, {"model", model}, {"session", session}, {"batch", rows},
                                 {"batch", make_prompts(runtime, {"a", "b c"})}, {"blob", blob}});
  }

  // Once in `calls` of the calls whose arguments may be wrong.
  bool odd(uint64_t calls) { return !tame_call_ && random_() % calls == 0; }

  uint64_t value(const Function &function, size_t index, const std::vector<uint64_t> &values) {
    const Parameter &one = function.parameters[index];
    if (one.handle()) return handle(one.noun());
    if (one.error()) return random_() % 8 ? from(&error_) : 0;
    if (one.type == "keel_report *") return report();
    // A DLPack tensor and a callback must be real ones, so they are NULL here; their own tests have them.
    if (one.type == "DLManagedTensorVersioned *") return 0;
    if (one.type == "DLManagedTensorVersioned *const *") return odd(2) ? 0 : from(no_tensors_);
    if (one.function() || one.name == "user_data" || one.name == "stream") return 0;
    if (one.name == "header_abi") return odd(8) ? random_() : KEEL_ABI_VERSION;
    if (one.name == "timeout_us") return random_() % 1000;
    if (one.name == "offsets" && one.constant()) return odd(2) ? pointer(wild_) : 0;
    if (one.text()) return text(function.name, one.name);
    if (one.type.find("**") != std::string::npos) return pointer(output_);
    if (one.pointer() && one.constant()) return pointer(odd(2) ? wild_ : tame_);
    if (one.pointer()) return pointer(output_);
    if (one.name == "capacity") return odd(2) ? random_() % 64 : sizeof output_;
    if (one.type == "size_t") return length(function, index, values);
    if (one.name == "role" || one.name == "kind" || one.name == "type" || one.name == "rows")
      return odd(2) ? random_() : 1 + random_() % 2;
    return odd(2) ? random_() : random_() % 8;
  }

  // A length is at most what the pointer before it has room for, or one that no memory has.
  uint64_t length(const Function &function, size_t index, const std::vector<uint64_t> &values) {
    if (odd(16)) return UINT64_MAX - random_() % 4;
    const std::string &name = function.parameters[index].name;
    if ((name == "observation_bytes" || name == "action_bytes") && !odd(2)) return 4 * values[2];
    if (name == "rewards_count" && !odd(2)) return values[2];
    if (name == "final_bytes" && !odd(2)) return 0;
    const Parameter &before = function.parameters[index - 1];
    if (before.text())
      return values[index - 1] == 0 ? (odd(2) ? 1 : 0) : std::string(as<const char *>(values[index - 1])).size();
    return odd(2) ? random_() % (ROOM / 8) : 2 * (random_() % 4);
  }

  uint64_t text(const std::string &function, const std::string &name) {
    static const std::vector<std::string> places = {"/proc/no/such/place", directory_, checkpoint_};
    static const std::vector<std::string> columns = {"prompt", "response"}, kinds = {"load", "session"};
    static const std::vector<std::string> wrong_names = {"", "weight", "a b c", "\xff\xfe"};
    static const std::vector<std::string> wrong = {"", "{}", "{", "nul", R"({"max_new_tokens": -2})",
                                                   R"({"seed": 1e400})"};
    static const std::map<std::string, std::vector<std::string>> right = {
        {"keel_runtime_create", {R"({"cuda": "cpu"})"}},
        {"keel_model_create", {tiny_model()}},
        {"keel_session_create",
         {SFT, R"({"algorithm": {"type": "dpo", "batch_size": 1}, "threads": 1})",
          R"({"algorithm": {"type": "ppo"}, "threads": 1})"}},
        {"keel_actor_create", {"", "{}"}},
        {"keel_session_configure", {"", "{}", R"({"optimizer": {"learning_rate": 1e-4}})", R"({"kept_versions": 2})"}},
        {"keel_session_generate", {R"({"max_new_tokens": 2})"}},
        {"keel_model_load", {"", R"({"dtype": "float32"})"}}};
    const auto any = [this](const std::vector<std::string> &list) { return from(list[random_() % list.size()].data()); };
    if (odd(16)) return 0;
    if (name == "path" && !odd(4)) return from((function.rfind("keel_model", 0) == 0 ? directory_ : checkpoint_).data());
    if (name == "path") return any(places);
    if (name == "name") return odd(2) ? any(wrong_names) : 0;
    if (name == "text") return any(columns);
    if (name != "json") return odd(2) ? any(wrong_names) : any(name == "kind" ? kinds : columns);
    return any(odd(2) ? wrong : right.at(function));
  }

  uint64_t report() {
    if (random_() % 3 == 0) return 0;
    std::fill(std::begin(report_), std::end(report_), 0);
    const uint32_t sizes[] = {0, 5, 8, 20, 60, 4096, 4097, 0xffffffffu};
    report_[0] = odd(2) ? sizes[random_() % 8] : sizeof(keel_report);
    return from(report_);
  }

  uint64_t pointer(uint64_t *room) { return odd(16) ? 0 : from(room) + (odd(16) ? 1 : 0); }

  uint64_t handle(const std::string &noun) {
    if (odd(16)) return 0;
    if (odd(16)) return random_();
    if (odd(16) && !stale_.empty()) return stale_[random_() % stale_.size()];
    const bool any = odd(16);
    std::vector<uint64_t> fitting;
    for (const auto &[kind, id] : alive_) {
      if (any || kind == noun) fitting.push_back(id);
    }
    return fitting.empty() ? 0 : fitting[random_() % fitting.size()];
  }

  void keep(const Function &function, const std::vector<uint64_t> &values) {
    for (size_t index = 0; index < values.size(); ++index) {
      const Parameter &one = function.parameters[index];
      if (one.type.rfind("keel_", 0) != 0 || one.type.back() != '*' || one.error() || one.type == "keel_report *")
        continue;
      uint64_t made = 0;
      std::memcpy(&made, as<const void *>(values[index]), sizeof made);
      if (made != 0) alive_.emplace_back(one.type.substr(5, one.type.size() - 7), made);
    }
    if (alive_.size() > 40) destroy_some();
  }

  void destroy_some() {
    for (int times = 0; times < 20; ++times) destroy(alive_[random_() % alive_.size()]);
  }

  void destroy_all() {
    while (!alive_.empty()) destroy(alive_.back());
  }

  void destroy(const std::pair<std::string, uint64_t> one) {
    for (const Function &function : functions()) {
      if (function.name == "keel_" + one.first + "_destroy") function.call(&one.second);
    }
    forget(one);
  }

  void forget(const std::pair<std::string, uint64_t> one) {
    const auto found = std::find(alive_.begin(), alive_.end(), one);
    if (found == alive_.end()) return;
    alive_.erase(found);
    stale_.push_back(one.second);
    if (stale_.size() > 100) stale_.erase(stale_.begin());
  }

  std::mt19937_64 random_;
  bool tame_call_ = false;  // half of the calls have arguments that may succeed
  std::string directory_, checkpoint_;
  std::vector<std::pair<std::string, uint64_t>> alive_;
  std::vector<uint64_t> stale_;
  keel_error error_ = KEEL_ERROR_INIT;
  alignas(16) uint32_t report_[2048] = {0};
  void *const no_tensors_[ROOM] = {};
  alignas(16) uint64_t wild_[ROOM];
  alignas(16) uint64_t tame_[ROOM];
  alignas(16) uint64_t output_[ROOM];
};

}  // namespace

TEST(Fuzz, RandomCallsLeaveNothingBehind) {
  const uint64_t alive = keel_live_handles();
  auto fuzz = std::make_unique<Fuzz>(20260101);
  fuzz->run(100'000);
  EXPECT_GT(fuzz->succeeded, 25'000u) << "most arguments were wrong";
  EXPECT_GT(fuzz->failed, 10'000u) << "few arguments were wrong";
  std::set<std::string> never;
  for (const Function &function : functions()) {
    if (function.fallible && !fuzz->working.count(function.name)) never.insert(function.name);
  }
  // What these take cannot be guessed: a real tensor, rows of the other split, the bytes of a checkpoint, no runtime yet.
  EXPECT_EQ(never, (std::set<std::string>{"keel_actor_act_dlpack", "keel_batch_set_dlpack", "keel_process_set_allocator",
                                          "keel_session_evaluate", "keel_session_import",
                                          "keel_session_take_queries"}));
  EXPECT_EQ(fuzz->unexplained, 0u) << "errors without a message";
  EXPECT_EQ(keel_live_handles(), alive);
}
