// The language model's head: log-probabilities of given tokens and entropies of their distributions, from hidden
// states, in chunks of tokens x vocabulary tiles. Forward keeps three numbers a row; backward computes the logits
// again. A chunk has a multiple of four rows, and the tile depends on V and the bound only, so that a row's bits do
// not depend on how many rows come with it. What happens to one tile is in log_probs_tile.cpp.
#include "log_probs.h"
#include "shim.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t ROWS = 4, TILE = 4096, CHUNK = 512, WIDTH = 16;

struct Partition {
    int64_t rows, tile;
};

// A composite tile needs four buffers of its size, the loops one.
Partition partition(int64_t vocabulary, const Tensor& hidden, int64_t tile_bytes) {
    const int64_t element = hidden.element_size() * (keel::has_loops(hidden) ? 1 : 4);
    const int64_t budget = std::max(tile_bytes / element, ROWS * WIDTH);
    int64_t tile = 2 * TILE > vocabulary ? vocabulary : TILE;
    if (tile * ROWS > budget) tile = std::min(tile, budget / ROWS / WIDTH * WIDTH);
    return {std::min(CHUNK, budget / tile / ROWS * ROWS), tile};
}

Tensor padded(const Tensor& tensor, int64_t rows) {
    const int64_t missing = rows - tensor.size(0);
    if (missing == 0) return tensor.contiguous();
    return tensor.dim() == 1 ? at::constant_pad_nd(tensor, {0, missing}) : at::constant_pad_nd(tensor, {0, 0, 0, missing});
}

// Calls tile(start, rows, offset, width) over all of [rows, vocabulary].
template <typename Tile>
void each_tile(const Partition& part, int64_t rows, int64_t vocabulary, const Tile& tile) {
    for (int64_t start = 0; start < rows; start += part.rows) {
        for (int64_t offset = 0; offset < vocabulary; offset += part.tile) {
            tile(start, std::min(part.rows, rows - start), offset, std::min(part.tile, vocabulary - offset));
        }
    }
}

Tensor head_tile(const Tensor& head, int64_t offset, int64_t width, at::ScalarType type) {
    return head.narrow(0, offset, width).to(type);
}

struct HeadFunction : torch::autograd::Function<HeadFunction> {
    static variable_list forward(AutogradContext* ctx, const Tensor& given, const Tensor& head, const Tensor& targets,
                                 double temperature, int64_t tile_bytes) {
        const int64_t count = given.size(0), rows = (count + ROWS - 1) / ROWS * ROWS;
        const auto type = given.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
        const Tensor hidden = padded(given.to(type), rows), labels = padded(targets, rows);
        const Partition part = partition(head.size(0), hidden, tile_bytes);
        keel::Statistics statistics(hidden, labels, 1 / temperature);
        each_tile(part, rows, head.size(0), [&](int64_t start, int64_t size, int64_t offset, int64_t width) {
            const Tensor tile = head_tile(head, offset, width, type);
            statistics.add(at::mm(hidden.narrow(0, start, size), tile.t()), start, offset);
        });
        const keel::Summary summary = statistics.finish();
        ctx->set_materialize_grads(false);
        ctx->save_for_backward({hidden, head, labels, summary.peak, summary.log_mass, summary.entropy});
        ctx->saved_data["temperature"] = temperature;
        ctx->saved_data["tile_bytes"] = tile_bytes;
        ctx->saved_data["count"] = count;
        ctx->saved_data["type"] = static_cast<int64_t>(given.scalar_type());
        return {summary.log_probs.narrow(0, 0, count), summary.entropy.narrow(0, 0, count).to(type)};
    }

    static variable_list backward(AutogradContext* ctx, variable_list given) {
        TORCH_CHECK(!at::GradMode::is_enabled(), "token_log_probs has no second derivative");
        const variable_list saved = ctx->get_saved_variables();
        const Tensor &hidden = saved[0], &head = saved[1], &labels = saved[2];
        const int64_t count = ctx->saved_data["count"].toInt(), rows = hidden.size(0);
        const Partition part = partition(head.size(0), hidden, ctx->saved_data["tile_bytes"].toInt());
        const bool hidden_wanted = ctx->needs_input_grad(0), head_wanted = ctx->needs_input_grad(1);
        const auto slope_of = [&](const Tensor& gradient) {
            return gradient.defined() ? padded(gradient, rows) : at::zeros({rows}, hidden.options());
        };
        const keel::Slopes slopes{labels, saved[3], saved[4], saved[5], slope_of(given[0]), slope_of(given[1]),
                                  1 / ctx->saved_data["temperature"].toDouble()};
        Tensor hidden_gradient = hidden_wanted ? at::empty_like(hidden) : Tensor();
        Tensor head_gradient = head_wanted ? at::empty(head.sizes(), hidden.options()) : Tensor();
        if (head_wanted && rows == 0) head_gradient.zero_();
        each_tile(part, rows, head.size(0), [&](int64_t start, int64_t size, int64_t offset, int64_t width) {
            const Tensor tile = head_tile(head, offset, width, hidden.scalar_type()), chunk = hidden.narrow(0, start, size);
            const Tensor slope = slopes.of(at::mm(chunk, tile.t()), start, offset);
            if (hidden_wanted) {
                Tensor out = hidden_gradient.narrow(0, start, size);
                at::addmm_out(out, out, slope, tile, offset == 0 ? 0 : 1);
            }
            if (head_wanted) {
                Tensor out = head_gradient.narrow(0, offset, width);
                at::addmm_out(out, out, slope.t(), chunk, start == 0 ? 0 : 1);
            }
        });
        const auto type = static_cast<at::ScalarType>(ctx->saved_data["type"].toInt());
        return {hidden_wanted ? hidden_gradient.narrow(0, 0, count).to(type) : Tensor(),
                head_wanted ? head_gradient.to(head.scalar_type()) : Tensor(), Tensor(), Tensor(), Tensor()};
    }
};

void check(const Tensor& hidden, const Tensor& head, const Tensor& targets, double temperature) {
    TORCH_CHECK(hidden.dim() == 2 && head.dim() == 2 && hidden.size(1) == head.size(1) && head.size(0) > 0,
                "token_log_probs: expected hidden [N, d] and head [V, d], got ", hidden.sizes(), ", ", head.sizes());
    TORCH_CHECK(targets.dim() == 1 && targets.size(0) == hidden.size(0) && targets.scalar_type() == at::kLong,
                "token_log_probs: expected targets as int64 [", hidden.size(0), "], got ", targets.sizes());
    TORCH_CHECK(hidden.is_floating_point() && head.is_floating_point(), "token_log_probs: expected floating point");
    TORCH_CHECK(temperature > 0 && temperature < 1e30, "token_log_probs: temperature ", temperature, " is not positive");
    if (!targets.is_cpu()) return;
    const Tensor labels = targets.contiguous();
    const int64_t* label = labels.const_data_ptr<int64_t>();
    for (int64_t i = 0; i < labels.size(0); ++i) {
        TORCH_CHECK_INDEX(label[i] >= 0 && label[i] < head.size(0), "token_log_probs: target ", label[i],
                          " of a vocabulary of ", head.size(0));
    }
}

}  // namespace

int32_t shim_token_log_probs(const Tensor* hidden, const Tensor* head, const Tensor* targets, double temperature,
                             size_t tile_bytes, Tensor** log_probs, Tensor** entropies, keel::Failure* failure) {
    SHIM_TRY(failure, {
        check(*hidden, *head, *targets, temperature);
        const int64_t bound = static_cast<int64_t>(std::min<size_t>(tile_bytes, size_t{1} << 40));
        variable_list results = HeadFunction::apply(*hidden, *head, *targets, temperature, bound);
        auto first = std::make_unique<Tensor>(std::move(results[0])), second = std::make_unique<Tensor>(std::move(results[1]));
        *log_probs = first.release();
        *entropies = second.release();
    })
}
