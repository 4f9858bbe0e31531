//! keel's own threads: what they are like, how many there are, who waits, and threads that a host provides.

mod support;

use keel::config as settings;
use keel::error::{Error, Status};
use keel::session::{Job, Role, Runtime, Session, State};
use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::*;

const PPO: &str = r#"{"algorithm": {"type": "ppo", "epochs": 4, "minibatches": 2}, "optimizer": {"learning_rate": 0.01},
                      "threads": 2}"#;

fn runtime(threads: &str) -> keel::error::Result<Arc<Runtime>> {
    let text = format!(r#"{{"cuda": "cpu", "learner_threads": {threads}}}"#);
    Runtime::create(&settings::parse(Some(text.as_bytes()))?)
}

/// A session with rows for one update, and that update, planned.
fn planned(runtime: &Arc<Runtime>) -> (Arc<Session>, Arc<Job>) {
    let session = Session::create(runtime, config(PPO)).unwrap();
    session.set_model(Role::Policy, tiny_model(1)).unwrap();
    session.push(&rollouts(&session, 8, 0)).unwrap();
    let job = session.update().unwrap().unwrap();
    (session, job)
}

fn finish(job: &Arc<Job>) {
    while job.wait(Duration::from_secs(3600)).unwrap().state == State::Pending {}
}

/// Number, nice level, policy and CPUs of the threads of this process that have this name.
fn threads(name: &str) -> HashSet<(String, i64, i64, String)> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let read = |task: std::fs::DirEntry| {
        let text = |file: &str| std::fs::read_to_string(task.path().join(file)).ok();
        let (stat, status) = (text("stat")?, text("status")?);
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let cpus = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?.trim().to_string();
        let number = task.file_name().into_string().ok()?;
        (text("comm")?.trim() == name).then(|| (number, fields[16].parse().unwrap(), fields[38].parse().unwrap(), cpus))
    };
    tasks.filter_map(read).collect()
}

/// Starts an update with these settings and cancels it when its learner thread and the OpenMP thread that works for it are
/// both as expected: nice level, policy, CPUs.
fn expect(name: &str, settings: &str, expected: (i64, i64, &str)) {
    let expected = (expected.0, expected.1, expected.2.to_string());
    let (_session, job) = planned(&runtime(settings).unwrap());
    let mut settled = HashSet::new();
    job.start().unwrap();
    while settled.len() < 2 {
        assert_eq!(job.poll().unwrap().state, State::Pending, "{settled:?} of two threads were {expected:?}");
        for (number, nice, policy, cpus) in threads(name) {
            let now = (nice, policy, cpus);
            _ = (now == expected).then(|| settled.insert(number));
        }
    }
    job.cancel();
    job.runtime().shutdown(Duration::MAX).unwrap();
}

#[test]
fn threads_and_those_that_openmp_makes_for_them_are_what_the_settings_say() {
    let host = this_one();
    let first = host.2.split([',', '-']).next().unwrap();
    let (batch, idle) = (libc::SCHED_BATCH.into(), libc::SCHED_IDLE.into());
    expect("learn-low", r#"{"name": "learn-low"}"#, (10, batch, &host.2));
    expect("learn-idle", r#"{"name": "learn-idle", "priority": "idle"}"#, (host.0, idle, &host.2));
    expect("learn-as-host", r#"{"name": "learn-as-host", "priority": "normal"}"#, (host.0, host.1, &host.2));
    expect("learn-on-one", &format!(r#"{{"name": "learn-on-one", "affinity": [{first}]}}"#), (10, batch, first));
    assert_eq!(this_one(), host, "the host's thread is as it was");
}

fn this_one() -> (i64, i64, String) {
    let name = std::fs::read_to_string("/proc/thread-self/comm").unwrap();
    let number = std::fs::read_link("/proc/thread-self").unwrap();
    let own = number.file_name().unwrap().to_str().unwrap().to_string();
    let found = threads(name.trim()).into_iter().find(|one| one.0 == own).unwrap();
    (found.1, found.2, found.3)
}

#[test]
fn settings_that_cannot_be_had_are_refused_when_the_runtime_is_made() {
    let refused = |text: &str| {
        let error = runtime(text).err().unwrap();
        assert_eq!(error.status, Status::Config, "{error}");
        error.message
    };
    assert_eq!(
        refused(r#"{"affinity": [0, 1023]}"#),
        "/learner_threads/affinity: CPU 1023 is none that this process may use"
    );
    assert!(refused(r#"{"affinity": [1024]}"#).starts_with("/learner_threads/affinity/0: "));
    assert!(refused(r#"{"affinity": [-1]}"#).starts_with("/learner_threads/affinity/0: "));
    assert!(refused(r#"{"count": 0}"#).starts_with("/learner_threads/count: "));
    assert!(refused(r#"{"share": 0}"#).starts_with("/learner_threads/share: "));
    assert!(refused(r#"{"share": 1.5}"#).starts_with("/learner_threads/share: "));
    assert!(refused(r#"{"priority": "high"}"#).starts_with("/learner_threads/priority: "));
    assert!(refused(r#"{"nice": 3}"#).starts_with("/learner_threads/nice: unknown key"));
    assert_eq!(
        refused(r#"{"name": "a-name-too-long-for-linux"}"#),
        "/learner_threads/name: expected 1 to 15 bytes and no NUL, got 25 bytes"
    );
}

#[test]
fn jobs_beyond_the_count_wait_and_begin_in_their_order() {
    let runtime = runtime(r#"{"count": 1}"#).unwrap();
    let planned: Vec<_> = (0..4).map(|_| planned(&runtime)).collect();
    let jobs: Vec<&Arc<Job>> = planned.iter().map(|one| &one.1).collect();
    jobs.iter().for_each(|job| job.start().unwrap());
    assert_eq!(jobs[3].start().unwrap_err().status, Status::Concurrent);
    while jobs[3].poll().unwrap().state == State::Pending {
        for pair in jobs.windows(2) {
            let begun = pair[1].report().slices > 0;
            assert!(!begun || pair[0].poll().unwrap().state == State::Done, "two at once, or out of order");
        }
    }
    assert!(jobs.iter().all(|job| job.poll().unwrap().state == State::Done));
}

#[test]
fn a_job_that_rests_does_the_same_and_ends_when_told() {
    let ((twin, job), resting) = (planned(&runtime("{}").unwrap()), runtime(r#"{"share": 0.5}"#).unwrap());
    job.run().unwrap();
    let (session, job) = planned(&resting);
    job.start().unwrap();
    finish(&job);
    let report = job.report();
    assert!(report.elapsed_us >= report.longest_slice_us, "all bursts count");
    assert_eq!(session.state_hash().unwrap(), twin.state_hash().unwrap());
    let sleepy = runtime(r#"{"share": 0.01}"#).unwrap();
    let (session, job) = planned(&sleepy);
    job.start().unwrap();
    while job.report().slices == 0 {}
    job.cancel();
    sleepy.shutdown(Duration::from_secs(60)).unwrap();
    assert!(matches!(job.poll(), Err(error) if error.status == Status::Cancelled));
    assert!(session.update().unwrap().is_some(), "it can be planned again");
}

#[test]
fn a_job_that_waits_is_cancelled_at_once_and_can_be_planned_again() {
    let runtime = runtime(r#"{"count": 1}"#).unwrap();
    let ((_first, running), (session, waiting)) = (planned(&runtime), planned(&runtime));
    running.start().unwrap();
    waiting.start().unwrap();
    waiting.cancel();
    assert_eq!(waiting.poll().unwrap_err().status, Status::Cancelled);
    assert_eq!(waiting.report().slices, 0);
    finish(&running);
    assert_eq!(step(&session).unwrap().optimizer_steps, 8);
}

#[test]
fn a_shutdown_ends_the_jobs_that_wait_too() {
    let runtime = runtime(r#"{"count": 1, "name": "learn-shut"}"#).unwrap();
    let planned: Vec<_> = (0..3).map(|_| planned(&runtime)).collect();
    planned.iter().for_each(|one| one.1.start().unwrap());
    runtime.shutdown(Duration::from_secs(60)).unwrap();
    for (session, job) in &planned {
        assert_eq!(job.poll().unwrap_err().status, Status::Cancelled);
        assert!(step(session).unwrap().optimizer_steps == 8, "its rows are kept");
    }
    assert!(threads("learn-shut").len() <= 1, "no thread of keel's runs, OpenMP's may still end");
}

#[test]
fn a_host_provides_the_threads() {
    let runtime = runtime(r#"{"name": "learn-none"}"#).unwrap();
    let (_session, job) = planned(&runtime);
    let threads_made = Arc::new(Mutex::new(Vec::new()));
    let made = threads_made.clone();
    runtime.set_thread_starter(Some(Arc::new(move |work| {
        let thread = std::thread::Builder::new().name("host".to_string());
        made.lock().unwrap().push(thread.spawn(work).unwrap());
        Ok(())
    })));
    job.start().unwrap();
    while job.poll().unwrap().state == State::Pending {
        assert!(threads("learn-none").is_empty());
    }
    assert_eq!(job.report().optimizer_steps, 8);
    let threads: Vec<_> = threads_made.lock().unwrap().drain(..).collect();
    assert_eq!(threads.len(), 1);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn a_job_that_the_host_gives_no_thread_is_not_started() {
    let runtime = runtime("{}").unwrap();
    let (_session, job) = planned(&runtime);
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    runtime.set_thread_starter(Some(Arc::new(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        Err(Error::new(Status::Callback, "thread starter: it returned 1"))
    })));
    assert_eq!(job.start().unwrap_err().status, Status::Callback);
    assert_eq!(job.start().unwrap_err().message, "thread starter: it returned 1");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    runtime.set_thread_starter(None);
    job.start().unwrap();
    finish(&job);
    runtime.shutdown(Duration::from_secs(60)).unwrap();
}
