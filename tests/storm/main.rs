//! Eight threads use one runtime at random through the C functions: they act, push, update, start, pump, poll, cancel,
//! publish, configure, pause, import and destroy what the others hold. What cannot be done is refused; nothing panics, races, hangs or leaks.
//!
//! KEEL_STORM_SECONDS: how long. tools/races runs it for a minute under ThreadSanitizer.

#[cfg(feature = "races")]
mod counts;
mod host;

use host::*;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const THREADS: u64 = 8;
const SLOTS: usize = 4;

/// Handles that all threads share. Each place always holds one, which may be stale.
struct World {
    runtime: u64,
    sessions: Vec<AtomicU64>,
    actors: Vec<AtomicU64>,
    jobs: Vec<AtomicU64>,
    done: Vec<AtomicU64>,
}

/// What a thread may do, how often, and what it is called.
type Deed = (u32, &'static str, fn(&World, &mut Random) -> i32);

const DEEDS: &[Deed] = &[
    (60, "act", act_and_observe),
    (20, "push", push),
    (12, "update", |world, random| world.begin(random, update)),
    (3, "generate", |world, random| world.begin(random, |session| generate(world.runtime, session))),
    (12, "start", |world, random| start(world.job(random))),
    (30, "pump", |world, random| pump(world.job(random), random.below(300))),
    (30, "poll", |world, random| poll(world.job(random))),
    (4, "wait", |world, random| wait(world.job(random), random.below(2000))),
    (4, "cancel", |world, random| cancel(world.job(random))),
    (4, "destroy_job", |world, random| {
        destroy_job(world.job(random));
        0
    }),
    (20, "event", |world, _| next_event(world.runtime)),
    (10, "read", |world, random| read(world.session(random))),
    (3, "export", |world, random| export(world.session(random))),
    (2, "clear", |world, random| clear(world.session(random))),
    (4, "configure", |world, random| world.begin(random, configure)),
    (4, "publish", |world, random| world.begin(random, publish)),
    (4, "pause", |world, random| pause(world.session(random))),
    (4, "import", |world, random| export_and_import(world.session(random))),
    (3, "actor", |world, random| world.replace_actor(random)),
    (1, "session", |world, random| world.replace_session(random)),
];

impl World {
    fn new() -> World {
        let runtime = create_runtime();
        let places = |count: usize| (0..count).map(|_| AtomicU64::new(0)).collect::<Vec<_>>();
        let world =
            World { runtime, sessions: places(4), actors: places(6), jobs: places(6), done: places(DEEDS.len()) };
        for (place, session) in world.sessions.iter().enumerate() {
            session.store(create_session(runtime, place), Ordering::SeqCst);
        }
        world
    }

    fn session(&self, random: &mut Random) -> u64 {
        random.of(&self.sessions).load(Ordering::SeqCst)
    }

    fn job(&self, random: &mut Random) -> u64 {
        random.of(&self.jobs).load(Ordering::SeqCst)
    }

    /// Begins long work, in the place of a job that is let go.
    fn begin(&self, random: &mut Random, work: impl Fn(u64) -> (i32, u64)) -> i32 {
        let (status, job) = work(self.session(random));
        if job != 0 {
            destroy_job(random.of(&self.jobs).swap(job, Ordering::SeqCst));
        }
        status
    }

    fn replace_actor(&self, random: &mut Random) -> i32 {
        let (status, actor) = create_actor(self.session(random));
        if actor != 0 {
            destroy_actor(random.of(&self.actors).swap(actor, Ordering::SeqCst));
        }
        status
    }

    fn replace_session(&self, random: &mut Random) -> i32 {
        let place = random.below(self.sessions.len() as u64) as usize;
        destroy_session(self.sessions[place].swap(create_session(self.runtime, place), Ordering::SeqCst));
        0
    }

    /// One deed; those that were done are counted.
    fn act(&self, random: &mut Random) {
        let total: u32 = DEEDS.iter().map(|(weight, ..)| weight).sum();
        let mut chosen = random.below(total.into()) as u32;
        let kind = DEEDS.iter().position(|(weight, ..)| {
            let here = chosen < *weight;
            chosen = chosen.saturating_sub(*weight);
            here
        });
        let kind = kind.unwrap();
        let status = DEEDS[kind].2(self, random);
        assert!(status > -900, "{}: {status}", DEEDS[kind].1);
        if status >= 0 {
            self.done[kind].fetch_add(1, Ordering::Relaxed);
        }
    }

    fn end(self) {
        shutdown(self.runtime);
        self.jobs.iter().for_each(|job| destroy_job(job.load(Ordering::SeqCst)));
        self.actors.iter().for_each(|actor| destroy_actor(actor.load(Ordering::SeqCst)));
        self.sessions.iter().for_each(|session| destroy_session(session.load(Ordering::SeqCst)));
        destroy_runtime(self.runtime);
    }
}

fn act_and_observe(world: &World, random: &mut Random) -> i32 {
    let actor = random.of(&world.actors).load(Ordering::SeqCst);
    let observations: Vec<f32> = (0..SLOTS * OBSERVATION).map(|_| random.below(1000) as f32 / 500.0 - 1.0).collect();
    let slots: Vec<u32> = (0..SLOTS as u32).collect();
    match act(actor, &slots, &observations) {
        0 => observe(actor, &slots, &[0.5; SLOTS], &[i32::from(random.below(10) == 0); SLOTS]),
        refused => refused,
    }
}

fn push(world: &World, random: &mut Random) -> i32 {
    let rows: Vec<Vec<i32>> =
        (0..3).map(|_| (0..1 + random.below(6)).map(|_| random.below(20) as i32).collect()).collect();
    push_demonstrations(world.runtime, world.session(random), &rows)
}

#[test]
fn eight_threads_at_random_meet_no_harm() {
    let seconds = std::env::var("KEEL_STORM_SECONDS").map_or(3, |text| text.parse().unwrap());
    let before = live_handles();
    let world = World::new();
    let until = Instant::now() + Duration::from_secs(seconds);
    std::thread::scope(|scope| {
        let world = &world;
        let storm = |thread| {
            move || {
                let mut random = Random::new(thread);
                while Instant::now() < until {
                    world.act(&mut random);
                }
            }
        };
        // ThreadSanitizer sees joins, and not by what a scope waits
        let threads: Vec<_> = (1..=THREADS).map(|thread| scope.spawn(storm(thread))).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
    for ((_, name, _), done) in DEEDS.iter().zip(&world.done) {
        let done = done.load(Ordering::Relaxed);
        println!("{name}: {done}");
        assert!(done > 0, "{name} was never done");
    }
    world.end();
    assert_eq!(live_handles(), before);
}
