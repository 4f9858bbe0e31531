/* What keel calls, and what calls keel's work: the C side of reward.go and starter.go. */
#ifndef KEEL_GO_CALLBACK_H
#define KEEL_GO_CALLBACK_H

#include <keel/keel.h>

int32_t KEEL_CALL go_reward(keel_batch rollouts, float *rewards, size_t count, void *judge);
int32_t KEEL_CALL go_start(keel_thread_work work, void *argument, void *starter);
void go_work(keel_thread_work work, uintptr_t argument);

#endif
