// Attention of one new token per row over its part of a key/value cache.
// CPU fp32 runs plain loops, one (row, key head) pair at a time, so that a row never depends on its neighbours.
#include "kernel.h"
#include "shim.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/scaled_dot_product_attention.h>

#include <algorithm>
#include <limits>
#include <vector>

namespace {

using keel::Floats;
using keel::LANES;

// scores[g][t] = scale * query[g] . key[t]
KEEL_KERNEL void score_keys(const float* query, int64_t query_stride, int64_t group, const float* keys,
                            int64_t key_stride, int64_t length, int64_t width, float scale, float* scores) {
    const int64_t whole = width / LANES * LANES;
    for (int64_t g = 0; g < group; ++g) {
        const float* q = query + g * query_stride;
        float* row = scores + g * length;
        for (int64_t t = 0; t < length; ++t) {
            const float* k = keys + t * key_stride;
            Floats total = {};
            for (int64_t d = 0; d < whole; d += LANES) total += keel::load(q + d) * keel::load(k + d);
            if (whole < width) {
                total += keel::load_part(q + whole, width - whole, 0) * keel::load_part(k + whole, width - whole, 0);
            }
            row[t] = keel::sum(total) * scale;
        }
    }
}

// The softmax of one row, in place.
KEEL_KERNEL void normalise(float* row, int64_t length) {
    const int64_t whole = length / LANES * LANES;
    const float low = -std::numeric_limits<float>::infinity();
    Floats peak = keel::splat(0) + low;
    for (int64_t t = 0; t < whole; t += LANES) {
        const Floats value = keel::load(row + t);
        peak = value > peak ? value : peak;
    }
    if (whole < length) {
        const Floats value = keel::load_part(row + whole, length - whole, low);
        peak = value > peak ? value : peak;
    }
    const Floats top = keel::splat(keel::largest(peak));
    Floats total = {};
    for (int64_t t = 0; t < whole; t += LANES) {
        const Floats value = keel::exponential(keel::load(row + t) - top);
        total += value;
        keel::store(row + t, value);
    }
    if (whole < length) {
        const Floats value = keel::exponential(keel::load_part(row + whole, length - whole, low) - top);
        total += value;
        keel::store_part(row + whole, value, length - whole);
    }
    const float factor = 1 / keel::sum(total);
    for (int64_t t = 0; t < length; ++t) row[t] *= factor;
}

// output[g] = sum over t of weights[g][t] * values[t]
KEEL_KERNEL void weigh_values(const float* weights, int64_t group, const float* values, int64_t value_stride,
                              int64_t length, int64_t width, float* output, int64_t output_stride) {
    for (int64_t g = 0; g < group; ++g) {
        const float* weight = weights + g * length;
        float* out = output + g * output_stride;
        int64_t d = 0;
        for (; d + 4 * LANES <= width; d += 4 * LANES) {
            Floats a = {}, b = {}, c = {}, e = {};
            for (int64_t t = 0; t < length; ++t) {
                const float* v = values + t * value_stride + d;
                a += weight[t] * keel::load(v);
                b += weight[t] * keel::load(v + LANES);
                c += weight[t] * keel::load(v + 2 * LANES);
                e += weight[t] * keel::load(v + 3 * LANES);
            }
            keel::store(out + d, a);
            keel::store(out + d + LANES, b);
            keel::store(out + d + 2 * LANES, c);
            keel::store(out + d + 3 * LANES, e);
        }
        for (; d < width; d += LANES) {
            const int64_t count = std::min(LANES, width - d);
            Floats a = {};
            for (int64_t t = 0; t < length; ++t) {
                a += weight[t] * keel::load_part(values + t * value_stride + d, count, 0);
            }
            keel::store_part(out + d, a, count);
        }
    }
}

void check(const at::Tensor& query, const at::Tensor& keys, const at::Tensor& values, const at::Tensor& rows,
           const at::Tensor& lengths) {
    TORCH_CHECK(query.dim() == 3 && keys.dim() == 4 && values.sizes() == keys.sizes() && query.size(2) == keys.size(3),
                "decode_attention: expected query [R, H, D] and keys, values [B, K, T, D], got ", query.sizes(), ", ",
                keys.sizes(), ", ", values.sizes());
    TORCH_CHECK(keys.size(1) > 0 && query.size(1) % keys.size(1) == 0, "decode_attention: ", query.size(1),
                " heads are no multiple of ", keys.size(1), " key heads");
    TORCH_CHECK(rows.scalar_type() == at::kLong && lengths.scalar_type() == at::kLong && rows.dim() == 1 &&
                    rows.size(0) == query.size(0) && lengths.sizes() == rows.sizes(),
                "decode_attention: expected rows and lengths as int64 [", query.size(0), "], got ", rows.sizes(), ", ",
                lengths.sizes());
    TORCH_CHECK(query.scalar_type() == keys.scalar_type() && keys.scalar_type() == values.scalar_type(),
                "decode_attention: query, keys and values differ in type");
}

at::Tensor plain(const at::Tensor& given, const at::Tensor& keys, const at::Tensor& values, const int64_t* rows,
                 const int64_t* lengths, float scale) {
    const at::Tensor query = given.stride(2) == 1 ? given : given.contiguous();
    const at::Tensor output = at::empty_like(query, at::MemoryFormat::Contiguous);
    const int64_t heads = keys.size(1), group = query.size(1) / heads, width = query.size(2), count = query.size(0);
    const float *q = query.const_data_ptr<float>(), *k = keys.const_data_ptr<float>(),
                *v = values.const_data_ptr<float>();
    float* out = output.mutable_data_ptr<float>();
    const int64_t longest = count ? *std::max_element(lengths, lengths + count) : 0;
    const int64_t stride = group * longest;
    std::vector<float> scratch(static_cast<size_t>(stride * std::max(1, at::get_num_threads())));
    keel::parallel(count * heads, 4.0 * count * query.size(1) * longest * width, [&](int64_t item, int member) {
        const int64_t row = item / heads, head = item % heads, length = lengths[row];
        float* scores = scratch.data() + member * stride;
        const float* key = k + rows[row] * keys.stride(0) + head * keys.stride(1);
        const float* value = v + rows[row] * values.stride(0) + head * values.stride(1);
        const float* first = q + row * query.stride(0) + head * group * query.stride(1);
        score_keys(first, query.stride(1), group, key, keys.stride(2), length, width, scale, scores);
        for (int64_t g = 0; g < group; ++g) normalise(scores + g * length, length);
        weigh_values(scores, group, value, values.stride(2), length, width,
                     out + (row * query.size(1) + head * group) * width, width);
    });
    return output;
}

at::Tensor composite(const at::Tensor& query, const at::Tensor& keys, const at::Tensor& values, const at::Tensor& rows,
                     const at::Tensor& lengths, double scale) {
    const at::Tensor positions = at::arange(keys.size(2), lengths.options());
    const at::Tensor mask = positions.unsqueeze(0).lt(lengths.unsqueeze(1)).unsqueeze(1).unsqueeze(1);
    return at::scaled_dot_product_attention(query.unsqueeze(2), keys.index_select(0, rows), values.index_select(0, rows),
                                            mask, 0.0, false, scale, keys.size(1) != query.size(1))
        .squeeze(2);
}

at::Tensor attend(const at::Tensor& query, const at::Tensor& keys, const at::Tensor& values, const at::Tensor& rows,
                  const at::Tensor& lengths, double scale) {
    at::NoGradGuard guard;
    check(query, keys, values, rows, lengths);
    if (!query.is_cpu()) return composite(query, keys, values, rows, lengths, scale);
    const at::Tensor row = rows.contiguous(), length = lengths.contiguous();
    const int64_t *r = row.const_data_ptr<int64_t>(), *n = length.const_data_ptr<int64_t>();
    for (int64_t i = 0; i < row.size(0); ++i) {
        TORCH_CHECK_INDEX(r[i] >= 0 && r[i] < keys.size(0), "decode_attention: cache row ", r[i], " of ", keys.size(0));
        TORCH_CHECK_INDEX(n[i] > 0 && n[i] <= keys.size(2), "decode_attention: length ", n[i], " of ", keys.size(2));
    }
    const bool loops = query.scalar_type() == at::kFloat && keys.stride(3) == 1 && values.stride(3) == 1;
    return loops ? plain(query, keys, values, r, n, static_cast<float>(scale))
                 : composite(query, keys, values, row, length, scale);
}

}  // namespace

int32_t shim_decode_attention(const at::Tensor* query, const at::Tensor* keys, const at::Tensor* values,
                              const at::Tensor* rows, const at::Tensor* lengths, double scale, at::Tensor** output,
                              keel::Failure* failure) {
    SHIM_TRY(failure, *output = new at::Tensor(attend(*query, *keys, *values, *rows, *lengths, scale)))
}
