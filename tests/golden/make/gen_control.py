"""Distributions of continuous actions, from torch.distributions in float64.

  control/distributions.json   per case: outputs of the network [B, W], log deviations that are parameters, numbers as they are
                               recorded [B, A], low, high; log-probabilities and entropies [B], and the slopes of
                               Σ (log π + 0.3 H) at outputs and log deviations.
A squashed entropy has no closed form: its E log |d tanh| is Simpson's rule on 20 001 points within 12 deviations.
"""
import json
import math
import pathlib

import torch
from torch.distributions import AffineTransform, Beta, Normal, TanhTransform, TransformedDistribution

torch.set_default_dtype(torch.float64)
OUT = pathlib.Path(__file__).resolve().parent.parent / "control"
ROWS, SIZE, LOW, HIGH = 6, 3, -0.5, 3.0


def squashed_entropy(base):
    t = torch.linspace(-12.0, 12.0, 20001)
    simpson = torch.ones(20001)
    simpson[1:-1:2], simpson[2:-1:2] = 4.0, 2.0
    weights = torch.exp(-0.5 * t * t) * simpson
    x = base.mean.unsqueeze(-1) + base.stddev.unsqueeze(-1) * t
    log_det = TanhTransform().log_abs_det_jacobian(x, None)
    return base.entropy() + (log_det * (weights / weights.sum())).sum(-1) + math.log((HIGH - LOW) / 2)


def case(distribution, state, seed):
    g = torch.Generator().manual_seed(seed)
    beta = distribution == "beta"
    width = SIZE * (2 if state or beta else 1)
    outputs = torch.randn(ROWS, width, generator=g)
    if state:
        outputs[:, SIZE:] *= 0.25
        outputs[0, SIZE] = 2.5 if distribution == "normal" else 0.0  # beyond the largest log deviation
    outputs.requires_grad_(True)
    log_deviation = (torch.randn(0 if state or beta else SIZE, generator=g) * 0.4).requires_grad_(True)
    if beta:
        shape = 1 + torch.nn.functional.softplus(outputs)
        base = Beta(shape[:, :SIZE], shape[:, SIZE:])
        recorded = torch.rand(ROWS, SIZE, generator=g) * 0.98 + 0.01
        whole = TransformedDistribution(base, [AffineTransform(LOW, HIGH - LOW)])
        log_prob = whole.log_prob(LOW + (HIGH - LOW) * recorded)
        entropy = base.entropy() + math.log(HIGH - LOW)
    else:
        means = outputs[:, :SIZE]
        deviations = (outputs[:, SIZE:].clamp(-20, 2) if state else log_deviation.expand_as(means)).exp()
        base = Normal(means, deviations)
        recorded = (means + deviations * torch.randn(ROWS, SIZE, generator=g)).detach()
        log_prob, entropy = base.log_prob(recorded), base.entropy()
        if distribution == "squashed":
            transforms = [TanhTransform(cache_size=1), AffineTransform((HIGH + LOW) / 2, (HIGH - LOW) / 2, cache_size=1)]
            whole = TransformedDistribution(base, transforms)
            action = recorded
            for transform in transforms:
                action = transform(action)
            log_prob, entropy = whole.log_prob(action), squashed_entropy(base)
    (log_prob + 0.3 * entropy).sum().backward()
    flat = lambda tensor: tensor.detach().flatten().tolist()  # noqa: E731
    return {
        "distribution": distribution, "deviation": None if beta else "state" if state else "parameter",
        "low": LOW, "high": HIGH, "size": SIZE, "outputs": flat(outputs), "log_deviation": flat(log_deviation),
        "recorded": flat(recorded), "log_probs": flat(log_prob.sum(1)), "entropies": flat(entropy.sum(1)),
        "output_slopes": flat(outputs.grad),
        "deviation_slopes": [] if log_deviation.grad is None else flat(log_deviation.grad),
    }


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    cases = [case("normal", False, 1), case("normal", True, 2), case("squashed", False, 3), case("squashed", True, 4),
             case("beta", False, 5)]
    (OUT / "distributions.json").write_text(json.dumps(cases, indent=1) + "\n")
