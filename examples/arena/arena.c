#include "arena.h"

#include <math.h>

static const float frame = 1.0f / ARENA_RATE;
static const float thrust = 2.2f, drag = 1.4f, leap = 1.6f; /* a second squared; a second; speed that a dash adds */
static const float calm = 2.0f, shrinking = 8.0f;           /* s until the ring shrinks, until it is gone from then on */

float dice_uniform(Dice *dice) {
  dice->state = dice->state * 6364136223846793005u + 1442695040888963407u;
  uint64_t mixed = dice->state;
  mixed = (mixed ^ mixed >> 32) * 0xd6e8feb86659fd93u;
  return (float)(mixed >> 40) / 8388608.0f - 1;
}

static Vector sum(Vector a, Vector b) { return (Vector){a.x + b.x, a.y + b.y}; }
static Vector less(Vector a, Vector b) { return (Vector){a.x - b.x, a.y - b.y}; }
static Vector times(Vector a, float factor) { return (Vector){a.x * factor, a.y * factor}; }
static float dot(Vector a, Vector b) { return a.x * b.x + a.y * b.y; }
static float length(Vector a) { return sqrtf(dot(a, a)); }
static Vector turned(Vector a, Vector by) { return (Vector){a.x * by.x - a.y * by.y, a.x * by.y + a.y * by.x}; }
static Vector from(Vector a, Vector ahead) { return turned(a, (Vector){ahead.x, -ahead.y}); }
static Vector heading(float angle) { return (Vector){cosf(angle), sinf(angle)}; }

static Vector unit(Vector a) {
  const float size = length(a);
  return size > 0 ? times(a, 1 / size) : (Vector){1, 0};
}

Duel duel_start(Dice *dice) {
  const Vector side = times(heading(dice_uniform(dice) * 3.14159265f), 0.5f + 0.1f * dice_uniform(dice));
  return (Duel){.discs = {{.place = side}, {.place = times(side, -1)}}, .radius = 1};
}

static void drive(Disc *disc, Move move) {
  const float size = length(move.thrust);
  const Vector pushed = size > 1 ? times(move.thrust, 1 / size) : move.thrust;
  disc->rest = fmaxf(0, disc->rest - frame);
  if (move.dash && disc->rest == 0 && size > 0) {
    disc->speed = sum(disc->speed, times(unit(pushed), leap));
    disc->rest = ARENA_REST;
  }
  disc->speed = times(sum(disc->speed, times(pushed, thrust * frame)), 1 - drag * frame);
  disc->place = sum(disc->place, times(disc->speed, frame));
}

/* Discs of one mass, that lose nothing: each takes over the other's speed along the line between them. */
static float collide(Disc *one, Disc *other) {
  const Vector apart = less(other->place, one->place), line = unit(apart);
  const float deep = 2 * ARENA_DISC - length(apart), closing = dot(less(one->speed, other->speed), line);
  if (deep <= 0) return 0;
  one->place = sum(one->place, times(line, -deep / 2));
  other->place = sum(other->place, times(line, deep / 2));
  if (closing <= 0) return 0;
  one->speed = sum(one->speed, times(line, -closing));
  other->speed = sum(other->speed, times(line, closing));
  return closing;
}

Result duel_step(Duel *duel, Move player, Move opponent) {
  Disc *const discs = duel->discs;
  drive(&discs[PLAYER], player);
  drive(&discs[OPPONENT], opponent);
  duel->blow = collide(&discs[PLAYER], &discs[OPPONENT]);
  duel->time += frame;
  duel->radius = 1 - fmaxf(0, duel->time - calm) / shrinking;
  const float mine = length(discs[PLAYER].place), its = length(discs[OPPONENT].place);
  if (fmaxf(mine, its) <= duel->radius) return UNDECIDED;
  return mine > its ? OPPONENT_WINS : PLAYER_WINS;
}

View duel_view(const Duel *duel, Side side) {
  const Disc *const own = &duel->discs[side], *const other = &duel->discs[!side];
  const Vector apart = less(other->place, own->place), ahead = unit(apart);
  const Vector middle = from(times(own->place, -1), ahead);
  const Vector speed = from(own->speed, ahead), its = from(other->speed, ahead);
  return (View){{middle.x, middle.y, speed.x, speed.y, its.x, its.y, length(apart), duel->radius - length(own->place),
                 duel->radius - length(other->place), own->rest / ARENA_REST, other->rest / ARENA_REST, duel->radius,
                 duel->time / 10}};
}

Move duel_move(const Duel *duel, Side side, Choice choice) {
  if (choice.heading == 0) return (Move){0};
  const Vector ahead = unit(less(duel->discs[!side].place, duel->discs[side].place));
  return (Move){turned(ahead, heading((float)(choice.heading - 1) * 0.78539816f)), choice.dash};
}

float duel_lead(const Duel *duel) {
  return length(duel->discs[PLAYER].place) - length(duel->discs[OPPONENT].place);
}

Move duel_script(const Duel *duel, Side side, Dice *dice) {
  const Disc *const own = &duel->discs[side], *const other = &duel->discs[!side];
  const float away = length(less(other->place, own->place)), edge = duel->radius - length(own->place);
  const Vector aim = less(sum(other->place, times(other->speed, 0.5f * away)), own->place);
  const int flees = edge < 0.3f && dot(own->speed, own->place) > 0;
  const Vector way = flees ? times(own->place, -1) : aim;
  const Vector error = heading(0.35f * dice_uniform(dice));
  return (Move){turned(unit(way), error), !flees && away < 0.5f && dice_uniform(dice) > 0.6f};
}
