// The language model's head: log-probabilities of given tokens and entropies of their distributions, from hidden
// states, in vocabulary tiles x chunks of tokens. Forward keeps three numbers a row; backward computes the logits
// again. On the CPU every chunk has the same number of rows, the last one padded: the bits of a matrix product's row
// depend on how many rows it has (measured with MKL), so only then they do not depend on how many rows a call has.
// What happens to one tile is in log_probs_tile.cpp.
#include "log_probs.h"
#include "shim.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <memory>

namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t LEAST_ROWS = 4, ROWS = 64, MOST_ROWS = 2048, LEAST_TILE = 16, SMALL_TILE = 256, TILE = 1024;

struct Partition {
    int64_t rows, tile;
};

// 64 rows x 1024 columns on the CPU: a tile of the head stays in cache while all chunks pass it. Elsewhere as many
// rows as the bound allows. A composite tile needs four buffers of its size, the loops one.
Partition partition(int64_t vocabulary, const Tensor& hidden, int64_t tile_bytes) {
    const bool loops = keel::has_loops(hidden);
    const int64_t element = hidden.element_size() * (loops ? 1 : 4);
    const int64_t budget = std::max(tile_bytes / element, LEAST_ROWS * LEAST_TILE);
    const int64_t most = loops ? ROWS : MOST_ROWS, narrow = std::min(vocabulary, SMALL_TILE);
    const int64_t rows = std::clamp(budget / narrow / LEAST_ROWS * LEAST_ROWS, LEAST_ROWS, most);
    const int64_t wide = 2 * TILE > vocabulary ? vocabulary : TILE, room = budget / rows;
    return {rows, wide <= room ? wide : std::min(vocabulary, std::max(LEAST_TILE, room / LEAST_TILE * LEAST_TILE))};
}

int64_t padded_rows(int64_t count, const Partition& part, const Tensor& hidden) {
    const int64_t unit = keel::has_loops(hidden) ? part.rows : LEAST_ROWS;
    return (count + unit - 1) / unit * unit;
}

Tensor padded(const Tensor& tensor, int64_t rows) {
    const int64_t missing = rows - tensor.size(0);
    if (missing == 0) return tensor.contiguous();
    return tensor.dim() == 1 ? at::constant_pad_nd(tensor, {0, missing}) : at::constant_pad_nd(tensor, {0, 0, 0, missing});
}

// Calls visit(head tile, offset, start, rows) for every tile of the head and, within it, every chunk of rows.
template <typename Visit>
void each_tile(const Tensor& head, const Tensor& hidden, const Partition& part, const Visit& visit) {
    for (int64_t offset = 0; offset < head.size(0); offset += part.tile) {
        const int64_t width = std::min(part.tile, head.size(0) - offset);
        const Tensor tile = head.narrow(0, offset, width).to(hidden.scalar_type());
        for (int64_t start = 0; start < hidden.size(0); start += part.rows) {
            visit(tile, offset, start, std::min(part.rows, hidden.size(0) - start));
        }
    }
}

struct HeadFunction : torch::autograd::Function<HeadFunction> {
    static variable_list forward(AutogradContext* ctx, const Tensor& given, const Tensor& head, const Tensor& targets,
                                 double temperature, int64_t tile_bytes) {
        const auto type = given.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
        const Tensor states = given.to(type);
        const Partition part = partition(head.size(0), states, tile_bytes);
        const int64_t count = given.size(0), rows = padded_rows(count, part, states);
        const Tensor hidden = padded(states, rows), labels = padded(targets, rows);
        keel::Statistics statistics(hidden, labels, count, 1 / temperature);
        each_tile(head, hidden, part, [&](const Tensor& tile, int64_t offset, int64_t start, int64_t size) {
            const Tensor chunk = hidden.narrow(0, start, size);
            const bool ours = chunk.is_cpu() && type == at::kFloat && tile.scalar_type() == at::kFloat;
            statistics.add(ours ? keel::row_product(chunk, tile) : at::mm(chunk, tile.t()), start, offset);
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
        const Tensor &hidden = saved[0], &head = saved[1];
        const int64_t count = ctx->saved_data["count"].toInt(), rows = hidden.size(0);
        const Partition part = partition(head.size(0), hidden, ctx->saved_data["tile_bytes"].toInt());
        const auto outer = [&](const Tensor& gradient) {
            return gradient.defined() ? padded(gradient, rows) : at::zeros({rows}, hidden.options());
        };
        const keel::Slopes slopes{saved[2], saved[3], saved[4], saved[5], outer(given[0]), outer(given[1]), count,
                                  1 / ctx->saved_data["temperature"].toDouble()};
        Tensor hidden_gradient, head_gradient;
        if (ctx->needs_input_grad(0)) hidden_gradient = at::zeros_like(hidden);
        if (ctx->needs_input_grad(1)) head_gradient = at::zeros(head.sizes(), hidden.options());
        each_tile(head, hidden, part, [&](const Tensor& tile, int64_t offset, int64_t start, int64_t size) {
            const Tensor chunk = hidden.narrow(0, start, size);
            const Tensor slope = slopes.of(at::mm(chunk, tile.t()), start, offset);
            if (hidden_gradient.defined()) hidden_gradient.narrow(0, start, size).addmm_(slope, tile);
            if (head_gradient.defined()) head_gradient.narrow(0, offset, tile.size(0)).addmm_(slope.t(), chunk);
        });
        const auto type = static_cast<at::ScalarType>(ctx->saved_data["type"].toInt());
        if (hidden_gradient.defined()) hidden_gradient = hidden_gradient.narrow(0, 0, count).to(type);
        if (head_gradient.defined()) head_gradient = head_gradient.to(head.scalar_type());
        return {hidden_gradient, head_gradient, Tensor(), Tensor(), Tensor()};
    }
};

void check(const Tensor& hidden, const Tensor& head, const Tensor& targets, double temperature) {
    TORCH_CHECK(hidden.dim() == 2 && head.dim() == 2 && hidden.size(1) == head.size(1) && head.size(0) > 0,
                "token_log_probs: expected hidden [N, d] and head [V, d], got ", hidden.sizes(), ", ", head.sizes());
    TORCH_CHECK(targets.dim() == 1 && targets.size(0) == hidden.size(0) && targets.scalar_type() == at::kLong,
                "token_log_probs: expected targets as int64 [", hidden.size(0), "], got ", targets.sizes());
    TORCH_CHECK(hidden.is_floating_point() && head.is_floating_point(), "token_log_probs: expected floating point");
    TORCH_CHECK(temperature >= 1e-6 && temperature <= 1e6, "token_log_probs: expected a temperature in [1e-6, 1e6], got ",
                temperature);
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
        auto first = std::make_unique<Tensor>(results[0]), second = std::make_unique<Tensor>(results[1]);
        *log_probs = first.release();
        *entropies = second.release();
    })
}
