"""Networks that hosts bring to control policies, as TorchScript, and what eager torch says of them.

  script/tanh.pt            policy and value of two hidden layers of 8 for a cart (torch.jit.script): 4 numbers in, 2 logits out
  script/traced.pt          the same module, traced with 3 rows
  script/gaussian.pt        3 numbers in, the means of 2 dimensions out, with a residual layer, a frozen parameter and a buffer
  script/vectors.json       of tanh and gaussian: observations, outputs, values
  script/refused/NAME.pt    modules that are no networks of policies, each by what is wrong with it
  script/touchy.pt          as tanh, but throws where a number lies beyond 100
  script/dropping.pt        with dropout and normalisation over batches, saved in training mode
  script/widening.pt        as tanh, but gives other shapes there

Run in tests/golden: python make/gen_script.py
"""
import json
import pathlib
from typing import Tuple

import torch
from torch import Tensor, nn

torch.manual_seed(7)


class Tanh(nn.Module):
    def __init__(self):
        super().__init__()
        layers = lambda last: nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, last))
        self.policy, self.value = layers(2), layers(1)

    def forward(self, observation: Tensor) -> Tuple[Tensor, Tensor]:
        return self.policy(observation), self.value(observation).squeeze(-1)


class Gaussian(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.block, self.last = nn.Linear(3, 8), nn.Linear(8, 8), nn.Linear(8, 3)
        self.gain = nn.Parameter(torch.tensor(0.5))
        self.frozen = nn.Parameter(torch.randn(8, 8) * 0.2, requires_grad=False)
        self.register_buffer("scale", torch.tensor([1.0, 2.0, 0.5]))

    def forward(self, observation: Tensor) -> Tuple[Tensor, Tensor]:
        x = torch.relu(self.first(observation * self.scale))
        x = x + self.gain * torch.relu(self.block(x)) + torch.tanh(x @ self.frozen)
        said = self.last(x)
        return said[:, :2], said[:, 2]


class Touchy(Tanh):
    def forward(self, observation: Tensor) -> Tuple[Tensor, Tensor]:
        if bool((observation.abs() > 100).any()):
            raise RuntimeError("this network knows no such place")
        return self.policy(observation), self.value(observation).squeeze(-1)


class Widening(Tanh):
    def forward(self, observation: Tensor) -> Tuple[Tensor, Tensor]:
        outputs = self.policy(observation)
        if bool((observation.abs() > 100).any()):
            outputs = torch.cat([outputs, outputs], 1)
        return outputs, self.value(observation).squeeze(-1)


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, observation: Tensor) -> Tuple[Tensor, Tensor]:
        said = self.layer(observation)
        return said[:, :2], said[:, 2]


class Dropping(Small):
    def __init__(self):
        super().__init__()
        self.dropout = nn.Dropout(0.5)
        self.norm = nn.BatchNorm1d(3)

    def forward(self, observation: Tensor) -> Tuple[Tensor, Tensor]:
        said = self.norm(self.dropout(self.layer(observation)))
        return said[:, :2], said[:, 2]


class Alone(Small):
    def forward(self, observation: Tensor) -> Tensor:
        return self.layer(observation)


class Wide(Small):
    def forward(self, observation: Tensor) -> Tuple[Tensor, Tensor]:
        return self.layer(observation), self.layer(observation)[:, 0]


class Column(Small):
    def forward(self, observation: Tensor) -> Tuple[Tensor, Tensor]:
        said = self.layer(observation)
        return said[:, :2], said[:, 2:]


class Squeezed(Small):
    def forward(self, observation: Tensor) -> Tuple[Tensor, Tensor]:
        said = self.layer(observation)
        return said[:, :2], said[:, 2:].squeeze()


class Double(Small):
    def forward(self, observation: Tensor) -> Tuple[Tensor, Tensor]:
        said = self.layer(observation).double()
        return said[:, :2], said[:, 2]


class DoubleWeights(Small):
    def __init__(self):
        super().__init__()
        self.more = nn.Parameter(torch.zeros(2, dtype=torch.float64))


class Frozen(Small):
    def __init__(self):
        super().__init__()
        self.requires_grad_(False)


class Detached(Small):
    def forward(self, observation: Tensor) -> Tuple[Tensor, Tensor]:
        said = self.layer(observation).detach()
        return said[:, :2], said[:, 2]


class Random(Small):
    def forward(self, observation: Tensor) -> Tuple[Tensor, Tensor]:
        said = self.layer(observation)
        said = said + torch.randn_like(said)
        return said[:, :2], said[:, 2]


class Batched(Small):
    def forward(self, observation: Tensor) -> Tuple[Tensor, Tensor]:
        said = self.layer(observation - observation.mean(0, keepdim=True))
        return said[:, :2], said[:, 2]


class Counting(Small):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, observation: Tensor) -> Tuple[Tensor, Tensor]:
        self.calls.add_(1)
        said = self.layer(observation)
        return said[:, :2], said[:, 2]


class Tied(Small):
    def __init__(self):
        super().__init__()
        self.other = nn.Linear(4, 3)
        self.other.weight = self.layer.weight


class NoForward(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    @torch.jit.export
    def act(self, observation: Tensor) -> Tensor:
        return self.layer(observation)


class Throwing(Small):
    def forward(self, observation: Tensor) -> Tuple[Tensor, Tensor]:
        if observation.size(0) > 0:
            raise RuntimeError("not today")
        return observation, observation


class Deep(Small):
    def __init__(self):
        super().__init__()
        self.layer = nn.Sequential(nn.Sequential(nn.Linear(4, 8), nn.Tanh()), nn.Sequential(nn.Tanh(), nn.Linear(9, 3)))


class Infinite(Small):
    def forward(self, observation: Tensor) -> Tuple[Tensor, Tensor]:
        said = self.layer(observation) / 0.0
        return said[:, :2], said[:, 2]


def kept(module, name):
    """Without what only a debugger reads."""
    path = folder / f"{name}.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    module.save(str(path))
    small(path)


def small(path):
    """The archive without its debugging records, whose names are the file's own."""
    import zipfile

    with zipfile.ZipFile(path) as archive:
        entries = [(info, archive.read(info)) for info in archive.infolist() if not info.filename.endswith(".debug_pkl")]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for info, content in entries:
            archive.writestr(zipfile.ZipInfo(info.filename), content)


folder = pathlib.Path("script")
tanh, gaussian = Tanh(), Gaussian()
kept(torch.jit.script(tanh), "tanh")
kept(torch.jit.trace(tanh, torch.randn(3, 4)), "traced")
kept(torch.jit.script(gaussian), "gaussian")
kept(torch.jit.script(Touchy()), "touchy")
kept(torch.jit.script(Widening()), "widening")
for wrong in [Alone, Wide, Column, Squeezed, Double, DoubleWeights, Frozen, Detached, Random, Batched, Counting, Tied,
              NoForward, Throwing, Infinite]:
    name = "".join("_" + c.lower() if c.isupper() else c for c in wrong.__name__).strip("_")
    kept(torch.jit.script(wrong()), f"refused/{name}")
kept(torch.jit.script(Dropping().train()), "dropping")

vectors = {}
for name, module, width in [("tanh", tanh, 4), ("gaussian", gaussian, 3)]:
    observations = torch.randn(6, width)
    outputs, values = module(observations)
    vectors[name] = {"observations": observations.flatten().tolist(), "outputs": outputs.flatten().tolist(),
                     "values": values.flatten().tolist()}
json.dump(vectors, open(folder / "vectors.json", "w"), indent=1)
kept(torch.jit.script(Deep()), "refused/deep")
