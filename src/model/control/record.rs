//! Records: plain C structs of one slot, into the numbers that the network reads and back.

use super::groups::{Group, Set};
use super::spec::{Branch, Continuous, Spec};
use crate::config::Distribution;
use crate::error::{Error, Result, Status};
use crate::kernel::EDGE;

impl Spec {
    /// One observation record into inputs [O] and, where they are wanted, legal choices [choices], which stay as they are
    /// where there is no mask. What is not finite, no mask or without a legal choice is refused; then both targets are
    /// undefined. A set of more than its capacity is refused too. Does not allocate unless it refuses.
    pub fn read_observation(&self, record: &[u8], inputs: &mut [f32], mut legal: Option<&mut [u8]>) -> Result<()> {
        for (index, group) in self.groups.iter().enumerate() {
            match *group {
                Group::Vector { offset, count, input } => {
                    let bytes = record[offset..offset + 4 * count].chunks_exact(4);
                    for (place, (target, bytes)) in inputs[input..input + count].iter_mut().zip(bytes).enumerate() {
                        *target = f32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
                        if !target.is_finite() {
                            return Err(self.not_finite(index, place, *target));
                        }
                    }
                }
                Group::Mask { offset, count, choice } => {
                    let Some(legal) = legal.as_deref_mut() else { continue };
                    self.read_mask(index, &record[offset..offset + count], &mut legal[choice..choice + count])?;
                }
                Group::Image { offset, input, .. } => {
                    let count = group.inputs();
                    for (target, byte) in inputs[input..input + count].iter_mut().zip(&record[offset..offset + count]) {
                        *target = f32::from(*byte) / 255.0;
                    }
                }
                Group::Set { offset, input, set } => {
                    let (record, inputs) = (&record[offset..], &mut inputs[input..input + group.inputs()]);
                    self.read_set(index, set, record, inputs)?;
                }
            }
        }
        Ok(())
    }

    /// The masks of one observation, one behind the other in the order of their groups, into legal choices [choices], as
    /// `read_observation` reads those of a record.
    pub fn read_masks(&self, mut masks: &[u8], legal: &mut [u8]) -> Result<()> {
        for (index, group) in self.groups.iter().enumerate() {
            if let Group::Mask { count, choice, .. } = *group {
                let (mask, rest) = masks.split_at(count);
                self.read_mask(index, mask, &mut legal[choice..choice + count])?;
                masks = rest;
            }
        }
        Ok(())
    }

    fn read_mask(&self, index: usize, bytes: &[u8], legal: &mut [u8]) -> Result<()> {
        if bytes.iter().any(|byte| *byte > 1) || bytes.iter().all(|byte| *byte == 0) {
            return Err(self.no_mask(index, bytes));
        }
        legal.copy_from_slice(bytes);
        Ok(())
    }

    /// A set into its count and its entities; zeros stand for those that are not there.
    fn read_set(&self, index: usize, set: Set, record: &[u8], inputs: &mut [f32]) -> Result<()> {
        let (head, entities) = record.split_at(4);
        let count = u32::from_ne_bytes([head[0], head[1], head[2], head[3]]);
        let within = usize::try_from(count).ok().filter(|count| *count <= set.capacity);
        let Some(there) = within else { return Err(self.too_many(index, set.capacity, count)) };
        let (first, numbers) = inputs.split_at_mut(1);
        first[0] = count as f32;
        let (there, rest) = numbers.split_at_mut(there * set.size);
        for (place, (target, bytes)) in there.iter_mut().zip(entities.chunks_exact(4)).enumerate() {
            *target = f32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            if !target.is_finite() {
                return Err(self.not_finite(index, place, *target));
            }
        }
        rest.fill(0.0);
        Ok(())
    }

    /// Whether numbers [O] can have been read from a record.
    pub fn is_observation(&self, observation: &[f32]) -> bool {
        observation.iter().all(|number| number.is_finite())
            && self.groups.iter().all(|group| group.is_sound(observation))
    }

    /// An action [A] as a record; continuous dimensions within their bounds, squashed and scaled where they are.
    pub fn write_action(&self, action: &[f32], record: &mut [u8]) {
        let mut targets = record.chunks_exact_mut(4);
        let mut numbers = action.iter();
        for branch in &self.branches {
            for (number, target) in numbers.by_ref().take(branch.numbers()).zip(targets.by_ref()) {
                let bytes = match branch {
                    Branch::Discrete { .. } => (*number as i32).to_ne_bytes(),
                    Branch::Continuous(own) => own.hand_out(*number).to_ne_bytes(),
                };
                target.copy_from_slice(&bytes);
            }
        }
    }

    /// Recorded actions [B, A] as hosts get them, in place.
    pub fn hand_out(&self, actions: &mut [f32]) {
        for action in actions.chunks_exact_mut(self.actions.max(1)) {
            let mut numbers = action.iter_mut();
            for branch in &self.branches {
                for number in numbers.by_ref().take(branch.numbers()) {
                    if let Branch::Continuous(own) = branch {
                        *number = own.hand_out(*number);
                    }
                }
            }
        }
    }

    /// An action record that the host chose, as [A]; `legal` as the observation said.
    pub fn read_action(&self, record: &[u8], legal: &[u8], action: &mut [f32]) -> Result<()> {
        let mut sources = record.chunks_exact(4).map(|bytes| [bytes[0], bytes[1], bytes[2], bytes[3]]);
        let mut targets = action.iter_mut();
        let mut first = 0;
        for (index, branch) in self.branches.iter().enumerate() {
            for (target, bytes) in targets.by_ref().take(branch.numbers()).zip(sources.by_ref()) {
                *target = match branch {
                    Branch::Discrete { choices } => {
                        let choice = i32::from_ne_bytes(bytes);
                        let within = usize::try_from(choice).ok().filter(|choice| choice < choices);
                        let Some(choice) = within.filter(|choice| legal[first + choice] == 1) else {
                            let name = self.action_name(index);
                            let message =
                                format!("actions: {name}: expected a legal choice below {choices}, got {choice}");
                            return Err(Error::data(message));
                        };
                        first += choices;
                        choice as f32
                    }
                    Branch::Continuous(own) => {
                        let number = f32::from_ne_bytes(bytes);
                        if !number.is_finite() {
                            let message =
                                format!("actions: {}: expected a number, got {number}", self.action_name(index));
                            return Err(Error::new(Status::NonFinite, message));
                        }
                        own.take_in(number)
                    }
                };
            }
        }
        Ok(())
    }

    /// An action as a host tells it in numbers, of a discrete branch the index, as [A]; `legal` as the observation said.
    pub fn record_action(&self, numbers: &[f32], legal: &[u8], action: &mut [f32]) -> Result<()> {
        let mut record = Vec::with_capacity(self.action_bytes);
        let mut rest = numbers.iter();
        for branch in &self.branches {
            for number in rest.by_ref().take(branch.numbers()) {
                match branch {
                    Branch::Discrete { .. } if number.fract() == 0.0 => {
                        record.extend((*number as i32).to_ne_bytes());
                    }
                    Branch::Discrete { .. } => record.extend((-1i32).to_ne_bytes()),
                    Branch::Continuous(own) if own.distribution != Distribution::Normal => {
                        if *number < own.low || *number > own.high {
                            let (low, high) = (own.low, own.high);
                            return Err(Error::data(format!("action: expected from {low} to {high}, got {number}")));
                        }
                        record.extend(number.to_ne_bytes());
                    }
                    Branch::Continuous(_) => record.extend(number.to_ne_bytes()),
                }
            }
        }
        self.read_action(&record, legal, action).map_err(|error| {
            let message = error.message.replacen("actions:", "action:", 1);
            Error::new(error.status, message)
        })
    }

    /// Whether numbers [A] are an action that these legal choices, all where there are none, allow.
    pub fn is_action(&self, action: &[f32], legal: &[u8]) -> bool {
        let (mut numbers, mut first) = (action.iter(), 0);
        action.len() == self.actions
            && self.branches.iter().all(|branch| match branch {
                Branch::Discrete { choices } => {
                    let choice = numbers.next().copied().unwrap_or(-1.0);
                    let place = first + choice as usize;
                    first += choices;
                    let within = choice >= 0.0 && choice.fract() == 0.0 && (choice as usize) < *choices;
                    within && legal.get(place).is_none_or(|legal| *legal == 1)
                }
                Branch::Continuous(own) => numbers.by_ref().take(own.size).all(|number| own.holds(*number)),
            })
    }

    fn action_name(&self, index: usize) -> &str {
        match &self.config.actions[index] {
            crate::config::Action::Discrete { name, .. } | crate::config::Action::Continuous { name, .. } => name,
        }
    }

    fn group_name(&self, index: usize) -> &str {
        self.config.observations[index].name()
    }

    #[cold]
    fn not_finite(&self, group: usize, place: usize, found: f32) -> Error {
        let name = self.group_name(group);
        Error::new(Status::NonFinite, format!("observations: {name}[{place}]: expected a finite number, got {found}"))
    }

    #[cold]
    fn too_many(&self, group: usize, capacity: usize, found: u32) -> Error {
        let name = self.group_name(group);
        Error::data(format!("observations: {name}: expected at most {capacity} entities, got {found}"))
    }

    #[cold]
    fn no_mask(&self, group: usize, bytes: &[u8]) -> Error {
        let name = self.group_name(group);
        let message = match bytes.iter().find(|byte| **byte > 1) {
            Some(byte) => format!("observations: mask of {name}: expected 0 (illegal) or 1 (legal), got {byte}"),
            None => format!("observations: mask of {name}: expected at least one legal choice, got none"),
        };
        Error::data(message)
    }
}

impl Continuous {
    /// What a host gets for a recorded number.
    fn hand_out(&self, number: f32) -> f32 {
        let (middle, scale) = (self.middle(), self.scale());
        let scaled = match self.distribution {
            Distribution::Normal => number,
            Distribution::Squashed => (middle + scale * f64::from(number).tanh()) as f32,
            Distribution::Beta => (f64::from(self.low) + 2.0 * scale * f64::from(number)) as f32,
        };
        scaled.clamp(self.low, self.high)
    }

    /// What is recorded for a host's number: for a squashed one atanh of where it stands between the bounds, kept within
    /// ±(1 − 10⁻⁶); for Beta its place between them, kept as far from both.
    fn take_in(&self, number: f32) -> f32 {
        let edge = f64::from(EDGE);
        let place = (f64::from(number) - self.middle()) / self.scale();
        match self.distribution {
            Distribution::Normal => number,
            Distribution::Squashed => place.clamp(edge - 1.0, 1.0 - edge).atanh() as f32,
            Distribution::Beta => (0.5 * (1.0 + place)).clamp(edge, 1.0 - edge) as f32,
        }
    }

    /// Whether a number can be recorded.
    fn holds(&self, number: f32) -> bool {
        match self.distribution {
            Distribution::Beta => number > 0.0 && number < 1.0,
            _ => number.is_finite(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Deviation;

    fn of(distribution: Distribution) -> Continuous {
        Continuous { size: 1, low: -0.5, high: 3.0, distribution, deviation: Deviation::Parameter }
    }

    #[test]
    fn what_a_host_chose_is_handed_out_again() {
        for distribution in [Distribution::Normal, Distribution::Squashed, Distribution::Beta] {
            let own = of(distribution);
            for number in [-0.5f32, -0.49, 0.0, 1.25, 2.99, 3.0] {
                let recorded = own.take_in(number);
                assert!(own.holds(recorded));
                assert!((own.hand_out(recorded) - number).abs() < 4e-6, "{distribution:?}: {number} → {recorded}");
            }
        }
        // by hand: 2.125 is half of the scale above the middle
        assert!((of(Distribution::Squashed).take_in(2.125) - 0.549_306_1).abs() < 1e-6);
        assert!((of(Distribution::Beta).take_in(2.125) - 0.75).abs() < 1e-6);
        let edge = of(Distribution::Squashed).take_in(f32::MAX);
        assert!((edge - 7.254_329).abs() < 1e-4, "atanh(1 − 1e-6), not {edge}");
        assert!(!of(Distribution::Beta).holds(1.0) && !of(Distribution::Squashed).holds(f32::INFINITY));
        for far in [f32::MIN, -9.0, 9.0, f32::MAX] {
            let within = |distribution| (-0.5..=3.0).contains(&of(distribution).hand_out(far));
            assert!(within(Distribution::Normal) && within(Distribution::Squashed));
        }
    }
}
