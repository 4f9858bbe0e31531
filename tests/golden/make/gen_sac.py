"""Soft actor-critic on fixed batches and noise: three optimiser steps in float64, written from the equations alone.

  sac/{learned,fixed}
     vectors.safetensors  init.*, init.critic.*, (parameters before, y = xW + b), batch.{step}.* with the noise of both
                          draws, one.* and three.* (parameters after so many steps, critics and targets)
     vectors.json         hyper-parameters and what each step measured
"""
from common import *  # noqa: F403
import math

from torch.distributions import Normal, TransformedDistribution
from torch.distributions.transforms import AffineTransform, TanhTransform

OBS, WIDTH, BATCH = 3, 16, 32
LOW, HIGH = [-2.0, 0.0], [2.0, 1.0]
CASES = {
    "learned": dict(activation="relu", gamma=0.95, tau=0.01, alpha=0.5, learn=True, target_entropy=-2.0, lr=1e-3, critic_lr=2e-3,
                    temperature_lr=3e-3, max_grad_norm=0.0),
    "fixed": dict(activation="tanh", gamma=0.99, tau=0.2, alpha=0.2, learn=False, target_entropy=0.0, lr=3e-4, critic_lr=3e-4,
                  temperature_lr=3e-4, max_grad_norm=0.05),
}


def network(g, inputs, outputs, gain=1.0):
    widths = [inputs, WIDTH, WIDTH, outputs]
    layers = []
    for fan_in, fan_out in zip(widths, widths[1:]):
        for shape, scale in (((fan_in, fan_out), gain * fan_in**-0.5), ((fan_out,), 0.1)):
            value = (torch.randn(shape, generator=g) * scale).double()
            layers.append(value.requires_grad_())
    return layers


def apply(layers, x, activation):
    f = {"relu": torch.relu, "tanh": torch.tanh}[activation]
    for i in range(0, len(layers), 2):
        x = x @ layers[i] + layers[i + 1]
        if i + 2 < len(layers):
            x = f(x)
    return x


def draw(policy, obs, noise, activation):
    """The action on [-1, 1] and the log-probability of that on [low, high], by torch.distributions."""
    mean, log_std = apply(policy, obs, activation).chunk(2, -1)
    base = Normal(mean, log_std.clamp(-20, 2).exp())
    low, high = torch.tensor(LOW).double(), torch.tensor(HIGH).double()
    squash = [TanhTransform(cache_size=1), AffineTransform((low + high) / 2, (high - low) / 2, cache_size=1)]
    spread = TransformedDistribution(base, squash)
    x = base.loc + base.scale * noise
    y = x
    for transform in squash:
        y = transform(y)
    return torch.tanh(x), spread.log_prob(y).sum(-1)


def run(case, k):
    g = gen(900 + list(CASES).index(case))
    policy, critics = network(g, OBS, 4), [network(g, OBS + 2, 1), network(g, OBS + 2, 1)]
    targets = [[(p.detach() + 0.05 * torch.randn(p.shape, generator=g).float().double()) for p in c] for c in critics]
    round32 = lambda ps: [p.data.copy_(p.data.float().double()) for p in ps]  # noqa: E731
    for ps in [policy, *critics, *targets]:
        round32(ps)
    log_alpha = torch.tensor(math.log(k["alpha"])).float().double().requires_grad_()
    pi_opt = torch.optim.Adam(policy, lr=k["lr"])
    q_opt = torch.optim.Adam([p for c in critics for p in c], lr=k["critic_lr"])
    a_opt = torch.optim.Adam([log_alpha], lr=k["temperature_lr"])
    tensors, logs = {}, []

    def keep(prefix):
        for i, p in enumerate(policy):
            tensors[f"{prefix}.policy.{i // 2}.{['weight', 'bias'][i % 2]}"] = p.detach().float().clone()
        for name, pair in (("critic", critics), ("target", targets)):
            for twin, c in enumerate(pair):
                for i, p in enumerate(c):
                    tensors[f"{prefix}.{name}.{twin}.{i // 2}.{['weight', 'bias'][i % 2]}"] = p.detach().float().clone()
        tensors[f"{prefix}.log_temperature"] = log_alpha.detach().float().reshape(1)

    keep("init")
    for step in range(3):
        r = lambda *shape: torch.randn(shape, generator=g).float()  # noqa: E731
        b = dict(observations=r(BATCH, OBS), actions=torch.tanh(r(BATCH, 2)), nexts=r(BATCH, OBS), rewards=3 * r(BATCH),
                 terminated=(torch.rand(BATCH, generator=g) < 0.3).float(), next_noise=r(BATCH, 2), own_noise=r(BATCH, 2))
        tensors.update({f"batch.{step}.{name}": v for name, v in b.items()})
        o, a, n, rew, done, e1, e2 = (v.double() for v in b.values())
        alpha = log_alpha.detach().exp()
        with torch.no_grad():
            na, nlp = draw(policy, n, e1, k["activation"])
            q_next = torch.min(*(apply(t, torch.cat([n, na], -1), k["activation"]).squeeze(-1) for t in targets))
            y = rew + k["gamma"] * (1 - done) * (q_next - alpha * nlp)
        q = [apply(c, torch.cat([o, a], -1), k["activation"]).squeeze(-1) for c in critics]
        q_loss = sum(0.5 * ((v - y) ** 2).mean() for v in q)
        q_opt.zero_grad()
        q_loss.backward()
        if k["max_grad_norm"]:
            torch.nn.utils.clip_grad_norm_([p for c in critics for p in c], k["max_grad_norm"])
        q_opt.step()
        pa, lp = draw(policy, o, e2, k["activation"])
        v = torch.min(*(apply(c, torch.cat([o, pa], -1), k["activation"]).squeeze(-1) for c in critics))
        pi_loss = (alpha * lp - v).mean()
        pi_opt.zero_grad()
        pi_loss.backward()
        if k["max_grad_norm"]:
            torch.nn.utils.clip_grad_norm_(policy, k["max_grad_norm"])
        pi_opt.step()
        if k["learn"]:
            a_loss = -(log_alpha * (lp.detach() + k["target_entropy"])).mean()
            a_opt.zero_grad()
            a_loss.backward()
            a_opt.step()
        with torch.no_grad():
            for c, t in zip(critics, targets):
                for p, pt in zip(c, t):
                    pt.mul_(1 - k["tau"]).add_(k["tau"] * p)
        logs.append({"loss/value": q_loss.item(), "loss/policy": pi_loss.item(), "entropy/action": -lp.mean().item(),
                     "policy/temperature": log_alpha.exp().item(), "value/mean": q[0].mean().item()})
        if step in (0, 2):
            keep({0: "one", 2: "three"}[step])
    folder = out_dir("sac", case)
    save_tensors(folder / "vectors.safetensors", tensors)
    save_json(folder / "vectors.json", {**k, "low": LOW, "high": HIGH, "logs": logs})


for name, settings in CASES.items():
    run(name, settings)
