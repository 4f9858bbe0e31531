"""The preference loss of segments (Christiano et al. 2017), in float64 with autograd.

  control/reward.json   per case: weights of each member's layers [in, out] and biases, segments (observations [T, 3], actions
                        [T, 2]: a choice of 3 and a number between −1 and 2), probabilities, weights, counts of each member's
                        bootstrap; the loss and its slopes at every parameter.
"""
import json
import pathlib

import torch

torch.set_default_dtype(torch.float64)
OUT = pathlib.Path(__file__).resolve().parent.parent / "control"
LENGTHS = [(4, 4), (1, 3), (5, 2), (2, 2)]


def case(noise, members, seed):
    g = torch.Generator().manual_seed(seed)
    rand = lambda *shape: torch.randn(*shape, generator=g)  # noqa: E731
    shapes = [(7, 5), (5, 1)]
    networks = [[((rand(*shape) * 0.6).requires_grad_(True), (rand(shape[1]) * 0.3).requires_grad_(True)) for shape in shapes]
                for _ in range(members)]
    # the middle of the bounds is 0.5, half their distance 1.5
    features = lambda o, a: torch.cat([o, torch.nn.functional.one_hot(a[:, 0].long(), 3).double(),  # noqa: E731
                                       (a[:, 1:].clamp(-1.0, 2.0) - 0.5) / 1.5], 1)
    # numbers that float32 holds, so that both sides read the same
    segment = lambda steps: (rand(steps, 3).float().double(), torch.cat([  # noqa: E731
        torch.randint(0, 3, (steps, 1), generator=g).double(), (rand(steps, 1) * 1.5).float().double()], 1))
    pairs = [(segment(first), segment(second)) for first, second in LENGTHS]
    probability = torch.tensor([1.0, 0.5, 0.0, 0.75])
    weight = torch.tensor([1.0, 2.0, 0.5, 1.0])
    counts = torch.tensor([[1.0, 2.0], [0.0, 1.0], [1.0, 0.0], [3.0, 1.0]])[:, :members]

    def told(network, segment):
        (w0, b0), (w1, b1) = network
        return (torch.tanh(features(*segment) @ w0 + b0) @ w1 + b1).sum()

    total = 0.0
    for member, network in enumerate(networks):
        parts = []
        for pair, p in zip(pairs, probability):
            ahead = torch.softmax(torch.stack([told(network, pair[0]), told(network, pair[1])]), 0)
            ahead = (1 - noise) * ahead + noise / 2
            parts.append(-(p * ahead[0].log() + (1 - p) * ahead[1].log()))
        share = weight * counts[:, member]
        total = total + (torch.stack(parts) * share).sum() / share.sum()
    total.backward()
    flat = lambda tensor: tensor.detach().flatten().tolist()  # noqa: E731
    return {
        "label_noise": noise, "members": members,
        "parameters": {f"member.{m}.{i}.{name}": flat(t) for m, network in enumerate(networks)
                       for i, layer in enumerate(network) for name, t in zip(["weight", "bias"], layer)},
        "slopes": {f"member.{m}.{i}.{name}": flat(t.grad) for m, network in enumerate(networks)
                   for i, layer in enumerate(network) for name, t in zip(["weight", "bias"], layer)},
        "pairs": [[{"observations": flat(s[0]), "actions": flat(s[1])} for s in pair] for pair in pairs],
        "probability": flat(probability), "weight": flat(weight), "counts": flat(counts), "loss": total.item(),
    }


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "reward.json").write_text(json.dumps([case(0.0, 1, 1), case(0.1, 2, 2)], indent=1) + "\n")
