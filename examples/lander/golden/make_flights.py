#!/usr/bin/env python3
"""Writes flights.txt: flights of Gymnasium's LunarLander-v3 with all that chance decided in them, for lander_test.cpp.

Needs gymnasium[box2d] (made with gymnasium 1.4.0, Box2D 2.3.10, numpy 2.4.6); run it in this directory. Lines:

    flight NAME discrete|continuous
    heights h0 … h11       the drawn heights of the terrain
    force fx fy            the push at the start
    start POSE             after the reset
    step ACTION noise0 noise1 POSE reward terminated
    seen o0 … o7           the observation of the step before; for one step in 25, and the last

ACTION is one number or two; noise in [-1, 1]; POSE is x y vx vy angle turn leg0 leg1 in Box2D's own units.
"""

import gymnasium
import numpy


class Recorded:
    """A generator that remembers what it has drawn."""

    def __init__(self, seed):
        self.dice, self.drawn = numpy.random.default_rng(seed), []

    def uniform(self, low, high, size=None):
        value = self.dice.uniform(low, high, size)
        self.drawn += [float(number) for number in numpy.atleast_1d(value)]
        return value

    def take(self):
        drawn, self.drawn = self.drawn, []
        return drawn


def landing(seen, continuous, _):
    """Leans towards the pad, brakes the fall: a controller of its own, good enough to land."""
    x, y, vx, vy, angle, turn, left, right = (float(number) for number in seen)
    lean = max(-0.35, min(0.35, 0.6 * x + 0.9 * vx))
    twist = 0.6 * (lean - angle) - 0.9 * turn
    lift = 0.5 * (0.5 * abs(x) - y) - 0.6 * vy
    if left or right:
        twist, lift = 0.0, -0.5 * vy
    if continuous:
        return numpy.clip(numpy.array([20 * lift - 1, -20 * twist], numpy.float32), -1, 1)
    return 2 if lift > max(abs(twist), 0.05) else 3 if twist < -0.05 else 1 if twist > 0.05 else 0


def tumbling(_, continuous, dice):
    return dice.uniform(-1.2, 1.2, 2).astype(numpy.float32) if continuous else int(dice.integers(4))


def sideways(seen, continuous, _):
    """Hovers, leaning, until it leaves the picture."""
    twist = 0.6 * (-0.4 - float(seen[4])) - 0.9 * float(seen[5])
    lift = -float(seen[3])
    if continuous:
        return numpy.clip(numpy.array([20 * lift, -20 * twist], numpy.float32), -1, 1)
    return 2 if lift > max(abs(twist), 0.0) else 3 if twist < -0.05 else 1 if twist > 0.05 else 0


def text(numbers):
    """Single precision, in as many digits as bring it back."""
    return " ".join(f"{float(number):.9g}" for number in numbers)


def pose(lander):
    body = lander.lander
    return [*body.position, *body.linearVelocity, body.angle, body.angularVelocity,
            *(leg.ground_contact for leg in lander.legs)]


def fly(out, name, seed, pilot, continuous):
    lander = gymnasium.make("LunarLander-v3", continuous=continuous, disable_env_checker=True).unwrapped
    lander._np_random = Recorded(seed)
    dice = numpy.random.default_rng(seed + 1000)
    seen, _ = lander.reset()
    drawn = lander._np_random.take()
    exact = lambda numbers: " ".join(repr(number) for number in numbers)
    print("flight", name, "continuous" if continuous else "discrete", file=out)
    print("heights", exact(drawn[:12]), file=out)
    print("force", exact(drawn[12:14]), file=out)
    print("start", text(pose(lander)), file=out)
    count, terminated, total = 0, False, 0.0
    while not terminated and count < 1000:
        action = pilot(seen, continuous, dice)
        seen, reward, terminated, _, _ = lander.step(action)
        count, total = count + 1, total + reward
        print("step", text(numpy.atleast_1d(action)), exact(lander._np_random.take()), text(pose(lander)),
              repr(float(reward)), int(terminated), file=out)
        if count % 25 == 0 or terminated:
            print("seen", text(seen), file=out)
    print(f"{name}: {count} steps, return {total:.1f}, last reward {reward:.1f}, terminated {terminated}")


with open("flights.txt", "w") as file:
    fly(file, "lands", 3, landing, False)
    fly(file, "crashes", 5, tumbling, False)
    fly(file, "lands_throttled", 4, landing, True)
    fly(file, "tumbles_throttled", 6, tumbling, True)
    fly(file, "leaves", 7, sideways, False)
