// keel.h is complete in itself as C++17 without exceptions and RTTI; keel.hpp needs nothing before it.
#include "keel/keel.h"
#include "keel/keel.hpp"

#include "keel/keel.h"
#include "keel/keel.hpp"

static_assert(sizeof(keel_error) == 1024, "");
static_assert(sizeof(keel_report) == 48, "");
static_assert(!std::is_copy_constructible<keel::Model>::value && std::is_nothrow_move_constructible<keel::Model>::value,
              "");
static_assert(!std::is_copy_constructible<keel::Session>::value && std::is_move_assignable<keel::Session>::value, "");
static_assert(!std::is_convertible<keel::Model, keel::Job>::value, "each handle has a type of its own");

bool header_macros() {
  keel_error error = KEEL_ERROR_INIT;
  keel_report report = KEEL_REPORT_INIT;
  return error.status == 0 && report.progress == 0.0f;
}
