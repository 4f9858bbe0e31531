"""Variants of control PPO on the rollouts of sb3/: what an update does, by torch.autograd and torch.distributions.

  variants/vectors.json         for each variant its settings in keel's words, and of each minibatch the divergence of the
                                policy, the learning rate of the step, the loss of the means beyond their bounds, and the
                                norms of the gradients of the policy's and of the value's parameters
  variants/vectors.safetensors  {variant}.{parameter}: parameters after 3 epochs of 4 minibatches

Run in tests/golden: python make/gen_variants.py
"""
import json
import torch
from safetensors.torch import load_file, save_file
from torch.distributions import Categorical, Independent, Normal, kl_divergence

T, N, EPOCHS, BATCH = 32, 4, 3, 32
RSL = {"law": "before_step", "target_kl": 0.01, "minimum": 1e-5}
GAMES = {"law": "after_step", "target_kl": 0.008, "minimum": 1e-6, "refresh": True}
VARIANTS = {
    "rsl": ("continuous", 1e-3, {"adaptive_rate": RSL, "gradient_clip": "separate", "value_clip_range": 0.2}),
    "rsl_discrete": ("multidiscrete", 3e-3, {"adaptive_rate": {**RSL, "target_kl": 0.002}}),
    "games": ("continuous", 1e-3, {"adaptive_rate": GAMES, "normalize_values": True, "bound_coef": 0.5,
                                   "value_clip_range": 0.2}),
    "games_epoch": ("continuous", 2e-3, {"adaptive_rate": {**GAMES, "law": "after_epoch", "refresh": False}}),
    "games_discrete": ("multidiscrete", 3e-3, {"adaptive_rate": {**GAMES, "target_kl": 0.001}}),
    "bounds": ("continuous", 1e-3, {"bound_coef": 2.0}),
}
LOW, HIGH = -0.1, 0.3  # of every continuous action, so that means lie beyond them


class Net(torch.nn.Module):
    def __init__(self, tensors):
        super().__init__()
        self.p = torch.nn.ParameterDict({k[5:].replace(".", "/"): v.clone() for k, v in tensors.items() if k.startswith("init.")})

    def layers(self, x, names, last):
        for name in names:
            x = torch.tanh(x @ self.p[name + "/weight"].T + self.p[name + "/bias"])
        return x @ self.p[last + "/weight"].T + self.p[last + "/bias"]

    def outputs(self, x):
        return self.layers(x, [f"mlp_extractor/policy_net/{i}" for i in (0, 2)], "action_net")

    def values(self, x):
        return self.layers(x, [f"mlp_extractor/value_net/{i}" for i in (0, 2)], "value_net")[:, 0]

    def heads(self, outputs, log_std):
        if log_std is not None:
            return [Independent(Normal(outputs, log_std.exp().expand_as(outputs)), 1)]
        return [Categorical(logits=outputs[:, :3]), Categorical(logits=outputs[:, 3:])]


def log_prob(heads, actions):
    if len(heads) == 1:
        return heads[0].log_prob(actions)
    return sum(head.log_prob(actions[:, i]) for i, head in enumerate(heads))


class Running:
    """Mean and population variance of all numbers so far, in double precision."""

    def __init__(self):
        self.all = torch.zeros(0, dtype=torch.float64)

    def __call__(self, x):
        self.all = torch.cat([self.all, x.double()])
        mean, var = self.all.mean(), self.all.var(unbiased=False)
        return ((x.double() - mean) / (var + 1e-5).sqrt()).clamp(-5, 5).float()


def run(case, rate, settings):
    tensors = load_file(f"sb3/{case}/vectors.safetensors")
    info = json.load(open(f"sb3/{case}/vectors.json"))
    flat = lambda name: tensors[name].transpose(0, 1).reshape(T * N, *tensors[name].shape[2:])  # environment by environment
    obs, actions, old_log_probs = flat("observations"), flat("actions"), flat("log_probs")
    advantages, returns, old_values = flat("advantages"), flat("returns"), flat("values")
    if settings.get("normalize_values"):
        # time by time, as keel counts them; the order changes sums only in their last bits
        running = Running()
        old_values = running(old_values)
        returns = running(returns)
    net = Net(tensors)
    log_std = net.p["log_std"] if "log_std" in net.p else None
    optimizer = torch.optim.Adam(net.parameters(), lr=rate, eps=info["adam_eps"])
    adaptive = settings.get("adaptive_rate")
    with torch.no_grad():
        said = net.outputs(obs)
        spread = None if log_std is None else log_std.detach().clone().expand(T * N, -1).clone()
    clip, most, found = info["clip_range"], info["max_grad_norm"], {"kl": [], "rate": [], "beyond": [], "norms": []}
    value_names = lambda name: "value_net" in name
    for epoch in range(EPOCHS):
        pass_kl = []
        for rows in tensors[f"perm.{epoch}"].split(BATCH):
            outputs = net.outputs(obs[rows])
            heads = net.heads(outputs, log_std)
            a = advantages[rows]
            a = (a - a.mean()) / (a.std() + 1e-8)
            ratio = (log_prob(heads, actions[rows]) - old_log_probs[rows]).exp()
            policy = torch.max(-a * ratio, -a * ratio.clamp(1 - clip, 1 + clip)).mean()
            values = net.values(obs[rows])
            error = (values - returns[rows]) ** 2
            if settings.get("value_clip_range"):
                c = settings["value_clip_range"]
                near = old_values[rows] + (values - old_values[rows]).clamp(-c, c)
                error = torch.max(error, (near - returns[rows]) ** 2)
            entropy = sum(head.entropy() for head in heads).mean()
            beyond = torch.zeros(())
            if settings.get("bound_coef"):
                scaled = (outputs - (HIGH + LOW) / 2) / ((HIGH - LOW) / 2)
                beyond = (((scaled - 1.1).clamp_min(0) ** 2 + (-scaled - 1.1).clamp_min(0) ** 2).sum(-1)).mean()
            loss = policy + info["vf_coef"] * error.mean() - info["ent_coef"] * entropy
            loss = loss + settings.get("bound_coef", 0.0) * beyond
            optimizer.zero_grad()
            loss.backward()
            groups = [[p for n, p in net.named_parameters() if value_names(n) == wanted] for wanted in (False, True)]
            norms = [torch.nn.utils.get_total_norm([p.grad for p in group]).item() for group in groups]
            if settings.get("gradient_clip") == "separate":
                [torch.nn.utils.clip_grad_norm_(group, most) for group in groups]
            else:
                torch.nn.utils.clip_grad_norm_(net.parameters(), most)
            if adaptive:
                before = adaptive["law"] == "before_step"
                with torch.no_grad():
                    old = net.heads(said[rows], None if spread is None else spread[rows])
                    pairs = zip(old, heads) if before else zip(heads, old)
                    kl = sum(kl_divergence(p, q) for p, q in pairs).mean().item()
                    if abs(kl) < 1e-7:  # float32 cannot say it
                        kl = 0.0
                    if adaptive.get("refresh"):
                        said[rows] = outputs.detach()
                        if spread is not None:
                            spread[rows] = log_std.detach()
                pass_kl.append(kl)
                found["kl"].append(kl)

                def moved(rate, kl):
                    if kl > 2 * adaptive["target_kl"]:
                        return max(adaptive["minimum"], rate / 1.5)
                    if kl < adaptive["target_kl"] / 2 and (kl > 0 or not before):
                        return min(1e-2, rate * 1.5)
                    return rate

                if before:
                    rate = moved(rate, kl)
            for group in optimizer.param_groups:
                group["lr"] = rate
            found["rate"].append(rate)
            found["beyond"].append(beyond.item())
            found["norms"].append(norms)
            optimizer.step()
            if adaptive and adaptive["law"] == "after_step":
                rate = moved(rate, kl)
        if adaptive and adaptive["law"] == "after_epoch":
            rate = moved(rate, sum(pass_kl) / len(pass_kl))
    return found, {name[2:].replace("/", "."): p.detach() for name, p in net.named_parameters()}


vectors, parameters = {}, {}
for name, (case, rate, settings) in VARIANTS.items():
    found, after = run(case, rate, settings)
    vectors[name] = {"case": case, "learning_rate": rate, "algorithm": settings, "low": LOW, "high": HIGH, **found}
    parameters.update({f"{name}.{k}": v.contiguous() for k, v in after.items()})
    print(name, [f"{k:.2e}" for k in found["kl"]], [f"{r:.2e}" for r in found["rate"]], found["beyond"][:2], found["norms"][0])
json.dump(vectors, open("variants/vectors.json", "w"), indent=1)
save_file(parameters, "variants/vectors.safetensors")
