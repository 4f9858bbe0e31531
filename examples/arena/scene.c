#include "scene.h"

#include <math.h>
#include <stdio.h>

#include "canvas.h"

static const float middle = 270, unit = 245, panel = 566, wide = 364;
static const unsigned night = 0x10141f, floor_blue = 0x1b2233, edge = 0xe8c268, text = 0xc8d0e0, faint = 0x5a6680;
static const unsigned sides[2] = {0x4aa8ff, 0xff5f56};

Vector scene_place(int x, int y) {
  return (Vector){((float)x - middle) / unit, ((float)y - middle) / unit};
}

void scene_follow(Scene *scene, const Hall *hall) {
  const Duel *duel = &hall->duels[HALL_SHOWN];
  const int fresh = duel->time < 1.5f / ARENA_RATE;
  for (int side = 0; side < 2; ++side) {
    Vector *const trail = scene->trail[side];
    for (int i = SCENE_TRAIL - 1; i > 0; --i) trail[i] = fresh ? duel->discs[side].place : trail[i - 1];
    trail[0] = duel->discs[side].place;
  }
  scene->glow *= 0.9f;
  if (duel->blow < 0.3f) return;
  const Vector one = duel->discs[PLAYER].place, other = duel->discs[OPPONENT].place;
  scene->blow = (Vector){(one.x + other.x) / 2, (one.y + other.y) / 2};
  scene->glow = 1;
}

static void draw_disc(SDL_Renderer *to, const Scene *scene, const Duel *duel, int side) {
  const Disc disc = duel->discs[side];
  for (int i = SCENE_TRAIL - 1; i > 0; i -= 2) {
    const Vector was = scene->trail[side][i];
    const float left = 1 - (float)i / SCENE_TRAIL;
    canvas_disc(to, middle + was.x * unit, middle + was.y * unit, ARENA_DISC * unit * (0.3f + 0.6f * left),
                canvas_colour(sides[side], 0.2 * left));
  }
  const float x = middle + disc.place.x * unit, y = middle + disc.place.y * unit, size = ARENA_DISC * unit;
  canvas_disc(to, x, y, size - 1, canvas_colour(sides[side], 1));
  canvas_ring(to, x, y, size - 2, size, canvas_colour(sides[side], 1));
  canvas_disc(to, x, y, size * 0.62f * (1 - disc.rest / ARENA_REST), canvas_colour(0xffffff, 0.85)); /* full: may dash */
}

static void draw_field(SDL_Renderer *to, const Scene *scene, const Hall *hall) {
  const Duel *duel = &hall->duels[HALL_SHOWN];
  const float radius = fmaxf(duel->radius * unit, 1);
  canvas_disc(to, middle, middle, radius, canvas_colour(floor_blue, 1));
  canvas_ring(to, middle, middle, radius, radius + 3, canvas_colour(edge, 1));
  for (int side = 0; side < 2; ++side) draw_disc(to, scene, duel, side);
  if (scene->glow > 0.05f)
    canvas_ring(to, middle + scene->blow.x * unit, middle + scene->blow.y * unit, 2 + 40 * (1 - scene->glow),
                8 + 40 * (1 - scene->glow), canvas_colour(0xffffff, 0.8 * scene->glow));
  if (hall->results[HALL_SHOWN] == UNDECIDED) return;
  const Side winner = hall->results[HALL_SHOWN] == PLAYER_WINS ? PLAYER : OPPONENT;
  canvas_text(to, middle - (winner == PLAYER ? 77 : 88), 16, 3, canvas_colour(sides[winner], 1),
              winner == PLAYER ? "BLUE WINS" : "RED WINS");
}

/* The last frames as bars, from 0 to 33.3 ms; what was late is red. */
static void draw_frames(SDL_Renderer *to, const Meter *meter, float top, float height) {
  const float step = wide / METER_FRAMES, budget = METER_BUDGET_US / 1000.0f;
  canvas_box(to, panel, top, wide, height, canvas_colour(floor_blue, 1));
  const long shown = meter->frames < METER_FRAMES ? meter->frames : METER_FRAMES;
  for (long i = 0; i < shown; ++i) {
    const float ms = meter->last[(meter->frames - 1 - i) % METER_FRAMES], tall = fminf(ms / (2 * budget), 1) * height;
    canvas_box(to, panel + wide - (float)(i + 1) * step, top + height - tall, step, tall,
               canvas_colour(ms > budget ? sides[OPPONENT] : 0x58c98b, 1));
  }
  canvas_line(to, panel, top + height / 2, panel + wide, top + height / 2, 1, canvas_colour(edge, 0.8));
}

/* The opponent's share of wins, from 0 to 1, since the game began. */
static void draw_skill(SDL_Renderer *to, const Meter *meter, float top, float height) {
  canvas_box(to, panel, top, wide, height, canvas_colour(floor_blue, 1));
  canvas_line(to, panel, top + height / 2, panel + wide, top + height / 2, 1, canvas_colour(faint, 0.8));
  const float step = wide / fmaxf(60, (float)meter->seconds - 1);
  for (int i = 1; i < meter->seconds; ++i)
    canvas_line(to, panel + (float)(i - 1) * step, top + height * (1 - meter->skill[i - 1]), panel + (float)i * step,
                top + height * (1 - meter->skill[i]), 2.5f, canvas_colour(sides[OPPONENT], 1));
}

void scene_draw(SDL_Renderer *to, const Scene *scene, const Hall *hall, const Meter *meter, Caption caption) {
  char line[96];
  const SDL_Color plain = canvas_colour(text, 1), dim = canvas_colour(faint, 1);
  canvas_box(to, 0, 0, SCENE_WIDTH, SCENE_HEIGHT, canvas_colour(night, 1));
  draw_field(to, scene, hall);
  snprintf(line, sizeof line, "%d", hall->score[PLAYER]);
  canvas_text(to, panel, 24, 5, canvas_colour(sides[PLAYER], 1), line);
  snprintf(line, sizeof line, "%d", hall->score[OPPONENT]);
  canvas_text(to, panel + 190, 24, 5, canvas_colour(sides[OPPONENT], 1), line);
  canvas_text(to, panel, 68, 2, dim, caption.by_person ? "YOU" : "SCRIPT");
  canvas_text(to, panel + 190, 68, 2, dim, "LEARNER");
  snprintf(line, sizeof line, "FRAME MEDIAN %.1f MS  LATE %ld", meter_quantile(meter, 0.5), meter->late);
  canvas_text(to, panel, 112, 2, plain, line);
  draw_frames(to, meter, 134, 120);
  snprintf(line, sizeof line, "SKILL %3.0f%% OF %d ROUNDS", 100 * hall_skill(hall), HALL_RECENT);
  canvas_text(to, panel, 282, 2, plain, line);
  draw_skill(to, meter, 304, 120);
  snprintf(line, sizeof line, "LEARNS BY: %s", caption.mode);
  canvas_text(to, panel, 452, 2, plain, line);
  snprintf(line, sizeof line, "UPDATE %ld", caption.updates + 1);
  canvas_text(to, panel, 476, 2, dim, line);
  canvas_box(to, panel, 500, wide, 8, canvas_colour(floor_blue, 1));
  canvas_box(to, panel, 500, wide * caption.progress, 8, canvas_colour(edge, 1));
}
