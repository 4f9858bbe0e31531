#include "empty.hpp"

keel_status empty_rows(keel_batch, uint64_t *rows, keel_error *) {
  *rows = 1;
  return KEEL_OK;
}
