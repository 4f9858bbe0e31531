/* A pendulum learns to swing up and stand, in this process: usage: pendulum [sac|ppo] [SEED] [STEPS]. Ends with status 0 if it
 * does as well as is asked: a mean return of -200 by soft actor-critic, of -250 by PPO, over 100 episodes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keel/keel.h"

enum { MOST = 4, LIMIT = 200, EPISODES = 100 };

typedef struct {
  float cosine, sine, speed; /* of the angle from upright, rad/s: the observation record */
} Seen;

typedef struct {
  double angle, speed;
  int age;
} Pendulum;

typedef struct {
  const char *name, *action, *method;
  int pendulums, steps;
  double least;
} Course;

/* Stable-Baselines3's zoo, with smaller networks: one optimiser step a step, or ten passes over 4096 steps. */
static const Course courses[] = {
    {"sac", "\"distribution\": \"squashed\", \"deviation\": \"state\"",
     "{\"algorithm\": {\"type\": \"sac\"}, \"seed\": %ld, \"optimizer\": {\"learning_rate\": 1e-3}}", 1, 20000, -200},
    {"ppo", "\"distribution\": \"normal\"",
     "{\"algorithm\": {\"type\": \"control_ppo\", \"rollout_steps\": 4096, \"minibatches\": 64, \"discount\": 0.9}, \"seed\": %ld,"
     " \"optimizer\": {\"learning_rate\": 1e-3}}", MOST, 100000, -250},
};

static uint64_t random_state = 1;

static double uniform(double most) {
  random_state = random_state * 6364136223846793005u + 1442695040888963407u;
  return ((double)(random_state >> 11) / 9007199254740992.0 * 2 - 1) * most;
}

static Pendulum hang(void) {
  const double angle = uniform(3.14159265358979323846);
  return (Pendulum){angle, uniform(1), 0};
}

static Seen look(const Pendulum *p) {
  return (Seen){(float)cos(p->angle), (float)sin(p->angle), (float)p->speed};
}

/* 50 ms under a torque of at most 2; its reward (Gymnasium's Pendulum-v1). */
static float swing(Pendulum *p, double torque) {
  torque = fmax(-2, fmin(2, torque));
  const double away = remainder(p->angle, 6.28318530717958647692);
  const double cost = away * away + 0.1 * p->speed * p->speed + 0.001 * torque * torque;
  p->speed = fmax(-8, fmin(8, p->speed + (15 * sin(p->angle) + 3 * torque) * 0.05));
  p->angle += p->speed * 0.05;
  ++p->age;
  return (float)-cost;
}

#define TRY(call)                                        \
  do {                                                   \
    if ((call) < 0) {                                    \
      fprintf(stderr, "%s: %s\n", #call, error.message); \
      return 1;                                          \
    }                                                    \
  } while (0)

int main(int count, char **arguments) {
  static const char network[] =
      "{\"config\": {\"model_type\": \"control\", \"activation\": \"relu\","
      " \"observations\": [{\"type\": \"vector\", \"name\": \"pendulum\", \"size\": 3}],"
      " \"actions\": [{\"type\": \"continuous\", \"name\": \"torque\", \"size\": 1, \"low\": -2, \"high\": 2, %s}]},"
      " \"seed\": %ld}";
  const Course *course = &courses[count > 1 && !strcmp(arguments[1], "ppo")];
  const long seed = count > 2 ? atol(arguments[2]) : 0;
  const int steps = count > 3 ? atoi(arguments[3]) : course->steps;
  char text[1024];
  keel_error error = KEEL_ERROR_INIT;
  keel_runtime runtime;
  keel_model policy;
  keel_session session;
  keel_actor actor;
  Pendulum all[MOST];
  Seen seen[MOST], final[MOST];
  uint32_t slots[MOST] = {0, 1, 2, 3};
  int32_t status[MOST];
  float torques[MOST], rewards[MOST];

  TRY(keel_runtime_create(KEEL_ABI_VERSION, NULL, 0, &runtime, &error));
  snprintf(text, sizeof text, network, course->action, seed);
  TRY(keel_model_create(runtime, text, strlen(text), &policy, &error));
  snprintf(text, sizeof text, course->method, seed);
  TRY(keel_session_create(runtime, text, strlen(text), &session, &error));
  TRY(keel_session_set_model(session, KEEL_ROLE_POLICY, NULL, 0, policy, &error));
  TRY(keel_actor_create(session, NULL, 0, &actor, &error));
  random_state += (uint64_t)seed;
  const size_t n = (size_t)course->pendulums;
  for (size_t i = 0; i < n; ++i) all[i] = hang();

  for (int step = 0; step < steps; step += course->pendulums) {
    size_t cut = 0;
    for (size_t i = 0; i < n; ++i) seen[i] = look(&all[i]);
    TRY(keel_actor_act(actor, slots, n, seen, n * sizeof *seen, torques, n * sizeof *torques, 0, NULL, &error));
    TRY(keel_session_step(session, NULL, &error)); /* learns when there is enough, else says KEEL_NEED_DATA */
    for (size_t i = 0; i < n; ++i) {
      rewards[i] = swing(&all[i], torques[i]);
      status[i] = all[i].age == LIMIT ? KEEL_EPISODE_TRUNCATED : KEEL_EPISODE_RUNNING;
      if (status[i] == KEEL_EPISODE_TRUNCATED) final[cut++] = look(&all[i]), all[i] = hang();
    }
    TRY(keel_actor_observe(actor, slots, n, rewards, n, status, final, cut * sizeof *final, &error));
  }

  double sum = 0;
  for (int episode = 0; episode < EPISODES; ++episode) {
    for (Pendulum one = hang(); one.age < LIMIT;) {
      *seen = look(&one);
      TRY(keel_actor_act(actor, slots, 1, seen, sizeof *seen, torques, sizeof *torques,
                         KEEL_ACT_GREEDY | KEEL_ACT_UNRECORDED, NULL, &error));
      sum += swing(&one, *torques);
    }
  }
  keel_actor_destroy(actor);
  keel_session_destroy(session);
  keel_model_destroy(policy);
  keel_runtime_destroy(runtime);
  printf("PENDULUM {\"method\": \"%s\", \"seed\": %ld, \"steps\": %d, \"return\": %.1f}\n", course->name, seed, steps,
         sum / EPISODES);
  return sum / EPISODES >= course->least ? 0 : 1;
}
