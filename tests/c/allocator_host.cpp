// A host whose memory keel's tensors live in. Prints what is wrong, and ends with the number of such things.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

#include "learning.hpp"

namespace {

// The host's memory: what is out, and how it behaves when asked for more than 4 KiB.
struct Memory {
  enum { GIVES, REFUSES, THROWS, MISALIGNS } mood = GIVES;
  std::atomic<long> bytes{0}, pieces{0}, most{0};
};

void *allocate(size_t size, size_t alignment, void *user_data) {
  Memory &memory = *static_cast<Memory *>(user_data);
  if (size > 4096 && memory.mood == Memory::REFUSES) return nullptr;
  if (size > 4096 && memory.mood == Memory::THROWS) throw std::runtime_error("no memory today");
  const size_t off = size > 4096 && memory.mood == Memory::MISALIGNS ? 8 : 0;
  char *const room = static_cast<char *>(std::aligned_alloc(alignment, (size + off + alignment - 1) / alignment * alignment));
  memory.bytes += static_cast<long>(size);
  if (++memory.pieces > memory.most) memory.most = memory.pieces.load();
  return room + off;
}

void release(void *room, size_t size, void *user_data) {
  Memory &memory = *static_cast<Memory *>(user_data);
  memory.bytes -= static_cast<long>(size);
  --memory.pieces;
  std::free(static_cast<char *>(room) - reinterpret_cast<uintptr_t>(room) % 64);
}

int wrong = 0;

void expect(bool right, const std::string &what) {
  if (right) return;
  std::printf("%s\n", what.c_str());
  ++wrong;
}

keel_status set(keel_allocate take, keel_release give_back, Memory &memory) {
  keel_error error = KEEL_ERROR_INIT;
  return keel_process_set_allocator(take, give_back, &memory, &error);
}

long counted(const keel::Runtime &runtime) {
  const std::string text = runtime.memory(), key = "\"host\":{\"allocated_bytes\":";
  const size_t place = text.find(key);
  return place == std::string::npos ? -1 : std::atol(text.c_str() + place + key.size());
}

void train(const keel::Runtime &runtime, Memory &memory) {
  const keel::Model model = keel::Model::create(runtime, learning::llama(64, 2));
  const keel::Session session = learning::language(runtime, model, 2);
  session.push(learning::rows(runtime, KEEL_BATCH_DEMONSTRATIONS, "response", 32));
  const std::pair<decltype(memory.mood), int32_t> moods[] = {
      {Memory::REFUSES, KEEL_E_OUT_OF_MEMORY}, {Memory::THROWS, KEEL_E_INTERNAL}, {Memory::MISALIGNS, KEEL_E_INTERNAL}};
  for (const auto &[mood, status] : moods) {
    const keel::Job job = std::move(*session.update());
    memory.mood = mood;
    keel_error error = KEEL_ERROR_INIT;
    keel_job_run(job.id(), nullptr, &error);
    memory.mood = Memory::GIVES;
    expect(error.status < 0, "an update without memory succeeded");
    expect(error.status == status, "mood " + std::to_string(mood) + ": " + std::to_string(error.status) + ": " + error.message);
  }
  std::move(*session.update()).run();
}

}  // namespace

int main() try {
  Memory memory, other;
  expect(set(nullptr, &release, memory) == KEEL_E_NULL_POINTER, "an allocator without allocate");
  expect(set(&allocate, nullptr, memory) == KEEL_E_NULL_POINTER, "an allocator without release");
  keel::set_allocator(&allocate, &release, &memory);
  expect(set(&allocate, &release, other) == KEEL_E_STATE, "a second allocator");
  const keel::Runtime runtime = keel::Runtime::create(R"({"cuda": "cpu"})");
  train(runtime, memory);
  const long pieces = memory.pieces;
  for (int cycle = 0; cycle < 3; ++cycle) train(runtime, memory);
  expect(memory.most > 20, "keel's tensors live elsewhere");
  expect(memory.pieces == pieces, "pieces out: " + std::to_string(memory.pieces) + ", before " + std::to_string(pieces));
  expect(memory.bytes - 64 * memory.pieces == counted(runtime), "bytes out: " + std::to_string(memory.bytes));
  return wrong;
} catch (const std::exception &error) {
  std::printf("%s\n", error.what());
  return 100;
}
