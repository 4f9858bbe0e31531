#include "chart.h"

#include <math.h>
#include <stdio.h>

enum { WIDTH = 820, ROW = 110, LEFT = 110, PLOT = 690, TALL = 78, SHOWN_MS = 60, GROUP = 2 }; /* GROUP: bins of a bar */

static int closed(FILE *file, const char *path) {
  const int fine = file && !ferror(file);
  if ((file && fclose(file) != 0) || !fine) return perror(path), 0;
  return 1;
}

int chart_table(const char *path, const Series *series, int count) {
  FILE *file = fopen(path, "w");
  if (file) {
    fputs("up_to_ms", file);
    for (int i = 0; i < count; ++i) fprintf(file, ",%s", series[i].name);
    for (int bin = 0; bin < METER_BINS; ++bin) {
      if (bin < METER_BINS - 1) fprintf(file, "\n%.2f", (bin + 1) * METER_BIN_US / 1000.0);
      else fputs("\nmore", file);
      for (int i = 0; i < count; ++i) fprintf(file, ",%ld", series[i].meter->bins[bin]);
    }
    fputs("\n", file);
  }
  return closed(file, path);
}

static double across(double ms) {
  return LEFT + fmin(ms, SHOWN_MS) / SHOWN_MS * PLOT;
}

/* A single frame is a seventh as tall as a million. */
static double tall(long frames) {
  return frames ? TALL * (1 + log10((double)frames)) / 7 : 0;
}

static void draw_row(FILE *file, const Meter *meter, const char *name, int bottom) {
  const int bars = SHOWN_MS * 1000 / METER_BIN_US / GROUP;
  const double width = (double)PLOT / bars, budget = METER_BUDGET_US / 1000.0;
  fprintf(file, "<text x=\"12\" y=\"%d\" font-weight=\"bold\">%s</text>\n", bottom - 22, name);
  for (int bar = 0; bar < bars; ++bar) {
    long frames = 0;
    const int end = bar == bars - 1 ? METER_BINS : (bar + 1) * GROUP; /* the last bar has all that is longer */
    for (int bin = bar * GROUP; bin < end; ++bin) frames += meter->bins[bin];
    const double begin = bar * GROUP * METER_BIN_US / 1000.0;
    if (frames)
      fprintf(file, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"/>\n", across(begin),
              bottom - tall(frames), width - 0.5, tall(frames), begin >= budget ? "#d9483b" : "#2f9e68");
  }
  fprintf(file, "<path d=\"M%d %dH%d\" stroke=\"#888\"/>\n", LEFT, bottom, LEFT + PLOT);
  fprintf(file, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">median %.2f, 99%% %.2f, longest %.1f ms; late: %ld of %ld"
          "</text>\n", LEFT + PLOT, bottom - TALL, meter_quantile(meter, 0.5), meter_quantile(meter, 0.99),
          meter->longest_us / 1000, meter->late, meter->frames);
}

int chart_picture(const char *path, const Series *series, int count) {
  const int height = count * ROW + 60, end = count * ROW + 10;
  FILE *file = fopen(path, "w");
  if (file) {
    fprintf(file, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
            "font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n",
            WIDTH, height, WIDTH, height, WIDTH, height);
    for (int i = 0; i < count; ++i) draw_row(file, series[i].meter, series[i].name, (i + 1) * ROW);
    for (int ms = 0; ms <= SHOWN_MS; ms += 10)
      fprintf(file, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%d</text>\n", across(ms), end + 12, ms);
    fprintf(file, "<path d=\"M%.1f 10V%d\" stroke=\"#b8860b\" stroke-dasharray=\"4 3\"/>\n",
            across(METER_BUDGET_US / 1000.0), end);
    fprintf(file, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">ms of a frame's own work, learning included; bars: "
            "frames, on a logarithmic scale; dashes: 16.67 ms</text>\n</svg>\n", LEFT + PLOT / 2, end + 34);
  }
  return closed(file, path);
}
