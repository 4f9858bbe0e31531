#include "learner.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define TRY(call)                                        \
  do {                                                   \
    if ((call) < 0) {                                    \
      fprintf(stderr, "%s: %s\n", #call, error.message); \
      return 0;                                          \
    }                                                    \
  } while (0)

static const char network[] =
    "{\"config\": {\"model_type\": \"control\", \"hidden\": [64, 64], \"activation\": \"tanh\", \"policy_gain\": 0.01,"
    " \"observations\": [{\"type\": \"vector\", \"name\": \"body\", \"size\": %d}],"
    " \"actions\": [{\"type\": \"continuous\", \"name\": \"torques\", \"size\": %d, \"low\": -1, \"high\": 1}],"
    " \"normalize_observations\": true, \"observation_clip\": 10}, \"seed\": %ld}";

/* CleanRL's factor of the values' error is 0.5 with another ½ in it, and so is this one. */
static const char method[] =
    "{\"algorithm\": {\"type\": \"control_ppo\", \"rollout_steps\": %d, \"epochs\": 10, \"minibatches\": 32,"
    " \"discount\": 0.99, \"gae_lambda\": 0.95, \"truncation\": \"ignore\", \"clip_range\": 0.2,"
    " \"value_clip_range\": 0.2, \"value_coef\": 0.5, \"normalize_rewards\": true, \"reward_clip\": 10},"
    " \"seed\": %ld, \"threads\": 1,"
    " \"optimizer\": {\"learning_rate\": 3e-4, \"epsilon\": 1e-5, \"max_grad_norm\": 0.5, \"schedule\":"
    " {\"type\": \"linear\", \"total_steps\": %ld, \"final_ratio\": 0}, \"schedule_unit\": \"update\"}}";

int learner_open(Learner *learner, const Task *task, long steps, long seed) {
  const long updates = steps < ROLLOUT ? 1 : steps / ROLLOUT;
  keel_error error = KEEL_ERROR_INIT;
  char text[1024];
  *learner = (Learner){.task = task};
  TRY(keel_runtime_create(KEEL_ABI_VERSION, NULL, 0, &learner->runtime, &error));
  snprintf(text, sizeof text, network, task->observations, task->actions, seed);
  TRY(keel_model_create(learner->runtime, text, strlen(text), &learner->policy, &error));
  snprintf(text, sizeof text, method, ROLLOUT, seed, updates);
  TRY(keel_session_create(learner->runtime, text, strlen(text), &learner->session, &error));
  TRY(keel_session_set_model(learner->session, KEEL_ROLE_POLICY, NULL, 0, learner->policy, &error));
  TRY(keel_actor_create(learner->session, NULL, 0, &learner->actor, &error));
  return 1;
}

/* The mean of what was kept of so many returns. */
static double mean_of(const double *returns, long count) {
  const long kept = count < RECENT ? count : RECENT;
  double sum = 0;
  for (long i = 0; i < kept; ++i) sum += returns[i];
  return kept ? sum / (double)kept : NAN;
}

int learner_train(Learner *learner, Simulation *simulation, Dice *dice, long steps, double *mean) {
  const uint32_t slot = 0;
  const size_t seen = (size_t)learner->task->observations * sizeof(float);
  const size_t done = (size_t)learner->task->actions * sizeof(float);
  keel_error error = KEEL_ERROR_INIT;
  float record[TASK_OBSERVATIONS], action[TASK_ACTIONS];
  double returns[RECENT], sum = 0;
  long episodes = 0;
  simulation_reset(simulation, dice);
  for (long step = 1; step <= steps; ++step) {
    simulation_record(simulation, record);
    TRY(keel_actor_act(learner->actor, &slot, 1, record, seen, action, done, 0, NULL, &error));
    TRY(keel_session_step(learner->session, NULL, &error)); /* learns once 2048 steps are done, else KEEL_NEED_DATA */
    const Outcome outcome = simulation_step(simulation, action);
    const float reward = (float)outcome.reward;
    const int32_t status = outcome.terminated  ? KEEL_EPISODE_TERMINATED
                           : outcome.truncated ? KEEL_EPISODE_TRUNCATED
                                               : KEEL_EPISODE_RUNNING;
    simulation_record(simulation, record);
    TRY(keel_actor_observe(learner->actor, &slot, 1, &reward, 1, &status, outcome.truncated ? record : NULL,
                           outcome.truncated ? seen : 0, &error));
    sum += outcome.reward;
    if (status != KEEL_EPISODE_RUNNING) {
      returns[episodes++ % RECENT] = sum;
      sum = 0;
      simulation_reset(simulation, dice);
    }
    if (step % 102400 == 0) fprintf(stderr, "%9ld steps: return %.1f\n", step, mean_of(returns, episodes));
  }
  TRY(keel_session_step(learner->session, NULL, &error)); /* what the last episode's end completed */
  *mean = mean_of(returns, episodes);
  return 1;
}

int learner_evaluate(Learner *learner, Simulation *simulation, Dice *dice, int episodes, double *mean,
                     double *deviation) {
  const uint32_t slot = 1; /* the training's own stands where it stood */
  const size_t seen = (size_t)learner->task->observations * sizeof(float);
  const size_t done = (size_t)learner->task->actions * sizeof(float);
  keel_error error = KEEL_ERROR_INIT;
  float record[TASK_OBSERVATIONS], action[TASK_ACTIONS];
  double total = 0, squares = 0;
  for (int episode = 0; episode < episodes; ++episode) {
    Outcome outcome = {0};
    double sum = 0;
    simulation_reset(simulation, dice);
    while (!outcome.terminated && !outcome.truncated) {
      simulation_record(simulation, record);
      TRY(keel_actor_act(learner->actor, &slot, 1, record, seen, action, done, KEEL_ACT_GREEDY | KEEL_ACT_UNRECORDED,
                         NULL, &error));
      outcome = simulation_step(simulation, action);
      sum += outcome.reward;
    }
    total += sum;
    squares += sum * sum;
  }
  *mean = total / episodes;
  *deviation = sqrt(fmax(0, squares / episodes - *mean * *mean));
  return 1;
}

int learner_save(const Learner *learner, const char *directory) {
  keel_error error = KEEL_ERROR_INIT;
  TRY(keel_model_save(learner->policy, directory, strlen(directory), &error));
  return 1;
}

void learner_close(Learner *learner) {
  keel_actor_destroy(learner->actor);
  keel_session_destroy(learner->session);
  keel_model_destroy(learner->policy);
  keel_runtime_destroy(learner->runtime);
}
