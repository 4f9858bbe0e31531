/* The game: one frame after the other, each with its share of learning. */
#ifndef KEEL_EXAMPLE_GAME_H
#define KEEL_EXAMPLE_GAME_H

#include "learner.h"
#include "meter.h"

typedef struct {
  LearnerMode mode;
  double seconds; /* of the game; 0: until it is closed */
  long seed;
  int headless, paced; /* no window, the script plays; 60 frames a second, else as many as there can be */
  uint64_t budget_us;  /* of learning by pump, in a paced frame */
  const char *model, *screenshot; /* nullable: the saved game; a picture of the last frame */
} Setup;

typedef struct {
  Meter meter;
  long rounds, updates;
  double first, skill; /* the opponent's share of the first HALL_RECENT rounds and of the last ones */
  uint64_t hash;       /* of what was learned */
} Played;

/* 0, with the reason on stderr, where it could not be played or saved. */
int game_play(const Setup *setup, Played *played);

#endif
