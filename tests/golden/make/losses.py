"""Loss vectors: log-probabilities and masks in; losses, gradients and metrics out, from the peers' own functions.

A peer's method runs on a bare instance (`object.__new__(Trainer)` with the attributes it reads).  What no peer has is a
float64 formula of the paper, and its case says so in `source`.  Everything is float64, every seed stands below.

  dpo     DPOTrainer._compute_loss, sigmoid; token-mean likelihood of CPO's chosen responses
  policy  GRPOTrainer._compute_loss: the clipped policy loss under its reductions
  ppo     TRL 0.11.4 PPOTrainer.compute_rewards, compute_advantages, loss, AdaptiveKLController, masked_whiten;
          KL estimators, dual clip, advantages of complete episodes

usage: losses.py OUT     with torch 2.11.0, trl 1.16.0 and its dependencies; TRL_OLD names a folder made by
                         pip install --no-deps --target $TRL_OLD trl==0.11.4
"""
import ast
import contextlib
import json
import os
import pathlib
import sys
import types
import typing
import warnings
from collections import defaultdict

os.environ.setdefault("HF_HUB_OFFLINE", "1")
warnings.filterwarnings("ignore")

import numpy as np
import torch
import trl
from safetensors.torch import save_file
from trl import DPOConfig, GRPOConfig
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.grpo_trainer import GRPOTrainer

F64 = torch.float64
OUT = pathlib.Path(sys.argv[1])
TRL_OLD = pathlib.Path(os.environ["TRL_OLD"])
torch.set_num_threads(2)


class Accelerate:
    """What the trainers ask of accelerate in one process."""
    device, num_processes, process_index, is_main_process, sync_gradients = torch.device("cpu"), 1, 0, True, True
    gather = gather_for_metrics = staticmethod(lambda x: x)
    reduce = staticmethod(lambda x, reduction=None: x)
    autocast = staticmethod(contextlib.nullcontext)


class FixedLogProbs(torch.nn.Module):
    """Stands in for a model with TRL's fused head: returns the given log-probabilities."""
    is_gradient_checkpointing = False

    def __init__(self, log_probs):
        super().__init__()
        self.log_probs = log_probs

    def forward(self, **_):
        zero = torch.zeros_like(self.log_probs).detach()
        return types.SimpleNamespace(log_probs=self.log_probs, entropy=zero, mean_logits=zero, is_top1=zero.bool(),
                                     log_sum_sq_probs=torch.full_like(zero, -0.5))


def bare(cls, **attributes):
    trainer = object.__new__(cls)
    trainer._metrics = {"train": defaultdict(list), "eval": defaultdict(list)}
    trainer._total_train_tokens, trainer._tp_size, trainer.aux_loss_enabled = 0, 1, False
    trainer.accelerator, trainer.current_gradient_accumulation_steps = Accelerate(), 1
    for name, value in attributes.items():
        setattr(trainer, name, value)
    return trainer


def old_functions(path, *names, extra=()):
    """Compile single functions or classes out of an installed package file without importing the package."""
    scope = {"torch": torch, "np": np, "Optional": typing.Optional, "warnings": warnings, **dict(extra)}
    for node in ast.walk(ast.parse((TRL_OLD / path).read_text())):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name in names:
            node.decorator_list = []
            for part in ast.walk(node):
                if isinstance(part, ast.arg):
                    part.annotation = None
                if isinstance(part, ast.FunctionDef):
                    part.returns = None
            exec(compile(ast.Module([node], []), str(path), "exec"), scope)
    return types.SimpleNamespace(**{name: scope[name] for name in names})


def save(name, tensors, facts):
    save_file({k: v.detach().contiguous().clone() for k, v in tensors.items()}, str(OUT / f"{name}.safetensors"))
    versions = {"torch": torch.__version__.split("+")[0], "trl": trl.__version__}
    (OUT / f"{name}.json").write_text(json.dumps({**facts, "versions": versions}, indent=1) + "\n")


def pairs(seed, rows=6, length=14, spread=0.3):
    """Chosen rows, then rejected rows: response mask, policy and reference log-probabilities of tokens 1.. of each."""
    g = torch.Generator().manual_seed(seed)
    mask = torch.zeros(2 * rows, length, dtype=torch.long)
    for i in range(2 * rows):
        start = int(torch.randint(1, 5, (), generator=g))
        mask[i, start:start + int(torch.randint(2, length - start + 1, (), generator=g))] = 1
    shift = mask[:, 1:]
    log_probs = -torch.rand(2 * rows, length - 1, generator=g, dtype=F64) * 4 - 0.05
    reference = log_probs + spread * torch.randn(2 * rows, length - 1, generator=g, dtype=F64)
    return mask, log_probs * shift, reference.clamp(max=-0.01) * shift


def dpo():
    tensors, cases = {}, []
    for data, seed, spread in (("normal", 11, 0.3), ("extreme", 12, 12.0)):
        mask, log_probs, reference = pairs(seed, spread=spread)
        tensors.update({f"{data}.mask": mask[:, 1:].bool(), f"{data}.log_probs": log_probs,
                        f"{data}.reference_log_probs": reference})
        for beta in (0.1, 0.5):
            config = DPOConfig(output_dir="unused", use_cpu=True, bf16=False, report_to=[], beta=beta)
            x = log_probs.clone().requires_grad_(True)
            policy = FixedLogProbs(x).train()
            trainer = bare(DPOTrainer, model=policy, ref_model=FixedLogProbs(reference), args=config, beta=beta,
                           loss_types=["sigmoid"], loss_weights=[1.0], ld_alpha=None, f_divergence_type="reverse_kl",
                           f_alpha_divergence_coef=0.5, label_smoothing=0.0, use_weighting=False,
                           precompute_ref_logps=False)
            ids = torch.ones_like(mask)
            loss = trainer._compute_loss(
                policy, {"input_ids": ids, "attention_mask": ids, "completion_mask": mask}, False)
            loss.backward()
            tensors[f"{data}.{beta}.gradient"] = x.grad
            cases.append({"data": data, "beta": beta, "loss": loss.item(),
                          "accuracy": trainer._metrics["train"]["rewards/accuracies"][-1],
                          "margin": trainer._metrics["train"]["rewards/margins"][-1],
                          "source": "trl DPOTrainer._compute_loss"})
    mask, log_probs, _ = pairs(31)
    mask, log_probs = mask[:6, 1:], log_probs[:6]
    tensors.update({"likelihood.mask": mask.bool(), "likelihood.log_probs": log_probs})
    likelihood = {"loss": (-(log_probs * mask).sum() / mask.sum()).item(), "source": "definition"}
    save("dpo", tensors, {"layout": "rows 0..5 chosen, 6..11 rejected; gradient of the mean loss by log_probs; "
                                    "margin = beta * mean of the log-ratio", "cases": cases, "likelihood": likelihood})


POLICY_CASES = [dict(loss_type="grpo"), dict(loss_type="bnpo"), dict(loss_type="dr_grpo"),
                dict(loss_type="dapo", epsilon_high=0.28), dict(loss_type="grpo", on_policy=True)]


def policy():
    g = torch.Generator().manual_seed(51)
    rows, length = 8, 16
    mask = (torch.arange(length)[None] < torch.tensor([16, 3, 9, 12, 1, 16, 7, 5])[:, None]).long()
    log_probs = -torch.rand(rows, length, generator=g, dtype=F64) * 3 - 0.02
    old = log_probs + 0.15 * torch.randn(rows, length, generator=g, dtype=F64)
    torch.randn(rows, length, generator=g, dtype=F64)
    entropies = torch.rand(rows, length, generator=g, dtype=F64) * 5
    rewards = torch.tensor([1.0, 0.0, 0.25, 1.0, 0.5, 0.5, 0.5, 0.5], dtype=F64)
    rewards[4:] += 0.1 * torch.randn(4, generator=g, dtype=F64)
    groups = rewards.view(-1, 4)
    advantages = (rewards - groups.mean(1).repeat_interleave(4)) / (groups.std(1).repeat_interleave(4) + 1e-4)
    tensors = {"mask": mask.bool(), "log_probs": log_probs, "old_log_probs": old, "advantages": advantages}
    cases = []
    for i, case in enumerate(POLICY_CASES):
        settings = {k: v for k, v in case.items() if k != "on_policy"}
        config = GRPOConfig(output_dir="unused", use_cpu=True, bf16=False, report_to=[], per_device_train_batch_size=8,
                            num_generations=4, max_completion_length=length, **settings)
        x, model = log_probs.clone().requires_grad_(True), torch.nn.Identity().train()
        high = config.epsilon_high if config.epsilon_high is not None else config.epsilon
        trainer = bare(GRPOTrainer, model=model, args=config, top_entropy_quantile=1.0, off_policy_mask_threshold=None,
                       beta=0.0, loss_type=config.loss_type, importance_sampling_level="token",
                       epsilon_low=config.epsilon, epsilon_high=high, use_vllm=False, max_completion_length=length,
                       vllm_importance_sampling_correction=False, entropy_coef=0.0, use_adaptive_entropy=False,
                       _entropy_bonus_enabled=False)
        trainer._get_per_token_logps_and_entropies = lambda *_, **__: (x, entropies, None)
        prompt = torch.ones(rows, 2, dtype=torch.long)
        inputs = {"prompt_ids": prompt, "prompt_mask": prompt, "completion_ids": torch.ones_like(mask),
                  "completion_mask": mask, "advantages": advantages, "num_items_in_batch": mask.sum()}
        if not case.get("on_policy"):
            inputs["old_per_token_logps"] = old
        loss = trainer._compute_loss(model, inputs)
        loss.backward()
        tensors[f"{i}.gradient"] = x.grad
        cases.append({"reduction": config.loss_type, "clip_range_low": config.epsilon, "clip_range_high": high,
                      "on_policy": bool(case.get("on_policy")), "loss": loss.item(),
                      "clip_fraction": trainer._metrics["train"]["clip_ratio/region_mean"][-1],
                      "source": "trl GRPOTrainer._compute_loss"})
    save("policy", tensors, {"layout": "advantages [8], one per row; max_length 16; on_policy: old = policy, detached",
                             "cases": cases})


def episodes(g, tensors):
    """Schulman et al. 2016 over a rollout [T, N] with episode ends, cut into its complete episodes, one per row."""
    length, columns = 20, 3
    rewards = torch.randn(length, columns, generator=g, dtype=F64)
    values = torch.randn(length, columns, generator=g, dtype=F64)
    starts = (torch.rand(length, columns, generator=g) < 0.15).to(F64)
    last_value, last_done = torch.randn(columns, generator=g, dtype=F64), torch.tensor([0.0, 1.0, 0.0], dtype=F64)
    ends = torch.cat([starts[1:], last_done[None]])
    spans = []
    for n in range(columns):
        begin = 0
        for end in (ends[:, n].nonzero()[:, 0] + 1).tolist():
            spans.append((n, begin, end))
            begin = end
    rows = lambda x: torch.nn.utils.rnn.pad_sequence([x[a:b, n] for n, a, b in spans], batch_first=True)  # noqa: E731
    tensors["episodes.rewards"], tensors["episodes.values"] = rows(rewards), rows(values)
    tensors["episodes.mask"] = rows(torch.ones_like(rewards)).bool()
    for discount, gae_lambda in ((0.99, 0.95), (1.0, 1.0), (0.9, 0.0)):
        advantages, last = torch.zeros_like(rewards), torch.zeros(columns, dtype=F64)
        for s in reversed(range(length)):
            next_value = last_value if s == length - 1 else values[s + 1]
            delta = rewards[s] + discount * next_value * (1 - ends[s]) - values[s]
            last = delta + discount * gae_lambda * (1 - ends[s]) * last
            advantages[s] = last
        tensors[f"episodes.{discount}.{gae_lambda}.advantages"] = rows(advantages)


def ppo():
    core = vars(old_functions("trl/core.py", "masked_mean", "masked_var", "masked_whiten", "clip_by_value",
                              "entropy_from_logits"))
    controller = old_functions("trl/trainer/utils.py", "AdaptiveKLController").AdaptiveKLController(0.2, 6.0, 10000)
    peer = old_functions("trl/trainer/ppo_trainer.py", "_kl_penalty", "compute_rewards", "compute_advantages", "loss",
                         extra={**core, "flatten_dict": lambda x: x})
    g = torch.Generator().manual_seed(61)
    rows, length, vocabulary = 6, 12, 32
    mask = (torch.arange(length)[None] < torch.tensor([12, 4, 8, 1, 10, 6])[:, None]).long()
    old_logits = torch.randn(rows, length, vocabulary, generator=g, dtype=F64)
    logits = old_logits + 0.25 * torch.randn(rows, length, vocabulary, generator=g, dtype=F64)
    reference_logits = old_logits + 0.3 * torch.randn(rows, length, vocabulary, generator=g, dtype=F64)
    tokens = torch.randint(0, vocabulary, (rows, length), generator=g)
    sampled = lambda z: z.log_softmax(-1).gather(-1, tokens[..., None])[..., 0]  # noqa: E731
    old, log_probs, reference = sampled(old_logits), sampled(logits), sampled(reference_logits)
    values = torch.randn(rows, length, generator=g, dtype=F64)
    predicted = values + 0.4 * torch.randn(rows, length, generator=g, dtype=F64)
    scores = torch.randn(rows, generator=g, dtype=F64)
    tensors = {"mask": mask.bool(), "old_log_probs": old, "log_probs": log_probs, "reference_log_probs": reference,
               "old_values": values, "values": predicted, "scores": scores}

    cases = []
    grid = [dict(), dict(kl_penalty="abs"), dict(kl_penalty="mse"), dict(whiten_rewards=True), dict(gamma=0.99, lam=0.9),
            dict(cliprange=0.1, cliprange_value=0.05)]
    for i, case in enumerate(grid):
        settings = dict(kl_penalty="kl", whiten_rewards=False, gamma=1.0, lam=0.95, cliprange=0.2, cliprange_value=0.2,
                        vf_coef=1.0, ratio_threshold=10.0, kl_coef=0.2) | case
        this = types.SimpleNamespace(config=types.SimpleNamespace(**settings),
                                     kl_ctl=types.SimpleNamespace(value=settings["kl_coef"]))
        this._kl_penalty = lambda a, b, this=this: peer._kl_penalty(this, a, b)
        rewards, _, _ = peer.compute_rewards(this, scores, old, reference, mask)
        masked_values, advantages, returns = peer.compute_advantages(this, values, rewards, mask)
        x, v = log_probs.clone().requires_grad_(True), predicted.clone().requires_grad_(True)
        policy_loss, value_loss, stats = peer.loss(this, old, masked_values, logits, v, x, mask, advantages, returns)
        (policy_loss + value_loss).backward()
        for name, tensor in dict(rewards=rewards, advantages=advantages, returns=returns, gradient=x.grad,
                                 value_gradient=v.grad).items():
            tensors[f"{i}.{name}"] = tensor
        cases.append({**settings, "policy_loss": policy_loss.item(), "value_loss": value_loss.item(),
                      "approximate_kl": stats["policy"]["approxkl"].item(),
                      "clip_fraction": stats["policy"]["clipfrac"].item(),
                      "source": "trl 0.11.4 PPOTrainer.compute_rewards, compute_advantages, loss"})

    x = torch.randn(5, 9, generator=g, dtype=F64) * 3 + 1
    m = (torch.rand(5, 9, generator=g) > 0.3).long()
    m[:, 0] = 1
    tensors.update({"whiten.x": x, "whiten.mask": m.bool(), "whiten.whitened": core["masked_whiten"](x, m),
                    "whiten.scaled": core["masked_whiten"](x, m, shift_mean=False)})

    log_ratio = reference - old
    tensors["kl.k1"], tensors["kl.k2"], tensors["kl.k3"] = -log_ratio, 0.5 * log_ratio**2, log_ratio.exp() - 1 - log_ratio

    observed = [(6.0, 64), (12.0, 64), (3.0, 64), (0.0, 64), (100.0, 256), (6.3, 256), (5.0, 256), (7.2, 1)]
    trajectory = []
    for kl, samples in observed:
        controller.update(kl, samples)
        trajectory.append(float(controller.value))

    advantages, ratio = tensors["0.advantages"], (log_probs - old).exp()
    ratio[0, :3] = torch.tensor([5.0, 8.0, 0.1], dtype=F64)
    unclipped, clipped = -advantages * ratio, -advantages * ratio.clamp(0.8, 1.2)
    loss = torch.maximum(unclipped, clipped)
    tensors["dual.ratio"] = ratio
    tensors["dual.per_token"] = torch.where(advantages < 0, torch.minimum(loss, -3.0 * advantages), loss)
    episodes(g, tensors)
    save("ppo", tensors, {
        "layout": "gradient of policy_loss + value_loss (both token means, vf_coef 1) by log_probs and by values; "
                  "whiten.*: masked positions are transformed too; dual.*: clip range 0.2, c 3, advantages of case 0, from "
                  "the paper; episodes.*: one complete episode per row, from the paper; kl.*: from the definition",
        "cases": cases, "adaptive_kl": {"coef": 0.2, "target": 6.0, "horizon": 10000, "observed": observed,
                                        "trajectory": trajectory, "source": "trl 0.11.4 AdaptiveKLController"}})


if __name__ == "__main__":
    for make in (dpo, policy, ppo):
        make()
