"""The rules of examples/mujoco: what Gymnasium's own v4 environments answer to fixed actions from a fixed start.

    gen_mujoco.py          needs gymnasium[mujoco]==1.4.0, mujoco==3.3.7 (that of tools/mujoco/wheels.txt), numpy==2.4.6

  mujoco/TASK.txt    trajectories, each a number of steps, the start's positions, its velocities, the observation there,
                     a line each; then a line a step: action, observation, reward, whether it terminated. f64 with 17
                     digits. The first is 100 steps long and goes on after a fall: the rules say what follows. The others
                     are one step from starts to either side of each limit of the healthy states. Actions are multiples
                     of 1/1024, the same in f32 and f64; of f32 Gymnasium would sum the squares in f32.
"""
from pathlib import Path

import gymnasium
import mujoco
import numpy as np

OUT = Path(__file__).resolve().parent.parent / "mujoco"
STEPS, EDGES = 100, 32


def words(*numbers):
    return " ".join("%.17g" % number for of in numbers for number in np.atleast_1d(of)) + "\n"


def trajectory(world, positions, velocities, actions):
    mujoco.mj_resetData(world.model, world.data)
    world.set_state(positions, velocities)
    yield words(len(actions)) + words(positions) + words(velocities) + words(world._get_obs())
    for action in actions:
        observation, reward, terminated, _, _ = world.step(action)
        yield words(action, observation, reward, float(terminated))


def rounded(numbers):
    return np.round(np.asarray(numbers) * 1024) / 1024


def edge(world, random):
    """A start to one side of one limit, or with velocities that are cut in the observation."""
    positions, velocities = world.init_qpos.copy(), random.uniform(-1, 1, world.model.nv)
    low, high = world._healthy_z_range
    where = random.integers(6)
    side = 1 + random.choice((-0.02, 0.02))
    if where in (0, 5):
        positions[1] = low + random.uniform(-0.1, 0.03)  # the floor pushes back
    elif where == 1:
        positions[1] = side * (high if np.isfinite(high) else 10)
    elif where == 2:
        positions[2] = random.choice((-1, 1)) * world._healthy_angle_range[1] * side
        velocities[2] = 0
    elif where == 3:
        velocities[0] = random.choice((-1, 1)) * 100 * (1 + 10 * (side - 1))
    else:
        velocities[:2] = random.choice((-1, 1), 2) * random.uniform(5, 15, 2)
    return rounded(positions), rounded(velocities)


def trajectories(name):
    random = np.random.default_rng(7)
    world = gymnasium.make(name).unwrapped
    world.reset(seed=7)
    # at first hardly any torque, so that a body stands for a while before it falls
    strength = np.minimum(1, np.arange(STEPS) / 50)[:, None]
    actions = rounded(random.uniform(-1, 1, (STEPS, world.model.nu)) * strength)
    yield from trajectory(world, world.data.qpos.copy(), world.data.qvel.copy(), actions)
    for _ in range(EDGES if hasattr(world, "_healthy_z_range") else 0):
        yield from trajectory(world, *edge(world, random), rounded(random.uniform(-1, 1, (1, world.model.nu))))


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    for name, file in (("HalfCheetah-v4", "half_cheetah"), ("Hopper-v4", "hopper"), ("Walker2d-v4", "walker2d")):
        (OUT / f"{file}.txt").write_text("".join(trajectories(name)))
        print(name, gymnasium.__version__, mujoco.__version__)
