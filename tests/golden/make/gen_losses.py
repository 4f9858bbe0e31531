"""Loss vectors: log-probabilities and masks in, loss / gradient / metrics out.

Wherever a peer has the code, the peer's own function is called on a bare instance (`object.__new__(Trainer)` with the
attributes it reads); otherwise a float64 formula from the paper is used and says so in its `source`.  Everything is
float64 unless a case says dtype=float32 (TRL's alpha-divergence has no float64 path).

  losses/dpo      DPOTrainer._compute_loss: every loss_type, f-divergences, LD-DPO, WPO weighting, mixtures; + cDPO
  losses/kto      KTOTrainer._compute_loss
  losses/cpo      CPOTrainer.cpo_loss (CPO, SimPO, IPO, hinge, AlphaPO), ORPOTrainer.odds_ratio_loss
  losses/reward   RewardTrainer.compute_loss (margin, centering)
  losses/grpo     GRPOTrainer._compute_loss (grpo, bnpo, dr_grpo, dapo, cispo, gspo, sapo, luspo, vespo), RLOO; advantages
  losses/ppo      TRL 0.11 PPOTrainer.loss/compute_rewards/compute_advantages, AdaptiveKLController; TRL 1.12 k1/k3;
                  dual clip, GAE with episode ends, KL estimators
"""
import ast
import contextlib
import math
import types
from collections import defaultdict

from common import *  # noqa: F403
import numpy as np
import torch.nn.functional as F
import trl
from trl import DPOConfig, GRPOConfig
from trl.experimental.cpo import CPOTrainer
from trl.experimental.orpo import ORPOTrainer
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.kto_trainer import KTOTrainer
from trl.trainer.reward_trainer import RewardTrainer
from trl.trainer.rloo_trainer import RLOOTrainer

F64 = torch.float64
TRL_OLD = pathlib.Path(os.environ.get("TRL_OLD", pathlib.Path(__file__).resolve().parent.parent / "trl_old"))


class Accel:
    """What the trainers ask of accelerate in one process."""
    device, num_processes, process_index, is_main_process, sync_gradients = torch.device("cpu"), 1, 0, True, True
    gather = gather_for_metrics = staticmethod(lambda x: x)
    reduce = staticmethod(lambda x, reduction=None: x)
    pad_across_processes = staticmethod(lambda x, **k: x)
    autocast = staticmethod(contextlib.nullcontext)


class FakeLM(torch.nn.Module):
    """Stands in for a model with TRL's fused head: returns the given log-probs for the batch tagged in input_ids[0,0]."""
    is_gradient_checkpointing = False

    def __init__(self, table):
        super().__init__()
        self.table = table

    def forward(self, input_ids=None, **_):
        lp = self.table[int(input_ids[0, 0])]
        z = torch.zeros_like(lp).detach()
        return types.SimpleNamespace(log_probs=lp, entropy=z, mean_logits=z, is_top1=z.bool(),
                                     log_sum_sq_probs=torch.full_like(z, -0.5))


def bare(cls, **attrs):
    o = object.__new__(cls)
    o._metrics = {"train": defaultdict(list), "eval": defaultdict(list)}
    o._total_train_tokens, o._tp_size, o.aux_loss_enabled, o.accelerator = 0, 1, False, Accel()
    o.current_gradient_accumulation_steps = 1
    for k, v in attrs.items():
        setattr(o, k, v)
    return o


def old_functions(relpath, *names, extra=None):
    """Compile single functions/classes out of an installed package file without importing the package."""
    src = (TRL_OLD / relpath).read_text()
    ns = {"torch": torch, "np": np, "F": F, "Optional": __import__("typing").Optional, "warnings": warnings, **(extra or {})}
    want = set(names)
    for node in ast.walk(ast.parse(src)):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name in want:
            want.discard(node.name)
            node.decorator_list = []
            for a in ast.walk(node):
                if isinstance(a, ast.arg):
                    a.annotation = None
                if isinstance(a, ast.FunctionDef):
                    a.returns = None
            exec(compile(ast.Module([node], []), str(relpath), "exec"), ns)
    assert not want, want
    return types.SimpleNamespace(**{n: ns[n] for n in names})


# ---------------------------------------------------------------------------------------------------------------- data

def pairs(seed, B=6, T=14, spread=0.3, dtype=F64):
    """Concatenated [chosen; rejected] batch: completion_mask (2B,T), policy and reference log-probs (2B,T-1)."""
    g = gen(seed)
    mask = torch.zeros(2 * B, T, dtype=torch.long)
    for i in range(2 * B):
        start = int(torch.randint(1, 5, (), generator=g))
        mask[i, start:start + int(torch.randint(2, T - start + 1, (), generator=g))] = 1
    shift = mask[:, 1:]
    lp = -torch.rand(2 * B, T - 1, generator=g, dtype=F64) * 4 - 0.05
    ref = lp + spread * torch.randn(2 * B, T - 1, generator=g, dtype=F64)
    ref = ref.clamp(max=-0.01)
    return mask, (lp * shift).to(dtype), (ref * shift).to(dtype)


# ----------------------------------------------------------------------------------------------------------------- DPO

DPO_CASES = [dict(loss_type=[t]) for t in ("sigmoid", "hinge", "ipo", "nca_pair", "bco_pair", "sppo_hard", "aot",
                                           "aot_unpaired", "apo_zero", "apo_down", "discopop", "sft", "sigmoid_norm")]
DPO_CASES += [
    dict(loss_type=["sigmoid"], beta=0.5), dict(loss_type=["ipo"], beta=0.5), dict(loss_type=["sppo_hard"], beta=0.5),
    dict(loss_type=["exo_pair"], label_smoothing=1e-3), dict(loss_type=["robust"], label_smoothing=0.1),
    dict(loss_type=["robust"], label_smoothing=0.0), dict(loss_type=["aot"], label_smoothing=0.1),
    dict(loss_type=["aot_unpaired"], label_smoothing=0.1),
    dict(loss_type=["sigmoid", "bco_pair", "sft"], loss_weights=[0.8, 0.2, 1.0]),
    dict(loss_type=["sigmoid"], ld_alpha=0.5), dict(loss_type=["sigmoid"], ld_alpha=0.0),
    dict(loss_type=["sigmoid"], use_weighting=True), dict(loss_type=["discopop"], discopop_tau=0.2),
]
DPO_CASES += [dict(loss_type=[t], f_divergence_type=f) for f in ("forward_kl", "js_divergence")
              for t in ("sigmoid", "hinge", "ipo", "robust")]
DPO_CASES += [dict(loss_type=["sigmoid"], f_divergence_type="alpha_divergence", f_alpha_divergence_coef=a)
              for a in (0.5, 1.0, 2.0)]


def run_dpo(case, mask, lp, ref):
    cfg = DPOConfig(output_dir="unused", use_cpu=True, bf16=False, report_to=[], **case)
    lp = lp.clone().requires_grad_(True)
    ids = torch.ones_like(mask)
    policy, refm = FakeLM({1: lp}), FakeLM({1: ref})
    policy.train()
    tr = bare(DPOTrainer, model=policy, ref_model=refm, args=cfg, beta=cfg.beta, loss_types=cfg.loss_type,
              loss_weights=cfg.loss_weights or [1.0] * len(cfg.loss_type), ld_alpha=cfg.ld_alpha,
              f_divergence_type=cfg.f_divergence_type, f_alpha_divergence_coef=cfg.f_alpha_divergence_coef,
              label_smoothing=cfg.label_smoothing, use_weighting=cfg.use_weighting, precompute_ref_logps=False)
    loss = tr._compute_loss(policy, {"input_ids": ids, "attention_mask": ids, "completion_mask": mask}, False)
    loss.backward()
    m = {k: v[-1] for k, v in tr._metrics["train"].items() if k.startswith(("rewards", "logps"))}
    return loss.detach(), lp.grad, m


def cdpo(mask, lp, ref, beta, eps):
    """Conservative DPO (Mitchell 2023): TRL <= 0.2x's label_smoothing for loss_type=sigmoid; gone from TRL 1.x."""
    lp = lp.clone().requires_grad_(True)
    B = lp.shape[0] // 2
    d = (lp - ref).sum(1)
    z = beta * (d[:B] - d[B:])
    loss = (-(1 - eps) * F.logsigmoid(z) - eps * F.logsigmoid(-z)).mean()
    loss.backward()
    return loss.detach(), lp.grad


def dpo():
    d, t, cases = out_dir("losses", "dpo"), {}, []
    data = {"normal": pairs(11), "extreme": pairs(12, spread=12.0)}
    for dn, (mask, lp, ref) in data.items():
        t[f"{dn}.completion_mask"], t[f"{dn}.logps"], t[f"{dn}.ref_logps"] = mask, lp, ref
    for i, case in enumerate(DPO_CASES):
        for dn, (mask, lp, ref) in data.items():
            f32 = case.get("f_divergence_type") == "alpha_divergence"
            a = (mask, lp.float(), ref.float()) if f32 else (mask, lp, ref)
            loss, grad, m = run_dpo(case, *a)
            l32, g32, _ = run_dpo(case, mask, lp.float(), ref.float())
            key = f"{i:02d}.{dn}"
            t[f"{key}.loss"], t[f"{key}.grad"] = loss, grad
            cases.append({"id": key, "data": dn, "params": {"beta": 0.1, **case}, "loss": loss.item(), "metrics": m,
                          "dtype": "float32" if f32 else "float64", "source": f"trl {trl.__version__} DPOTrainer._compute_loss",
                          "fp32_abs_dev": abs(l32.item() - loss.item()), "fp32_grad_dev": maxdiff(g32, grad)})
    for eps in (0.1, 0.3):
        for dn, (mask, lp, ref) in data.items():
            key = f"cdpo{eps}.{dn}"
            t[f"{key}.loss"], t[f"{key}.grad"] = cdpo(mask, lp, ref, 0.1, eps)
            cases.append({"id": key, "data": dn, "params": {"loss_type": ["cdpo"], "beta": 0.1, "label_smoothing": eps},
                          "loss": t[f"{key}.loss"].item(), "dtype": "float64", "source": "paper"})
    save_tensors(d / "vectors.safetensors", t)
    save_json(d / "vectors.json", {
        "layout": "rows 0..B-1 chosen, B..2B-1 rejected; logps[:, j] is the log-prob of token j+1, zero where "
                  "completion_mask[:, j+1] is 0; log_sum_sq_probs is -0.5 everywhere (only WPO weighting reads it)",
        "cases": cases, "versions": versions()})
    worst = max(cases, key=lambda c: c.get("fp32_abs_dev", 0) if c["data"] == "normal" else 0)
    print("dpo", len(cases), "cases; worst fp32 loss deviation on normal data", worst["params"], worst["fp32_abs_dev"])


# ----------------------------------------------------------------------------------------------------------------- KTO

def kto():
    d, t, cases = out_dir("losses", "kto"), {}, []
    mask, lp, ref = pairs(21, B=4)
    kmask, klp, kref = pairs(22, B=4)
    kref = kref - 0.25 * kmask[:, 1:]  # a clearly positive KL estimate
    labels = torch.tensor([1, 0, 1, 1, 0, 0, 1, 0], dtype=torch.bool)
    t.update(completion_mask=mask, logps=lp, ref_logps=ref, kl_completion_mask=kmask, kl_logps=klp, kl_ref_logps=kref,
             label=labels)
    settings = [dict(), dict(beta=0.5), dict(desirable_weight=1.33, undesirable_weight=0.7),
                dict(loss_type="apo_zero_unpaired"), dict(kl_sign=-1), dict(only="chosen"), dict(only="rejected")]
    for i, s in enumerate(settings):
        # kl_sign=-1 swaps policy and reference in the KL batch, so that the KL estimate is clamped at 0
        kp, kr = (klp, kref) if s.get("kl_sign", 1) > 0 else (kref, klp)
        lab = {"chosen": torch.ones_like(labels), "rejected": torch.zeros_like(labels)}.get(s.get("only"), labels)
        x = lp.clone().requires_grad_(True)
        pol, rm = FakeLM({1: x, 2: kp}), FakeLM({1: ref, 2: kr})
        pol.train()
        ids = torch.ones_like(mask)
        kids = torch.full_like(kmask, 2)
        lt = s.get("loss_type", "kto")
        tr = bare(KTOTrainer, model=pol, ref_model=rm, beta=s.get("beta", 0.1), loss_type=lt, calculate_KL=lt == "kto",
                  desirable_weight=s.get("desirable_weight", 1.0), undesirable_weight=s.get("undesirable_weight", 1.0),
                  precompute_ref_logps=False, args=types.SimpleNamespace(gradient_checkpointing_kwargs=None))
        batch = dict(input_ids=ids, attention_mask=ids, completion_mask=mask, KL_input_ids=kids, KL_attention_mask=kids,
                     KL_completion_mask=kmask, label=lab)
        loss = tr._compute_loss(pol, batch, False)
        loss.backward()
        t[f"{i}.loss"], t[f"{i}.grad"] = loss, x.grad
        cases.append({"id": str(i), "params": {"beta": 0.1, "loss_type": "kto", **s}, "label": lab.tolist(),
                      "loss": loss.item(), "metrics": {k: v[-1] for k, v in tr._metrics["train"].items()
                                                       if k.startswith(("rewards", "logps", "kl"))},
                      "source": f"trl {trl.__version__} KTOTrainer._compute_loss"})
    save_tensors(d / "vectors.safetensors", t)
    save_json(d / "vectors.json", {"layout": "one row per example; label true = desirable; kl_* is the mismatched batch; "
                                             "kl = max(0, mean(sum kl_logps - sum kl_ref_logps)), no gradient",
                                   "cases": cases, "versions": versions()})
    print("kto", len(cases), [round(c["loss"], 6) for c in cases])


# --------------------------------------------------------------------------------------------------------- CPO and ORPO

def cpo_orpo():
    d, t, cases = out_dir("losses", "cpo"), {}, []
    mask, lp, _ = pairs(31)
    shift, B = mask[:, 1:], lp.shape[0] // 2
    t.update(completion_mask=mask, logps=lp)
    settings = [dict(loss_type="sigmoid"), dict(loss_type="sigmoid", label_smoothing=0.1), dict(loss_type="hinge"),
                dict(loss_type="ipo"), dict(loss_type="simpo", simpo_gamma=0.5, beta=2.0, cpo_alpha=0.0),
                dict(loss_type="simpo", simpo_gamma=1.4, beta=2.5, cpo_alpha=0.0),
                dict(loss_type="simpo", simpo_gamma=0.5, beta=2.0, cpo_alpha=0.5, label_smoothing=0.05),
                dict(loss_type="sigmoid", alpha=0.1, average=True), dict(loss_type="simpo", alpha=0.25, beta=2.5, cpo_alpha=0.0)]
    for i, s in enumerate(settings):
        p = {"beta": 0.1, "label_smoothing": 0.0, "simpo_gamma": 0.5, "cpo_alpha": 1.0, "alpha": 0.0, **s}
        x = lp.clone().requires_grad_(True)
        avg = p["loss_type"] in ("ipo", "simpo") or p.get("average")
        seq = (x * shift).sum(1)
        if avg:
            seq = seq / shift.sum(1)
        tr = bare(CPOTrainer, beta=p["beta"], label_smoothing=p["label_smoothing"], loss_type=p["loss_type"],
                  simpo_gamma=p["simpo_gamma"], alpha=p["alpha"])
        losses, cr, rr = tr.cpo_loss(seq[:B], seq[B:])
        nll = -(x[:B] * shift[:B]).sum() / shift[:B].sum()
        loss = losses.mean() + p["cpo_alpha"] * nll
        loss.backward()
        t[f"cpo{i}.loss"], t[f"cpo{i}.grad"], t[f"cpo{i}.losses"] = loss, x.grad, losses
        cases.append({"id": f"cpo{i}", "params": p, "average_log_prob": bool(avg), "loss": loss.item(), "nll": nll.item(),
                      "rewards_chosen": cr.tolist(), "rewards_rejected": rr.tolist(),
                      "source": f"trl {trl.__version__} CPOTrainer.cpo_loss; nll over chosen completion tokens"})
    for i, beta in enumerate((0.1, 1.0)):
        x = lp.float().clone().requires_grad_(True)  # odds_ratio_loss casts to float32 itself
        avg = (x * shift).sum(1) / shift.sum(1)
        tr = bare(ORPOTrainer, beta=beta)
        losses, cr, rr, ratio, odds = tr.odds_ratio_loss(avg[:B], avg[B:])
        nll = -(x[:B] * shift[:B]).sum() / shift[:B].sum()
        loss = nll - losses.mean()
        loss.backward()
        y = lp.clone().requires_grad_(True)
        a = (y * shift).sum(1) / shift.sum(1)
        lo = (a[:B] - a[B:]) - (torch.log(-torch.expm1(a[:B])) - torch.log(-torch.expm1(a[B:])))
        l64 = -(y[:B] * shift[:B]).sum() / shift[:B].sum() - (beta * F.logsigmoid(lo)).mean()
        l64.backward()
        t[f"orpo{i}.loss"], t[f"orpo{i}.grad"] = l64, y.grad
        cases.append({"id": f"orpo{i}", "params": {"beta": beta}, "loss": l64.item(), "loss_trl_fp32": loss.item(),
                      "log_odds_ratio": ratio.item(), "log_odds": odds.item(), "trl_fp32_grad_dev": maxdiff(x.grad, y.grad),
                      "source": f"float64 formula, checked against trl {trl.__version__} ORPOTrainer.odds_ratio_loss (fp32). "
                                "Here nll is over chosen completion tokens; TRL's trainer takes it over prompt+completion"})
    save_tensors(d / "vectors.safetensors", t)
    save_json(d / "vectors.json", {"layout": "as losses/dpo", "cases": cases, "versions": versions()})
    print("cpo/orpo", len(cases), "orpo trl-vs-f64", [c["loss_trl_fp32"] - c["loss"] for c in cases if "loss_trl_fp32" in c])


# -------------------------------------------------------------------------------------------------------------- reward

def reward():
    d, t, cases = out_dir("losses", "reward"), {}, []
    g = gen(41)
    r = torch.randn(16, 1, generator=g, dtype=F64) * 2
    r[3], r[11] = 40.0, -40.0
    margin = torch.rand(8, generator=g, dtype=F64)
    t.update(rewards=r[:, 0], margin=margin)
    for i, (m, c) in enumerate([(False, None), (True, None), (False, 0.01), (True, 0.1)]):
        x = r.clone().requires_grad_(True)

        class Fake(torch.nn.Module):
            def forward(self, **_):
                return types.SimpleNamespace(logits=x)

        fake = Fake().train()
        tr = bare(RewardTrainer, model=fake, args=types.SimpleNamespace(center_rewards_coefficient=c))
        inputs = {"attention_mask": torch.ones(16, 3)}
        if m:
            inputs["margin"] = margin
        loss = tr.compute_loss(fake, inputs)
        loss.backward()
        t[f"{i}.loss"], t[f"{i}.grad"] = loss, x.grad[:, 0]
        cases.append({"id": str(i), "params": {"margin": m, "center_rewards_coefficient": c}, "loss": loss.item(),
                      "metrics": {k: v[-1] for k, v in tr._metrics["train"].items() if k != "num_tokens"},
                      "source": f"trl {trl.__version__} RewardTrainer.compute_loss"})
    save_tensors(d / "vectors.safetensors", t)
    save_json(d / "vectors.json", {"layout": "rewards[:8] chosen, rewards[8:] rejected", "cases": cases, "versions": versions()})
    print("reward", len(cases), [round(c["loss"], 6) for c in cases])


# ---------------------------------------------------------------------------------------------------------------- GRPO

GRPO_CASES = [dict(loss_type=t) for t in ("grpo", "bnpo", "dr_grpo", "dapo", "cispo", "sapo", "luspo", "vespo")]
GRPO_CASES += [
    # use_bias_correction_kl=True (the KL term times the ratio) is TRL's default
    dict(loss_type="grpo", beta=0.04), dict(loss_type="grpo", beta=0.04, use_bias_correction_kl=False),
    dict(loss_type="dapo", epsilon_high=0.28), dict(loss_type="dapo", epsilon_high=0.28, beta=0.02),
    dict(loss_type="grpo", importance_sampling_level="sequence", epsilon=3e-4, epsilon_high=4e-4),
    dict(loss_type="luspo", importance_sampling_level="sequence", epsilon=0.1),
    dict(loss_type="grpo", delta=1.5), dict(loss_type="cispo", epsilon_high=2.0),
    dict(loss_type="grpo", top_entropy_quantile=0.3), dict(loss_type="grpo", off_policy_mask_threshold=0.05),
    dict(loss_type="dr_grpo", beta=0.04), dict(loss_type="grpo", entropy_coef=0.01), dict(loss_type="grpo", on_policy=True),
]


def run_grpo(case, data):
    case = dict(case)
    on_policy = case.pop("on_policy", False)
    cfg = GRPOConfig(output_dir="unused", use_cpu=True, bf16=False, report_to=[], per_device_train_batch_size=8,
                     num_generations=4, max_completion_length=16, **case)
    x, ent = data["logps"].clone().requires_grad_(True), data["entropies"].clone()
    model = torch.nn.Identity().train()
    tr = bare(GRPOTrainer, model=model, args=cfg, top_entropy_quantile=cfg.top_entropy_quantile,
              off_policy_mask_threshold=cfg.off_policy_mask_threshold, beta=cfg.beta, loss_type=cfg.loss_type,
              importance_sampling_level=cfg.importance_sampling_level, epsilon_low=cfg.epsilon,
              epsilon_high=cfg.epsilon_high if cfg.epsilon_high is not None else cfg.epsilon, use_vllm=False,
              max_completion_length=cfg.max_completion_length, vllm_importance_sampling_correction=False,
              entropy_coef=cfg.entropy_coef, use_adaptive_entropy=False, _entropy_bonus_enabled=cfg.entropy_coef != 0.0)
    tr._get_per_token_logps_and_entropies = lambda *a, **k: (x, ent, None)
    m = data["mask"]
    inputs = {"prompt_ids": torch.ones(8, 2, dtype=torch.long), "prompt_mask": torch.ones(8, 2, dtype=torch.long),
              "completion_ids": torch.ones_like(m), "completion_mask": m, "advantages": data["advantages"],
              "num_items_in_batch": m.sum()}
    if not on_policy:
        inputs["old_per_token_logps"] = data["old_logps"]
    if cfg.beta:
        inputs["ref_per_token_logps"] = data["ref_logps"]
    loss = tr._compute_loss(model, inputs)
    loss.backward()
    keep = {k: v[-1] for k, v in tr._metrics["train"].items()}
    resolved = {k: getattr(cfg, k) for k in ("epsilon", "epsilon_high", "beta", "loss_type", "importance_sampling_level",
                                             "max_completion_length", "delta", "sapo_temperature_pos", "sapo_temperature_neg",
                                             "vespo_k_pos", "vespo_lambda_pos", "vespo_k_neg", "vespo_lambda_neg",
                                             "top_entropy_quantile", "off_policy_mask_threshold", "use_bias_correction_kl",
                                             "entropy_coef")}
    return loss.detach(), x.grad, keep, {**resolved, "on_policy": on_policy}


def group_advantages(r, n, scale):
    """TRL GRPOTrainer._generate_and_score_completions, scale_rewards in group|batch|none (unbiased std, +1e-4)."""
    g = r.view(-1, n)
    adv = r - g.mean(1).repeat_interleave(n)
    std = g.std(1).repeat_interleave(n) if scale == "group" else r.std() if scale == "batch" else None
    return adv if std is None else adv / (std + 1e-4)


def grpo():
    d, t, cases = out_dir("losses", "grpo"), {}, []
    g = gen(51)
    B, T = 8, 16
    lens = torch.tensor([16, 3, 9, 12, 1, 16, 7, 5])
    mask = (torch.arange(T)[None] < lens[:, None]).long()
    lp = -torch.rand(B, T, generator=g, dtype=F64) * 3 - 0.02
    old = lp + 0.15 * torch.randn(B, T, generator=g, dtype=F64)
    ref = lp + 0.3 * torch.randn(B, T, generator=g, dtype=F64)
    ent = torch.rand(B, T, generator=g, dtype=F64) * 5
    rewards = torch.tensor([1.0, 0.0, 0.25, 1.0, 0.5, 0.5, 0.5, 0.5], dtype=F64)
    rewards[4:] += 0.1 * torch.randn(4, generator=g, dtype=F64)
    adv = group_advantages(rewards, 4, "group")
    data = dict(mask=mask, logps=lp, old_logps=old, ref_logps=ref, entropies=ent, rewards=rewards, advantages=adv)
    t.update(data)
    for s in ("group", "batch", "none"):
        t[f"advantages.{s}"] = group_advantages(rewards, 4, s)
    t["advantages.group.all_equal"] = group_advantages(torch.full((4,), 0.7, dtype=F64), 4, "group")
    grp = rewards.view(-1, 4)
    t["advantages.rloo"] = (rewards - ((grp.sum(1, keepdim=True) - grp) / 3).flatten())
    t["advantages.rloo_normalized"] = (t["advantages.rloo"] - t["advantages.rloo"].mean()) / (t["advantages.rloo"].std() + 1e-4)
    for i, case in enumerate(GRPO_CASES):
        loss, grad, m, p = run_grpo(case, data)
        l32, g32, _, _ = run_grpo(case, {k: v.float() if v.is_floating_point() else v for k, v in data.items()})
        t[f"{i:02d}.loss"], t[f"{i:02d}.grad"] = loss, grad
        cases.append({"id": f"{i:02d}", "params": p, "loss": loss.item(), "metrics": m,
                      "fp32_abs_dev": abs(l32.item() - loss.item()), "fp32_grad_dev": maxdiff(g32, grad),
                      "source": f"trl {trl.__version__} GRPOTrainer._compute_loss"})
    x = lp.clone().requires_grad_(True)
    model = torch.nn.Identity().train()
    tr = bare(RLOOTrainer, model=model, epsilon_low=0.2, epsilon_high=0.2)
    tr._get_per_token_logps_and_entropies = lambda *a, **k: (x, ent, None)
    one = torch.ones(8, 2, dtype=torch.long)
    old_seq = (old * mask).sum(1)
    loss = tr._compute_loss(model, {"prompt_ids": one, "prompt_mask": one, "completion_ids": torch.ones_like(mask),
                                    "completion_mask": mask, "old_logps": old_seq, "advantages": t["advantages.rloo"]})
    loss.backward()
    t["rloo.loss"], t["rloo.grad"] = loss, x.grad
    cases.append({"id": "rloo", "params": {"epsilon": 0.2, "advantages": "advantages.rloo", "level": "sequence sum"},
                  "loss": loss.item(), "source": f"trl {trl.__version__} RLOOTrainer._compute_loss"})
    save_tensors(d / "vectors.safetensors", t)
    save_json(d / "vectors.json", {
        "layout": "8 completions, 2 prompts x 4; mask 1 on completion tokens; advantages (8,) broadcast over tokens. "
                  "dapo/cispo/vespo divide by mask.sum() (one process, one step per generation)",
        "advantages": "advantages.{group,batch,none}: (r - group mean) / (unbiased std + 1e-4); rloo: leave-one-out",
        "cases": cases, "versions": versions()})
    print("grpo", len(cases), [(c["params"].get("loss_type", "rloo"), round(c["loss"], 5)) for c in cases][:9],
          "worst fp32", max(c.get("fp32_abs_dev", 0) for c in cases))


# ----------------------------------------------------------------------------------------------------------------- PPO

def gae_reference(rewards, values, dones, last_value, last_done, gamma, lam):
    """Schulman et al. 2016 with episode ends: dones[t] = the state at t starts a new episode (SB3/CleanRL convention)."""
    T = rewards.shape[0]
    adv, last = torch.zeros_like(rewards), torch.zeros_like(rewards[0])
    for s in reversed(range(T)):
        nonterm = 1.0 - (last_done if s == T - 1 else dones[s + 1])
        nextv = last_value if s == T - 1 else values[s + 1]
        delta = rewards[s] + gamma * nextv * nonterm - values[s]
        last = delta + gamma * lam * nonterm * last
        adv[s] = last
    return adv, adv + values


def ppo():
    d, t, info = out_dir("losses", "ppo"), {}, {}
    core = old_functions("0.11.4/trl/core.py", "masked_mean", "masked_var", "masked_whiten", "clip_by_value",
                         "entropy_from_logits", "whiten")
    core_ns = vars(core)
    util = old_functions("0.11.4/trl/trainer/utils.py", "AdaptiveKLController", "FixedKLController")
    ppo_f = old_functions("0.11.4/trl/trainer/ppo_trainer.py", "_kl_penalty", "compute_rewards", "compute_advantages",
                          "loss", extra={**core_ns, "flatten_dict": lambda x: x})
    g = gen(61)
    B, T, V = 6, 12, 32
    lens = torch.tensor([12, 4, 8, 1, 10, 6])
    mask = (torch.arange(T)[None] < lens[:, None]).long()
    old_logits = torch.randn(B, T, V, generator=g, dtype=F64)
    logits = old_logits + 0.25 * torch.randn(B, T, V, generator=g, dtype=F64)
    ref_logits = old_logits + 0.3 * torch.randn(B, T, V, generator=g, dtype=F64)
    tokens = torch.randint(0, V, (B, T), generator=g)
    lpof = lambda z: z.log_softmax(-1).gather(-1, tokens[..., None])[..., 0]  # noqa: E731
    old_lp, ref_lp = lpof(old_logits), lpof(ref_logits)
    values = torch.randn(B, T, generator=g, dtype=F64)
    vpred0 = values + 0.4 * torch.randn(B, T, generator=g, dtype=F64)
    scores = torch.randn(B, generator=g, dtype=F64)
    t.update(mask=mask, tokens=tokens, old_logits=old_logits, logits=logits, ref_logits=ref_logits, old_logps=old_lp,
             ref_logps=ref_lp, values=values, vpred=vpred0, scores=scores)

    # rewards, advantages, loss: every combination that changes a branch
    cases = []
    grid = [dict(), dict(kl_penalty="abs"), dict(kl_penalty="mse"), dict(whiten_rewards=True), dict(gamma=0.99, lam=0.9),
            dict(cliprange=0.1, cliprange_value=0.05), dict(vf_coef=0.5)]
    for i, s in enumerate(grid):
        p = dict(kl_penalty="kl", whiten_rewards=False, gamma=1.0, lam=0.95, cliprange=0.2, cliprange_value=0.2, vf_coef=0.1,
                 ratio_threshold=10.0, kl_coef=0.2) | s
        self = types.SimpleNamespace(config=types.SimpleNamespace(**p), kl_ctl=types.SimpleNamespace(value=p["kl_coef"]))
        self._kl_penalty = lambda a, b, self=self: ppo_f._kl_penalty(self, a, b)
        rewards, non_score, kls = ppo_f.compute_rewards(self, scores, old_lp, ref_lp, mask)
        v, adv, ret = ppo_f.compute_advantages(self, values, rewards, mask)
        z, vp = logits.clone().requires_grad_(True), vpred0.clone().requires_grad_(True)
        lp = lpof(z)
        pg, vf, stats = ppo_f.loss(self, old_lp, v, z, vp, lp, mask, adv, ret)
        (pg + vf).backward()
        for k, x in dict(rewards=rewards, kl=kls, advantages=adv, returns=ret, pg_loss=pg, vf_loss_times_coef=vf,
                         grad_logits=z.grad, grad_vpred=vp.grad).items():
            t[f"{i}.{k}"] = x
        cases.append({"id": str(i), "params": p, "pg_loss": pg.item(), "vf_loss_times_coef": vf.item(),
                      "entropy": stats["policy"]["entropy"].item(), "approxkl": stats["policy"]["approxkl"].item(),
                      "clipfrac": stats["policy"]["clipfrac"].item(), "vf_clipfrac": stats["val"]["clipfrac"].item(),
                      "source": "trl 0.11.4 PPOTrainer.compute_rewards/compute_advantages/loss"})
    info["cases"] = cases

    # whitening
    x = torch.randn(5, 9, generator=g, dtype=F64) * 3 + 1
    m = (torch.rand(5, 9, generator=g) > 0.3).long()
    m[:, 0] = 1
    t["whiten.x"], t["whiten.mask"] = x, m
    t["whiten.masked"], t["whiten.masked_noshift"] = core.masked_whiten(x, m), core.masked_whiten(x, m, shift_mean=False)
    t["whiten.plain"] = core.whiten(x)
    info["whiten"] = "unbiased variance, rsqrt(var + 1e-8); masked positions are transformed too, callers zero them"

    # KL estimators (Schulman, joschu.net/blog/kl-approx.html) and the exact KL for comparison; logr = log pi_ref/pi
    logr = ref_lp - old_lp
    t["kl.k1"], t["kl.k2"], t["kl.k3"] = -logr, 0.5 * logr**2, logr.exp() - 1 - logr
    p, q = old_logits.log_softmax(-1), ref_logits.log_softmax(-1)
    t["kl.full"] = (p.exp() * (p - q)).sum(-1)
    t["entropy"] = core.entropy_from_logits(logits)
    info["kl"] = "k1/k3 as in trl 1.12 experimental PPO (kl_estimator); k2 = 0.5 logr^2; full = sum_v p (log p - log ref)"

    # adaptive KL controller
    seq = [(6.0, 64), (12.0, 64), (3.0, 64), (0.0, 64), (100.0, 256), (6.3, 256), (5.0, 256), (7.2, 1)] * 3
    c = util.AdaptiveKLController(0.2, 6.0, 10000)
    traj = []
    for cur, n in seq:
        c.update(cur, n)
        traj.append(float(c.value))
    info["adaptive_kl"] = {"init": 0.2, "target": 6.0, "horizon": 10000, "observed_kl_and_n_steps": seq, "value_after": traj,
                           "rule": "value *= 1 + clip(kl/target - 1, -0.2, 0.2) * n_steps / horizon",
                           "source": "trl 0.11.4 AdaptiveKLController"}

    # dual clip (Ye et al. 2020): for A < 0 the loss is capped at -c*A
    adv = t["0.advantages"]
    ratio = (lpof(logits) - old_lp).exp() * 1.0
    big = ratio.clone()
    big[0, :3] = torch.tensor([5.0, 8.0, 0.1], dtype=F64)
    l1, l2 = -adv * big, -adv * big.clamp(0.8, 1.2)
    std = torch.maximum(l1, l2)
    dual = torch.where(adv < 0, torch.minimum(std, -3.0 * adv), std)
    t["dual.ratio"], t["dual.per_token"] = big, dual
    info["dual_clip"] = {"c": 3.0, "eps": 0.2, "loss": ((dual * mask).sum() / mask.sum()).item(), "source": "paper"}

    # GAE with episode ends, time-major (T, N)
    T2, N = 20, 3
    r = torch.randn(T2, N, generator=g, dtype=F64)
    v = torch.randn(T2, N, generator=g, dtype=F64)
    starts = (torch.rand(T2, N, generator=g) < 0.15).to(F64)
    lv, ld = torch.randn(N, generator=g, dtype=F64), torch.tensor([0.0, 1.0, 0.0], dtype=F64)
    t.update({"gae.rewards": r, "gae.values": v, "gae.episode_starts": starts, "gae.last_values": lv, "gae.last_dones": ld})
    info["gae"] = []
    for gamma, lam in ((0.99, 0.95), (1.0, 1.0), (0.9, 0.0)):
        a, ret = gae_reference(r, v, starts, lv, ld, gamma, lam)
        t[f"gae.{gamma}.{lam}.advantages"], t[f"gae.{gamma}.{lam}.returns"] = a, ret
        info["gae"].append({"gamma": gamma, "lam": lam})
    ev = 1 - (r.flatten() - v.flatten()).var() / r.flatten().var()
    info["explained_variance_of_v_for_r"] = ev.item()
    save_tensors(d / "vectors.safetensors", t)
    save_json(d / "vectors.json", {**info, "versions": {**versions(), "trl_old": "0.11.4"}})
    print("ppo", len(cases), [(round(c["pg_loss"], 5), round(c["clipfrac"], 3), round(c["vf_clipfrac"], 3)) for c in cases],
          "adaptive", traj[:3])


if __name__ == "__main__":
    for f in (dpo, kto, cpo_orpo, reward, grpo, ppo):
        f()
