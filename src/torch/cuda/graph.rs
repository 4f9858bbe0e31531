//! CUDA graphs: work on static buffers, recorded once and replayed with one launch.
//!
//! Owns the order in which libkeel_cuda.so is asked, so that a recording that fails leaves the thread and the device as they
//! were. What is recorded may read and write only tensors that live as long as the graph, and may not wait for the device.

use super::companion::{told, CGraph, Companion};
use super::COMPANION;
use crate::error::{Error, Result, Status};
use std::ptr::NonNull;

/// Work that is run as it is before it is recorded: libraries have made what they make once by then (PyTorch advises three).
const WARM_UPS: u32 = 3;

/// Recorded work of one device.
pub struct Graph {
    companion: &'static Companion,
    raw: NonNull<CGraph>,
    device: i32,
}

// SAFETY: the library ties a graph to no thread but between enter and leave, which one call spans.
unsafe impl Send for Graph {}

impl Graph {
    /// A graph with nothing recorded. `Unsupported` where libkeel_cuda.so is not beside libkeel.
    pub fn new(device: usize) -> Result<Graph> {
        let missing = || Error::new(Status::Unsupported, "graph: needs libkeel_cuda.so beside libkeel");
        Graph::by(COMPANION.get().ok_or_else(missing)?, device)
    }

    fn by(companion: &'static Companion, device: usize) -> Result<Graph> {
        let device = i32::try_from(device).map_err(|_| Error::argument(format!("device: no CUDA device {device}")))?;
        let mut raw = std::ptr::null_mut();
        // SAFETY: on success the entry writes a new graph.
        told(device, |message, room| unsafe { (companion.create_graph)(device, &mut raw, message, room) })?;
        let raw = NonNull::new(raw).ok_or_else(|| Error::new(Status::Internal, "graph: none was made"))?;
        Ok(Graph { companion, raw, device })
    }

    /// Does the work as it is, on the stream on which it will be recorded.
    pub fn warm_up(&self, work: impl FnOnce() -> Result<()>) -> Result<()> {
        self.ask(self.companion.enter)?;
        let inside = Inside(self);
        work()?;
        inside.leave()
    }

    /// Records the work, which is not done. After an error nothing is recorded, and the device can be used as before.
    pub fn record(&self, work: impl FnOnce() -> Result<()>) -> Result<()> {
        self.ask(self.companion.enter)?;
        let inside = Inside(self);
        self.ask(self.companion.begin)?;
        work()?;
        self.ask(self.companion.end)?;
        inside.leave()
    }

    /// Does what was recorded, behind what this thread gave to the device before.
    pub fn replay(&self) -> Result<()> {
        self.ask(self.companion.replay)
    }

    fn ask(&self, entry: unsafe extern "C" fn(*mut CGraph, *mut libc::c_char, usize) -> i32) -> Result<()> {
        // SAFETY: the graph lives until it is dropped.
        told(self.device, |message, room| unsafe { entry(self.raw.as_ptr(), message, room) })
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // SAFETY: made by `by`, and nobody has it any more.
        unsafe { (self.companion.destroy)(self.raw.as_ptr()) };
    }
}

/// While this thread works on the graph's stream; leaves it in every outcome, a panic's too.
struct Inside<'a>(&'a Graph);

impl Inside<'_> {
    fn leave(self) -> Result<()> {
        let left = self.0.ask(self.0.companion.leave);
        std::mem::forget(self);
        left
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        let _ = self.0.ask(self.0.companion.leave);
    }
}

/// A piece of work on static buffers that is done over and over: as it is, or recorded once it is warm, then replayed.
pub enum Stage {
    /// As it is: on the CPU, without graphs, and after a recording that failed.
    Plain,
    Warming(Graph, u32),
    Recorded(Graph),
}

impl Stage {
    /// A piece of work that is recorded once it is warm.
    pub fn warming(graph: Graph) -> Stage {
        Stage::Warming(graph, 0)
    }

    /// Does the work once. A recording that fails is given up for good: the work is done as it is, and `refused` is told why.
    pub fn run(&mut self, mut work: impl FnMut() -> Result<()>, refused: &mut Option<Error>) -> Result<()> {
        match self {
            Stage::Plain => return work(),
            Stage::Recorded(graph) => return graph.replay(),
            Stage::Warming(graph, done) if *done < WARM_UPS => {
                *done += 1;
                return graph.warm_up(work);
            }
            Stage::Warming(..) => {}
        }
        let Stage::Warming(graph, _) = std::mem::replace(self, Stage::Plain) else { return work() };
        match graph.record(&mut work) {
            Ok(()) => {
                let replayed = graph.replay();
                *self = Stage::Recorded(graph);
                replayed
            }
            Err(error) => {
                *refused = Some(error);
                work()
            }
        }
    }

    /// Whether the work is replayed from now on.
    pub fn is_recorded(&self) -> bool {
        matches!(self, Stage::Recorded(_))
    }
}

#[cfg(test)]
mod tests {
    use super::super::companion::tests::imitation;
    use super::*;

    fn fail() -> Result<()> {
        Err(Error::new(Status::Device, "a copy to the host"))
    }

    #[test]
    fn a_recording_is_entered_begun_ended_and_left() {
        let (companion, calls) = imitation("whole", "");
        let graph = Graph::by(companion, 0).unwrap();
        graph.warm_up(|| Ok(())).unwrap();
        assert_eq!(calls(), "enter leave");
        graph.record(|| Ok(())).unwrap();
        graph.replay().unwrap();
        assert_eq!(calls(), "enter leave enter begin end leave replay");
        drop(graph);
        assert_eq!(calls(), "enter leave enter begin end leave replay destroy");
        assert_eq!(Graph::by(companion, 1).err().unwrap().message, "cuda:1: no such device");
    }

    #[test]
    fn what_fails_inside_is_left_all_the_same() {
        let (companion, calls) = imitation("broken", "");
        let graph = Graph::by(companion, 0).unwrap();
        assert_eq!(graph.record(fail).unwrap_err().message, "a copy to the host");
        assert_eq!(calls(), "enter begin leave");
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| graph.warm_up(|| panic!("work"))));
        assert!(panicked.is_err());
        assert_eq!(calls(), "enter begin leave enter leave");
    }

    #[test]
    fn what_the_library_refuses_is_left_where_it_was_entered() {
        for (failing, asked) in [
            ("enter", "enter"),
            ("begin", "enter begin leave"),
            ("end", "enter begin end leave"),
            ("leave", "enter begin end leave"),
        ] {
            let (companion, calls) = imitation(failing, failing);
            let graph = Graph::by(companion, 0).unwrap();
            let error = graph.record(|| Ok(())).unwrap_err();
            assert_eq!((error.message, calls()), (format!("cuda:0: no {failing} today"), asked.to_string()));
        }
    }

    #[test]
    fn a_stage_is_warm_before_it_is_recorded_and_works_each_time() {
        let (companion, calls) = imitation("stage", "");
        let mut stage = Stage::Warming(Graph::by(companion, 0).unwrap(), 0);
        let (mut worked, mut refused) = (0, None);
        let mut work = || {
            worked += 1;
            Ok(())
        };
        for _ in 0..3 {
            stage.run(&mut work, &mut refused).unwrap();
        }
        assert_eq!((calls().as_str(), stage.is_recorded()), ("enter leave enter leave enter leave", false));
        stage.run(&mut work, &mut refused).unwrap();
        stage.run(&mut work, &mut refused).unwrap();
        assert_eq!(calls(), "enter leave enter leave enter leave enter begin end leave replay replay");
        assert!(stage.is_recorded() && refused.is_none());
        assert_eq!(worked, 4, "warm-ups and the recording");
    }

    #[test]
    fn a_stage_that_cannot_be_recorded_works_as_it_is() {
        let (companion, calls) = imitation("plain", "end");
        let mut stage = Stage::Warming(Graph::by(companion, 0).unwrap(), WARM_UPS);
        let (mut worked, mut refused) = (0, None);
        for _ in 0..2 {
            let work = || {
                worked += 1;
                Ok(())
            };
            stage.run(work, &mut refused).unwrap();
        }
        assert_eq!((calls().as_str(), stage.is_recorded()), ("enter begin end leave destroy", false));
        assert_eq!((worked, refused.unwrap().message.as_str()), (3, "cuda:0: no end today"));
    }
}
