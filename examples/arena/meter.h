/* How long frames took, and how the opponent's skill went. */
#ifndef KEEL_EXAMPLE_METER_H
#define KEEL_EXAMPLE_METER_H

#ifdef __cplusplus
extern "C" {
#endif

/* Bins of a quarter of a millisecond, the last one for all that is longer; frames and seconds that are shown. */
enum { METER_BINS = 401, METER_BIN_US = 250, METER_FRAMES = 240, METER_SECONDS = 4096, METER_BUDGET_US = 16667 };

typedef struct {
  long frames, bins[METER_BINS], late; /* late: longer than METER_BUDGET_US */
  double longest_us;
  float last[METER_FRAMES]; /* ms, a ring: the newest at (frames - 1) % METER_FRAMES */
  float skill[METER_SECONDS];
  int seconds; /* how many of skill are known */
} Meter;

void meter_frame(Meter *meter, double us);
/* Once a second; the last of METER_SECONDS is overwritten when all are there. */
void meter_skill(Meter *meter, double skill);
/* The end of the bin in which this share of all frames is reached, in ms; of the last bin the longest frame. */
double meter_quantile(const Meter *meter, double share);

#ifdef __cplusplus
}
#endif
#endif
