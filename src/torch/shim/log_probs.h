// What the head does to one tile of logits [rows, tile], whoever made it: log_probs.cpp walks, log_probs_tile.cpp counts.
#pragma once

#include <ATen/core/Tensor.h>

namespace keel {

// x [N, in] times weight [out, in], fp32 on the CPU, each row with its bits to itself: linear.cpp.
at::Tensor row_product(const at::Tensor& x, const at::Tensor& weight);

// Whether tiles of this tensor's device and type run as loops (CPU fp32) or as libtorch operators (the rest).
bool has_loops(const at::Tensor& hidden);

// Per row, with x = logit / temperature: the largest logit, log sum exp(x - peak / temperature), -sum p log p.
struct Summary {
    at::Tensor log_probs, peak, log_mass, entropy;
};

// Gathers a row's softmax over its tiles, in any number of them (online log-sum-exp), the first one first.
class Statistics {
public:
    // The first `count` rows are real, the rest padding; scale = 1 / temperature.
    Statistics(const at::Tensor& hidden, const at::Tensor& labels, int64_t count, double scale);
    void add(const at::Tensor& logits, int64_t start, int64_t offset);
    Summary finish() const;

private:
    void add_loops(const at::Tensor& logits, int64_t start, int64_t offset);
    void add_composite(const at::Tensor& logits, int64_t start, int64_t offset);

    at::Tensor labels_, peak_, mass_, moment_, target_;
    int64_t count_;
    double scale_;
    bool loops_;
};

// What a tile's logits become in the backward pass: d loss / d logits = g (1[y] - p) - h p (log p + H), / temperature.
struct Slopes {
    at::Tensor labels, peak, log_mass, entropy, given, entropy_given;
    int64_t count;
    double scale;

    at::Tensor of(const at::Tensor& logits, int64_t start, int64_t offset) const;

private:
    void loops(const at::Tensor& logits, int64_t start, int64_t offset) const;
    at::Tensor composite(const at::Tensor& logits, int64_t start, int64_t offset) const;
};

}  // namespace keel
