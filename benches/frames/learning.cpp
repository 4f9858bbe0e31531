#include "learning.hpp"

#include <algorithm>
#include <cstdio>

namespace bench {

const char *name(Mode mode) {
  switch (mode) {
    case Mode::off: return "off";
    case Mode::job: return "job";
    case Mode::pump: return "pump";
    case Mode::blocking: return "blocking";
  }
  return "";
}

bool Learning::turn(Mode mode) {
  if (mode == Mode::job && job_) look();
  const bool begun = mode != Mode::off && !job_ && begin(mode);
  if (mode == Mode::pump && job_) pump();
  if (mode == Mode::blocking && job_) run();
  return begun;
}

bool Learning::begin(Mode mode) {
  std::optional<keel::Job> job;
  const double planned = microseconds([&] { job = session_.update(); });
  if (!job) return false;
  note("update", planned);
  job_ = std::move(job);
  started_ = mode == Mode::job;
  if (started_) note("start", microseconds([&] { job_->start(); }));
  return true;
}

void Learning::look() {
  keel::Report report;
  const double took = microseconds([&] { report = job_->poll(); });
  const bool ended = report.state != KEEL_JOB_PENDING;
  note(ended ? "poll that publishes" : "poll", took);
  if (!ended) return;
  worked_ += report.elapsed_us;
  note("job: longest slice", report.longest_slice_us);
  note("job: whole update", report.elapsed_us);
  job_.reset();
}

void Learning::pump() {
  keel::Report report;
  const double computed = thread_microseconds(), took = microseconds([&] { report = job_->pump(budget_); });
  note("pump: computed", thread_microseconds() - computed);
  const bool ended = report.state != KEEL_JOB_PENDING;
  worked_ += report.elapsed_us;
  const double over = std::max(0.0, took - budget_.count());
  note("pump", took);
  note("pump: overshoot", over);
  if (ended) note("pump that publishes: overshoot", over);
  note("pump: overshoot in slices", over / std::max<double>(1, report.longest_slice_us));
  note("pump: longest slice", report.longest_slice_us);
  if (ended) job_.reset();
}

void Learning::run() {
  const keel::Report report = job_->run();
  worked_ += report.elapsed_us;
  note("run", report.elapsed_us);
  job_.reset();
}

double Learning::stop() {
  if (job_) {
    if (started_) worked_ += job_->poll().elapsed_us;
    job_->cancel();
    keel_job_wait(job_->id(), UINT64_MAX, nullptr, nullptr);  // its error says that it was cancelled
    job_.reset();
  }
  return std::exchange(worked_, 0);
}

void Learning::note(const char *what, double value) { noted_.try_emplace(what, 1 << 16).first->second.add(value); }

void Learning::print() {
  const char *comma = "";
  for (auto &[what, times] : noted_) {
    std::printf("%s\"%s\": {\"p50\": %.3f, \"p99\": %.3f, \"max\": %.3f}", comma, what.c_str(), times.quantile(0.5),
                times.quantile(0.99), times.quantile(1));
    comma = ", ";
  }
}

}  // namespace bench
