/* Two tiny runs in this process: a language model is aligned, then a walker learns its way. The same program stands beside
   this file in C++, Rust, Go and C#; all print the same numbers. */
#include <keel/keel.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 16, ROUNDS = 4, WALKERS = 4, PLACES = 8, LONGEST = 16, STEPS = 64 };

static keel_error error = KEEL_ERROR_INIT;

static void check(keel_status status) {
  if (status < 0) {
    fprintf(stderr, "%s: %s\n", keel_status_name(status), error.message);
    exit(1);
  }
}

/* A game would draw a frame between two calls of this loop; each takes 2 ms of it. */
static void finish(keel_job job) {
  keel_status status;
  do check(status = keel_job_pump(job, 2000, NULL, &error));
  while (status == KEEL_PENDING);
}

static keel_session session_of(keel_runtime runtime, const char *model_json, const char *session_json) {
  keel_model policy;
  keel_session session;
  check(keel_model_create(runtime, model_json, strlen(model_json), &policy, &error));
  check(keel_session_create(runtime, session_json, strlen(session_json), &session, &error));
  check(keel_session_set_model(session, KEEL_ROLE_POLICY, NULL, 0, policy, &error));
  keel_model_destroy(policy);
  return session;
}

static uint64_t update(keel_session session) {
  keel_job job;
  uint64_t state;
  check(keel_session_update(session, &job, &error));
  finish(job);
  keel_job_destroy(job);
  check(keel_session_state_hash(session, &state, &error));
  return state;
}

/* Responses are sampled, those with more even tokens are rewarded more, and GRPO makes them likelier. */
static void align(keel_runtime runtime) {
  keel_session session = session_of(runtime,
      "{\"config\": {\"model_type\": \"llama\", \"vocab_size\": 32, \"hidden_size\": 32, \"intermediate_size\": 64,"
      " \"num_hidden_layers\": 2, \"num_attention_heads\": 4, \"max_position_embeddings\": 64}, \"initialization\": \"fan_in\"}",
      "{\"algorithm\": {\"type\": \"grpo\"}, \"optimizer\": {\"learning_rate\": 0.01}, \"threads\": 1}");
  int32_t tokens[ROWS];
  uint64_t groups[ROWS]; /* four responses to each of four prompts */
  for (int row = 0; row < ROWS; ++row) groups[row] = row / 4, tokens[row] = 3 + row / 4;
  keel_batch prompts;
  check(keel_batch_create(runtime, KEEL_BATCH_PROMPTS, ROWS, &prompts, &error));
  check(keel_batch_set(prompts, "prompt", 6, KEEL_TYPE_I32, tokens, ROWS, NULL, &error));

  for (int round = 1; round <= ROUNDS; ++round) {
    char json[64];
    snprintf(json, sizeof json, "{\"max_new_tokens\": 8, \"seed\": %d}", round);
    keel_job job;
    keel_batch rollouts;
    check(keel_session_generate(session, prompts, json, strlen(json), &job, &error));
    finish(job);
    check(keel_job_batch(job, &rollouts, &error));
    keel_job_destroy(job);

    int32_t type = KEEL_TYPE_I32;
    const void *values;
    const uint64_t *offsets;
    size_t count;
    check(keel_batch_get(rollouts, "response", 8, &type, &values, &count, &offsets, &error));
    const int32_t *responses = values;
    float rewards[ROWS] = {0};
    int even = 0;
    for (int row = 0; row < ROWS; ++row) {
      for (uint64_t at = offsets[row]; at < offsets[row + 1]; ++at) rewards[row] += responses[at] % 2 == 0;
      even += (int)rewards[row];
    }
    check(keel_batch_set(rollouts, "reward", 6, KEEL_TYPE_F32, rewards, ROWS, NULL, &error));
    check(keel_batch_set(rollouts, "group", 5, KEEL_TYPE_U64, groups, ROWS, NULL, &error));
    check(keel_session_push(session, rollouts, NULL, &error));
    keel_batch_destroy(rollouts);
    const uint64_t state = update(session);
    printf("alignment %d: %d of %d tokens even, state %llu\n", round, even, (int)count, (unsigned long long)state);
  }
  keel_batch_destroy(prompts);
  keel_session_destroy(session);
}

/* Walkers on a line of places: at its right end there is a reward, at its left end nothing, and both end the episode. */
static void control(keel_runtime runtime) {
  keel_session session = session_of(runtime,
      "{\"config\": {\"model_type\": \"control\", \"hidden\": [16],"
      " \"observations\": [{\"type\": \"vector\", \"name\": \"place\", \"size\": 1}],"
      " \"actions\": [{\"type\": \"discrete\", \"name\": \"way\", \"choices\": 2}]}}",
      "{\"algorithm\": {\"type\": \"control_ppo\", \"rollout_steps\": 240, \"minibatches\": 4},"
      " \"optimizer\": {\"learning_rate\": 0.01}}");
  const uint32_t slots[WALKERS] = {0, 1, 2, 3};
  int places[WALKERS] = {4, 4, 4, 4}, ages[WALKERS] = {0};
  keel_actor actor;
  check(keel_actor_create(session, NULL, 0, &actor, &error));

  for (int round = 1; round <= ROUNDS; ++round) {
    int goals = 0;
    for (int step = 0; step < STEPS; ++step) {
      float observations[WALKERS], rewards[WALKERS], last[WALKERS];
      int32_t ways[WALKERS], status[WALKERS];
      size_t cut = 0;
      for (int i = 0; i < WALKERS; ++i) observations[i] = (float)places[i] / PLACES;
      check(keel_actor_act(actor, slots, WALKERS, observations, sizeof observations, ways, sizeof ways, 0, NULL, &error));
      for (int i = 0; i < WALKERS; ++i) {
        places[i] += ways[i] == 1 ? 1 : -1;
        const int there = places[i] == PLACES, ended = there || places[i] == 0;
        goals += there;
        rewards[i] = (float)there;
        status[i] = ended ? KEEL_EPISODE_TERMINATED : ++ages[i] == LONGEST ? KEEL_EPISODE_TRUNCATED : KEEL_EPISODE_RUNNING;
        if (status[i] == KEEL_EPISODE_TRUNCATED) last[cut++] = (float)places[i] / PLACES;
        if (status[i] != KEEL_EPISODE_RUNNING) places[i] = 4, ages[i] = 0;
      }
      check(keel_actor_observe(actor, slots, WALKERS, rewards, WALKERS, status, last, cut * sizeof *last, &error));
    }
    const uint64_t state = update(session);
    printf("control %d: %d goals, state %llu\n", round, goals, (unsigned long long)state);
  }
  keel_actor_destroy(actor);
  keel_session_destroy(session);
}

int main(void) {
  keel_runtime runtime;
  check(keel_runtime_create(KEEL_ABI_VERSION, NULL, 0, &runtime, &error));
  align(runtime);
  control(runtime);
  keel_runtime_destroy(runtime);
  printf("%llu handles left\n", (unsigned long long)keel_live_handles());
  return 0;
}
