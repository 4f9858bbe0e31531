"""The peers of `make bench-control`: Stable-Baselines3, and PPO as a script of the kind of CleanRL. bench.py drives it.

    peers.py update SHAPE WHO THREADS TIMES      WHO: sb3 or script
    peers.py cartpole|half_cheetah WHO ENVIRONMENTS UPDATES THREADS      script: one environment

THREADS 0 leaves torch's default. Prints one line of JSON.
"""

import json
import sys
import time
import warnings

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import configure
from torch import nn

STEPS, EPOCHS, MINIBATCH, EPISODE = 2048, 10, 64, 128
TASKS = {"cartpole": "CartPole-v1", "half_cheetah": "HalfCheetah-v4"}
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


def sb3_learning(task, environments, updates):
    environment = TASKS[task] if environments == 1 else make_vec_env(TASKS[task], environments)
    model = PPO("MlpPolicy", environment, device="cpu")
    steps = updates * STEPS * environments
    times = spent(lambda: model.learn(steps))
    returns = [episode["r"] for episode in model.ep_info_buffer]
    return {"slots": environments, "steps": steps, **times, "return": round(float(np.mean(returns)), 1)}


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


def advantages_of(rewards, values, ends):
    """Generalised advantage estimation; values: one more than rewards."""
    advantages, last = torch.zeros(STEPS), 0.0
    for step in reversed(range(STEPS)):
        goes_on = 1.0 - ends[step]
        last = rewards[step] + 0.99 * goes_on * values[step + 1] - values[step] + 0.99 * 0.95 * goes_on * last
        advantages[step] = last
    return advantages


def script_updates(shape, times):
    inputs = SPACES[shape][0].shape[0]
    choices, dimensions = (2, 0) if shape == "4-64-64-2" else (0, 6)
    agent = Agent(inputs, choices, dimensions)
    optimizer = torch.optim.Adam(agent.parameters(), lr=3e-4, eps=1e-5)

    def update():
        observations, rewards = torch.rand(STEPS, inputs) * 2 - 1, torch.rand(STEPS) * 2 - 1
        with torch.no_grad():
            actions, log_probs, _, values = agent(observations)
        ends = (torch.arange(STEPS) + 1) % EPISODE == 0
        advantages = advantages_of(rewards, torch.cat([values, values[-1:]]), ends.float())
        data = observations, actions, log_probs, advantages, advantages + values
        return spent(lambda: learn(agent, optimizer, *data))

    return [update() for _ in range(times + 1)][1:]


def script_learning(task, updates):
    """One environment, from step to step through torch, as such scripts do."""
    environment = gymnasium.wrappers.RecordEpisodeStatistics(gymnasium.make(TASKS[task]))
    space, discrete = environment.action_space, isinstance(environment.action_space, Discrete)
    inputs = environment.observation_space.shape[0]
    agent = Agent(inputs, space.n if discrete else 0, 0 if discrete else space.shape[0])
    optimizer = torch.optim.Adam(agent.parameters(), lr=3e-4, eps=1e-5)
    observations, rewards, ends = torch.zeros(STEPS, inputs), torch.zeros(STEPS), torch.zeros(STEPS)
    actions = torch.zeros(STEPS, dtype=torch.int64) if discrete else torch.zeros(STEPS, *space.shape)
    log_probs, values = torch.zeros(STEPS), torch.zeros(STEPS + 1)

    def learning():
        observation = torch.as_tensor(environment.reset(seed=0)[0], dtype=torch.float32)
        for _ in range(updates):
            for step in range(STEPS):
                with torch.no_grad():
                    action, log_prob, _, value = agent(observation[None])
                observations[step], actions[step] = observation, action[0]
                log_probs[step], values[step] = log_prob, value
                acted = action[0].numpy() if discrete else np.clip(action[0].numpy(), space.low, space.high)
                following, rewards[step], terminated, truncated, _ = environment.step(acted)
                ends[step] = terminated or truncated
                following = environment.reset()[0] if ends[step] else following
                observation = torch.as_tensor(following, dtype=torch.float32)
            with torch.no_grad():
                values[STEPS] = agent(observation[None])[3]
            advantages = advantages_of(rewards, values, ends)
            learn(agent, optimizer, observations, actions, log_probs, advantages, advantages + values[:STEPS])

    times = spent(learning)
    returns = round(float(np.mean(environment.return_queue)), 1)
    return {"slots": 1, "steps": updates * STEPS, **times, "return": returns}


def main(part, *arguments):
    torch.manual_seed(0)
    warnings.filterwarnings("ignore", category=DeprecationWarning)  # v4 is what results are published of
    threads = int(arguments[-2] if part == "update" else arguments[-1])
    if threads:
        torch.set_num_threads(threads)
    if part == "update":
        shape, who, _, times = arguments
        updates = {"sb3": sb3_updates, "script": script_updates}[who]
        said = {"shape": shape, "learner": who, "times": updates(shape, int(times))}
    else:
        who, environments, updates, _ = arguments
        sizes = (int(environments), int(updates)) if who == "sb3" else (int(updates),)
        said = {"who": who, **{"sb3": sb3_learning, "script": script_learning}[who](part, *sizes)}
    print(json.dumps({"part": part, **said, "threads": torch.get_num_threads()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
