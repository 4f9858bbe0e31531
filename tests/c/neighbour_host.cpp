// A host that looks at itself before and after it used keel. "same <directory>": what belongs to the host is as it was, and
// after a shutdown so are threads and open files. "growth <cycles>": cycles of create, train, shutdown leave no handle,
// thread, file or memory; "leak <cycles>" keeps the model of each, which must be seen.
#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xmmintrin.h>

#include <cfenv>
#include <chrono>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <thread>

#include "learning.hpp"

extern char **environ;

namespace {

using namespace std::chrono_literals;

template <class Function>
Function *found(const char *symbol) {
  void *const address = dlsym(RTLD_DEFAULT, symbol);
  if (address == nullptr) throw std::runtime_error(std::string("no ") + symbol);
  return reinterpret_cast<Function *>(address);
}

std::string entries(const std::string &directory) {
  int count = 0;
  DIR *const open = opendir(directory.c_str());
  while (const dirent *entry = readdir(open)) count += entry->d_name[0] != '.';
  closedir(open);
  return std::to_string(count);
}

std::string signals() {
  std::string all;
  sigset_t blocked;
  pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
  for (int number = 1; number < NSIG; ++number) {
    struct sigaction action = {};
    if (sigaction(number, nullptr, &action) != 0) continue;
    char line[64];
    std::snprintf(line, sizeof line, "%d:%p:%x:%d ", number, reinterpret_cast<void *>(action.sa_sigaction),
                  static_cast<unsigned>(action.sa_flags), sigismember(&blocked, number));
    all += line;
  }
  return all;
}

// A number that changes with it: what it says is nobody's business.
std::string environment() {
  std::string all;
  for (char **one = environ; *one != nullptr; ++one) all += std::string(*one) + "\n";
  return std::to_string(std::hash<std::string>{}(all));
}

std::string here() {
  char directory[4096];
  return getcwd(directory, sizeof directory) == nullptr ? "" : directory;
}

std::string umask_now() {
  const mode_t now = umask(0);
  umask(now);
  return std::to_string(now);
}

// What a host would not like to find changed; the first are this thread's, the others the process's.
std::map<std::string, std::string> look() {
  cpu_set_t cpus;
  pthread_getaffinity_np(pthread_self(), sizeof cpus, &cpus);
  char name[16] = "";
  pthread_getname_np(pthread_self(), name, sizeof name);
  return {
      {"OpenMP threads", std::to_string(found<int()>("omp_get_max_threads")())},
      {"intra-op threads", std::to_string(found<int()>("_ZN2at15get_num_threadsEv")())},
      {"grad mode", std::to_string(found<bool()>("_ZN3c108GradMode10is_enabledEv")())},
      {"inference mode", std::to_string(found<bool()>("_ZN3c1013InferenceMode10is_enabledEv")())},
      {"rounding", std::to_string(std::fegetround())},
      {"MXCSR without its flags", std::to_string(_mm_getcsr() & ~0x3fu)},
      {"floating-point traps", std::to_string(fegetexcept())},
      {"CPUs", std::to_string(CPU_COUNT(&cpus))},
      {"policy", std::to_string(sched_getscheduler(0))},
      {"nice", std::to_string(nice(0))},
      {"thread name", name},
      {"signals", signals()},
      {"locale", std::setlocale(LC_ALL, nullptr)},
      {"environment", environment()},
      {"current directory", here()},
      {"umask", umask_now()},
      {"files in it", entries(".")},
      {"open files", entries("/proc/self/fd")},
  };
}

std::string threads() { return entries("/proc/self/task"); }

int compare(const std::map<std::string, std::string> &before, const std::map<std::string, std::string> &after) {
  int changed = 0;
  for (const auto &[what, was] : before) {
    if (after.at(what) == was) continue;
    std::printf("%s: was %s, is %s\n", what.c_str(), was.c_str(), after.at(what).c_str());
    ++changed;
  }
  return changed;
}

// The three drivers by turns.
void drive(const keel::Job &job, int driver) {
  if (driver == 0) {
    job.run();
  } else if (driver == 1) {
    job.start();
    while (job.wait(1s).state == KEEL_PENDING) {
    }
  } else {
    while (job.pump(200us).state == KEEL_PENDING) {
    }
  }
}

void use(const std::string &directory, int hidden) {
  const keel::Runtime runtime = keel::Runtime::create(R"({"cuda": "cpu"})");
  const keel::Model model = keel::Model::create(runtime, learning::llama(hidden, 2));
  const keel::Session language = learning::language(runtime, model, 2);
  language.push(learning::rows(runtime, KEEL_BATCH_DEMONSTRATIONS, "response", 32));
  const keel::Session control = learning::control(runtime, 8, 32, 2);
  for (int driver = 0; driver < 3; ++driver) {
    drive(std::move(*language.update()), driver);
    learning::play(control, 32);
    drive(std::move(*control.update()), driver);
    const keel::Batch prompts = learning::rows(runtime, KEEL_BATCH_PROMPTS, "prompt", 4);
    drive(language.generate(prompts, R"({"max_new_tokens": 4})"), driver);
    drive(language.save(directory + "/language.keel"), driver);
    drive(control.save(directory + "/control.keel"), driver);
    model.save(directory + "/model");
    drive(keel::Model::load(runtime, directory + "/model"), driver);
  }
  runtime.shutdown(60s);
}

void handle(int) {}

// A host with habits of its own: nothing is at its default.
void settle() {
  std::setlocale(LC_ALL, "C.UTF-8");
  setenv("KEEL_TEST", "a host's", 1);
  for (const int number : {SIGFPE, SIGUSR1, SIGTERM, SIGPIPE}) std::signal(number, handle);
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR2);
  pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
  umask(027);
  std::fesetround(FE_UPWARD);
  _mm_setcsr(_mm_getcsr() | 0x8040u);  // flush to zero, denormals are zero
  found<void(int)>("omp_set_num_threads")(3);
  found<void(bool)>("_ZN3c108GradMode11set_enabledEb")(false);
}

// libtorch's threads end a moment after the thread they worked for.
bool threads_are(const std::string &expected) {
  for (int attempt = 0; attempt < 500 && threads() != expected; ++attempt) std::this_thread::sleep_for(10ms);
  if (threads() != expected) std::printf("threads: were %s, are %s\n", expected.c_str(), threads().c_str());
  return threads() == expected;
}

int same(const std::string &directory) {
  use(directory, 128);  // the host's thread has its OpenMP threads then, and libtorch what it makes once
  settle();
  const std::string thread_count = threads();
  const auto before = look();
  use(directory, 128);
  return compare(before, look()) + (threads_are(thread_count) ? 0 : 1);
}

long resident_kilobytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmRSS:", 0) == 0) return std::stol(line.substr(6));
  }
  return 0;
}

// What is left after so many cycles and a hundred before them, in which allocators settle: 1 for memory (4 MiB are 4 KiB of
// each of a thousand cycles), 2 for threads or open files, 4 for handles.
int growth(int cycles, bool leaking) {
  constexpr int WARM_UP = 100;
  constexpr long SLACK = 4096;
  std::vector<keel::Model> kept;
  long before = 0;
  std::string thread_count, files;
  for (int cycle = 0; cycle < WARM_UP + cycles; ++cycle) {
    if (cycle == WARM_UP) before = resident_kilobytes(), thread_count = threads(), files = entries("/proc/self/fd");
    const keel::Runtime runtime = keel::Runtime::create(R"({"cuda": "cpu"})");
    keel::Model model = keel::Model::create(runtime, learning::llama(leaking ? 64 : 8, 1));
    const keel::Session language = learning::language(runtime, model, 1);
    language.push(learning::rows(runtime, KEEL_BATCH_DEMONSTRATIONS, "response", 2));
    drive(std::move(*language.update()), cycle % 3);
    const keel::Session control = learning::control(runtime, 4, 16, 1);
    learning::play(control, 16);
    drive(std::move(*control.update()), (cycle + 1) % 3);
    runtime.shutdown(60s);
    if (leaking) kept.push_back(std::move(model));
  }
  const long grown = resident_kilobytes() - before;
  const uint64_t alive = keel_live_handles();
  std::printf("grown by %ld KiB, %llu live handles\n", grown, static_cast<unsigned long long>(alive));
  const bool counted = threads_are(thread_count) && entries("/proc/self/fd") == files;
  return (grown < SLACK ? 0 : 1) + (counted ? 0 : 2) + (alive == 0 ? 0 : 4);
}

}  // namespace

int main(int, char **arguments) try {
  const std::string mode = arguments[1];
  return mode == "same" ? same(arguments[2]) : growth(std::stoi(arguments[2]), mode == "leak");
} catch (const std::exception &error) {
  std::printf("%s\n", error.what());
  return 2;
}
