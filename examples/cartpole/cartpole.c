/* A cart learns to hold its pole up, in this process, in seconds: usage: cartpole [SEED]. Ends with status 0 if it does. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keel/keel.h"

enum { CARTS = 8, LIMIT = 500, STEPS = 100000, EPISODES = 100 };

typedef struct {
  float place, speed, angle, turn; /* m, m/s, rad, rad/s: the observation record */
} Cart;

static uint64_t random_state = 1;

static Cart new_cart(void) {
  float drawn[4];
  for (int i = 0; i < 4; ++i) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    drawn[i] = ((float)(random_state >> 40) / 16777216.0f - 0.5f) * 0.1f;
  }
  return (Cart){drawn[0], drawn[1], drawn[2], drawn[3]};
}

/* 20 ms with a push to the left (0) or right (1); whether the cart is lost (Gymnasium's CartPole-v1). */
static int move(Cart *cart, int32_t push) {
  const float sine = sinf(cart->angle), cosine = cosf(cart->angle);
  const float pushed = ((push ? 10.0f : -10.0f) + 0.05f * cart->turn * cart->turn * sine) / 1.1f;
  const float bend = (9.8f * sine - cosine * pushed) / (0.5f * (4.0f / 3.0f - 0.1f * cosine * cosine / 1.1f));
  cart->place += 0.02f * cart->speed;
  cart->speed += 0.02f * (pushed - 0.05f * bend * cosine / 1.1f);
  cart->angle += 0.02f * cart->turn;
  cart->turn += 0.02f * bend;
  return fabsf(cart->place) > 2.4f || fabsf(cart->angle) > 0.20943951f;
}

#define TRY(call)                                          \
  do {                                                     \
    if ((call) < 0) {                                      \
      fprintf(stderr, "%s: %s\n", #call, error.message);   \
      return 1;                                            \
    }                                                      \
  } while (0)

int main(int count, char **arguments) {
  static const char network[] =
      "{\"config\": {\"model_type\": \"control\", \"observations\": [{\"type\": \"vector\", \"name\": \"cart\", \"size\": 4}],"
      " \"actions\": [{\"type\": \"discrete\", \"name\": \"push\", \"choices\": 2}]}, \"seed\": %ld}";
  static const char method[] =
      "{\"algorithm\": {\"type\": \"control_ppo\", \"rollout_steps\": 256, \"epochs\": 20, \"minibatches\": 1,"
      " \"discount\": 0.98, \"gae_lambda\": 0.8}, \"seed\": %ld, \"optimizer\": {\"learning_rate\": 1e-3, \"schedule\":"
      " {\"type\": \"linear\", \"total_steps\": 390, \"final_ratio\": 0}, \"schedule_unit\": \"update\"}}";
  const long seed = count > 1 ? atol(arguments[1]) : 0;
  char text[512];
  keel_error error = KEEL_ERROR_INIT;
  keel_runtime runtime;
  keel_model policy;
  keel_session session;
  keel_actor actor;
  Cart carts[CARTS], final[CARTS];
  uint32_t slots[CARTS];
  int32_t pushes[CARTS], status[CARTS];
  float rewards[CARTS];
  int age[CARTS] = {0};

  TRY(keel_runtime_create(KEEL_ABI_VERSION, NULL, 0, &runtime, &error));
  snprintf(text, sizeof text, network, seed);
  TRY(keel_model_create(runtime, text, strlen(text), &policy, &error));
  snprintf(text, sizeof text, method, seed);
  TRY(keel_session_create(runtime, text, strlen(text), &session, &error));
  TRY(keel_session_set_model(session, KEEL_ROLE_POLICY, NULL, 0, policy, &error));
  TRY(keel_session_layout(session, text, sizeof text, NULL, &error)); /* is a Cart what the network reads? */
  if (!strstr(text, "{\"observation\":{\"bytes\":16,") || sizeof(Cart) != 16) return 1;
  TRY(keel_actor_create(session, NULL, 0, &actor, &error));
  random_state += (uint64_t)seed;
  for (uint32_t i = 0; i < CARTS; ++i) carts[i] = new_cart(), slots[i] = i, rewards[i] = 1;

  for (int step = 0; step < STEPS; step += CARTS) {
    size_t cut = 0;
    TRY(keel_actor_act(actor, slots, CARTS, carts, sizeof carts, pushes, sizeof pushes, 0, NULL, &error));
    TRY(keel_session_step(session, NULL, &error)); /* learns once 256 steps are done, else says KEEL_NEED_DATA */
    for (int i = 0; i < CARTS; ++i) {
      const int lost = move(&carts[i], pushes[i]);
      status[i] = lost ? KEEL_EPISODE_TERMINATED : ++age[i] == LIMIT ? KEEL_EPISODE_TRUNCATED : KEEL_EPISODE_RUNNING;
      if (status[i] == KEEL_EPISODE_TRUNCATED) final[cut++] = carts[i];
      if (status[i] != KEEL_EPISODE_RUNNING) carts[i] = new_cart(), age[i] = 0;
    }
    TRY(keel_actor_observe(actor, slots, CARTS, rewards, CARTS, status, final, cut * sizeof *final, &error));
  }

  long held = 0;
  for (int episode = 0; episode < EPISODES; ++episode) {
    Cart cart = new_cart();
    for (int i = 0; i < LIMIT; ++i, ++held) {
      TRY(keel_actor_act(actor, slots, 1, &cart, sizeof cart, pushes, sizeof *pushes,
                         KEEL_ACT_GREEDY | KEEL_ACT_UNRECORDED, NULL, &error));
      if (move(&cart, pushes[0])) break;
    }
  }
  keel_actor_destroy(actor);
  keel_session_destroy(session);
  keel_model_destroy(policy);
  keel_runtime_destroy(runtime);
  printf("CARTPOLE {\"seed\": %ld, \"steps\": %d, \"return\": %.1f}\n", seed, STEPS, (double)held / EPISODES);
  return held >= 475L * EPISODES ? 0 : 1;
}
