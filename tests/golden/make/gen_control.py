"""Distributions of continuous actions, from torch.distributions, and encoders of observations, in float64.

  control/distributions.json   per case: outputs of the network [B, W], log deviations that are parameters, numbers as they are
                               recorded [B, A], low, high; log-probabilities and entropies [B], and the slopes of
                               Σ (log π + 0.3 H) at outputs and log deviations.
  control/encoders.json        observations [B, O] as they are kept, parameters in keel's order, features [B, F], and the
                               slopes of Σ features² at the parameters. Images pass torch's conv2d; each set is pooled
                               entity by entity.
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


def encoders(seed):
    """A vector of 2, an image of 9×7×2 through 3 filters 3×3 by 2 and 4 filters 2×2, a set of 4×3, 5 wide, 2 heads."""
    g = torch.Generator().manual_seed(seed)
    draw = lambda *shape: (torch.randn(*shape, generator=g) * 0.7).requires_grad_(True)  # noqa: E731
    rows, counts = 5, [0, 1, 4, 2, 3]
    filters = [(draw(3, 2, 3, 3), draw(3), 2), (draw(4, 3, 2, 2), draw(4), 1)]
    embed, bias, scores = draw(3, 5), draw(5), draw(5, 2)
    vectors = torch.randn(rows, 2, generator=g)
    pixels = torch.randint(0, 256, (rows, 9, 7, 2), generator=g) / 255
    entities = torch.randn(rows, 4, 3, generator=g) * (torch.arange(4) < torch.tensor(counts)[:, None])[:, :, None]
    x = pixels.permute(0, 3, 1, 2)
    for weight, own, stride in filters:
        x = torch.relu(torch.nn.functional.conv2d(x, weight, own, stride=stride))
    sets = []
    for row, count in enumerate(counts):
        pooled = torch.zeros(2, 5)
        if count:
            hidden = torch.stack([torch.tanh(entity @ embed + bias) for entity in entities[row, :count]])
            pooled = torch.stack([torch.softmax(hidden @ scores[:, head], 0) @ hidden for head in range(2)])
        sets.append(torch.cat([pooled.flatten(), torch.tensor([count / 4])]))
    features = torch.cat([vectors, x.permute(0, 2, 3, 1).flatten(1), torch.stack(sets)], 1)
    features.square().sum().backward()
    observations = torch.cat([vectors, pixels.flatten(1), torch.tensor(counts)[:, None], entities.flatten(1)], 1)
    flat = lambda tensor: tensor.detach().flatten().tolist()  # noqa: E731
    by_window = lambda weight: weight.permute(2, 3, 1, 0)  # noqa: E731
    parameters = {f"encoder.1.{i}.{part}": tensor for i, (weight, own, _) in enumerate(filters)
                  for part, tensor in (("weight", by_window(weight)), ("bias", own))}
    slopes = {f"encoder.1.{i}.{part}": tensor for i, (weight, own, _) in enumerate(filters)
              for part, tensor in (("weight", by_window(weight.grad)), ("bias", own.grad))}
    for name, tensor in (("embed.weight", embed), ("embed.bias", bias), ("scores.weight", scores)):
        parameters[f"encoder.2.{name}"], slopes[f"encoder.2.{name}"] = tensor, tensor.grad
    return {"observations": flat(observations), "features": flat(features),
            "parameters": {name: flat(tensor) for name, tensor in parameters.items()},
            "slopes": {name: flat(tensor) for name, tensor in slopes.items()}}


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    cases = [case("normal", False, 1), case("normal", True, 2), case("squashed", False, 3), case("squashed", True, 4),
             case("beta", False, 5)]
    (OUT / "distributions.json").write_text(json.dumps(cases, indent=1) + "\n")
    (OUT / "encoders.json").write_text(json.dumps(encoders(6), indent=1) + "\n")
