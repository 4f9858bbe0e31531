// handle.hpp: Report, and how keel.hpp calls keel.h (keel::detail, for keel.hpp only).
#ifndef KEEL_HANDLE_HPP
#define KEEL_HANDLE_HPP

#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "keel.h"
#include "result.hpp"

namespace keel {
#if defined(KEEL_EXCEPTIONS)
inline namespace throwing {
#else
inline namespace returning {
#endif
// How far a job is; see keel_report.
struct Report : keel_report {
  Report() : keel_report KEEL_REPORT_INIT {}
  bool pending() const { return state == KEEL_JOB_PENDING; }
  bool needs_data() const { return state == KEEL_JOB_NEED_DATA; }
  bool done() const { return state == KEEL_JOB_DONE; }
};

namespace detail {

template <class T>
struct Tag;
template <>
struct Tag<int32_t> : std::integral_constant<int32_t, KEEL_TYPE_I32> {};
template <>
struct Tag<int64_t> : std::integral_constant<int32_t, KEEL_TYPE_I64> {};
template <>
struct Tag<uint64_t> : std::integral_constant<int32_t, KEEL_TYPE_U64> {};
template <>
struct Tag<float> : std::integral_constant<int32_t, KEEL_TYPE_F32> {};
template <>
struct Tag<uint8_t> : std::integral_constant<int32_t, KEEL_TYPE_U8> {};
template <>
struct Tag<char> : std::integral_constant<int32_t, KEEL_TYPE_UTF8> {};

struct Caught : keel_error {
  // No more than a failed call leaves unwritten: to clear the message costs more than most calls.
  Caught() { struct_size = sizeof(keel_error), status = KEEL_OK, message[0] = 0; }
  Error error(keel_status returned) const { return Error{returned, message}; }
};

// Calls with room for an error; the result of `value()` when the status is no error, nor that of a full queue.
template <class T, class Call, class Value>
inline Result<T> call(Call &&function, Value &&value) {
  Caught caught;
  const keel_status status = function(&caught);
  if (status < 0 || status == KEEL_FULL) return fail<T>(caught.error(status));
  return value(status);
}

template <class Call>
inline Result<void> call(Call &&function) {
  return call<void>(function, [](keel_status) { return done(); });
}

template <class T, class Call>
inline Result<T> make(Call &&function) {
  uint64_t handle = 0;
  return call<T>([&](keel_error *error) { return function(&handle, error); },
                 [&](keel_status) -> Result<T> { return T::adopt(handle); });
}

// Like make, but a status above zero means that there is nothing (yet).
template <class T, class Call>
inline Result<std::optional<T>> make_optional(Call &&function) {
  uint64_t handle = 0;
  return call<std::optional<T>>([&](keel_error *error) { return function(&handle, error); },
                                [&](keel_status status) -> Result<std::optional<T>> {
                                  return status > 0 ? std::optional<T>() : std::optional<T>(T::adopt(handle));
                                });
}

// Reads a text of unknown length: asks again with enough room until it fits. Empty when the status is above zero.
template <class Call>
inline Result<std::optional<std::string>> read(Call &&function) {
  using Text = std::optional<std::string>;
  std::string text(512, '\0');
  Caught caught;
  for (;;) {
    size_t needed = 0;
    const keel_status status = function(&text[0], text.size(), &needed, &caught);
    if (status == KEEL_E_CAPACITY && needed > text.size()) {
      text.resize(needed);
      continue;
    }
    if (status < 0) return fail<Text>(caught.error(status));
    text.resize(status > 0 ? 0 : needed);
    return status > 0 ? Text() : Text(std::move(text));
  }
}

#if defined(KEEL_EXCEPTIONS)
template <class Call>
inline std::string text(Call &&function) {
  return *read(function);
}
#else
template <class Call>
inline Result<std::string> text(Call &&function) {
  auto result = read(function);
  if (!result) return result.error();
  return std::move(**result);
}
#endif

// Rows laid end to end, and where each begins.
template <class T>
struct Flat {
  template <class Rows>
  explicit Flat(const Rows &rows) {
    for (const auto &row : rows) {
      values.insert(values.end(), row.begin(), row.end());
      offsets.push_back(values.size());
    }
  }
  std::vector<T> values;
  std::vector<uint64_t> offsets{0};
};

// Owns one handle.
template <class Self, void(KEEL_CALL *destroy)(uint64_t)>
class Handle {
 public:
  Handle() = default;
  Handle(Handle &&other) noexcept : id_(std::exchange(other.id_, 0)) {}
  Handle &operator=(Handle &&other) noexcept {
    std::swap(id_, other.id_);
    return *this;
  }
  ~Handle() { destroy(id_); }

  static Self adopt(uint64_t id) {
    Self self;
    self.id_ = id;
    return self;
  }
  uint64_t id() const { return id_; }
  uint64_t release() { return std::exchange(id_, 0); }
  explicit operator bool() const { return id_ != 0; }

 protected:
  uint64_t id_ = 0;
};

}  // namespace detail

}  // namespace returning or throwing
}  // namespace keel

#endif  // KEEL_HANDLE_HPP
