"""One update of PPO on a recurrent policy with torch.nn.GRU and torch.nn.LSTM, each sequence by itself, nothing packed or padded.

  recurrent/{gru_separate,lstm_shared}
     vectors.safetensors  init.* (parameters before), observations, actions, log_probs (of when the steps were taken), rewards,
                          dones (1 terminated, 2 truncated), begins (1 where a sequence of at most 4 steps begins), last (the
                          observation behind each slot's last step), final (the one behind the truncated step), all [T, N, ...];
                          states [T + 1, N, S] (before each step: what a policy remembers when it acts step by step), and
                          outputs of the policy there; values, said.log_probs, said.entropies, advantages, returns;
                          one.* (parameters after one step on all), full.* (after 2 passes over 2 sets of sequences each)
     vectors.json         settings, the sets of sequences, losses of each step
"""
from common import *  # noqa: F403
from torch import nn

T, N, O, H, LONGEST = 12, 3, 5, 6, 4
SETTINGS = {"discount": 0.95, "gae_lambda": 0.9, "clip_range": 0.2, "value_coef": 0.7, "entropy_coef": 0.01,
            "learning_rate": 3e-3, "epsilon": 1e-5, "max_grad_norm": 0.5}


class Policy(nn.Module):
    def __init__(self, cell, shared, discrete):
        super().__init__()
        self.lstm, self.shared, self.discrete = cell is nn.LSTM, shared, discrete
        chains = ["trunk"] if shared else ["policy", "value"]
        self.hidden = nn.ModuleDict({chain: nn.Linear(O, 8) for chain in chains})
        self.core = nn.ModuleDict({chain: cell(8, H) for chain in chains})
        self.head = nn.ModuleDict({"policy": nn.Linear(H, 3 if discrete else 2), "value": nn.Linear(H, 1)})
        if not discrete:
            self.log_deviation = nn.Parameter(torch.zeros(2))

    def width(self):
        return len(self.core) * H * (2 if self.lstm else 1)

    def forward(self, observations, state):
        """Outputs [L, W], values [L] and the state after each, of one sequence [L, O] from `state` [S]."""
        results, after, place = {}, [], 0
        for chain, core in self.core.items():
            x = torch.tanh(self.hidden[chain](observations)).unsqueeze(1)
            h = state[place:place + H].view(1, 1, H)
            place += H
            if self.lstm:
                c = state[place:place + H].view(1, 1, H)
                place += H
                results[chain], (h, c) = core(x, (h, c))
                after += [h.flatten(), c.flatten()]
            else:
                results[chain], h = core(x, h)
                after += [h.flatten()]
        of = lambda name: results["trunk" if self.shared else name].squeeze(1)  # noqa: E731
        return self.head["policy"](of("policy")), self.head["value"](of("value")).squeeze(1), torch.cat(after)

    def distribution(self, outputs):
        if self.discrete:
            return torch.distributions.Categorical(logits=outputs)
        return torch.distributions.Normal(outputs, self.log_deviation.exp())

    def judge(self, outputs, actions):
        d = self.distribution(outputs)
        if self.discrete:
            return d.log_prob(actions.squeeze(1)), d.entropy()
        return d.log_prob(actions).sum(1), d.entropy().sum(1)


def make(cell, shared, discrete):
    policy, g = Policy(cell, shared, discrete), gen(70)
    with torch.no_grad():
        for name, parameter in sorted(policy.named_parameters()):
            parameter.copy_(torch.randn(parameter.shape, generator=g) * (0.6 if parameter.dim() > 1 else 0.2))
    return policy


def record(policy):
    """Steps of N slots, acted one by one."""
    g, d = gen(71), {}
    d["observations"] = torch.randn(T, N, O, generator=g)
    d["rewards"] = torch.randn(T, N, generator=g)
    d["last"], d["final"] = torch.randn(N, O, generator=g), torch.randn(O, generator=g)
    d["actions"] = torch.randint(0, 3, (T, N, 1), generator=g).float() if policy.discrete else torch.randn(T, N, 2, generator=g)
    dones = torch.zeros(T, N)
    dones[4, 0], dones[5, 0], dones[6, 1], dones[T - 1, 2] = 1, 1, 2, 1
    begins, states = torch.zeros(T, N), torch.zeros(T + 1, N, policy.width())
    outputs = torch.zeros(T, N, 3 if policy.discrete else 2)
    for n in range(N):
        length = 0
        for t in range(T):
            begins[t, n] = float(length % LONGEST == 0)
            length += 1
            with torch.no_grad():
                outputs[t, n], _, states[t + 1, n] = (x.squeeze(0) for x in policy(d["observations"][t, n:n + 1], states[t, n]))
            if dones[t, n] > 0:
                states[t + 1, n], length = 0.0, 0
    log_probs, _ = policy.judge(outputs.flatten(0, 1), d["actions"].flatten(0, 1))
    noise = 0.15 * torch.randn(T, N, generator=g)
    return {**d, "dones": dones, "begins": begins, "states": states, "outputs": outputs,
            "log_probs": log_probs.detach().view(T, N) + noise}


def sequences(d):
    """(slot, first step, last step) by first step, then slot."""
    found = []
    for t in range(T):
        for n in range(N):
            if d["begins"][t, n]:
                end = t
                while end + 1 < T and not d["begins"][end + 1, n]:
                    end += 1
                found.append((n, t, end))
    return found


def along(policy, d, sequence):
    n, first, last = sequence
    return policy(d["observations"][first:last + 1, n], d["states"][first, n])


def estimate(policy, d):
    values, following = torch.zeros(T, N), torch.zeros(T, N)
    with torch.no_grad():
        for n, first, last in sequences(d):
            _, values[first:last + 1, n], after = along(policy, d, (n, first, last))
            behind = d["final"] if d["dones"][last, n] == 2 else d["last"][n]
            following[last, n] = policy(behind.unsqueeze(0), after)[1].squeeze()
    advantages = torch.zeros(T, N)
    for n in range(N):
        carried = 0.0
        for t in reversed(range(T)):
            done = d["dones"][t, n]
            after = following[t, n] if done == 2 or (t == T - 1 and done == 0) else (0.0 if done == 1 else values[t + 1, n])
            carried = d["rewards"][t, n] + SETTINGS["discount"] * after - values[t, n] + (
                0.0 if done > 0 else SETTINGS["discount"] * SETTINGS["gae_lambda"] * carried)
            advantages[t, n] = carried
    return values, advantages, advantages + values


def loss_of(policy, d, chosen, advantages, returns):
    rows = {"log_probs": [], "entropies": [], "values": [], "old": [], "advantages": [], "returns": []}
    for n, first, last in chosen:
        span = slice(first, last + 1)
        outputs, values, _ = along(policy, d, (n, first, last))
        log_probs, entropies = policy.judge(outputs, d["actions"][span, n])
        for name, column in (("log_probs", log_probs), ("entropies", entropies), ("values", values),
                             ("old", d["log_probs"][span, n]), ("advantages", advantages[span, n]), ("returns", returns[span, n])):
            rows[name].append(column)
    r = {name: torch.cat(columns) for name, columns in rows.items()}
    a = (r["advantages"] - r["advantages"].mean()) / (r["advantages"].std() + 1e-8)
    ratio, clip = torch.exp(r["log_probs"] - r["old"]), SETTINGS["clip_range"]
    policy_loss = -torch.min(a * ratio, a * ratio.clamp(1 - clip, 1 + clip)).mean()
    value_loss = 0.5 * ((r["values"] - r["returns"]) ** 2).mean()
    entropy = r["entropies"].mean()
    total = policy_loss + SETTINGS["value_coef"] * value_loss - SETTINGS["entropy_coef"] * entropy
    return total, {"loss/policy": float(policy_loss), "loss/value": float(value_loss), "entropy/action": float(entropy),
                   "loss/total": float(total)}


def update(policy, d, advantages, returns, sets):
    optimizer, logs = torch.optim.Adam(policy.parameters(), lr=SETTINGS["learning_rate"], eps=SETTINGS["epsilon"]), []
    for chosen in sets:
        total, log = loss_of(policy, d, [sequences(d)[i] for i in chosen], advantages, returns)
        optimizer.zero_grad()
        total.backward()
        nn.utils.clip_grad_norm_(policy.parameters(), SETTINGS["max_grad_norm"])
        optimizer.step()
        logs.append(log)
    return logs


def parameters(policy, prefix):
    return {f"{prefix}.{name}": parameter.detach().clone() for name, parameter in policy.named_parameters()}


def case(name, cell, shared, discrete):
    policy = make(cell, shared, discrete)
    t = {**parameters(policy, "init"), **record(policy)}
    values, advantages, returns = estimate(policy, t)
    said = [torch.zeros(T, N), torch.zeros(T, N)]
    with torch.no_grad():
        for n, first, last in sequences(t):
            span = slice(first, last + 1)
            said[0][span, n], said[1][span, n] = policy.judge(along(policy, t, (n, first, last))[0], t["actions"][span, n])
    t.update({"values": values, "advantages": advantages, "returns": returns, "said.log_probs": said[0], "said.entropies": said[1]})
    count = len(sequences(t))
    one = make(cell, shared, discrete)
    logs = {"one": update(one, t, advantages, returns, [list(range(count))])}
    t.update(parameters(one, "one"))
    g, sets = gen(72), []
    for _ in range(2):
        order = torch.randperm(count, generator=g).tolist()
        sets += [order[:count // 2], order[count // 2:]]
    logs["full"] = update(policy, t, advantages, returns, sets)
    t.update(parameters(policy, "full"))
    folder = out_dir("recurrent", name)
    save_tensors(folder / "vectors.safetensors", t)
    save_json(folder / "vectors.json", {**SETTINGS, "longest": LONGEST, "sets": sets, "logs": logs, "torch": torch.__version__})


if __name__ == "__main__":
    case("gru_separate", nn.GRU, False, False)
    case("lstm_shared", nn.LSTM, True, True)
