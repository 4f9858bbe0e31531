// The optimiser step, gradient clipping and gradient aliasing on flat tensors, in place.
#include "kernel.h"
#include "shim.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <vector>

namespace {

constexpr int64_t STRETCH = 16384;

KEEL_KERNEL double block_squares(const float* values, int64_t count) {
    double lanes[8] = {0};
    int64_t i = 0;
    for (; i + 8 <= count; i += 8) {
        for (int64_t lane = 0; lane < 8; ++lane) {
            const double value = values[i + lane];
            lanes[lane] += value * value;
        }
    }
    for (; i < count; ++i) lanes[i % 8] += static_cast<double>(values[i]) * values[i];
    return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

// Blocks of fixed size, added in order: the sum depends neither on the number of threads nor on how it is cut at blocks.
double add_flat_squares(double total, const float* values, int64_t count) {
    const int64_t blocks = (count + STRETCH - 1) / STRETCH;
    std::vector<double> squares(static_cast<size_t>(blocks));
    keel::parallel(blocks, 2.0 * count, [&](int64_t block, int) {
        const int64_t start = block * STRETCH;
        squares[static_cast<size_t>(block)] = block_squares(values + start, std::min(STRETCH, count - start));
    });
    for (double square : squares) total += square;
    return total;
}

bool is_flat(const at::Tensor& gradient) {
    return gradient.is_cpu() && gradient.scalar_type() == at::kFloat && gradient.is_contiguous();
}

double norm_of(const at::Tensor& gradient) {
    const auto type = gradient.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    return at::linalg_vector_norm(gradient, 2, std::nullopt, false, type).item<double>();
}

}  // namespace

int32_t shim_fused_adamw(const AdamW* rule, at::Tensor* parameter, at::Tensor* gradient, at::Tensor* first_moment,
                         at::Tensor* second_moment, at::Tensor* step, keel::Failure* failure) {
    SHIM_TRY(failure, {
        at::NoGradGuard guard;
        const keel::Uncapped whole;  // a cap on memory breaks off no step: it needs a few bytes
        TORCH_CHECK(step->device() == parameter->device(), "fused_adamw: expected the step on ", parameter->device(),
                    ", got ", step->device());
        step->add_(1);
        at::_fused_adamw_({*parameter}, {*gradient}, {*first_moment}, {*second_moment}, {}, {*step},
                          rule->learning_rate, rule->beta1, rule->beta2, rule->weight_decay, rule->epsilon,
                          /*amsgrad=*/false, /*maximize=*/false);
    })
}

// The rate and the number of this step stand on the parameters' device: nothing of the call but its rule is the host's.
int32_t shim_adamw_at(const AdamW* rule, at::Tensor* rate, at::Tensor* parameter, at::Tensor* gradient,
                      at::Tensor* first_moment, at::Tensor* second_moment, at::Tensor* step, keel::Failure* failure) {
    SHIM_TRY(failure, {
        at::NoGradGuard guard;
        const keel::Uncapped whole;  // a cap on memory breaks off no step: it needs a few bytes
        TORCH_CHECK(step->device() == parameter->device() && rate->device() == parameter->device(),
                    "adamw_at: expected the step and the rate on ", parameter->device());
        at::_fused_adamw_({*parameter}, {*gradient}, {*first_moment}, {*second_moment}, {}, {*step}, *rate, rule->beta1,
                          rule->beta2, rule->weight_decay, rule->epsilon, /*amsgrad=*/false, /*maximize=*/false);
    })
}

int32_t shim_clip_gradient(at::Tensor* gradient, double max_norm, double* norm, keel::Failure* failure) {
    SHIM_TRY(failure, {
        at::NoGradGuard guard;
        *norm = is_flat(*gradient)
                    ? std::sqrt(add_flat_squares(0, gradient->const_data_ptr<float>(), gradient->numel()))
                    : norm_of(*gradient);
        const double factor = max_norm / (*norm + 1e-6);
        if (max_norm > 0 && std::isfinite(*norm) && factor < 1) gradient->mul_(factor);
    })
}

int32_t shim_add_squares(const at::Tensor* part, double* squares, keel::Failure* failure) {
    SHIM_TRY(failure, {
        at::NoGradGuard guard;
        if (is_flat(*part)) {
            *squares = add_flat_squares(*squares, part->const_data_ptr<float>(), part->numel());
        } else {
            const double norm = norm_of(*part);
            *squares += norm * norm;
        }
    })
}

int32_t shim_backward(const at::Tensor* const* outputs, const at::Tensor* const* gradients, size_t count,
                      keel::Failure* failure) {
    SHIM_TRY(failure, {
        torch::autograd::variable_list roots, slopes;
        for (size_t i = 0; i < count; ++i) {
            roots.push_back(*outputs[i]);
            slopes.push_back(*gradients[i]);
        }
        torch::autograd::backward(roots, slopes);
    })
}

int32_t shim_set_gradient(at::Tensor* parameter, const at::Tensor* gradient, keel::Failure* failure) {
    SHIM_TRY(failure, {
        TORCH_CHECK(parameter->is_leaf() && parameter->requires_grad(),
                    "set_gradient: expected a leaf that requires a gradient");
        TORCH_CHECK(parameter->sizes() == gradient->sizes() && parameter->device() == gradient->device() &&
                        parameter->scalar_type() == gradient->scalar_type(),
                    "set_gradient: expected ", parameter->scalar_type(), " ", parameter->sizes(), " like the parameter, got ",
                    gradient->scalar_type(), " ", gradient->sizes());
        parameter->mutable_grad() = gradient->detach();
    })
}
