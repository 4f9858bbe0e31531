// Every exported function as data: what a test needs to call it with arguments of its own choice.
#ifndef KEEL_TESTS_FUNCTIONS_HPP
#define KEEL_TESTS_FUNCTIONS_HPP

#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "keel/keel.h"

struct Parameter {
  std::string type;
  std::string name;
  bool nullable;

  bool pointer() const { return type.back() == '*'; }
  bool constant() const { return type.rfind("const ", 0) == 0 || type.find("*const ") != std::string::npos; }
  // A handle that goes in.
  bool handle() const {
    return type.rfind("keel_", 0) == 0 && !pointer() && !function() && type != "keel_status";
  }
  // A function of the host's.
  bool function() const {
    return type == "keel_reward_callback" || type == "keel_thread_starter" || type == "keel_allocate" ||
           type == "keel_release";
  }
  // The noun of a handle: "keel_model" is "model".
  std::string noun() const { return type.substr(5); }
  bool text() const { return type == "const char *"; }
  bool error() const { return name == "error"; }
};

struct Function {
  std::string name;
  bool fallible;
  std::vector<Parameter> parameters;
  keel_status (*call)(const uint64_t *values);

  bool destroys() const { return !fallible && parameters.size() == 1 && parameters[0].handle(); }
};

template <class T>
T as(uint64_t value) {
  if constexpr (std::is_pointer_v<T>) {
    return reinterpret_cast<T>(static_cast<uintptr_t>(value));
  } else {
    return static_cast<T>(value);
  }
}

template <class T>
uint64_t from(T *pointer) {
  return static_cast<uint64_t>(reinterpret_cast<uintptr_t>(pointer));
}

// All of them, in the order of the header.
const std::vector<Function> &functions();

#endif
