//! Events waiting for the host: one bounded queue per open source, the oldest lost and counted where a queue is full.
//!
//! Pushing is short and never waits for a reader; the lock is held for no work of a learner.

use super::event::Event;
use super::metric::metric;
use crate::error::Result;
use parking_lot::Mutex;
use serde_json::{json, Value};
use std::collections::{BTreeMap, VecDeque};

/// The queues of a runtime.
pub struct Events {
    capacity: usize,
    queues: Mutex<Queues>,
}

#[derive(Default)]
struct Queues {
    sequence: u64,
    sources: BTreeMap<u64, Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(u64, Event)>,
    dropped: u64,
}

impl Events {
    /// Queues of up to `capacity` events each, at least one.
    pub fn new(capacity: usize) -> Events {
        Events { capacity: capacity.max(1), queues: Mutex::default() }
    }

    /// Makes the queue of a source.
    pub fn open(&self, source: u64) {
        self.queues.lock().sources.entry(source).or_default();
    }

    /// Forgets a source and what it has waiting; what it says from now on is lost.
    pub fn close(&self, source: u64) {
        self.queues.lock().sources.remove(&source);
    }

    /// Appends an event of an open source; where its queue is full, the oldest is lost and counted.
    pub fn push(&self, source: u64, event: Event) {
        if let Event::Metrics { values, .. } = &event {
            debug_assert!(values.iter().all(|(name, _)| metric(name).is_some()), "{values:?}: not in the table");
        }
        let mut queues = self.queues.lock();
        let Queues { sequence, sources } = &mut *queues;
        let Some(queue) = sources.get_mut(&source) else { return };
        *sequence += 1;
        if queue.waiting.len() == self.capacity {
            queue.waiting.pop_front();
            queue.dropped += 1;
        }
        queue.waiting.push_back((*sequence, event));
    }

    /// The oldest event of a source, or of all sources where it is 0, as JSON.
    ///
    /// Besides the event's own members it has `source`, `sequence` (counts the events of the runtime, from 1) and
    /// `dropped` (events of this source lost since the one read before).
    pub fn next(&self, source: u64) -> Option<String> {
        let mut text = None;
        let keep = |event: &str| {
            text = Some(event.to_string());
            Ok(())
        };
        self.take(source, keep).ok().and(text)
    }

    /// Hands the same text over; the event leaves its queue unless the reader refuses it. Whether there was one; none where
    /// another thread is at the queues this moment, for which a reader does not wait.
    pub fn take(&self, source: u64, reader: impl FnOnce(&str) -> Result<()>) -> Result<bool> {
        let Some(mut queues) = self.queues.try_lock() else { return Ok(false) };
        let Some(source) = queues.oldest(source) else { return Ok(false) };
        let Some(queue) = queues.sources.get_mut(&source) else { return Ok(false) };
        let Some((sequence, event)) = queue.waiting.front() else { return Ok(false) };
        let mut members = event.to_json();
        members.insert("source".into(), json!(source));
        members.insert("sequence".into(), json!(sequence));
        members.insert("dropped".into(), json!(queue.dropped));
        reader(&Value::Object(members).to_string())?;
        queue.waiting.pop_front();
        queue.dropped = 0;
        Ok(true)
    }
}

impl Queues {
    /// The source whose event waits longest: the given one, or among all where it is 0.
    fn oldest(&self, source: u64) -> Option<u64> {
        let fronts = self.sources.iter().filter_map(|(source, queue)| Some((queue.waiting.front()?.0, *source)));
        fronts.filter(|(_, each)| source == 0 || *each == source).min().map(|(_, source)| source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, Status};

    fn warning(text: &str) -> Event {
        Event::Warning { message: text.into() }
    }

    fn read(events: &Events, source: u64) -> Option<(String, u64, u64)> {
        let value: Value = serde_json::from_str(&events.next(source)?).unwrap();
        let message = value["message"].as_str().unwrap().to_string();
        Some((message, value["source"].as_u64().unwrap(), value["dropped"].as_u64().unwrap()))
    }

    #[test]
    fn events_come_in_order_by_source_or_from_all() {
        let events = Events::new(8);
        [3, 7].into_iter().for_each(|source| events.open(source));
        for (source, text) in [(7, "a"), (3, "b"), (7, "c"), (3, "d")] {
            events.push(source, warning(text));
        }
        assert_eq!(read(&events, 3), Some(("b".into(), 3, 0)));
        assert_eq!(read(&events, 0), Some(("a".into(), 7, 0)));
        assert_eq!(read(&events, 0), Some(("c".into(), 7, 0)));
        assert_eq!(read(&events, 7), None);
        assert_eq!(read(&events, 0), Some(("d".into(), 3, 0)));
        assert_eq!(read(&events, 0), None);
    }

    #[test]
    fn a_full_queue_loses_its_oldest_and_says_how_many() {
        let events = Events::new(2);
        [1, 2].into_iter().for_each(|source| events.open(source));
        for text in ["a", "b", "c", "d", "e"] {
            events.push(1, warning(text));
        }
        events.push(2, warning("other"));
        assert_eq!(read(&events, 1), Some(("d".into(), 1, 3)));
        assert_eq!(read(&events, 1), Some(("e".into(), 1, 0)));
        assert_eq!(read(&events, 2), Some(("other".into(), 2, 0)));
    }

    #[test]
    fn a_reader_that_refuses_takes_nothing() {
        let events = Events::new(2);
        events.open(5);
        events.push(5, warning("text"));
        let expected = r#"{"event":"warning","message":"text","source":5,"sequence":1,"dropped":0}"#;
        let refusal = Error::new(Status::Capacity, "no room");
        assert_eq!(events.take(5, |_| Err(refusal.clone())), Err(refusal.clone()));
        let mut found = String::new();
        let keep = |event: &str| {
            found.push_str(event);
            Ok(())
        };
        assert_eq!(events.take(5, keep), Ok(true));
        assert_eq!(found, expected);
        assert_eq!(events.take(5, |_| Err(refusal)), Ok(false));
    }

    #[test]
    fn a_closed_source_is_silent() {
        let events = Events::new(2);
        [5, 6].into_iter().for_each(|source| events.open(source));
        events.push(5, warning("a"));
        events.push(6, warning("b"));
        events.close(5);
        events.push(5, warning("c"));
        assert_eq!(read(&events, 0), Some(("b".into(), 6, 0)));
        assert_eq!(read(&events, 5), None);
    }

    #[test]
    fn many_threads_push_and_none_is_lost_uncounted() {
        let events = Events::new(16);
        events.open(9);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..500).for_each(|_| events.push(9, warning("x"))));
            }
        });
        let mut seen = 0;
        while let Some((_, _, dropped)) = read(&events, 9) {
            seen += 1 + dropped;
        }
        assert_eq!(seen, 2000);
    }
}
