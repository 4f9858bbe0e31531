#include "task.h"

#include <math.h>
#include <mujoco/mujoco.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct Simulation {
  const Task *task;
  mjModel *model;
  mjData *data;
  int age; /* steps of the episode */
  double observation[TASK_OBSERVATIONS];
};

static const Task tasks[] = {
    {"half_cheetah", "half_cheetah.xml", 17, 6, 5, 0.1, 0, INFINITY, 0.1, 1, -INFINITY, INFINITY, INFINITY, INFINITY},
    {"hopper", "hopper.xml", 11, 3, 4, 1e-3, 1, 10, 5e-3, 0, 0.7, INFINITY, 0.2, 100},
    {"walker2d", "walker2d.xml", 17, 6, 4, 1e-3, 1, 10, 5e-3, 0, 0.8, 2.0, 1.0, INFINITY},
};

const Task *task_named(const char *name) {
  for (size_t i = 0; i < sizeof tasks / sizeof *tasks; ++i)
    if (!strcmp(name, tasks[i].name)) return &tasks[i];
  return NULL;
}

double dice_uniform(Dice *dice) {
  /* splitmix64 (Steele 2014) */
  uint64_t mixed = dice->state += 0x9E3779B97F4A7C15u;
  mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9u;
  mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBu;
  mixed ^= mixed >> 31;
  return (double)(mixed >> 11) / 4503599627370496.0 - 1.0;
}

double dice_normal(Dice *dice) {
  /* the polar method (Marsaglia 1964), one of its two numbers */
  for (;;) {
    const double x = dice_uniform(dice), y = dice_uniform(dice), square = x * x + y * y;
    if (square > 0 && square < 1) return x * sqrt(-2 * log(square) / square);
  }
}

Simulation *simulation_open(const Task *task, const char *assets, char *message, size_t capacity) {
  char path[1024], reason[512] = "";
  const int length = snprintf(path, sizeof path, "%s/%s", assets, task->file);
  if (length < 0 || (size_t)length >= sizeof path) return snprintf(message, capacity, "the path is too long"), NULL;
  mjModel *model = mj_loadXML(path, NULL, reason, sizeof reason);
  if (!model) return snprintf(message, capacity, "%s: %s", path, reason), NULL;
  if (model->nq - 1 + model->nv != task->observations || model->nu != task->actions) {
    snprintf(message, capacity, "%s: expected %d observed numbers and %d actuators, found %d and %d", path,
             task->observations, task->actions, (int)(model->nq - 1 + model->nv), (int)model->nu);
    mj_deleteModel(model);
    return NULL;
  }
  mjData *data = mj_makeData(model);
  Simulation *simulation = calloc(1, sizeof *simulation);
  if (!data || !simulation) {
    mj_deleteData(data);
    mj_deleteModel(model);
    free(simulation);
    return snprintf(message, capacity, "no memory"), NULL;
  }
  simulation->task = task;
  simulation->model = model;
  simulation->data = data;
  simulation_set(simulation, model->qpos0, data->qvel);
  return simulation;
}

void simulation_close(Simulation *simulation) {
  if (!simulation) return;
  mj_deleteData(simulation->data);
  mj_deleteModel(simulation->model);
  free(simulation);
}

static double limited(double number, double limit) { return fmax(-limit, fmin(limit, number)); }

/* All positions but how far it has come, then all velocities. */
static void observe(Simulation *simulation) {
  const mjModel *model = simulation->model;
  const mjData *data = simulation->data;
  double *out = simulation->observation;
  for (int i = 1; i < model->nq; ++i) *out++ = data->qpos[i];
  for (int i = 0; i < model->nv; ++i) *out++ = limited(data->qvel[i], simulation->task->velocity_limit);
}

void simulation_set(Simulation *simulation, const double *positions, const double *velocities) {
  const mjModel *model = simulation->model;
  mjData *data = simulation->data;
  double start[2 * TASK_OBSERVATIONS]; /* either may be the data's own, which the reset clears */
  memcpy(start, positions, (size_t)model->nq * sizeof *start);
  memcpy(start + model->nq, velocities, (size_t)model->nv * sizeof *start);
  mj_resetData(model, data);
  memcpy(data->qpos, start, (size_t)model->nq * sizeof *start);
  memcpy(data->qvel, start + model->nq, (size_t)model->nv * sizeof *start);
  mj_forward(model, data);
  simulation->age = 0;
  observe(simulation);
}

void simulation_reset(Simulation *simulation, Dice *dice) {
  const Task *task = simulation->task;
  double positions[TASK_OBSERVATIONS], velocities[TASK_OBSERVATIONS];
  for (int i = 0; i < simulation->model->nq; ++i)
    positions[i] = simulation->model->qpos0[i] + task->noise * dice_uniform(dice);
  for (int i = 0; i < simulation->model->nv; ++i)
    velocities[i] = task->noise * (task->normal_velocities ? dice_normal(dice) : dice_uniform(dice));
  simulation_set(simulation, positions, velocities);
}

/* Whether it stands. A HalfCheetah always does. */
static int is_healthy(const Simulation *simulation) {
  const Task *task = simulation->task;
  const double *positions = simulation->data->qpos, *velocities = simulation->data->qvel;
  int healthy = task->low < positions[1] && positions[1] < task->high && fabs(positions[2]) < task->angle;
  for (int i = 2; i < simulation->model->nq; ++i) healthy &= fabs(positions[i]) < task->state;
  for (int i = 0; i < simulation->model->nv; ++i) healthy &= fabs(velocities[i]) < task->state;
  return healthy;
}

Outcome simulation_step(Simulation *simulation, const float *action) {
  const Task *task = simulation->task;
  mjData *data = simulation->data;
  const double before = data->qpos[0];
  double effort = 0;
  for (int i = 0; i < task->actions; ++i) {
    data->ctrl[i] = action[i];
    effort += (double)action[i] * action[i];
  }
  for (int i = 0; i < task->frame_skip; ++i) mj_step(simulation->model, data);
  observe(simulation);
  const double seconds = simulation->model->opt.timestep * task->frame_skip;
  Outcome outcome = {0};
  outcome.reward = (data->qpos[0] - before) / seconds + task->healthy_reward - task->control_cost * effort;
  outcome.terminated = !is_healthy(simulation);
  outcome.truncated = ++simulation->age == TASK_LIMIT && !outcome.terminated;
  return outcome;
}

const double *simulation_observation(const Simulation *simulation) { return simulation->observation; }

void simulation_record(const Simulation *simulation, float *record) {
  for (int i = 0; i < simulation->task->observations; ++i) record[i] = (float)simulation->observation[i];
}
