// y = x Wᵀ + b whose rows have the same bits whatever other rows there are and however many threads compute them.
// A matrix library chooses its kernel by the number of rows, and may split the sum over inputs between threads
// (measured with MKL: products of fewer than 16 rows differ; with several threads so do long sums, on AMD's processors
// small products too, and by the number of columns). So a product here has at least 16 rows and is made in blocks of columns
// that neither rows nor threads decide; threads share the blocks, each runs whole sums by itself.
#include "log_probs.h"
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

// MKL's own, where libtorch was built with it: sets the calling thread's number of threads, 0 = the process's; returns the last.
extern "C" __attribute__((weak)) int MKL_Set_Num_Threads_Local(int threads);

namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t FEWEST = 16, MULTIPLE = 4, COLUMNS = 128;
// Multiplications below which one thread is enough.
constexpr double WORTH_THREADS = 1e6;

// While alive, MKL works on the calling thread alone; another library decides for itself.
class Alone {
  public:
    Alone() : before_(MKL_Set_Num_Threads_Local == nullptr ? 0 : MKL_Set_Num_Threads_Local(1)) {}
    ~Alone() {
        if (MKL_Set_Num_Threads_Local != nullptr) MKL_Set_Num_Threads_Local(before_);
    }
    Alone(const Alone&) = delete;
    Alone& operator=(const Alone&) = delete;

  private:
    int before_;
};

// [N, in] x [out, in] -> [N, out]
Tensor product(const Tensor& given, const Tensor& weight) {
    const int64_t count = given.size(0), width = weight.size(0);
    const int64_t rows = std::max(FEWEST, (count + MULTIPLE - 1) / MULTIPLE * MULTIPLE);
    const Tensor x = rows == count ? given : at::constant_pad_nd(given, {0, 0, 0, rows - count});
    Tensor y = at::empty({rows, width}, x.options());
    const int64_t blocks = (width + COLUMNS - 1) / COLUMNS;
    const double work = static_cast<double>(rows) * width * weight.size(1);
    const int64_t grain = work < WORTH_THREADS ? blocks : 1;
    at::parallel_for(0, blocks, grain, [&](int64_t begin, int64_t end) {
        const at::NoGradGuard no_grad;
        const Alone alone;
        for (int64_t first = begin * COLUMNS; first < std::min(width, end * COLUMNS); first += COLUMNS) {
            const int64_t size = std::min(COLUMNS, width - first);
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

at::Tensor keel::row_product(const at::Tensor& x, const at::Tensor& weight) { return product(x, weight); }

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
