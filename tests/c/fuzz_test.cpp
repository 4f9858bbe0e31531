// 10^5 calls of all exported functions in random order with random arguments, valid and not. The process lives, and
// when everything is destroyed no handle is left.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "functions.hpp"
#include "world.hpp"

namespace {

class Fuzz {
 public:
  explicit Fuzz(uint64_t seed) : random_(seed), files_(testing::TempDir() + "keel_fuzz") {
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

 private:
  static constexpr size_t ROOM = 1 << 14;

  void step(const Function &function) {
    if (function.name == "keel_runtime_create" && keel_live_handles() > 400) return destroy_all();
    std::vector<uint64_t> values;
    for (size_t index = 0; index < function.parameters.size(); ++index)
      values.push_back(value(function, index, values));
    std::fill(std::begin(output_), std::end(output_), 0);
    error_ = KEEL_ERROR_INIT;
    const keel_status status = function.call(values.data());
    if (!function.fallible) return;
    status < 0 ? ++failed : ++succeeded;
    if (status < 0 && values.back() != 0 && error_.message[0] == '\0') ++unexplained;
    if (status >= 0) keep(function, values);
  }

  // A DLPack tensor and a callback must be real ones, so they are NULL here; their own tests have them.
  uint64_t value(const Function &function, size_t index, const std::vector<uint64_t> &values) {
    const Parameter &one = function.parameters[index];
    if (one.handle()) return handle(one.noun());
    if (one.error()) return random_() % 8 ? from(&error_) : 0;
    if (one.type == "keel_report *") return report();
    if (one.name == "tensor" && one.type.find("**") == std::string::npos) return 0;
    if (one.name == "callback" || one.name == "user_data" || one.name == "stream") return 0;
    if (one.name == "header_abi") return random_() % 8 ? KEEL_ABI_VERSION : random_();
    if (one.name == "timeout_us") return random_() % 1000;
    if (one.text()) return text(one.name);
    if (one.pointer() && one.constant()) return pointer(random_() % 2 ? tame_ : wild_);
    if (one.pointer()) return pointer(output_);
    if (one.type == "size_t") return length(function, index, values);
    return random_() % 2 ? random_() % 8 : random_();
  }

  // A length is at most what the pointer before it has room for, or one that no memory has.
  uint64_t length(const Function &function, size_t index, const std::vector<uint64_t> &values) {
    if (random_() % 16 == 0) return UINT64_MAX - random_() % 4;
    const Parameter &before = function.parameters[index - 1];
    if (before.text())
      return values[index - 1] == 0 ? random_() % 2 : std::string(as<const char *>(values[index - 1])).size();
    return random_() % 4 ? random_() % 9 : random_() % (ROOM / 8);
  }

  uint64_t text(const std::string &name) {
    static const std::vector<std::string> names = {"",       "prompt", "response", "chosen", "reward",
                                                   "weight", "a b c",  "\xff\xfe", "load",   "session"};
    static const std::vector<std::string> json = {
        "",
        "{}",
        "{",
        "nul",
        R"({"cuda": "cpu"})",
        R"({"algorithm": {"type": "sft", "batch_size": 1, "epochs": 0}, "threads": 1})",
        R"({"algorithm": {"type": "dpo", "batch_size": 1}})",
        R"({"algorithm": {"type": "ppo"}})",
        R"({"max_new_tokens": 2})",
        R"({"max_new_tokens": -2})",
        R"({"seed": 1e400})"};
    static const std::string model = tiny_model();
    if (random_() % 16 == 0) return 0;
    if (name == "path") return from(files_.data());
    if (name != "json") return from(names[random_() % names.size()].data());
    return random_() % 6 ? from(json[random_() % json.size()].data()) : from(model.data());
  }

  uint64_t report() {
    if (random_() % 3 == 0) return 0;
    std::fill(std::begin(report_), std::end(report_), 0);
    const uint32_t sizes[] = {sizeof(keel_report), sizeof(keel_report), 0, 5, 8, 20, 60, 4096, 4097, 0xffffffffu};
    report_[0] = sizes[random_() % 10];
    return from(report_);
  }

  uint64_t pointer(uint64_t *room) { return random_() % 16 == 0 ? 0 : from(room) + (random_() % 16 == 0 ? 1 : 0); }

  uint64_t handle(const std::string &noun) {
    const uint64_t choice = random_() % 16;
    if (choice == 0) return 0;
    if (choice == 1) return random_();
    if (choice == 2 && !stale_.empty()) return stale_[random_() % stale_.size()];
    const bool own = choice > 3;
    std::vector<uint64_t> fitting;
    for (const auto &[kind, id] : alive_) {
      if (!own || kind == noun) fitting.push_back(id);
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
    if (alive_.size() > 60) destroy_some();
  }

  void destroy_some() {
    for (int times = 0; times < 30; ++times) {
      const size_t index = random_() % alive_.size();
      destroy(alive_[index]);
      alive_.erase(alive_.begin() + static_cast<std::ptrdiff_t>(index));
    }
  }

  void destroy_all() {
    for (const auto &one : alive_) destroy(one);
    alive_.clear();
  }

  void destroy(const std::pair<std::string, uint64_t> &one) {
    for (const Function &function : functions()) {
      if (function.name == "keel_" + one.first + "_destroy") function.call(&one.second);
    }
    stale_.push_back(one.second);
    if (stale_.size() > 100) stale_.erase(stale_.begin());
  }

  std::mt19937_64 random_;
  std::string files_;
  std::vector<std::pair<std::string, uint64_t>> alive_;
  std::vector<uint64_t> stale_;
  keel_error error_ = KEEL_ERROR_INIT;
  alignas(16) uint32_t report_[2048] = {0};
  alignas(16) uint64_t wild_[ROOM];
  alignas(16) uint64_t tame_[ROOM];
  alignas(16) uint64_t output_[ROOM];
};

}  // namespace

TEST(Fuzz, RandomCallsLeaveNothingBehind) {
  const uint64_t alive = keel_live_handles();
  auto fuzz = std::make_unique<Fuzz>(20260101);
  fuzz->run(100'000);
  EXPECT_GT(fuzz->succeeded, 1'000u) << "most arguments were wrong";
  EXPECT_GT(fuzz->failed, 10'000u) << "few arguments were wrong";
  EXPECT_EQ(fuzz->unexplained, 0u) << "errors without a message";
  EXPECT_EQ(keel_live_handles(), alive);
}
