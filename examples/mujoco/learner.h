/* The policy of a task and the session that trains it, as CleanRL's ppo_continuous_action sets PPO. */
#ifndef KEEL_EXAMPLE_LEARNER_H
#define KEEL_EXAMPLE_LEARNER_H

#include "keel/keel.h"
#include "task.h"

enum { ROLLOUT = 2048, RECENT = 100 }; /* steps of an update; episodes of a mean */

typedef struct {
  const Task *task;
  keel_runtime runtime;
  keel_model policy;
  keel_session session;
  keel_actor actor;
} Learner;

/* Each of these says on stderr what went wrong, and gives 0 then. */
int learner_open(Learner *learner, const Task *task, long steps, long seed);
/* Acts and learns for so many steps; mean: return of the last RECENT episodes that ended. */
int learner_train(Learner *learner, Simulation *simulation, Dice *dice, long steps, double *mean);
/* The return of so many episodes in which the policy does what it holds for best; nothing is learned. */
int learner_evaluate(Learner *learner, Simulation *simulation, Dice *dice, int episodes, double *mean,
                     double *deviation);
int learner_save(const Learner *learner, const char *directory);
void learner_close(Learner *learner);

#endif
