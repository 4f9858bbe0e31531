// result.hpp: what a call of keel.hpp returns, with exceptions (KEEL_EXCEPTIONS) and without.
#ifndef KEEL_RESULT_HPP
#define KEEL_RESULT_HPP

#include <cassert>
#include <string>
#include <utility>
#include <variant>

#include "keel.h"

#if defined(KEEL_EXCEPTIONS)
#include <stdexcept>
#endif

namespace keel {

// A failed call: its status (KEEL_E_…, or KEEL_FULL) and the sentence that explains it.
struct Error {
  keel_status status = KEEL_OK;
  std::string message;
  const char *name() const { return keel_status_name(status); }
};

#if defined(KEEL_EXCEPTIONS)
inline namespace throwing {

class Exception : public std::runtime_error {
 public:
  explicit Exception(const Error &error) : std::runtime_error(error.message), status_(error.status) {}
  keel_status status() const noexcept { return status_; }

 private:
  keel_status status_;
};

template <class T>
using Result = T;

namespace detail {
template <class T>
[[noreturn]] inline T fail(Error error) {
  throw Exception(error);
}
inline void done() {}
}  // namespace detail
}  // namespace throwing
#else
inline namespace returning {

// A value or the Error that explains its absence. Reading the value of a failed result is a bug of the caller.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool has_value() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }
  T &value() & { return *checked(std::get_if<0>(&state_)); }
  const T &value() const & { return *checked(std::get_if<0>(&state_)); }
  T &&value() && { return std::move(*checked(std::get_if<0>(&state_))); }
  T &operator*() & { return value(); }
  const T &operator*() const & { return value(); }
  T &&operator*() && { return std::move(*this).value(); }
  T *operator->() { return &value(); }
  const T *operator->() const { return &value(); }
  T value_or(T other) && { return has_value() ? std::move(*this).value() : std::move(other); }
  const Error &error() const { return *checked(std::get_if<1>(&state_)); }
  keel_status status() const noexcept { return has_value() ? KEEL_OK : std::get_if<1>(&state_)->status; }

  // Calls `next`, which returns a Result, with the value; an error passes through.
  template <class F>
  auto and_then(F &&next) && -> decltype(next(std::declval<T &&>())) {
    if (!has_value()) return error();
    return std::forward<F>(next)(std::move(*this).value());
  }

 private:
  template <class U>
  static U *checked(U *pointer) {
    assert(pointer != nullptr && "keel::Result: read what it does not hold");
    return pointer;
  }
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}
  bool has_value() const noexcept { return error_.status == KEEL_OK; }
  explicit operator bool() const noexcept { return has_value(); }
  const Error &error() const { return error_; }
  keel_status status() const noexcept { return error_.status; }

 private:
  Error error_;
};

namespace detail {
template <class T>
inline Result<T> fail(Error error) {
  return Result<T>(std::move(error));
}
inline Result<void> done() { return {}; }
}  // namespace detail
}  // namespace returning
#endif
}  // namespace keel

#endif  // KEEL_RESULT_HPP
