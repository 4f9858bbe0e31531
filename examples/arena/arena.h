/* The rules: two discs in a ring that shrinks; whose middle is outside first has lost. No clock, no drawing, no keel. */
#ifndef KEEL_EXAMPLE_ARENA_H
#define KEEL_EXAMPLE_ARENA_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { ARENA_RATE = 60, ARENA_HOLD = 4 }; /* frames a second; frames for which a choice of the opponent's holds */
enum { ARENA_HEADINGS = 9, ARENA_VIEW = 13 };
#define ARENA_DISC 0.09f /* radius of a disc; the ring begins with 1 */
#define ARENA_REST 2.0f  /* s from one dash to the next */

typedef struct {
  uint64_t state; /* any seed is good */
} Dice;
float dice_uniform(Dice *dice); /* [-1, 1) */

typedef struct {
  float x, y;
} Vector;

typedef struct {
  Vector place, speed; /* from the ring's middle; a second */
  float rest;          /* s until it may dash again */
} Disc;

typedef enum { PLAYER, OPPONENT } Side;
typedef enum { UNDECIDED, PLAYER_WINS, OPPONENT_WINS } Result;

typedef struct {
  Disc discs[2];
  float time, radius; /* s since the round began; of the ring */
  float blow;         /* speed at which the discs met in this frame, or 0 */
} Duel;

typedef struct {
  Vector thrust; /* at most 1 long */
  int dash;
} Move;

/* The opponent's action record: heading 0 coasts, 1 makes for the player, each further one is 45 degrees to the left. */
typedef struct {
  int32_t heading, dash;
} Choice;

/* The observation record, seen from one disc with the other one straight ahead:
 * 0, 1 the ring's middle; 2, 3 own speed; 4, 5 the other's; 6 the distance to it; 7, 8 how far the two are from the
 * edge; 9, 10 the rest of both, as a part of ARENA_REST; 11 the ring's radius; 12 s of the round / 10. */
typedef struct {
  float values[ARENA_VIEW];
} View;

Duel duel_start(Dice *dice);
/* One frame. A duel that is decided must not go on. */
Result duel_step(Duel *duel, Move player, Move opponent);
View duel_view(const Duel *duel, Side side);
Move duel_move(const Duel *duel, Side side, Choice choice);
/* How well the opponent stands, in [-1, 1]: how much nearer to the edge the player is. */
float duel_lead(const Duel *duel);
/* What the scripted player does: it makes for where the opponent will be, shuns the edge, dashes when it is near. */
Move duel_script(const Duel *duel, Side side, Dice *dice);

#ifdef __cplusplus
}
#endif
#endif
