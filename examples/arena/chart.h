/* The frame times of several games beside each other: a table, and a picture of it. */
#ifndef KEEL_EXAMPLE_CHART_H
#define KEEL_EXAMPLE_CHART_H

#include "meter.h"

typedef struct {
  const char *name;
  const Meter *meter;
} Series;

/* How many frames of each series fell into which bin. 0, with the reason on stderr, where the file cannot be written. */
int chart_table(const char *path, const Series *series, int count);
/* An SVG with a histogram of each, its counts on a logarithmic scale. */
int chart_picture(const char *path, const Series *series, int count);

#endif
