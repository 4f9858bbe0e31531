// y = x Wᵀ + b whose rows have the same bits whatever other rows there are and however many threads compute them.
// A matrix library chooses its kernel by the number of rows, and may split the sum over inputs between threads
// (measured with MKL: products of fewer than 16 rows differ; with several threads so do long sums). So a product here
// has at least 16 rows, and threads share the columns of y: each runs whole sums.
#include "shim.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/add.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <memory>

namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t FEWEST = 16, MULTIPLE = 4, COLUMNS = 16;
// Multiplications below which one thread is enough, and the library leaves the sum whole by itself.
constexpr double WORTH_THREADS = 1e6;

// [N, in] x [out, in] -> [N, out]
Tensor product(const Tensor& given, const Tensor& weight) {
    const int64_t count = given.size(0), width = weight.size(0);
    const int64_t rows = std::max(FEWEST, (count + MULTIPLE - 1) / MULTIPLE * MULTIPLE);
    const Tensor x = rows == count ? given : at::constant_pad_nd(given, {0, 0, 0, rows - count});
    Tensor y = at::empty({rows, width}, x.options());
    const int64_t units = (width + COLUMNS - 1) / COLUMNS;
    const double work = static_cast<double>(rows) * width * weight.size(1);
    const bool alone = work < WORTH_THREADS || at::in_parallel_region();
    const int64_t parts = alone ? 1 : std::min<int64_t>(at::get_num_threads(), units);
    const auto columns = [&](int64_t part) { return std::min(width, part * units / parts * COLUMNS); };
    at::parallel_for(0, parts, 1, [&](int64_t begin, int64_t end) {
        const at::NoGradGuard no_grad;
        for (int64_t part = begin; part < end; ++part) {
            const int64_t first = columns(part), size = columns(part + 1) - first;
            Tensor out = y.narrow(1, first, size);
            at::mm_out(out, x, weight.narrow(0, first, size).t());
        }
    });
    return rows == count ? y : y.narrow(0, 0, count);
}

struct LinearFunction : torch::autograd::Function<LinearFunction> {
    static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& weight) {
        ctx->save_for_backward({x, weight});
        return product(x, weight);
    }

    static variable_list backward(AutogradContext* ctx, variable_list given) {
        TORCH_CHECK(!at::GradMode::is_enabled(), "linear has no second derivative");
        const variable_list saved = ctx->get_saved_variables();
        const Tensor &x = saved[0], &weight = saved[1], &slope = given[0];
        return {ctx->needs_input_grad(0) ? at::mm(slope, weight) : Tensor(),
                ctx->needs_input_grad(1) ? at::mm(slope.t(), x) : Tensor()};
    }
};

}  // namespace

extern "C" int32_t shim_linear(const Tensor* x, const Tensor* weight, const Tensor* bias, Tensor** output,
                               keel::Failure* failure) {
    SHIM_TRY(failure, {
        TORCH_CHECK(x->dim() == 2 && weight->dim() == 2 && x->size(1) == weight->size(1),
                    "linear: expected x [N, in] and a weight [out, in], got ", x->sizes(), ", ", weight->sizes());
        const Tensor offset = bias == nullptr ? Tensor() : *bias;
        TORCH_CHECK(!offset.defined() || (offset.dim() == 1 && offset.size(0) == weight->size(0)),
                    "linear: expected a bias [", weight->size(0), "], got ", offset.sizes());
        const bool ours = x->is_cpu() && weight->is_cpu() && x->scalar_type() == at::kFloat &&
                          weight->scalar_type() == at::kFloat;
        Tensor y = ours ? LinearFunction::apply(*x, *weight) : at::linear(*x, *weight, offset);
        if (ours && offset.defined()) y = at::add(y, offset);
        *output = std::make_unique<Tensor>(y).release();
    })
}
