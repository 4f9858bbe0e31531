/* A game whose opponent learns while it runs: see README.md. */
#include <SDL.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chart.h"
#include "game.h"

static const char usage[] =
    "arena [--learner off|pump|job|blocking] [--seconds N] [--seed S] [--budget US] [--model FILE]\n"
    "      [--headless [--paced]] [--screenshot FILE.png] [--histogram DIRECTORY] [--assert]\n"
    "  --learner     who works on an update: nobody, the frames in pieces (pump), a thread of keel's (job), one frame\n"
    "  --seconds     of the game; 0: until it is closed; 60 unless said where it is headless\n"
    "  --budget      microseconds of a frame for learning by pump, 2000 unless said\n"
    "  --model       the saved game: gone on with if it is there, and written at the end\n"
    "  --headless    no window, a scripted player, as fast as can be; with pump the same seed gives the same game\n"
    "  --paced       60 frames a second all the same\n"
    "  --histogram   play all four ways, headless and paced, and write frames.csv and frames.svg there\n"
    "  --assert      end with status 1 unless the opponent won at most 0.2 of its first rounds and 0.7 of its last\n";

typedef struct {
  Setup setup;
  const char *histogram;
  int asserts;
} Options;

/* The number that follows --name; the program ends where it is none. */
static double number(const char *name, const char *text, double high) {
  char *end = NULL;
  const double value = text ? strtod(text, &end) : 0;
  if (!text || end == text || *end || !(value >= 0 && value <= high)) {
    fprintf(stderr, "arena: %s: expected a number from 0 to %g, found %s\n", name, high, text ? text : "nothing");
    exit(2);
  }
  return value;
}

static int mode_named(const char *name) {
  int mode = 0;
  while (mode < LEARNER_MODES && (!name || strcmp(name, learner_modes[mode]))) ++mode;
  return mode;
}

static Options options_of(int count, char **words) {
  Options options = {.setup = {.mode = LEARNER_PUMP, .seconds = -1, .budget_us = 2000}};
  Setup *const setup = &options.setup;
  int good = 1, paced = 0;
  for (int i = 1; i < count; ++i) {
    const char *name = words[i], *value = words[i + 1]; /* NULL behind the last word */
    if (!strcmp(name, "--headless")) setup->headless = 1;
    else if (!strcmp(name, "--paced")) paced = 1;
    else if (!strcmp(name, "--assert")) options.asserts = 1;
    else if (++i, !strcmp(name, "--learner")) setup->mode = (LearnerMode)mode_named(value);
    else if (!strcmp(name, "--seconds")) setup->seconds = number(name, value, 1e6);
    else if (!strcmp(name, "--seed")) setup->seed = (long)number(name, value, 1e9);
    else if (!strcmp(name, "--budget")) setup->budget_us = (uint64_t)number(name, value, 1e6);
    else if (!strcmp(name, "--model") && value) setup->model = value;
    else if (!strcmp(name, "--screenshot") && value) setup->screenshot = value;
    else if (!strcmp(name, "--histogram") && value) options.histogram = value;
    else good = 0;
  }
  if (!good || setup->mode == LEARNER_MODES) fputs(usage, stderr), exit(2);
  if (options.histogram) setup->headless = paced = 1;
  setup->paced = paced || !setup->headless;
  if (setup->seconds < 0) setup->seconds = setup->headless ? 60 : 0;
  return options;
}

static void tell(const Setup *setup, const Played *played) {
  const Meter *meter = &played->meter;
  printf("ARENA {\"learner\": \"%s\", \"seed\": %ld, \"frames\": %ld, \"rounds\": %ld, \"updates\": %ld, \"first\": %.3f, "
         "\"skill\": %.3f, \"frame_ms\": {\"median\": %.2f, \"p99\": %.2f, \"longest\": %.2f}, \"late\": %ld, "
         "\"hash\": \"%016llx\"}\n",
         learner_modes[setup->mode], setup->seed, meter->frames, played->rounds, played->updates, played->first,
         played->skill, meter_quantile(meter, 0.5), meter_quantile(meter, 0.99), meter->longest_us / 1000, meter->late,
         (unsigned long long)played->hash);
  fflush(stdout);
}

/* The same game in all four ways, one after the other. */
static int compare(Setup setup, const char *directory) {
  static Played played[LEARNER_MODES];
  Series series[LEARNER_MODES];
  char table[1024], picture[1024];
  if (strlen(directory) > 1000) return fputs("arena: --histogram: the name is too long\n", stderr), 0;
  snprintf(table, sizeof table, "%s/frames.csv", directory);
  snprintf(picture, sizeof picture, "%s/frames.svg", directory);
  for (int mode = 0; mode < LEARNER_MODES; ++mode) {
    setup.mode = (LearnerMode)mode;
    if (!game_play(&setup, &played[mode])) return 0;
    tell(&setup, &played[mode]);
    series[mode] = (Series){learner_modes[mode], &played[mode].meter};
  }
  return chart_table(table, series, LEARNER_MODES) && chart_picture(picture, series, LEARNER_MODES);
}

int main(int count, char **words) {
  const Options options = options_of(count, words);
  static Played played;
  if (options.histogram) return !compare(options.setup, options.histogram);
  if (!game_play(&options.setup, &played)) return 1;
  tell(&options.setup, &played);
  const int learned = played.first <= 0.2 && played.skill >= 0.7;
  if (options.asserts && !learned)
    fprintf(stderr, "arena: the opponent won %.3f of its first rounds and %.3f of its last\n", played.first, played.skill);
  return options.asserts && !learned;
}
