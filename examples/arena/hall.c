#include "hall.h"

#include <string.h>

static const float lead_worth = 0.5f; /* reward of drawing nearer to the middle than the player by a whole radius */

void hall_open(Hall *hall, long seed) {
  memset(hall, 0, sizeof *hall);
  hall->dice.state = (uint64_t)seed;
  for (int i = 0; i < HALL_DUELS; ++i) hall->duels[i] = duel_start(&hall->dice);
}

int hall_asks(const Hall *hall) {
  return hall->frame % ARENA_HOLD == 0;
}

size_t hall_ask(Hall *hall, View *views) {
  hall->asked_count = 0;
  for (uint32_t i = 0; i < HALL_DUELS; ++i) {
    if (hall->results[i] != UNDECIDED && (i != HALL_SHOWN || hall->pause == 0)) {
      hall->duels[i] = duel_start(&hall->dice);
      hall->results[i] = UNDECIDED;
    }
    if (hall->results[i] != UNDECIDED) continue;
    views[hall->asked_count] = duel_view(&hall->duels[i], OPPONENT);
    hall->asked[hall->asked_count++] = i;
    hall->gained[i] = 0;
  }
  return hall->asked_count;
}

void hall_answer(Hall *hall, const Choice *choices) {
  for (size_t i = 0; i < hall->asked_count; ++i) {
    const uint32_t duel = hall->asked[i];
    hall->moves[duel][OPPONENT] = duel_move(&hall->duels[duel], OPPONENT, choices[i]);
    hall->moves[duel][PLAYER] = duel_script(&hall->duels[duel], PLAYER, &hall->dice);
  }
}

static void count(Hall *hall, uint32_t duel, int by_script) {
  const int won = hall->results[duel] == OPPONENT_WINS;
  if (duel == HALL_SHOWN) {
    hall->pause = ARENA_RATE;
    ++hall->score[won ? OPPONENT : PLAYER];
  }
  if (!by_script) return;
  hall->recent[hall->rounds++ % HALL_RECENT] = (unsigned char)won;
  hall->wins += won;
}

void hall_step(Hall *hall, const Move *person) {
  if (hall->pause > 0) --hall->pause;
  for (uint32_t i = 0; i < HALL_DUELS; ++i) {
    if (hall->results[i] != UNDECIDED) continue;
    const int by_person = person && i == HALL_SHOWN;
    const float lead = duel_lead(&hall->duels[i]);
    hall->results[i] = duel_step(&hall->duels[i], by_person ? *person : hall->moves[i][PLAYER], hall->moves[i][OPPONENT]);
    hall->moves[i][PLAYER].dash = hall->moves[i][OPPONENT].dash = 0; /* once is enough */
    hall->gained[i] += lead_worth * (duel_lead(&hall->duels[i]) - lead);
    if (hall->results[i] == UNDECIDED) continue;
    hall->gained[i] += hall->results[i] == OPPONENT_WINS ? 1 : -1;
    count(hall, i, !by_person);
  }
  ++hall->frame;
}

void hall_tell(const Hall *hall, float *rewards, int *ended) {
  for (size_t i = 0; i < hall->asked_count; ++i) {
    rewards[i] = hall->gained[hall->asked[i]];
    ended[i] = hall->results[hall->asked[i]] != UNDECIDED;
  }
}

double hall_skill(const Hall *hall) {
  const long known = hall->rounds < HALL_RECENT ? hall->rounds : HALL_RECENT;
  long won = 0;
  for (long i = 0; i < known; ++i) won += hall->recent[i];
  return known ? (double)won / (double)known : 0;
}
