// keel.hpp: the C++17 face of keel.h, header only.
//
// Each handle is a move-only class that destroys it: Runtime, Model, Batch, Session, Job, Actor, Blob. A function that can
// fail returns Result<T>, which holds the value or the Error; no exceptions and no RTTI are needed. With
// KEEL_EXCEPTIONS defined before the include, Result<T> is T itself and an error is thrown as keel::Exception, so that
// calls chain:
//     session.generate(prompts, R"({"max_new_tokens": 32})").run();
// Everything else (threads, ownership, what each call does) is as keel.h says of the function of the same name. A view
// (View, Column, Texts, Blob::bytes) is valid until the batch or blob that it came from is changed or destroyed.
#ifndef KEEL_KEEL_HPP
#define KEEL_KEEL_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "handle.hpp"
#include "keel.h"
#include "result.hpp"
#include "view.hpp"

namespace keel {
#if defined(KEEL_EXCEPTIONS)
inline namespace throwing {
#else
inline namespace returning {
#endif

using Microseconds = std::chrono::microseconds;

namespace detail {
// A time that has passed already is none: as an unsigned number it would be an age.
inline uint64_t count(Microseconds time) { return time.count() > 0 ? static_cast<uint64_t>(time.count()) : 0; }
}  // namespace detail

class Runtime : public detail::Handle<Runtime, keel_runtime_destroy> {
 public:
  static Result<Runtime> create(std::string_view json = {}) {
    return detail::make<Runtime>([&](keel_runtime *out, keel_error *error) {
      return keel_runtime_create(KEEL_ABI_VERSION, json.data(), json.size(), out, error);
    });
  }
  Result<void> shutdown(Microseconds timeout) const {
    return detail::call(
        [&](keel_error *error) { return keel_runtime_shutdown(id_, detail::count(timeout), error); });
  }
  // The next event as JSON, of one source (a session's id) or of any; empty when there is none.
  Result<std::optional<std::string>> next_event(uint64_t source = 0) const {
    return detail::read([&](char *buffer, size_t capacity, size_t *needed, keel_error *error) {
      return keel_runtime_next_event(id_, source, buffer, capacity, needed, error);
    });
  }
  Result<std::string> devices() const {
    return detail::text([&](auto... out) { return keel_runtime_devices(id_, out...); });
  }
  Result<std::string> memory() const {
    return detail::text([&](auto... out) { return keel_runtime_memory(id_, out...); });
  }
  // Started jobs run on threads that the host's starter provides; without one, on keel's own again.
  Result<void> set_thread_starter(keel_thread_starter starter, void *user_data) const {
    return detail::call(
        [&](keel_error *error) { return keel_runtime_set_thread_starter(id_, starter, user_data, error); });
  }
};

// Tensors in host memory live in the host's memory; before the first Runtime of the process.
inline Result<void> set_allocator(keel_allocate allocate, keel_release release, void *user_data) {
  return detail::call(
      [&](keel_error *error) { return keel_process_set_allocator(allocate, release, user_data, error); });
}

class Batch : public detail::Handle<Batch, keel_batch_destroy> {
 public:
  static Result<Batch> create(const Runtime &runtime, int32_t kind, uint64_t rows) {
    return detail::make<Batch>(
        [&](keel_batch *out, keel_error *error) { return keel_batch_create(runtime.id(), kind, rows, out, error); });
  }
  Result<uint64_t> rows() const {
    uint64_t rows = 0;
    return detail::call<uint64_t>([&](keel_error *error) { return keel_batch_rows(id_, &rows, error); },
                                  [&](keel_status) -> Result<uint64_t> { return rows; });
  }

  // One value (or the same number of values) a row; with offsets (rows + 1), a ragged column.
  template <class T>
  Result<void> set(std::string_view column, View<T> values, View<uint64_t> offsets = {}) {
    return detail::call([&](keel_error *error) {
      return keel_batch_set(id_, column.data(), column.size(), detail::Tag<T>::value, values.data(), values.size(),
                            offsets.data(), error);
    });
  }
  template <class T>
  Result<void> set(std::string_view column, const std::vector<T> &values) {
    return set(column, View<T>(values));
  }
  template <class T>
  Result<void> set(std::string_view column, const std::vector<std::vector<T>> &rows) {
    return set_rows<T>(column, rows);
  }
  Result<void> set(std::string_view column, const std::vector<std::string> &rows) {
    return set_rows<char>(column, rows);
  }
  Result<void> set(std::string_view column, const std::vector<std::string_view> &rows) {
    return set_rows<char>(column, rows);
  }

  // The column as values of T; char asks for text and decodes tokens.
  template <class T>
  Result<Column<T>> get(std::string_view column) const {
    int32_t type = detail::Tag<T>::value;
    const void *values = nullptr;
    const uint64_t *offsets = nullptr;
    size_t count = 0;
    uint64_t rows = 0;
    auto both = [&](keel_error *error) {
      const keel_status status = keel_batch_rows(id_, &rows, error);
      return status < 0 ? status
                        : keel_batch_get(id_, column.data(), column.size(), &type, &values, &count, &offsets, error);
    };
    return detail::call<Column<T>>(both, [&](keel_status) -> Result<Column<T>> {
      const size_t all = static_cast<size_t>(rows);
      return Column<T>{View<T>(static_cast<const T *>(values), count),
                       View<uint64_t>(offsets, offsets == nullptr ? 0 : all + 1), all};
    });
  }
  Result<Column<int32_t>> tokens(std::string_view column) const { return get<int32_t>(column); }
  Result<Column<float>> numbers(std::string_view column) const { return get<float>(column); }
#if defined(KEEL_EXCEPTIONS)
  Texts texts(std::string_view column) const { return Texts(get<char>(column)); }
#else
  Result<Texts> texts(std::string_view column) const {
    auto result = get<char>(column);
    if (!result) return result.error();
    return Texts(*result);
  }
#endif

  // As a DLPack tensor of the host's, which is taken over; and a copy as one, whose deleter the caller calls.
  Result<void> set_dlpack(std::string_view column, DLManagedTensorVersioned *tensor, void *stream = nullptr) {
    return detail::call([&](keel_error *error) {
      return keel_batch_set_dlpack(id_, column.data(), column.size(), tensor, stream, error);
    });
  }
  Result<DLManagedTensorVersioned *> get_dlpack(std::string_view column) const {
    DLManagedTensorVersioned *tensor = nullptr;
    return detail::call<DLManagedTensorVersioned *>(
        [&](keel_error *error) { return keel_batch_get_dlpack(id_, column.data(), column.size(), &tensor, error); },
        [&](keel_status) -> Result<DLManagedTensorVersioned *> { return tensor; });
  }

 private:
  template <class T, class Rows>
  Result<void> set_rows(std::string_view column, const Rows &rows) {
    const detail::Flat<T> flat(rows);
    return set(column, View<T>(flat.values), View<uint64_t>(flat.offsets));
  }
};

class Job;

class Model : public detail::Handle<Model, keel_model_destroy> {
 public:
  // A job that loads a directory in the Hugging Face layout; Job::model gives the model.
  static Result<Job> load(const Runtime &runtime, std::string_view path, std::string_view json = {});
  static Result<Model> create(const Runtime &runtime, std::string_view json) {
    return detail::make<Model>([&](keel_model *out, keel_error *error) {
      return keel_model_create(runtime.id(), json.data(), json.size(), out, error);
    });
  }
  Result<void> save(std::string_view path) const {
    return detail::call([&](keel_error *error) { return keel_model_save(id_, path.data(), path.size(), error); });
  }
  Result<std::string> info() const {
    return detail::text([&](auto... out) { return keel_model_info(id_, out...); });
  }
  Result<std::vector<int32_t>> encode(std::string_view text, uint32_t flags = 0) const {
    std::vector<int32_t> tokens(text.size() + 8);
    size_t needed = 0;
    auto attempt = [&](keel_error *error) {
      return keel_model_encode(id_, text.data(), text.size(), flags, tokens.data(), tokens.size(), &needed, error);
    };
    auto retry = [&](keel_error *error) {
      const keel_status status = attempt(error);
      if (status != KEEL_E_CAPACITY) return status;
      tokens.resize(needed);
      return attempt(error);
    };
    return detail::call<std::vector<int32_t>>(retry, [&](keel_status) -> Result<std::vector<int32_t>> {
      tokens.resize(needed);
      return std::move(tokens);
    });
  }
  Result<std::string> decode(View<int32_t> tokens, uint32_t flags = 0) const {
    return detail::text(
        [&](auto... out) { return keel_model_decode(id_, tokens.data(), tokens.size(), flags, out...); });
  }
};

class Job : public detail::Handle<Job, keel_job_destroy> {
 public:
  // The three drivers. Each says how far the job is; a failed job returns its error again and again.
  Result<Report> run() const {
    return report([&](auto... out) { return keel_job_run(id_, out...); });
  }
  Result<void> start() const {
    return detail::call([&](keel_error *error) { return keel_job_start(id_, error); });
  }
  Result<Report> pump(Microseconds budget) const {
    return report([&](auto... out) { return keel_job_pump(id_, detail::count(budget), out...); });
  }

  Result<Report> poll() const {
    return report([&](auto... out) { return keel_job_poll(id_, out...); });
  }
  Result<Report> wait(Microseconds timeout) const {
    return report([&](auto... out) { return keel_job_wait(id_, detail::count(timeout), out...); });
  }
  // What the job is at, in a few words; how far it is stands in its reports.
  Result<std::string> stage() const {
    return detail::text([&](auto... out) { return keel_job_progress(id_, nullptr, out...); });
  }
  Result<void> cancel() const {
    return detail::call([&](keel_error *error) { return keel_job_cancel(id_, error); });
  }
  // What a finished job made.
  Result<Batch> batch() const {
    return detail::make<Batch>([&](auto... out) { return keel_job_batch(id_, out...); });
  }
  Result<Model> model() const {
    return detail::make<Model>([&](auto... out) { return keel_job_model(id_, out...); });
  }
  // The job's own error; status KEEL_OK when it has none.
  Error error() const {
    detail::Caught caught;
    const keel_status status = keel_job_error(id_, &caught);
    return status < 0 ? caught.error(status) : Error{};
  }

 private:
  template <class Call>
  static Result<Report> report(Call &&function) {
    Report report;
    return detail::call<Report>([&](keel_error *error) { return function(static_cast<keel_report *>(&report), error); },
                                [&](keel_status) -> Result<Report> { return report; });
  }
};

inline Result<Job> Model::load(const Runtime &runtime, std::string_view path, std::string_view json) {
  return detail::make<Job>([&](keel_job *out, keel_error *error) {
    return keel_model_load(runtime.id(), path.data(), path.size(), json.data(), json.size(), out, error);
  });
}

class Blob : public detail::Handle<Blob, keel_blob_destroy> {
 public:
  Result<View<uint8_t>> bytes() const {
    const uint8_t *data = nullptr;
    size_t size = 0;
    return detail::call<View<uint8_t>>([&](keel_error *error) { return keel_blob_data(id_, &data, &size, error); },
                                       [&](keel_status) -> Result<View<uint8_t>> { return View<uint8_t>(data, size); });
  }
};

// Scores rollouts: writes `count` rewards and returns 0, or another number to fail the job.
using Reward = std::function<int32_t(const Batch &rollouts, float *rewards, size_t count)>;

class Session : public detail::Handle<Session, keel_session_destroy> {
 public:
  Session() = default;
  Session(Session &&) = default;
  Session &operator=(Session &&other) noexcept {
    Handle::operator=(std::move(other));
    std::swap(runtime_, other.runtime_);
    std::swap(judge_, other.judge_);
    return *this;
  }
  ~Session() { remove_reward(); }
  // Gives the handle away, without the reward function, which ends here.
  uint64_t release() {
    remove_reward();
    return Handle::release();
  }

  static Result<Session> create(const Runtime &runtime, std::string_view json) {
    return make(runtime, [&](keel_session *out, keel_error *error) {
      return keel_session_create(runtime.id(), json.data(), json.size(), out, error);
    });
  }
  static Result<Session> open(const Runtime &runtime, std::string_view path) {
    return make(runtime, [&](keel_session *out, keel_error *error) {
      return keel_session_open(runtime.id(), path.data(), path.size(), out, error);
    });
  }

  Result<void> set_model(int32_t role, const Model &model, std::string_view name = {}) const {
    return detail::call([&](keel_error *error) {
      return keel_session_set_model(id_, role, name.data(), name.size(), model.id(), error);
    });
  }
  Result<Model> model(int32_t role, std::string_view name = {}) const {
    return detail::make<Model>([&](keel_model *out, keel_error *error) {
      return keel_session_model(id_, role, name.data(), name.size(), out, error);
    });
  }
  Result<std::string> config() const {
    return detail::text([&](auto... out) { return keel_session_config(id_, out...); });
  }
  Result<std::string> metrics() const {
    return detail::text([&](auto... out) { return keel_session_metrics(id_, out...); });
  }
  // Where each group of the records of a control policy lies.
  Result<std::string> layout() const {
    return detail::text([&](auto... out) { return keel_session_layout(id_, out...); });
  }
  Result<uint64_t> state_hash() const {
    uint64_t hash = 0;
    return detail::call<uint64_t>([&](keel_error *error) { return keel_session_state_hash(id_, &hash, error); },
                                  [&](keel_status) -> Result<uint64_t> { return hash; });
  }

  // All rows or none; the id of the first row, the others follow.
  Result<uint64_t> push(const Batch &batch) const {
    uint64_t first = 0;
    return detail::call<uint64_t>([&](keel_error *error) { return keel_session_push(id_, batch.id(), &first, error); },
                                  [&](keel_status) -> Result<uint64_t> { return first; });
  }
  Result<void> reward(View<uint64_t> ids, View<float> rewards) const {
    return detail::call([&](keel_error *error) {
      return keel_session_reward(id_, ids.data(), ids.size(), rewards.data(), rewards.size(), error);
    });
  }
  // Rollouts that wait for their rewards, with the column `id`; nothing where none are needed.
  Result<std::optional<Batch>> take_queries() const {
    return detail::make_optional<Batch>([&](auto... out) { return keel_session_take_queries(id_, out...); });
  }
  Result<void> answer(View<uint64_t> ids, View<float> rewards) const {
    return detail::call([&](keel_error *error) {
      return keel_session_answer(id_, ids.data(), ids.size(), rewards.data(), rewards.size(), error);
    });
  }
  Result<void> clear() const {
    return detail::call([&](keel_error *error) { return keel_session_clear(id_, error); });
  }

  // A job, or nothing when more rows are needed first.
  Result<std::optional<Job>> update() const {
    return detail::make_optional<Job>([&](auto... out) { return keel_session_update(id_, out...); });
  }
  Result<std::optional<Job>> evaluate() const {
    return detail::make_optional<Job>([&](auto... out) { return keel_session_evaluate(id_, out...); });
  }
  // update + run; the report says whether it was done or needs data.
  Result<Report> step() const {
    Report report;
    return detail::call<Report>([&](keel_error *error) { return keel_session_step(id_, &report, error); },
                                [&](keel_status) -> Result<Report> { return report; });
  }
  Result<Job> generate(const Batch &prompts, std::string_view json = {}) const {
    return detail::make<Job>([&](keel_job *out, keel_error *error) {
      return keel_session_generate(id_, prompts.id(), json.data(), json.size(), out, error);
    });
  }
  Result<Job> generate(const std::vector<std::string> &prompts, std::string_view json = {}) const {
    const detail::Flat<char> flat(prompts);
    return detail::make<Job>([&](keel_job *out, keel_error *error) {
      keel_batch batch = 0;
      keel_status status = keel_batch_create(runtime_, KEEL_BATCH_PROMPTS, prompts.size(), &batch, error);
      if (status >= 0) {
        status = keel_batch_set(batch, "prompt", 6, KEEL_TYPE_UTF8, flat.values.data(), flat.values.size(),
                                flat.offsets.data(), error);
      }
      if (status >= 0) status = keel_session_generate(id_, batch, json.data(), json.size(), out, error);
      keel_batch_destroy(batch);
      return status;
    });
  }
  Result<Job> save(std::string_view path) const {
    return detail::make<Job>(
        [&](keel_job *out, keel_error *error) { return keel_session_save(id_, path.data(), path.size(), out, error); });
  }
  Result<Job> restore(std::string_view path) const {
    return detail::make<Job>([&](keel_job *out, keel_error *error) {
      return keel_session_restore(id_, path.data(), path.size(), out, error);
    });
  }
  // Changes settings from the next optimiser step on; the other keys stay as they are.
  Result<Job> configure(std::string_view json) const {
    return detail::make<Job>([&](keel_job *out, keel_error *error) {
      return keel_session_configure(id_, json.data(), json.size(), out, error);
    });
  }
  // What was learned so far, also in mid-update.
  Result<Job> publish() const {
    return detail::make<Job>([&](auto... out) { return keel_session_publish(id_, out...); });
  }
  // Training goes on from a version that is kept.
  Result<Job> roll_back(uint64_t version) const {
    return detail::make<Job>(
        [&](keel_job *out, keel_error *error) { return keel_session_roll_back(id_, version, out, error); });
  }
  // Jobs of the session do no slice until resume.
  Result<void> pause() const {
    return detail::call([&](keel_error *error) { return keel_session_pause(id_, error); });
  }
  Result<void> resume() const {
    return detail::call([&](keel_error *error) { return keel_session_resume(id_, error); });
  }
  Result<Blob> export_state() const {
    return detail::make<Blob>([&](auto... out) { return keel_session_export(id_, out...); });
  }
  Result<void> import_state(View<uint8_t> bytes) const {
    return detail::call([&](keel_error *error) { return keel_session_import(id_, bytes.data(), bytes.size(), error); });
  }

  // Calls `reward` on the thread that drives an update with run or pump, for rows that have none yet. Waits for a call
  // of the function before on another thread, as release and the destructor do; all three may be called from inside it.
  Result<void> set_reward(Reward reward) {
    auto judge = reward ? std::make_shared<Judge>(std::move(reward)) : nullptr;
    const keel_reward_callback function = judge ? &Session::call_reward : nullptr;
    return detail::call<void>(
        [&](keel_error *error) {
          return keel_session_set_callback(id_, KEEL_CALLBACK_REWARD, function, judge.get(), error);
        },
        [&](keel_status) {
          judge_ = std::move(judge);
          return detail::done();
        });
  }

 private:
  template <class Call>
  static Result<Session> make(const Runtime &runtime, Call &&function) {
    uint64_t handle = 0;
    return detail::call<Session>([&](keel_error *error) { return function(&handle, error); },
                                 [&](keel_status) -> Result<Session> {
                                   Session session = adopt(handle);
                                   session.runtime_ = runtime.id();
                                   return session;
                                 });
  }
  // Shared, so that a function that replaces itself lives until it has returned.
  struct Judge : std::enable_shared_from_this<Judge> {
    explicit Judge(Reward function) : reward(std::move(function)) {}
    const Reward reward;
  };
  static int32_t KEEL_CALL call_reward(keel_batch rollouts, float *rewards, size_t count, void *user_data) {
    const std::shared_ptr<Judge> judge = static_cast<Judge *>(user_data)->shared_from_this();
    const Batch batch = Batch::adopt(rollouts);
    return judge->reward(batch, rewards, count);
  }
  void remove_reward() {
    if (judge_) (void)keel_session_set_callback(id_, KEEL_CALLBACK_REWARD, nullptr, nullptr, nullptr);
    judge_.reset();
  }

  keel_runtime runtime_ = 0;
  std::shared_ptr<Judge> judge_;
};

// Acts for the slots of a session that trains a control policy; one for each host thread that acts.
class Actor : public detail::Handle<Actor, keel_actor_destroy> {
 public:
  static Result<Actor> create(const Session &session, std::string_view json = {}) {
    return detail::make<Actor>([&](keel_actor *out, keel_error *error) {
      return keel_actor_create(session.id(), json.data(), json.size(), out, error);
    });
  }
  // One observation record a slot, plain structs; fills, or with KEEL_ACT_GIVEN reads, one action record a slot.
  template <class Observation, class Action>
  Result<void> act(View<uint32_t> slots, const std::vector<Observation> &observations, std::vector<Action> &actions,
                   uint32_t flags = 0) const {
    static_assert(std::is_trivially_copyable_v<Observation> && std::is_trivially_copyable_v<Action>, "plain structs");
    return detail::call([&](keel_error *error) {
      return keel_actor_act(id_, slots.data(), slots.size(), observations.data(),
                            observations.size() * sizeof(Observation), actions.data(), actions.size() * sizeof(Action),
                            flags, nullptr, error);
    });
  }
  // As act, on arrays of the host's: `count` slots, observation records and action records; of decisions, nullable, too.
  template <class Observation, class Action>
  Result<void> act(const uint32_t *slots, size_t count, const Observation *observations, Action *actions,
                   uint32_t flags = 0, uint64_t *decisions = nullptr) const {
    static_assert(std::is_trivially_copyable_v<Observation> && std::is_trivially_copyable_v<Action>, "plain structs");
    return detail::call([&](keel_error *error) {
      return keel_actor_act(id_, slots, count, observations, count * sizeof(Observation), actions, count * sizeof(Action),
                            flags, decisions, error);
    });
  }
  // As act, on DLPack tensors of the host's, one for each observation group and one of actions; all are taken over. Where the
  // session learns on their device, observations stay there.
  Result<void> act_dlpack(View<uint32_t> slots, const std::vector<DLManagedTensorVersioned *> &observations,
                          DLManagedTensorVersioned *actions, void *stream = nullptr, uint32_t flags = 0) const {
    return detail::call([&](keel_error *error) {
      return keel_actor_act_dlpack(id_, slots.data(), slots.size(), observations.data(), observations.size(), actions,
                                   stream, flags, nullptr, error);
    });
  }
  // A reward and a KEEL_EPISODE_… for each slot; a final observation for each that is truncated.
  template <class Observation>
  Result<void> observe(View<uint32_t> slots, View<float> rewards, View<int32_t> status,
                       const std::vector<Observation> &final_observations) const {
    return detail::call([&](keel_error *error) {
      // one count stands for both in C
      const int32_t *const matching = status.size() == slots.size() ? status.data() : nullptr;
      return keel_actor_observe(id_, slots.data(), slots.size(), rewards.data(), rewards.size(), matching,
                                final_observations.data(), final_observations.size() * sizeof(Observation), error);
    });
  }
  // As observe, on arrays of the host's: `count` slots, rewards (one each) and statuses, `truncated` final observations.
  template <class Observation>
  Result<void> observe(const uint32_t *slots, size_t count, const float *rewards, const int32_t *status,
                       const Observation *final_observations, size_t truncated) const {
    return detail::call([&](keel_error *error) {
      return keel_actor_observe(id_, slots, count, rewards, count, status, final_observations,
                                truncated * sizeof(Observation), error);
    });
  }
};

// The version of the loaded library, e.g. "0.1.0".
inline std::string_view version() { return keel_version(); }
// The ABI that it speaks: major << 16 | minor.
inline uint32_t abi_version() { return keel_abi_version(); }
inline uint64_t live_handles() { return keel_live_handles(); }
inline Result<std::string> build_info() {
  return detail::text([](auto... out) { return keel_build_info(out...); });
}
// The JSON Schema of one configuration: runtime, load, create, control, control_reward,
// generate, session, columns.
inline Result<std::string> config_schema(std::string_view kind) {
  return detail::text([&](auto... out) { return keel_config_schema(kind.data(), kind.size(), out...); });
}

}  // namespace returning or throwing
}  // namespace keel

#endif  // KEEL_KEEL_HPP
