/* What is drawn: the shown duel at the left, the graphs at the right. Reads the game and changes nothing of it. */
#ifndef KEEL_EXAMPLE_SCENE_H
#define KEEL_EXAMPLE_SCENE_H

#include <SDL.h>

#include "hall.h"
#include "meter.h"

enum { SCENE_WIDTH = 960, SCENE_HEIGHT = 540, SCENE_TRAIL = 20 };

typedef struct {
  Vector trail[2][SCENE_TRAIL]; /* where the discs were, the newest first */
  Vector blow;                  /* where they met last */
  float glow;                   /* how much of that is left */
} Scene;

typedef struct {
  const char *mode; /* how the opponent learns */
  long updates;
  float progress;   /* of the update under way */
  int by_person;    /* a person plays */
} Caption;

/* After each frame of the hall's: moves trails and glows on. */
void scene_follow(Scene *scene, const Hall *hall);
void scene_draw(SDL_Renderer *to, const Scene *scene, const Hall *hall, const Meter *meter, Caption caption);
/* Where on the field a pixel is. */
Vector scene_place(int x, int y);

#endif
