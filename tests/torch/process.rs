//! What belongs to the whole process, so that most tests run in a process of their own: this program again, with the
//! name of the test and `KEEL_TEST_CHILD`.

use super::*;
use keel::error::Status;
use keel::torch::{cuda, initialise, library_directory, on_exit, token_log_probs, warm_up, ThreadScope};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const CHILD: &str = "KEEL_TEST_CHILD";

/// Runs `test` of this program in a new process, where [`child`] then returns `argument`.
fn rerun(test: &str, argument: &str) -> Output {
    let program = std::env::current_exe().unwrap();
    let test = format!("process::{test}");
    let arguments = ["--exact", &test, "--nocapture", "--test-threads=1"];
    let output = Command::new(program).args(arguments).env(CHILD, argument).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("test result: ok. 1 passed;"), "{test} did not run and pass: {output:?}");
    output
}

fn child() -> Option<String> {
    std::env::var(CHILD).ok()
}

#[test]
fn errors_are_one_sentence_without_a_backtrace() {
    initialise();
    let error = Tensor::zeros([2, 3], FLOAT).f_matmul(&Tensor::zeros([2, 3], FLOAT)).unwrap_err().to_string();
    assert!(error.contains("mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)"), "{error}");
    assert!(!error.contains("frame #") && error.len() < 400, "{error}");
    let error = keel::torch::set_gradient(&Tensor::zeros([1], FLOAT), &Tensor::zeros([1], FLOAT)).unwrap_err();
    assert_eq!(error.message, "set_gradient: expected a leaf that requires a gradient");
}

#[test]
fn warnings_of_libtorch_are_dropped_inside_a_scope() {
    if let Some(way) = child() {
        initialise();
        let _scope = (way == "quiet").then(|| ThreadScope::new(1));
        let _ = Tensor::zeros([1, 1, 1], FLOAT).numpy_t();
        return;
    }
    let heard = |way: &str| {
        let output = rerun("warnings_of_libtorch_are_dropped_inside_a_scope", way);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let warning = heard("loud");
    assert!(warning.contains("deprecated"), "libtorch no longer warns of this, so the test needs another: {warning}");
    assert_eq!(heard("quiet"), "");
}

#[test]
fn memory_that_does_not_exist_is_named_so() {
    initialise();
    let rows = 1 << 45;
    let (hidden, head) = (Tensor::zeros([1, 1], FLOAT).expand([rows, 1], false), Tensor::zeros([2, 1], FLOAT));
    let targets = Tensor::zeros([1], (Kind::Int64, Device::Cpu)).expand([rows], false);
    let error = token_log_probs(&hidden, &head, &targets, 1.0, 1 << 20).unwrap_err();
    assert_eq!(error.status, Status::OutOfMemory, "{error}");
}

#[test]
fn libtorch_is_found_where_it_was_loaded_from() {
    let directory = library_directory().unwrap();
    assert!(directory.join("libtorch_cpu.so").is_file() && directory.join("libc10.so").is_file(), "{directory:?}");
}

#[test]
fn a_thread_scope_ends_with_what_was_there() {
    let before = tch::get_num_threads();
    {
        let _outer = ThreadScope::new(3);
        assert_eq!(tch::get_num_threads(), 3);
        {
            let _inner = ThreadScope::new(1);
            let _ = normal(1, &[300, 300], 1.0).matmul(&normal(2, &[300, 300], 1.0));
            assert_eq!(tch::get_num_threads(), 1);
        }
        let _kept = ThreadScope::new(0);
        assert_eq!(tch::get_num_threads(), 3);
    }
    assert_eq!(tch::get_num_threads(), before);
}

#[test]
fn a_thread_scope_holds_on_a_thread_that_never_met_libtorch() {
    let _here = ThreadScope::new(5);
    let there = std::thread::spawn(|| {
        let _scope = ThreadScope::new(1);
        keel::torch::clip_gradient(&Tensor::ones([1_000_000], FLOAT), 0.0).unwrap();
        let _ = Tensor::ones([1_000_000], FLOAT).exp();
        tch::get_num_threads()
    });
    assert_eq!(there.join().unwrap(), 1);
    assert_eq!(tch::get_num_threads(), 5);
}

#[test]
fn cuda_is_a_device_error_where_there_is_no_driver() {
    if child().is_some() {
        assert!(!cuda::available() && cuda::device_count() == 0);
        match cuda::load() {
            Ok(()) => assert_eq!(cuda::available(), cuda::device_count() > 0),
            Err(error) => {
                assert_eq!(error.status, Status::Device);
                assert!(error.message.starts_with("cuda: "), "{error}");
                assert_eq!(cuda::load(), Err(error));
                assert!(!cuda::available() && cuda::device_count() == 0);
            }
        }
        return;
    }
    assert!(rerun("cuda_is_a_device_error_where_there_is_no_driver", "cuda").status.success());
}

#[test]
fn cuda_cannot_join_after_the_warm_up() {
    if child().is_some() {
        warm_up().unwrap();
        assert_eq!(cuda::load().unwrap_err().status, Status::State);
        assert!(!cuda::available());
        return;
    }
    assert!(rerun("cuda_cannot_join_after_the_warm_up", "late").status.success());
}

#[test]
fn the_stop_hook_runs_once_at_exit() {
    extern "C" fn note() {
        let path = child().unwrap();
        let count = std::fs::read(&path).map_or(0, |bytes| bytes.len());
        let _ = std::fs::write(path, vec![b'x'; count + 1]);
    }
    if let Some(path) = child() {
        on_exit(note);
        warm_up().unwrap();
        warm_up().unwrap();
        assert!(!std::path::Path::new(&path).exists());
        return;
    }
    let path = std::env::temp_dir().join(format!("keel-exit-{}", std::process::id()));
    let output = rerun("the_stop_hook_runs_once_at_exit", path.to_str().unwrap());
    let noted = std::fs::read(&path).unwrap_or_default();
    let _ = std::fs::remove_file(&path);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(noted, b"x");
}

static STOP: AtomicBool = AtomicBool::new(false);
static STOPPED: AtomicBool = AtomicBool::new(false);

/// Raises the stop flag and waits for the running slice, as the learner's hook does.
extern "C" fn stop() {
    STOP.store(true, Ordering::SeqCst);
    let start = Instant::now();
    while !STOPPED.load(Ordering::SeqCst) && start.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn train() {
    let [hidden, head] = [1, 2].map(|seed| normal(seed, &[64, 64], 1.0).set_requires_grad(true));
    let targets = integers(3, 64, 64);
    while !STOP.load(Ordering::SeqCst) {
        let states = hidden.matmul(&head).tanh();
        let (log_probs, entropies) = token_log_probs(&states, &head, &targets, 1.0, 1 << 20).unwrap();
        (log_probs - entropies).mean(Kind::Float).backward();
    }
    STOPPED.store(true, Ordering::SeqCst);
}

#[test]
fn a_process_may_end_in_mid_training() {
    if let Some(delay) = child() {
        on_exit(stop);
        warm_up().unwrap();
        std::thread::spawn(train);
        std::thread::sleep(Duration::from_millis(delay.parse().unwrap()));
        return;
    }
    for delay in ["0", "1", "5", "20", "60", "3", "11", "37"] {
        let output = rerun("a_process_may_end_in_mid_training", delay);
        assert!(output.status.success(), "{delay} ms: {output:?}");
    }
}

/// The most memory this process has held, in KiB.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn the_head_never_holds_all_logits() {
    if child().is_some() {
        let _scope = ThreadScope::new(1);
        let run = |rows: i64| {
            let hidden = normal(1, &[rows, 8], 1.0).set_requires_grad(true);
            let head = normal(2, &[20_000, 8], 1.0).set_requires_grad(true);
            let targets = integers(3, rows, 20_000);
            token_log_probs(&hidden, &head, &targets, 1.0, 1 << 20).unwrap().0.mean(Kind::Float).backward();
        };
        run(64);
        let before = peak_memory();
        run(4096);
        let growth = peak_memory() - before;
        assert!(growth < 20_000, "{growth} KiB; all logits are 320 000");
        return;
    }
    let output = rerun("the_head_never_holds_all_logits", "memory");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
