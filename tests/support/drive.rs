//! Who drives a job, and what a host does beside it while it is unfinished.

use keel::session::{Job, State};
use std::sync::Arc;
use std::time::Duration;

/// Numbers from a stream of their own.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// A number below `most`.
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

/// Each to the end of a job, nothing beside it.
pub const DRIVERS: [fn(&Arc<Job>); 3] = [
    |job| _ = job.run().unwrap(),
    |job| {
        job.start().unwrap();
        finish(job);
    },
    |job| while job.pump(Duration::ZERO).unwrap().state == State::Pending {},
];

/// Drives a job to its end, and does something beside it before that.
pub type Driver = fn(&Arc<Job>, &mut Moments, &mut dyn FnMut());

/// How often something is done beside each job: a pumped one finds it out, others follow.
#[derive(Debug, Default)]
pub struct Moments {
    counts: Vec<u64>,
    next: usize,
}

impl Moments {
    /// From the first job on.
    pub fn again(&mut self) {
        self.next = 0;
    }

    /// Beside all jobs together.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    fn follow(&mut self) -> u64 {
        self.next += 1;
        self.counts[self.next - 1]
    }
}

/// Calls of random budgets, between which a random number of things is done, three at most.
pub fn pump(job: &Arc<Job>, moments: &mut Moments, beside: &mut dyn FnMut()) {
    let mut dice = Dice::new(moments.counts.len() as u64);
    let (most, mut count) = (dice.below(4), 0);
    loop {
        while count < most && dice.below(3) == 0 {
            beside();
            count += 1;
        }
        let budget = dice.below(2) * dice.below(400);
        if job.pump(Duration::from_micros(budget)).unwrap().state != State::Pending {
            break;
        }
    }
    moments.counts.push(count);
}

pub fn run(job: &Arc<Job>, moments: &mut Moments, beside: &mut dyn FnMut()) {
    (0..moments.follow()).for_each(|_| beside());
    job.run().unwrap();
}

/// All of it while keel's thread works, or waits for who settles the job.
pub fn start(job: &Arc<Job>, moments: &mut Moments, beside: &mut dyn FnMut()) {
    job.start().unwrap();
    for _ in 0..moments.follow() {
        beside();
        std::thread::yield_now();
    }
    finish(job);
}

/// Waits for a job that was started.
pub fn finish(job: &Arc<Job>) {
    while job.wait(Duration::from_secs(60)).unwrap().state == State::Pending {}
}

/// So many slices, one a call.
pub fn slices(job: &Arc<Job>, count: u64) {
    (0..count).for_each(|_| assert_eq!(job.pump(Duration::ZERO).unwrap().state, State::Pending));
}

/// One slice a call, to the first that ends so many optimiser steps.
pub fn to_step(job: &Arc<Job>, steps: u64) {
    while job.report().optimizer_steps < steps {
        slices(job, 1);
    }
}
