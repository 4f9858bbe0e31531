"""End-to-end training runs of the peers, 20 optimizer steps each, to be reproduced step by step.

Everything that could differ is pinned: fp32, CPU, no dropout, no shuffling, batch contents written out, AdamW
(betas 0.9/0.999, eps 1e-8), gradient-norm clipping.  Base models: golden/models/llama, golden/extras/reward_llama.

  train/RUN/batches.safetensors   {step}.{name}: what the model was fed at each micro-batch
  train/RUN/final.safetensors     parameters after the last step (adapters only for the LoRA run)
  train/RUN/run.json              hyper-parameters; per step: loss (full precision), grad_norm, lr, metrics;
                                  parameter checksums after step 1, 5 and 20
usage: gen_train.py [RUN ...]
"""
import argparse
import random
import time

from common import *  # noqa: F403
import datasets
import numpy as np
import train_data
import transformers as tf
import trl
from gen_tokenizers import lm_tokenizer
from transformers import PrinterCallback, TrainerCallback

STEPS = 20
COMMON = dict(per_device_train_batch_size=4, max_steps=STEPS, learning_rate=5e-4, lr_scheduler_type="linear", warmup_steps=2,
              weight_decay=0.0, adam_beta1=0.9, adam_beta2=0.999, adam_epsilon=1e-8, max_grad_norm=1.0, optim="adamw_torch",
              bf16=False, fp16=False, use_cpu=True, gradient_checkpointing=False, logging_steps=1, save_strategy="no",
              report_to=[], disable_tqdm=True, seed=0, data_seed=0, dataloader_num_workers=0,
              train_sampling_strategy="sequential")


def seed_all(s=0):
    random.seed(s), np.random.seed(s), torch.manual_seed(s)


def recording(cls):
    """The peer's trainer, unchanged, that also remembers its losses and its batches."""

    class Recording(cls):
        def compute_loss(self, model, inputs, *a, **k):
            self.rec_batches.append({n: v.detach().clone() for n, v in inputs.items() if isinstance(v, torch.Tensor)})
            out = super().compute_loss(model, inputs, *a, **k)
            self.rec_losses.append(float((out[0] if isinstance(out, tuple) else out).detach()))
            return out

    Recording.__name__ = cls.__name__
    return Recording


class Watch(TrainerCallback):
    def __init__(self):
        self.logs, self.sums = [], {}

    def on_log(self, args, state, control, logs=None, **k):
        if "loss" in logs:
            self.logs.append({k: (float(v) if v is not None else None) for k, v in logs.items() if k != "step_time"})

    def on_step_end(self, args, state, control, model=None, **k):
        if state.global_step in (1, 5, STEPS):
            self.sums[str(state.global_step)] = checksums((n, p) for n, p in model.named_parameters() if p.requires_grad)


def causal(name="llama"):
    return tf.AutoModelForCausalLM.from_pretrained(out_dir("models", name), dtype=torch.float32, attn_implementation="sdpa")


def run(name, cls, cfg_cls, model, data, extra_kw=None, trainer_kw=None, note=""):
    seed_all()
    t0 = time.time()
    d = out_dir("train", name)
    kw = {**COMMON, **(extra_kw or {})}
    cfg = cfg_cls(output_dir="keel_unused", **kw)
    watch = Watch()
    rec = recording(cls)
    rec.rec_batches, rec.rec_losses = [], []
    ds = datasets.Dataset.from_dict(data) if data is not None else None
    tr = rec(model=model, args=cfg, train_dataset=ds, processing_class=lm_tokenizer(), callbacks=[watch], **(trainer_kw or {}))
    tr.remove_callback(PrinterCallback)
    decay = set(tr.get_decay_parameter_names(tr.model))
    tr.train()
    micro = len(rec.rec_losses)
    save_tensors(d / "batches.safetensors", {f"{i:03d}.{k}": v for i, b in enumerate(rec.rec_batches) for k, v in b.items()})
    params = {n: p for n, p in tr.model.named_parameters() if p.requires_grad}
    save_tensors(d / "final.safetensors", params)
    args = {k: v for k, v in kw.items() if not callable(v)}
    save_json(d / "run.json", {
        "peer": f"trl {trl.__version__} {cls.__name__}", "note": note, "args": args, "microbatches": micro,
        "gradient_accumulation_steps": cfg.gradient_accumulation_steps,
        "micro_losses": rec.rec_losses, "steps": watch.logs, "checksums": watch.sums,
        "decayed": sorted(decay & set(params)), "not_decayed": sorted(set(params) - decay), "versions": versions()})
    print(f"{name:16s} {micro} micro-batches, loss {rec.rec_losses[0]:.6f} -> {rec.rec_losses[-1]:.6f}, grad_norm "
          f"{watch.logs[0].get('grad_norm')} [{time.time() - t0:.1f}s]", flush=True)
    return tr


def dpo():
    run("dpo", trl.DPOTrainer, trl.DPOConfig, causal(), train_data.preference(),
        dict(beta=0.1, loss_type=["sigmoid"], max_length=None), note="loss = mean over pairs; reference = initial model")


def dpo_ga():
    run("dpo_ga", trl.DPOTrainer, trl.DPOConfig, causal("llama_tied"), train_data.preference(),
        dict(beta=0.3, loss_type=["ipo", "sft"], loss_weights=[1.0, 0.5], max_length=None, gradient_accumulation_steps=2,
             per_device_train_batch_size=2, weight_decay=0.1, lr_scheduler_type="cosine", max_grad_norm=0.5),
        note="gradient accumulation 2x2 (micro-losses are averaged), weight decay, cosine schedule, tied embeddings")


def dpo_lora():
    import peft

    lc = peft.LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=8, lora_dropout=0.0, target_modules=["q_proj", "v_proj"])
    m = peft.get_peft_model(causal(), lc)
    g = gen(71)
    with torch.no_grad():
        for n, p in sorted(m.named_parameters()):
            if "lora_A" in n:
                p.copy_(torch.randn(p.shape, generator=g) * p.shape[-1] ** -0.5)
    d = out_dir("train", "dpo_lora")
    m.save_pretrained(d / "adapter_init")
    run("dpo_lora", trl.DPOTrainer, trl.DPOConfig, m, train_data.preference(), dict(max_length=None, learning_rate=5e-3),
        note="starts from adapter_init (A random, B zero); reference = a frozen copy of the initial adapter")


def sft():
    run("sft", trl.SFTTrainer, trl.SFTConfig, causal(), train_data.texts(), dict(max_length=None, packing=False, weight_decay=0.1),
        note="every token but the first is a target; loss = sum / number of target tokens of the batch")


def sft_completion():
    run("sft_completion", trl.SFTTrainer, trl.SFTConfig, causal("gpt2"), train_data.prompt_completion(),
        dict(max_length=None, packing=False, completion_only_loss=True, gradient_accumulation_steps=2,
             per_device_train_batch_size=2),
        note="GPT-2; completion-only; with accumulation the token count is that of the whole accumulation window")


def reward():
    m = tf.AutoModelForSequenceClassification.from_pretrained(out_dir("extras", "reward_llama"), dtype=torch.float32)
    data = {"chosen": [p + c for p, c in zip(train_data.PROMPTS, train_data.CHOSEN)],
            "rejected": [p + c for p, c in zip(train_data.PROMPTS, train_data.REJECTED)], "margin": train_data.MARGINS}
    run("reward", trl.RewardTrainer, trl.RewardConfig, m, data, dict(max_length=None, center_rewards_coefficient=0.01,
                                                                    learning_rate=1e-3), note="Bradley-Terry with margin")


def kto():
    run("kto", trl.KTOTrainer, trl.KTOConfig, causal(), train_data.unpaired(),
        dict(max_length=None, beta=0.1, desirable_weight=1.0, undesirable_weight=1.2, learning_rate=1e-3),
        note="the KL batch pairs prompt i with completion i-1 (mod batch)")


def fixed_completions():
    """4 completions for each of the 16 prompts, as token ids (some end with eos, some are cut)."""
    tok = lm_tokenizer()
    out = {}
    for i, p in enumerate(train_data.PROMPTS):
        texts = [train_data.CHOSEN[i], train_data.REJECTED[i], train_data.CHOSEN[(i + 3) % 16], train_data.REJECTED[(i + 5) % 16]]
        out[p] = [(tok(t)["input_ids"] + [EOS])[:20] for t in texts]
    return out


def fixed_reward(completions, completion_ids, **_):
    """0.1 per vowel, minus 0.02 per token, plus 0.5 when finished: any deterministic function will do."""
    return [0.1 * sum(c in "aeiou" for c in t) - 0.02 * len(ids) + 0.5 * (ids[-1] == EOS)
            for t, ids in zip(completions, completion_ids)]


def _grpo(name, model, **kw):
    table, tok = fixed_completions(), lm_tokenizer()

    class Replay(trl.GRPOTrainer):
        """GRPOTrainer whose sampler replays fixed completions (everything else is TRL's)."""

        def _generate_single_turn(self, prompt_ids, *a, **k):
            seen, res = {}, []
            for ids in prompt_ids:
                p = tok.decode(ids)
                res.append(list(table[p][seen.get(p, 0)]))
                seen[p] = seen.get(p, 0) + 1
            return res, None

    Replay.__name__ = "GRPOTrainer"
    extra = dict(per_device_train_batch_size=8, num_generations=4, max_completion_length=20, shuffle_dataset=False,
                 scale_rewards="group", temperature=1.0, learning_rate=1e-3) | kw
    run(name, Replay, trl.GRPOConfig, model, {"prompt": train_data.PROMPTS}, extra, dict(reward_funcs=[fixed_reward]),
        note="sampler replaced by fixed completions; reward = 0.1*vowels - 0.02*tokens + 0.5*finished")


def grpo():
    _grpo("grpo", causal(), beta=0.04, loss_type="grpo", num_iterations=2, epsilon=0.2)


def grpo_dapo():
    _grpo("grpo_dapo", causal("qwen3"), beta=0.0, loss_type="dapo", num_iterations=2, epsilon=0.2, epsilon_high=0.28,
          gradient_accumulation_steps=2, steps_per_generation=2, per_device_train_batch_size=4)


RUNS = dict(dpo=dpo, dpo_ga=dpo_ga, dpo_lora=dpo_lora, sft=sft, sft_completion=sft_completion, reward=reward, kto=kto,
            grpo=grpo, grpo_dapo=grpo_dapo)

if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("runs", nargs="*", default=list(RUNS))
    for r in ap.parse_args().runs:
        RUNS[r]()
