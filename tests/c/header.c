/* keel.h is complete in itself, may be included twice, and its macros are C99. */
#include "keel/keel.h"

#include "keel/keel.h"

keel_error header_error(void) {
  keel_error error = KEEL_ERROR_INIT;
  return error;
}

keel_report header_report(void) {
  keel_report report = KEEL_REPORT_INIT;
  return report;
}

int header_scalars_have_their_sizes[sizeof(keel_error) == 1024 && sizeof(keel_report) == 48 && sizeof(keel_job) == 8
                                        ? 1
                                        : -1];
