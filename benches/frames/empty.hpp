// A function of the shape of keel's that does nothing, in a place where no compiler sees into it.
#pragma once

#include "keel/keel.h"

extern "C" keel_status empty_rows(keel_batch batch, uint64_t *rows, keel_error *error);
