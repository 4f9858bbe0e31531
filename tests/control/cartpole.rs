//! The cart and its pole (Barto, Sutton and Anderson 1983) as Gymnasium's CartPole-v1 has it.

use keel::session::control::Episode;

const LIMIT: u32 = 500;

#[derive(Clone, Debug)]
pub struct CartPole {
    state: [f64; 4],
    steps: u32,
    random: u64,
}

impl CartPole {
    pub fn new(seed: u64) -> CartPole {
        let mut cart = CartPole { state: [0.0; 4], steps: 0, random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 };
        cart.reset();
        cart
    }

    pub fn observation(&self) -> [f32; 4] {
        self.state.map(|number| number as f32)
    }

    pub fn reset(&mut self) {
        self.steps = 0;
        for place in 0..4 {
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            self.state[place] = ((self.random >> 11) as f64 / (1u64 << 53) as f64 - 0.5) * 0.1;
        }
    }

    /// One step of 20 ms, pushed to the left (0) or right (1); each is worth 1.
    pub fn step(&mut self, action: i32) -> Episode {
        let [x, speed, angle, turn] = self.state;
        let force = if action == 1 { 10.0 } else { -10.0 };
        let (sine, cosine) = angle.sin_cos();
        let pushed = (force + 0.05 * turn * turn * sine) / 1.1;
        let bend = (9.8 * sine - cosine * pushed) / (0.5 * (4.0 / 3.0 - 0.1 * cosine * cosine / 1.1));
        let shove = pushed - 0.05 * bend * cosine / 1.1;
        self.state = [x + 0.02 * speed, speed + 0.02 * shove, angle + 0.02 * turn, turn + 0.02 * bend];
        self.steps += 1;
        let fallen = self.state[0].abs() > 2.4 || self.state[2].abs() > 12f64.to_radians();
        match fallen {
            true => Episode::Terminated,
            false if self.steps >= LIMIT => Episode::Truncated,
            false => Episode::Running,
        }
    }
}
