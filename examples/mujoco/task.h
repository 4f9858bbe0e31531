/* HalfCheetah, Hopper and Walker2d by the rules of Gymnasium's v4, on MuJoCo's C library. Knows nothing of keel. */
#ifndef KEEL_EXAMPLE_TASK_H
#define KEEL_EXAMPLE_TASK_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { TASK_OBSERVATIONS = 17, TASK_ACTIONS = 6, TASK_LIMIT = 1000 }; /* the most numbers; steps of an episode */

typedef struct {
  const char *name, *file; /* as the command line says it; its model among Gymnasium's */
  int observations, actions, frame_skip;
  double control_cost, healthy_reward;
  double velocity_limit;          /* of what is observed, either sign */
  double noise;                   /* of a start */
  int normal_velocities;          /* noise of velocities: normal rather than uniform */
  double low, high, angle, state; /* healthy: height between, magnitude of pitch and of all the rest below */
} Task;

/* NULL where there is none of that name. */
const Task *task_named(const char *name);

/* Numbers for starts and random actions; any seed is good. */
typedef struct {
  uint64_t state;
} Dice;
double dice_uniform(Dice *dice); /* [-1, 1) */
double dice_normal(Dice *dice);

/* One world of a task. */
typedef struct Simulation Simulation;

typedef struct {
  double reward;
  int terminated, truncated; /* truncated: TASK_LIMIT steps are over; never both */
} Outcome;

/* Reads the model from a directory of Gymnasium's; NULL, with the reason in message, where that fails. */
Simulation *simulation_open(const Task *task, const char *assets, char *message, size_t capacity);
void simulation_close(Simulation *simulation);
/* A new episode from a random start. */
void simulation_reset(Simulation *simulation, Dice *dice);
/* A new episode from this start: as many positions and velocities as the model has. */
void simulation_set(Simulation *simulation, const double *positions, const double *velocities);
/* What one action brings; task->actions numbers, in [-1, 1]. An episode that has ended goes on all the same. */
Outcome simulation_step(Simulation *simulation, const float *action);
/* task->observations numbers, valid until the simulation moves. */
const double *simulation_observation(const Simulation *simulation);
/* The same, as an observation record. */
void simulation_record(const Simulation *simulation, float *record);

#ifdef __cplusplus
}
#endif
#endif
