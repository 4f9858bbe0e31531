#include "meter.h"

void meter_frame(Meter *meter, double us) {
  const int bin = (int)(us / METER_BIN_US);
  ++meter->bins[bin < METER_BINS ? bin : METER_BINS - 1];
  meter->last[meter->frames++ % METER_FRAMES] = (float)(us / 1000);
  meter->late += us > METER_BUDGET_US;
  if (us > meter->longest_us) meter->longest_us = us;
}

void meter_skill(Meter *meter, double skill) {
  if (meter->seconds < METER_SECONDS) ++meter->seconds;
  meter->skill[meter->seconds - 1] = (float)skill;
}

double meter_quantile(const Meter *meter, double share) {
  long seen = 0;
  for (int i = 0; i < METER_BINS - 1; ++i) {
    seen += meter->bins[i];
    if (meter->frames && (double)seen >= share * (double)meter->frames) return (i + 1) * METER_BIN_US / 1000.0;
  }
  return meter->longest_us / 1000;
}
