// The shim as one translation unit: libtorch's headers are read once, which is nearly all of the time that it takes.
#include "attention.cpp"
#include "generator.cpp"
#include "linear.cpp"
#include "log_probs.cpp"
#include "log_probs_tile.cpp"
#include "memory.cpp"
#include "optimizer.cpp"
#include "process.cpp"
