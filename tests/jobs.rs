//! The life of a job beside others: abandoned, waited for, shut down, saved and restored around.

mod support;

use keel::data::{Batch, Column, Kind, Values};
use keel::error::Status;
use keel::session::{Job, Role, Session, State};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use support::drive::{finish, to_step};
use support::*;

const PPO: &str = r#"{"algorithm": {"type": "ppo", "epochs": 2, "minibatches": 2}, "optimizer": {"learning_rate": 0.01},
                      "threads": 1}"#;

/// A session with rows for one update, and that update, planned.
fn planned() -> (Arc<Session>, Arc<Job>) {
    let session = session(PPO, &tiny_model(1));
    session.push(&rollouts(&session, 8, 0)).unwrap();
    let job = session.update().unwrap().unwrap();
    (session, job)
}

fn version(session: &Session) -> u64 {
    session.model(Role::Policy).unwrap().weights().version
}

#[test]
fn a_started_job_without_a_handle_is_finished_by_the_hosts_next_calls() {
    let (session, job) = planned();
    let before = version(&session);
    job.start().unwrap();
    job.abandon();
    let watched = Arc::downgrade(&job);
    drop(job);
    while watched.upgrade().is_some() {
        assert_eq!(session.update().err().map(|error| error.status), Some(Status::InUse));
        session.runtime().settle_orphans();
        std::thread::yield_now();
    }
    assert_eq!(version(&session), before + 1);
    assert!(session.update().unwrap().is_none(), "its rows are used up");
    assert_eq!(metric(&session, "policy/version"), (before + 1) as f64);
}

#[test]
fn a_pumped_job_without_a_handle_is_cancelled_and_keeps_its_rows() {
    let (session, job) = planned();
    let before = version(&session);
    to_step(&job, 1);
    job.abandon();
    drop(job);
    session.runtime().settle_orphans();
    assert_eq!(version(&session), before + 1, "the step that was applied is published");
    assert_eq!(step(&session).unwrap().optimizer_steps, 4);
}

#[test]
fn a_shutdown_leaves_nothing_of_a_job_without_a_handle() {
    let (session, job) = planned();
    let (runtime, watched) = (session.runtime().clone(), Arc::downgrade(&session));
    to_step(&job, 1);
    job.abandon();
    drop((job, session));
    assert!(watched.upgrade().is_some(), "the job has not been settled");
    runtime.shutdown(Duration::MAX).unwrap();
    assert!(watched.upgrade().is_none());
}

#[test]
fn a_settled_job_keeps_nothing_but_its_output() {
    let (session, job) = planned();
    job.run().unwrap();
    assert_eq!(Arc::strong_count(&session), 1);
}

#[test]
fn a_shut_down_runtime_still_runs_jobs_on_the_hosts_threads() {
    let (session, job) = planned();
    session.runtime().shutdown(Duration::from_secs(10)).unwrap();
    assert_eq!(job.start().unwrap_err().status, Status::State);
    assert_eq!(job.run().unwrap().state, State::Done);
    let path = std::env::temp_dir().join(format!("keel-jobs-{}.keel", std::process::id()));
    assert_eq!(session.save(path.clone()).unwrap().run().unwrap().state, State::Done);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn wait_ends_with_the_driver_of_another_thread() {
    let (_session, job) = planned();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| loop {
            match job.wait(Duration::from_secs(3600)).unwrap().state {
                State::Pending => std::thread::yield_now(),
                state => return state,
            }
        });
        job.run().unwrap();
        assert_eq!(waiting.join().unwrap(), State::Done);
    });
}

#[test]
fn a_failed_job_says_so_to_everybody_at_once() {
    let (session, _) = planned();
    let job = session.save("/proc/no/such/place".into()).unwrap();
    job.start().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| loop {
                match job.poll() {
                    Ok(report) => assert_eq!(report.state, State::Pending),
                    Err(error) => return assert_eq!(error.status, Status::File),
                }
            });
        }
    });
    assert_eq!(job.error().unwrap().status, Status::File);
    assert_eq!(job.run().unwrap_err().status, Status::File);
    assert_eq!(job.batch().unwrap_err().status, Status::File);
}

#[test]
fn a_cancelled_job_is_cancelled_for_every_driver() {
    let (_session, job) = planned();
    to_step(&job, 1);
    job.cancel();
    for error in [job.poll(), job.run(), job.pump(Duration::ZERO)].map(Result::unwrap_err) {
        assert_eq!(error.status, Status::Cancelled);
    }
    assert_eq!(job.report().state, State::Cancelled);
    assert_eq!(job.report().optimizer_steps, 1);
}

#[test]
fn a_restore_that_an_update_overtook_is_refused() {
    let session = session(PPO, &tiny_model(1));
    session.push(&rollouts(&session, 8, 0)).unwrap();
    let path = std::env::temp_dir().join(format!("keel-overtaken-{}.keel", std::process::id()));
    session.save(path.clone()).unwrap().run().unwrap();
    let restore = session.restore(path.clone()).unwrap();
    let update = session.update().unwrap().unwrap();
    to_step(&update, 1);
    assert_eq!(restore.run().unwrap_err().status, Status::InUse);
    assert_eq!(update.run().unwrap().optimizer_steps, 4);
    assert_eq!(session.restore(path.clone()).unwrap().run().unwrap().state, State::Done);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_started_restore_changes_the_session_in_the_hosts_call() {
    let (session, job) = planned();
    let path = std::env::temp_dir().join(format!("keel-started-{}.keel", std::process::id()));
    session.save(path.clone()).unwrap().run().unwrap();
    let saved = session.state_hash().unwrap();
    job.run().unwrap();
    let trained = session.state_hash().unwrap();
    let restore = session.restore(path.clone()).unwrap();
    restore.start().unwrap();
    for _ in 0..20 {
        assert_eq!(session.state_hash().unwrap(), trained);
        std::thread::sleep(Duration::from_millis(1));
    }
    finish(&restore);
    assert_eq!(session.state_hash().unwrap(), saved);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn every_checkpoint_beside_an_update_stands_between_two_steps() {
    let (session, job) = planned();
    let start = session.export().unwrap();
    let mut boundaries = BTreeSet::from([session.state_hash().unwrap()]);
    while job.pump(Duration::ZERO).unwrap().optimizer_steps < 3 {
        boundaries.insert(session.state_hash().unwrap());
    }
    boundaries.insert(session.state_hash().unwrap());
    job.start().unwrap();
    while job.report().optimizer_steps < 4 {
        std::thread::yield_now();
    }
    boundaries.insert(session.state_hash().unwrap());
    finish(&job);
    boundaries.insert(session.state_hash().unwrap());
    assert_eq!(boundaries.len(), 6, "the beginning, four steps, the end");
    let other = support::session(PPO, &tiny_model(1));
    for _ in 0..5 {
        session.import(&start).unwrap();
        let job = session.update().unwrap().unwrap();
        job.start().unwrap();
        while job.wait(Duration::ZERO).unwrap().state == State::Pending {
            let hash = session.state_hash().unwrap();
            assert!(boundaries.contains(&hash), "a state of no step");
            other.import(&session.export().unwrap()).unwrap();
            assert!(boundaries.contains(&other.state_hash().unwrap()), "a checkpoint of no step");
        }
    }
}

#[test]
fn the_reference_stays_what_the_policy_was() {
    let (session, job) = planned();
    let reference = session.model(Role::Reference).unwrap();
    let before = reference.weights().data().copy();
    job.run().unwrap();
    assert!(session.model(Role::Reference).unwrap().weights().data().equal(&before));
    assert!(!session.model(Role::Policy).unwrap().weights().data().equal(&before));
}

#[test]
fn an_evaluation_reads_published_weights_only() {
    let text = r#"{"algorithm": {"type": "sft", "batch_size": 2, "epochs": 0}, "optimizer": {"learning_rate": 0.1},
                   "threads": 1}"#;
    let session = session(text, &tiny_model(2));
    let mut rows: Batch = batch(Kind::Demonstrations, &[("prompt", prompts(3)), ("response", prompts(3))]);
    rows.set("split", Column { values: Values::I32(vec![0, 1, 0]), offsets: None }).unwrap();
    session.push(&rows).unwrap();
    let evaluated = || {
        session.evaluate().unwrap().unwrap().run().unwrap();
        metric(&session, "evaluation/loss_nll")
    };
    let before = evaluated();
    let update = session.update().unwrap().unwrap();
    // on keel's thread the step is applied, and nothing is published
    update.start().unwrap();
    while update.report().optimizer_steps == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(evaluated(), before, "what is applied and not published does not count");
    finish(&update);
    assert_ne!(evaluated(), before);
}
