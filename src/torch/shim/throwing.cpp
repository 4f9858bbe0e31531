// Callbacks of a badly behaved C++ host, for the unit tests only.
#include <cstddef>
#include <cstdint>
#include <stdexcept>

extern "C" {

int32_t throwing_reward_exception(uint64_t, float*, size_t, void*) { throw std::runtime_error("no score today"); }

int32_t throwing_reward_integer(uint64_t, float*, size_t, void*) { throw 42; }

int32_t throwing_starter(void (*)(void*), void*, void*) { throw std::runtime_error("no thread today"); }
}
