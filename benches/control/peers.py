"""The peers of `make bench-control`: Stable-Baselines3, and PPO as a script of the kind of CleanRL. bench.py drives it.

    peers.py update SHAPE WHO THREADS TIMES      WHO: sb3 or script
    peers.py cartpole ENVIRONMENTS UPDATES THREADS

THREADS 0 leaves torch's default. Prints one line of JSON.
"""

import json
import sys
import time

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import configure
from torch import nn

STEPS, EPOCHS, MINIBATCH, EPISODE = 2048, 10, 64, 128
SPACES = {
    "17-64-64-6": (Box(-np.inf, np.inf, (17,)), Box(-1, 1, (6,))),
    "4-64-64-2": (Box(-np.inf, np.inf, (4,)), Discrete(2)),
}


def spent(work):
    """Wall seconds, and those that this process computed."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return {"wall": round(time.perf_counter() - wall, 5), "cpu": round(time.process_time() - cpu, 5)}


# --- Stable-Baselines3 -----------------------------------------------------------------------------------------------


class Still(gymnasium.Env):
    """Nothing but its spaces: what happens is filled into the buffer."""

    def __init__(self, observation_space, action_space):
        self.observation_space, self.action_space = observation_space, action_space

    def reset(self, seed=None, options=None):
        return np.zeros(self.observation_space.shape, np.float32), {}

    def step(self, action):
        return self.reset()[0], 0.0, False, False, {}


def fill(model):
    """A rollout of random observations and rewards with the model's own actions, values and log-probabilities."""
    buffer, random = model.rollout_buffer, np.random.default_rng(0)
    buffer.reset()
    observations = random.uniform(-1, 1, (STEPS, *model.observation_space.shape)).astype(np.float32)
    with torch.no_grad():
        actions, values, log_probs = model.policy(torch.as_tensor(observations))
    for step in range(STEPS):
        start = np.array([step % EPISODE == 0])
        buffer.add(observations[step:step + 1], actions[step:step + 1].numpy(), random.uniform(-1, 1, 1), start,
                   values[step:step + 1], log_probs[step:step + 1])
    buffer.compute_returns_and_advantage(values[-1:], np.array([True]))


def sb3_updates(shape, times):
    model = PPO("MlpPolicy", Still(*SPACES[shape]), device="cpu")
    model.set_logger(configure(format_strings=[]))

    def update():
        fill(model)
        return spent(model.train)

    return [update() for _ in range(times + 1)][1:]


def cartpole(environments, updates):
    environment = "CartPole-v1" if environments == 1 else make_vec_env("CartPole-v1", environments)
    model = PPO("MlpPolicy", environment, device="cpu")
    steps = updates * STEPS * environments
    times = spent(lambda: model.learn(steps))
    returns = [episode["r"] for episode in model.ep_info_buffer]
    return {"slots": environments, "steps": steps, **times, "return": round(np.mean(returns), 1)}


# --- one file of PyTorch ---------------------------------------------------------------------------------------------


def layer(inputs, outputs, gain=2 ** 0.5):
    linear = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(linear.weight, gain)
    nn.init.zeros_(linear.bias)
    return linear


class Agent(nn.Module):
    def __init__(self, inputs, choices, dimensions):
        super().__init__()
        self.value = nn.Sequential(layer(inputs, 64), nn.Tanh(), layer(64, 64), nn.Tanh(), layer(64, 1, 1.0))
        self.policy = nn.Sequential(layer(inputs, 64), nn.Tanh(), layer(64, 64), nn.Tanh(),
                                    layer(64, choices + dimensions, 0.01))
        self.log_deviation = nn.Parameter(torch.zeros(1, dimensions)) if dimensions else None

    def forward(self, observations, actions=None):
        """Actions, their log-probabilities, entropies, values."""
        outputs = self.policy(observations)
        if self.log_deviation is None:
            law = torch.distributions.Categorical(logits=outputs)
            actions = law.sample() if actions is None else actions
            return actions, law.log_prob(actions), law.entropy(), self.value(observations).flatten()
        law = torch.distributions.Normal(outputs, self.log_deviation.expand_as(outputs).exp())
        actions = law.sample() if actions is None else actions
        return actions, law.log_prob(actions).sum(1), law.entropy().sum(1), self.value(observations).flatten()


def learn(agent, optimizer, observations, actions, old_log_probs, advantages, returns):
    for _ in range(EPOCHS):
        for rows in torch.randperm(STEPS).split(MINIBATCH):
            _, log_probs, entropies, values = agent(observations[rows], actions[rows])
            ratio = (log_probs - old_log_probs[rows]).exp()
            advantage = advantages[rows]
            advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
            policy_loss = torch.max(-advantage * ratio, -advantage * ratio.clamp(0.8, 1.2)).mean()
            value_loss = 0.5 * (values - returns[rows]).square().mean()
            loss = policy_loss + value_loss - 0.0 * entropies.mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
            optimizer.step()


def script_updates(shape, times):
    inputs = SPACES[shape][0].shape[0]
    choices, dimensions = (2, 0) if shape == "4-64-64-2" else (0, 6)
    agent = Agent(inputs, choices, dimensions)
    optimizer = torch.optim.Adam(agent.parameters(), lr=3e-4, eps=1e-5)

    def update():
        observations, rewards = torch.rand(STEPS, inputs) * 2 - 1, torch.rand(STEPS) * 2 - 1
        with torch.no_grad():
            actions, log_probs, _, values = agent(observations)
        advantages, last = torch.zeros(STEPS), 0.0
        for step in reversed(range(STEPS)):
            goes_on = float((step + 1) % EPISODE != 0)
            following = values[min(step + 1, STEPS - 1)]
            last = rewards[step] + 0.99 * goes_on * following - values[step] + 0.99 * 0.95 * goes_on * last
            advantages[step] = last
        data = observations, actions, log_probs, advantages, advantages + values
        return spent(lambda: learn(agent, optimizer, *data))

    return [update() for _ in range(times + 1)][1:]


def main(part, *arguments):
    torch.manual_seed(0)
    threads = int(arguments[-2] if part == "update" else arguments[-1])
    if threads:
        torch.set_num_threads(threads)
    if part == "update":
        shape, who, _, times = arguments
        updates = {"sb3": sb3_updates, "script": script_updates}[who]
        said = {"shape": shape, "learner": who, "times": updates(shape, int(times))}
    else:
        said = {"who": "sb3", **cartpole(int(arguments[0]), int(arguments[1]))}
    print(json.dumps({"part": part, **said, "threads": torch.get_num_threads()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
