/* All duels at once: one that is shown, and many that are not, in which the opponent practises against the script. */
#ifndef KEEL_EXAMPLE_HALL_H
#define KEEL_EXAMPLE_HALL_H

#include <stddef.h>

#include "arena.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { HALL_DUELS = 256, HALL_SHOWN = 0, HALL_RECENT = 300 }; /* RECENT: the rounds that skill is counted over */

typedef struct {
  Dice dice;
  Duel duels[HALL_DUELS];
  Result results[HALL_DUELS];        /* of the round that has just ended */
  Move moves[HALL_DUELS][2];         /* what each side does until it is asked again */
  float gained[HALL_DUELS];          /* the opponent's reward since it was asked */
  uint32_t asked[HALL_DUELS];        /* the duels in play, their slots */
  size_t asked_count;
  long frame, rounds, wins;          /* rounds against the script, and how many of them the opponent won */
  unsigned char recent[HALL_RECENT]; /* 1: the opponent won */
  int pause;                         /* frames until the shown duel begins anew */
  int score[2];                      /* rounds of the shown duel that each side won */
} Hall;

void hall_open(Hall *hall, long seed);
/* Whether it is time to ask: every ARENA_HOLD frames. */
int hall_asks(const Hall *hall);
/* Begins rounds where one has ended; what the opponent sees in each duel in play. Gives how many there are. */
size_t hall_ask(Hall *hall, View *views);
/* Its choices, in the order of hall->asked. */
void hall_answer(Hall *hall, const Choice *choices);
/* One frame of all duels. person: what a person does in the shown duel; NULL: the script plays there too. */
void hall_step(Hall *hall, const Move *person);
/* What came of the last choices, in the order of hall->asked: the reward, and whether the round has ended. */
void hall_tell(const Hall *hall, float *rewards, int *ended);
/* The share of the last HALL_RECENT rounds against the script that the opponent won. */
double hall_skill(const Hall *hall);

#ifdef __cplusplus
}
#endif
#endif
