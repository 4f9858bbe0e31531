/* The opponent's mind: acts for the duels, and learns from them without stopping the game. The only file with keel in it. */
#ifndef KEEL_EXAMPLE_LEARNER_H
#define KEEL_EXAMPLE_LEARNER_H

#include "hall.h"
#include "keel/keel.h"

/* Who works on an update: nobody; the frames, a little in each; a thread of keel's; one frame, to the end. */
typedef enum { LEARNER_OFF, LEARNER_PUMP, LEARNER_JOB, LEARNER_BLOCKING, LEARNER_MODES } LearnerMode;
enum { LEARNER_SLICES = 4 };
extern const char *const learner_modes[LEARNER_MODES];

typedef struct {
  LearnerMode mode;
  uint64_t budget_us; /* of a frame, by pump; 0: LEARNER_SLICES slices, so that no clock has a say */
  keel_runtime runtime;
  keel_session session;
  keel_actor actor;
  keel_job job; /* the update under way, or 0 */
  View views[HALL_DUELS];
  int recorded;             /* whether keel is to hear what comes of the last choices */
  int in_round[HALL_DUELS]; /* whether keel is in the middle of the slot's episode */
  long updates;
  float progress; /* of the update under way */
} Learner;

/* Each of these says on stderr what went wrong, and gives 0 then. */
/* Goes on with the opponent that is saved at path; with a new one if path is NULL or nothing is there. */
int learner_open(Learner *learner, const char *path, long seed);
/* Chooses for the duels in play. */
int learner_act(Learner *learner, Hall *hall);
/* Hears what came of it. */
int learner_observe(Learner *learner, const Hall *hall);
/* A frame's share of learning. */
int learner_frame(Learner *learner);
/* Another way to learn; what is under way is brought to its end first. */
int learner_change(Learner *learner, LearnerMode mode);
/* A number that is the same for the same weights, optimiser and steps. */
int learner_hash(const Learner *learner, uint64_t *hash);
/* Brings what is under way to its end, and saves all at path unless it is NULL. */
int learner_close(Learner *learner, const char *path);

#endif
