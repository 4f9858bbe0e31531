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

// Hidden states and targets as the tiles of the head read them: padded, and how the work is cut.
struct States {
    Tensor hidden, labels;
    int64_t count;
    Partition part;

    int64_t tiles(const Tensor& head) const { return (head.size(0) + part.tile - 1) / part.tile; }
};

States states_of(const Tensor& given, const Tensor& head, const Tensor& targets, int64_t tile_bytes) {
    const Tensor states = given.to(given.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
    const Partition part = partition(head.size(0), states, tile_bytes);
    const int64_t count = given.size(0), rows = padded_rows(count, part, states);
    return {padded(states, rows), padded(targets, rows), count, part};
}

// Calls visit(head tile, chunk of rows, offset, start) for every chunk of rows that passes this tile.
template <typename Visit>
void each_chunk(const States& states, const Tensor& head, int64_t index, const Visit& visit) {
    const int64_t offset = index * states.part.tile, width = std::min(states.part.tile, head.size(0) - offset);
    const Tensor& hidden = states.hidden;
    const Tensor tile = head.narrow(0, offset, width).to(hidden.scalar_type());
    for (int64_t start = 0; start < hidden.size(0); start += states.part.rows) {
        visit(tile, hidden.narrow(0, start, std::min(states.part.rows, hidden.size(0) - start)), offset, start);
    }
}

void read_tile(const States& states, const Tensor& head, int64_t index, keel::Statistics& statistics) {
    each_chunk(states, head, index, [&](const Tensor& tile, const Tensor& chunk, int64_t offset, int64_t start) {
        const bool ours = chunk.is_cpu() && chunk.scalar_type() == at::kFloat && tile.scalar_type() == at::kFloat;
        statistics.add(ours ? keel::row_product(chunk, tile) : at::mm(chunk, tile.t()), start, offset);
    });
}

// Adds to the gradients of all hidden states and of this tile of the head, [tile, d]; an undefined one is not wanted.
void walk_tile(const States& states, const Tensor& head, int64_t index, const keel::Slopes& slopes,
               const Tensor& hidden_gradient, const Tensor& tile_gradient) {
    each_chunk(states, head, index, [&](const Tensor& tile, const Tensor& chunk, int64_t offset, int64_t start) {
        const Tensor slope = slopes.of(at::mm(chunk, tile.t()), start, offset);
        if (hidden_gradient.defined()) hidden_gradient.narrow(0, start, chunk.size(0)).addmm_(slope, tile);
        if (tile_gradient.defined()) tile_gradient.addmm_(slope.t(), chunk);
    });
}

keel::Slopes slopes_of(const States& states, const keel::Summary& summary, double scale, const Tensor& given,
                       const Tensor& entropy_given) {
    const auto outer = [&](const Tensor& gradient) {
        const int64_t rows = states.hidden.size(0);
        return gradient.defined() ? padded(gradient, rows) : at::zeros({rows}, states.hidden.options());
    };
    return {states.labels,  summary.peak,         summary.log_mass, summary.entropy,
            outer(given), outer(entropy_given), states.count,     scale};
}

struct HeadFunction : torch::autograd::Function<HeadFunction> {
    static variable_list forward(AutogradContext* ctx, const Tensor& given, const Tensor& head, const Tensor& targets,
                                 double temperature, int64_t tile_bytes) {
        const States states = states_of(given, head, targets, tile_bytes);
        keel::Statistics statistics(states.hidden, states.labels, states.count, 1 / temperature);
        for (int64_t tile = 0; tile < states.tiles(head); ++tile) read_tile(states, head, tile, statistics);
        const keel::Summary summary = statistics.finish();
        ctx->set_materialize_grads(false);
        ctx->save_for_backward({states.hidden, head, states.labels, summary.peak, summary.log_mass, summary.entropy});
        ctx->saved_data["temperature"] = temperature;
        ctx->saved_data["tile_bytes"] = tile_bytes;
        ctx->saved_data["count"] = states.count;
        ctx->saved_data["type"] = static_cast<int64_t>(given.scalar_type());
        return {summary.log_probs.narrow(0, 0, states.count),
                summary.entropy.narrow(0, 0, states.count).to(states.hidden.scalar_type())};
    }

    static variable_list backward(AutogradContext* ctx, variable_list given) {
        TORCH_CHECK(!at::GradMode::is_enabled(), "token_log_probs has no second derivative");
        const variable_list saved = ctx->get_saved_variables();
        const Tensor &hidden = saved[0], &head = saved[1];
        const Partition part = partition(head.size(0), hidden, ctx->saved_data["tile_bytes"].toInt());
        const States states{hidden, saved[2], ctx->saved_data["count"].toInt(), part};
        const keel::Slopes slopes = slopes_of(states, {Tensor(), saved[3], saved[4], saved[5]},
                                              1 / ctx->saved_data["temperature"].toDouble(), given[0], given[1]);
        Tensor hidden_gradient, head_gradient;
        if (ctx->needs_input_grad(0)) hidden_gradient = at::zeros_like(hidden);
        if (ctx->needs_input_grad(1)) head_gradient = at::zeros(head.sizes(), hidden.options());
        for (int64_t tile = 0; tile < states.tiles(head); ++tile) {
            const int64_t offset = tile * part.tile, width = std::min(part.tile, head.size(0) - offset);
            const Tensor own = head_gradient.defined() ? head_gradient.narrow(0, offset, width) : Tensor();
            walk_tile(states, head, tile, slopes, hidden_gradient, own);
        }
        const auto type = static_cast<at::ScalarType>(ctx->saved_data["type"].toInt());
        if (hidden_gradient.defined()) hidden_gradient = hidden_gradient.narrow(0, 0, states.count).to(type);
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

// The same in pieces, one tile of the head each, forward and then back; gradients are the caller's to keep.
struct keel::HeadPass {
    States states;
    Tensor head;
    at::ScalarType type;
    double scale;
    Statistics statistics;
    Summary summary{};
    std::unique_ptr<Slopes> slopes{};
    Tensor hidden_gradient{};

    int64_t width(int64_t tile) const {
        return std::min(states.part.tile, head.size(0) - tile * states.part.tile);
    }
};

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

int32_t shim_head_create(const Tensor* hidden, const Tensor* head, const Tensor* targets, double temperature,
                         size_t tile_bytes, keel::HeadPass** pass, size_t* tiles, keel::Failure* failure) {
    SHIM_TRY(failure, {
        const at::NoGradGuard no_grad;
        check(*hidden, *head, *targets, temperature);
        const int64_t bound = static_cast<int64_t>(std::min<size_t>(tile_bytes, size_t{1} << 40));
        const States states = states_of(hidden->detach(), *head, *targets, bound);
        keel::Statistics statistics(states.hidden, states.labels, states.count, 1 / temperature);
        *tiles = static_cast<size_t>(states.tiles(*head));
        *pass = new keel::HeadPass{states, head->detach(), hidden->scalar_type(), 1 / temperature, statistics};
    })
}

void shim_head_destroy(keel::HeadPass* pass) { delete pass; }

int32_t shim_head_read(keel::HeadPass* pass, size_t tile, keel::Failure* failure) {
    SHIM_TRY(failure, {
        const at::NoGradGuard no_grad;
        read_tile(pass->states, pass->head, static_cast<int64_t>(tile), pass->statistics);
    })
}

int32_t shim_head_results(keel::HeadPass* pass, Tensor** log_probs, Tensor** entropies, keel::Failure* failure) {
    SHIM_TRY(failure, {
        const at::NoGradGuard no_grad;
        const int64_t count = pass->states.count;
        pass->summary = pass->statistics.finish();
        auto first = std::make_unique<Tensor>(pass->summary.log_probs.narrow(0, 0, count));
        const Tensor entropy = pass->summary.entropy.narrow(0, 0, count).to(pass->states.hidden.scalar_type());
        auto second = std::make_unique<Tensor>(entropy);
        *log_probs = first.release();
        *entropies = second.release();
    })
}

int32_t shim_head_turn(keel::HeadPass* pass, const Tensor* log_probs, const Tensor* entropies, keel::Failure* failure) {
    SHIM_TRY(failure, {
        const at::NoGradGuard no_grad;
        const auto given = [](const Tensor* gradient) { return gradient == nullptr ? Tensor() : *gradient; };
        pass->slopes = std::make_unique<keel::Slopes>(
            slopes_of(pass->states, pass->summary, pass->scale, given(log_probs), given(entropies)));
        pass->hidden_gradient = at::zeros_like(pass->states.hidden);
    })
}

int32_t shim_head_walk(keel::HeadPass* pass, size_t tile, Tensor* head_gradient, keel::Failure* failure) {
    SHIM_TRY(failure, {
        const at::NoGradGuard no_grad;
        TORCH_CHECK(pass->slopes != nullptr, "head: walked back before it was turned");
        const int64_t index = static_cast<int64_t>(tile), width = pass->width(index);
        const Tensor& hidden = pass->states.hidden;
        const Tensor own = head_gradient == nullptr ? Tensor() : at::zeros({width, hidden.size(1)}, hidden.options());
        walk_tile(pass->states, pass->head, index, *pass->slopes, pass->hidden_gradient, own);
        if (head_gradient != nullptr) head_gradient->narrow(0, index * pass->states.part.tile, width).add_(own);
    })
}

int32_t shim_head_hidden_gradient(const keel::HeadPass* pass, Tensor** gradient, keel::Failure* failure) {
    SHIM_TRY(failure, {
        const Tensor whole = pass->hidden_gradient.narrow(0, 0, pass->states.count);
        *gradient = std::make_unique<Tensor>(whole.to(pass->type)).release();
    })
}
