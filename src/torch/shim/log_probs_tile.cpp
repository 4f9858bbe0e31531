// One tile of logits: its share of a row's softmax (forward) and its gradient (backward).
// Sums are gathered in double precision; a row is one thread's, whatever the number of rows.
#include "kernel.h"
#include "log_probs.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace {

using at::Tensor;
using keel::Floats;
using keel::LANES;

constexpr int64_t BLOCK = 4096;
constexpr float LOW = -std::numeric_limits<float>::infinity();

KEEL_KERNEL float tile_peak(const float* logits, int64_t width) {
    Floats high = keel::splat(LOW);
    int64_t v = 0;
    for (; v + LANES <= width; v += LANES) {
        const Floats x = keel::load(logits + v);
        high = x > high ? x : high;
    }
    float top = keel::largest(high);
    for (; v < width; ++v) top = logits[v] > top ? logits[v] : top;
    return top;
}

// mass = sum of exp(z), moment = sum of exp(z) z with z = scale (logit - top).
KEEL_KERNEL void tile_moments(const float* logits, int64_t width, float top, float scale, double* mass,
                              double* moment) {
    *mass = *moment = 0;
    for (int64_t start = 0; start < width; start += BLOCK) {
        const int64_t end = std::min(width, start + BLOCK);
        Floats sums = {}, products = {};
        for (int64_t v = start; v < end; v += LANES) {
            const bool whole = v + LANES <= end;
            const Floats x = whole ? keel::load(logits + v) : keel::load_part(logits + v, end - v, -1e30f);
            const Floats z = (x - top) * scale;
            const Floats e = keel::exponential(z);
            sums += e;
            products += e * z;
        }
        *mass += keel::sum(sums);
        *moment += keel::sum(products);
    }
}

struct Slope {
    float top, scale, log_mass, entropy, given, entropy_given;
};

KEEL_KERNEL void tile_gradient(float* logits, int64_t width, const Slope& row) {
    const float top = row.top, scale = row.scale, log_mass = row.log_mass, entropy = row.entropy;
    const float a = -row.given * scale, b = -row.entropy_given * scale;
    for (int64_t v = 0; v < width; v += LANES) {
        const int64_t count = std::min(LANES, width - v);
        const Floats x = count == LANES ? keel::load(logits + v) : keel::load_part(logits + v, count, 0);
        const Floats z = (x - top) * scale - log_mass;
        const Floats slope = keel::exponential(z) * (a + b * (z + entropy));
        if (count == LANES) {
            keel::store(logits + v, slope);
        } else {
            keel::store_part(logits + v, slope, count);
        }
    }
}

}  // namespace

namespace keel {

bool has_loops(const Tensor& hidden) { return hidden.is_cpu() && hidden.scalar_type() == at::kFloat; }

Statistics::Statistics(const Tensor& hidden, const Tensor& labels, int64_t count, double scale)
    : labels_(labels), count_(count), scale_(scale), loops_(has_loops(hidden)) {
    const auto options = loops_ ? hidden.options().dtype(at::kDouble) : hidden.options();
    peak_ = at::zeros({hidden.size(0)}, options);
    mass_ = at::ones({hidden.size(0)}, options);
    moment_ = at::zeros({hidden.size(0)}, options);
    target_ = at::zeros({hidden.size(0)}, options);
}

void Statistics::add(const Tensor& logits, int64_t start, int64_t offset) {
    loops_ ? add_loops(logits, start, offset) : add_composite(logits, start, offset);
}

void Statistics::add_loops(const Tensor& logits, int64_t start, int64_t offset) {
    const int64_t width = logits.size(1);
    const float* values = logits.const_data_ptr<float>();
    const int64_t* label = labels_.const_data_ptr<int64_t>() + start;
    double *peaks = peak_.mutable_data_ptr<double>() + start, *masses = mass_.mutable_data_ptr<double>() + start;
    double *moments = moment_.mutable_data_ptr<double>() + start, *target = target_.mutable_data_ptr<double>() + start;
    const double scale = scale_;
    parallel(std::min(logits.size(0), count_ - start), 20.0 * logits.numel(), [=](int64_t i, int) {
        const float* row = values + i * width;
        double mass, moment;
        const float top = tile_peak(row, width);
        tile_moments(row, width, top, static_cast<float>(scale), &mass, &moment);
        if (offset == 0) {
            peaks[i] = top, masses[i] = mass, moments[i] = moment;
        } else {
            const double peak = std::max<double>(peaks[i], top);
            const double old = (peaks[i] - peak) * scale, fresh = (top - peak) * scale;
            moments[i] = std::exp(old) * (moments[i] + old * masses[i]) + std::exp(fresh) * (moment + fresh * mass);
            masses[i] = std::exp(old) * masses[i] + std::exp(fresh) * mass;
            peaks[i] = peak;
        }
        if (label[i] >= offset && label[i] < offset + width) target[i] = row[label[i] - offset];
    });
}

void Statistics::add_composite(const Tensor& logits, int64_t start, int64_t offset) {
    const int64_t rows = logits.size(0), width = logits.size(1);
    const auto part = [&](const Tensor& tensor) { return tensor.narrow(0, start, rows); };
    const Tensor top = logits.amax(1), peak = offset == 0 ? top : at::maximum(part(peak_), top);
    const Tensor z = (logits - peak.unsqueeze(1)) * scale_, e = z.exp();
    Tensor mass = e.sum(1), moment = (e * z).sum(1);
    if (offset > 0) {
        const Tensor old = (part(peak_) - peak) * scale_;
        moment += old.exp() * (part(moment_) + old * part(mass_));
        mass += old.exp() * part(mass_);
    }
    part(moment_).copy_(moment);
    part(mass_).copy_(mass);
    part(peak_).copy_(peak);
    const Tensor place = part(labels_) - offset, inside = place.ge(0).logical_and(place.lt(width));
    const Tensor found = logits.gather(1, place.clamp(0, width - 1).unsqueeze(1)).squeeze(1);
    part(target_).copy_(at::where(inside, found, part(target_)));
}

Summary Statistics::finish() const {
    const Tensor log_mass = mass_.log();
    const auto type = labels_.is_cpu() && loops_ ? at::kFloat : mass_.scalar_type();
    return {((target_ - peak_) * scale_ - log_mass).to(type), peak_, log_mass, log_mass - moment_ / mass_};
}

Tensor Slopes::of(const Tensor& logits, int64_t start, int64_t offset) const {
    if (!has_loops(logits)) return composite(logits, start, offset);
    loops(logits, start, offset);
    return logits;
}

void Slopes::loops(const Tensor& logits, int64_t start, int64_t offset) const {
    const int64_t width = logits.size(1), real = std::min(logits.size(0), count - start);
    float* values = logits.mutable_data_ptr<float>();
    const int64_t* label = labels.const_data_ptr<int64_t>() + start;
    const double *peaks = peak.const_data_ptr<double>() + start, *masses = log_mass.const_data_ptr<double>() + start;
    const double* entropies = entropy.const_data_ptr<double>() + start;
    const float *outer = given.const_data_ptr<float>() + start, *spread = entropy_given.const_data_ptr<float>() + start;
    const float factor = static_cast<float>(scale);
    parallel(real, 20.0 * logits.numel(), [=](int64_t i, int) {
        float* row = values + i * width;
        tile_gradient(row, width, {static_cast<float>(peaks[i]), factor, static_cast<float>(masses[i]),
                                   static_cast<float>(entropies[i]), outer[i], spread[i]});
        if (label[i] >= offset && label[i] < offset + width) row[label[i] - offset] += outer[i] * factor;
    });
    std::fill(values + real * width, values + logits.numel(), 0.0f);
}

Tensor Slopes::composite(const Tensor& logits, int64_t start, int64_t offset) const {
    const auto part = [&](const Tensor& tensor) { return tensor.narrow(0, start, logits.size(0)).unsqueeze(1); };
    const Tensor place = part(labels) - offset, inside = place.ge(0).logical_and(place.lt(logits.size(1)));
    const Tensor z = (logits - part(peak)).mul_(scale).sub_(part(log_mass));
    const Tensor slope = (part(entropy_given) * (z + part(entropy)) + part(given)).mul_(z.exp()).mul_(-scale);
    const Tensor own = at::where(inside, part(given) * scale, at::zeros_like(part(given)));
    return slope.scatter_add_(1, place.clamp(0, logits.size(1) - 1), own);
}

}  // namespace keel
