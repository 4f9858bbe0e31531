//! What one method of control keeps between updates, under the verbs that sessions share.
//!
//! Each method has its own: parameters in training, statistics, what it remembers. A checkpoint sees it as flat tensors by
//! name and the rest as JSON.

use super::arena::Moments;
use super::demonstrations::Demonstrations;
use super::recording::Recording;
use crate::error::{Error, Result, Status};
use serde::de::DeserializeOwned;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

pub(super) trait Course: Send {
    /// Completes an optimiser step that has begun to write; whether there was one.
    fn settle(&mut self, _writing: &AtomicBool) -> Result<bool> {
        Ok(false)
    }

    /// Makes what was learned what every reader sees; returns its version.
    fn publish(&mut self) -> Result<u64>;

    /// Takes demonstrations that were pushed.
    fn show(&mut self, _shown: Demonstrations) {}

    /// How many it holds, and how many there ever were.
    fn shown(&self) -> (usize, u64) {
        (0, 0)
    }

    /// Drops what it remembers of steps and batches, after `made` optimiser steps.
    fn clear(&mut self, _made: u64) {}

    /// All that decides its future.
    fn save(&mut self) -> Result<Saved>;

    /// Refuses what `load` could not take; changes nothing.
    fn check(&self, saved: &Saved) -> Result<()>;

    /// Takes what `save` gave and `check` approved.
    fn load(&mut self, saved: &Saved) -> Result<()>;

    /// What a version is kept by: weights and what normalises.
    fn keep(&mut self) -> Result<Saved>;

    /// Goes on from what `keep` gave, whose moments are new.
    fn go_back(&mut self, kept: &Saved) -> Result<()>;

    /// Whether a checkpoint's recording is one that actors of its policy can have made.
    fn accepts(&self, recording: &Recording) -> bool;
}

/// Flat tensors by name, and the rest.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Saved {
    pub tensors: BTreeMap<String, Vec<f32>>,
    pub state: Value,
}

/// The suffixes of the tensors of an arena.
const PARTS: [&str; 3] = ["parameters", "first_moments", "second_moments"];

impl Saved {
    /// Adds an arena under a name; returns its optimiser steps, which belong into the state.
    pub fn put(&mut self, name: &str, moments: Moments) -> u64 {
        let named = PARTS.iter().zip(moments.parts).map(|(part, numbers)| (format!("{name}.{part}"), numbers));
        self.tensors.extend(named);
        moments.steps
    }

    /// The same without what an optimiser remembers.
    pub fn without_moments(mut self) -> Saved {
        self.tensors.retain(|name, _| !PARTS[1..].iter().any(|part| name.ends_with(part)));
        self
    }

    /// The same with what an optimiser remembers before its first step.
    pub fn with_new_moments(&self) -> Saved {
        let mut saved = self.clone();
        let arenas =
            self.tensors.iter().filter_map(|(name, numbers)| Some((name.strip_suffix(PARTS[0])?, numbers.len())));
        for (arena, length) in arenas {
            PARTS[1..].iter().for_each(|part| _ = saved.tensors.insert(format!("{arena}{part}"), vec![0.0; length]));
        }
        saved
    }

    /// The arena of that name.
    pub fn moments(&self, name: &str, steps: u64) -> Result<Moments> {
        let part = |part: &str| self.tensor(&format!("{name}.{part}")).cloned();
        Ok(Moments { parts: [part(PARTS[0])?, part(PARTS[1])?, part(PARTS[2])?], steps })
    }

    pub fn tensor(&self, name: &str) -> Result<&Vec<f32>> {
        self.tensors.get(name).ok_or_else(|| damaged(format!("tensor {name} is missing")))
    }

    pub fn tell(&mut self, state: &impl Serialize) -> Result<()> {
        self.state = serde_json::to_value(state).map_err(|error| Error::data(format!("export: {error}")))?;
        Ok(())
    }

    pub fn told<T: DeserializeOwned>(&self) -> Result<T> {
        T::deserialize(&self.state).map_err(|error| damaged(error.to_string()))
    }

    /// Refuses the whole where it is not sound.
    pub fn sound(&self, sound: bool) -> Result<()> {
        match sound {
            true => Ok(()),
            false => Err(damaged("its tensors or its statistics are damaged".to_string())),
        }
    }
}

fn damaged(what: String) -> Error {
    Error::new(Status::Format, format!("checkpoint: {what}"))
}
