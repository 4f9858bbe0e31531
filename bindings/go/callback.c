#include "callback.h"

#include "_cgo_export.h"

int32_t KEEL_CALL go_reward(keel_batch rollouts, float *rewards, size_t count, void *judge) {
  return keelGoReward(rollouts, rewards, count, (uintptr_t)judge);
}

int32_t KEEL_CALL go_start(keel_thread_work work, void *argument, void *starter) {
  return keelGoStart(work, (uintptr_t)argument, (uintptr_t)starter);
}

void go_work(keel_thread_work work, uintptr_t argument) { work((void *)argument); }
