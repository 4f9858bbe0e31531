//! The control run: the PPO phase with a reward that says nothing must teach nothing.
#pragma once

#include "inn.hpp"

namespace npc {

/// Runs it from the model saved after DPO and prints a CONTROL line; the exit code: 1 if the score moved too far.
int run_control(const Options &options);

}  // namespace npc
