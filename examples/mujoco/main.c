/* A simulated body learns to run, in this process, in a minute or two: see README.md. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "learner.h"

static const char usage[] =
    "mujoco half_cheetah|hopper|walker2d [--steps N] [--seed S] [--episodes N] [--assert RETURN] [--save DIRECTORY]\n"
    "       [--models DIRECTORY]\n"
    "  --steps     of training, 1000000 unless said\n"
    "  --episodes  of the evaluations before, by chance, and after; 100 unless said\n"
    "  --assert    end with status 1 unless the last 100 episodes of training return this on average\n"
    "  --save      where the trained policy goes\n"
    "  --models    where Gymnasium's XML files are\n";

typedef struct {
  const Task *task;
  const char *save, *models;
  long steps, seed;
  int episodes, asserts;
  double least;
} Options;

/* The number that follows --name; the program ends where it is none. */
static double number(const char *name, const char *text, double low) {
  char *end = NULL;
  const double value = text ? strtod(text, &end) : 0;
  if (!text || end == text || *end || !(value >= low && value <= 1e12)) {
    fprintf(stderr, "mujoco: %s: expected a number of at least %g, found %s\n", name, low, text ? text : "nothing");
    exit(2);
  }
  return value;
}

static Options options_of(int count, char **words) {
  Options options = {.models = MUJOCO_MODELS, .steps = 1000000, .episodes = 100};
  options.task = count > 1 ? task_named(words[1]) : NULL;
  for (int i = 2; options.task && i < count; i += 2) {
    const char *name = words[i], *value = words[i + 1]; /* NULL behind the last word */
    if (!strcmp(name, "--steps")) options.steps = (long)number(name, value, ROLLOUT);
    else if (!strcmp(name, "--seed")) options.seed = (long)number(name, value, 0);
    else if (!strcmp(name, "--episodes")) options.episodes = (int)number(name, value, 1);
    else if (!strcmp(name, "--assert")) options.asserts = 1, options.least = number(name, value, -1e12);
    else if (!strcmp(name, "--save") && value) options.save = value;
    else if (!strcmp(name, "--models") && value) options.models = value;
    else options.task = NULL;
  }
  if (!options.task) fputs(usage, stderr), exit(2);
  return options;
}

static double now(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* The mean return of so many episodes of actions drawn evenly. */
static double chance(const Task *task, Simulation *simulation, Dice *dice, int episodes) {
  double total = 0;
  for (int episode = 0; episode < episodes; ++episode) {
    Outcome outcome = {0};
    float action[TASK_ACTIONS];
    simulation_reset(simulation, dice);
    while (!outcome.terminated && !outcome.truncated) {
      for (int i = 0; i < task->actions; ++i) action[i] = (float)dice_uniform(dice);
      outcome = simulation_step(simulation, action);
      total += outcome.reward;
    }
  }
  return total / episodes;
}

int main(int count, char **words) {
  const Options options = options_of(count, words);
  Dice dice = {.state = (uint64_t)options.seed};
  char message[1024] = "";
  Simulation *simulation = simulation_open(options.task, options.models, message, sizeof message);
  if (!simulation) return fprintf(stderr, "mujoco: %s\n", message), 1;
  const double random = chance(options.task, simulation, &dice, options.episodes);
  Learner learner;
  double trained, greedy, deviation, wall = -now(CLOCK_MONOTONIC), processor = -now(CLOCK_PROCESS_CPUTIME_ID);
  int fine = learner_open(&learner, options.task, options.steps, options.seed) &&
             learner_train(&learner, simulation, &dice, options.steps, &trained);
  wall += now(CLOCK_MONOTONIC), processor += now(CLOCK_PROCESS_CPUTIME_ID);
  fine = fine && learner_evaluate(&learner, simulation, &dice, options.episodes, &greedy, &deviation) &&
         (!options.save || learner_save(&learner, options.save));
  learner_close(&learner);
  simulation_close(simulation);
  if (!fine) return 1;
  printf("MUJOCO {\"task\": \"%s\", \"seed\": %ld, \"steps\": %ld, \"random\": %.1f, \"training\": %.1f, "
         "\"greedy\": %.1f, \"deviation\": %.1f, \"wall\": %.2f, \"cpu\": %.2f}\n",
         options.task->name, options.seed, options.steps, random, trained, greedy, deviation, wall, processor);
  return options.asserts && !(trained >= options.least);
}
