//! Observations of steps, one row each: those that came in a device's memory stay there, those of host records behind them.
//!
//! What came on the host moves to the device when rows of a device come behind it, or when it is learned from there. Nothing
//! goes the other way but into a checkpoint and to a reward model, which reads on the host. Where no row ever came in a device's
//! memory, all lie on the host.

use crate::error::Result;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use tch::{Kind, Tensor};

/// Memory of a device is taken in multiples of so many rows.
const ROWS: i64 = 1024;

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Observations {
    placed: Option<Placed>,
    /// Behind those that are placed.
    rest: Vec<f32>,
}

/// Rows in a device's memory.
#[derive(Debug, PartialEq)]
struct Placed {
    rows: i64,
    /// [capacity, O]
    memory: Tensor,
}

impl Observations {
    /// Adds rows of the host's.
    pub fn push(&mut self, rows: &[f32]) {
        self.rest.extend_from_slice(rows);
    }

    /// Adds rows [n, O] that lie on a device, as a copy there.
    pub fn place(&mut self, rows: &Tensor) -> Result<()> {
        if self.placed.is_none() {
            self.placed =
                Some(Placed { rows: 0, memory: rows.f_new_empty([0, rows.size()[1]], (Kind::Float, rows.device()))? });
        }
        self.settle()?;
        self.placed.iter_mut().try_for_each(|placed| placed.append(rows))
    }

    /// Brings the host's rows to the device, if there are any on one: then all lie there.
    pub fn settle(&mut self) -> Result<()> {
        if let (Some(placed), false) = (&mut self.placed, self.rest.is_empty()) {
            placed.append(&placed.bring(&self.rest)?)?;
            self.rest.clear();
        }
        Ok(())
    }

    /// Adds some rows of others; those are settled.
    pub fn extend(&mut self, source: &mut Observations, rows: &[usize], width: usize) -> Result<()> {
        source.settle()?;
        match &source.placed {
            Some(placed) => self.place(&placed.select(rows)?),
            None => {
                rows.iter().for_each(|row| self.push(&source.rest[row * width..(row + 1) * width]));
                Ok(())
            }
        }
    }

    /// Adds all rows of others.
    pub fn append(&mut self, other: Observations) -> Result<()> {
        other.placed().map_or(Ok(()), |rows| self.place(&rows))?;
        self.push(&other.rest);
        Ok(())
    }

    /// Puts rows of the host's in the place of some.
    pub fn replace(&mut self, places: &[usize], rows: &[f32], width: usize) -> Result<()> {
        self.settle()?;
        match &self.placed {
            _ if places.is_empty() => {}
            Some(placed) => {
                let _ = placed.memory.shallow_clone().f_index_copy_(0, &placed.index(places)?, &placed.bring(rows)?)?;
            }
            None => {
                for (place, row) in places.iter().zip(rows.chunks_exact(width)) {
                    self.rest[place * width..(place + 1) * width].copy_from_slice(row);
                }
            }
        }
        Ok(())
    }

    /// Keeps some rows, in ascending order; memory stays where it is.
    pub fn keep(&mut self, rows: &[usize], width: usize) -> Result<()> {
        let first = self.placed.as_ref().map_or(0, |placed| placed.rows as usize);
        let (there, here) = rows.split_at(rows.partition_point(|row| *row < first));
        self.placed.iter_mut().try_for_each(|placed| placed.keep(there))?;
        for (place, row) in here.iter().map(|row| row - first).enumerate() {
            self.rest.copy_within(row * width..(row + 1) * width, place * width);
        }
        self.rest.truncate(here.len() * width);
        Ok(())
    }

    /// How many rows of `width` numbers there are.
    pub fn rows(&self, width: usize) -> usize {
        self.placed.as_ref().map_or(0, |placed| placed.rows as usize) + self.rest.len() / width
    }

    /// The host's rows: all, where none are placed.
    pub fn host(&self) -> &[f32] {
        &self.rest
    }

    pub fn host_mut(&mut self) -> &mut [f32] {
        &mut self.rest
    }

    /// A view of the rows [n, O] on a device, if there are any: all, where they are settled.
    pub fn placed(&self) -> Option<Tensor> {
        self.placed.as_ref().map(Placed::view)
    }

    /// All rows, copied where they lie on a device.
    pub fn to_host(&self) -> Result<Cow<'_, [f32]>> {
        let Some(placed) = self.placed() else { return Ok(Cow::Borrowed(&self.rest)) };
        let mut all = vec![0.0; placed.numel()];
        placed.f_copy_data(&mut all, placed.numel())?;
        all.extend_from_slice(&self.rest);
        Ok(Cow::Owned(all))
    }
}

impl Placed {
    fn view(&self) -> Tensor {
        self.memory.narrow(0, 0, self.rows)
    }

    /// Rows of the host's, on this device.
    fn bring(&self, rows: &[f32]) -> Result<Tensor> {
        let flat = Tensor::f_from_slice(rows)?.f_view([-1, self.memory.size()[1]])?;
        Ok(flat.f_to_device(self.memory.device())?)
    }

    fn index(&self, rows: &[usize]) -> Result<Tensor> {
        let rows: Vec<i64> = rows.iter().map(|row| *row as i64).collect();
        Ok(Tensor::f_from_slice(&rows)?.f_to_device(self.memory.device())?)
    }

    fn select(&self, rows: &[usize]) -> Result<Tensor> {
        Ok(self.memory.f_index_select(0, &self.index(rows)?)?)
    }

    fn append(&mut self, rows: &Tensor) -> Result<()> {
        let ([capacity, width], count) = (size(&self.memory), rows.size()[0]);
        if self.rows + count > capacity {
            let wanted = (self.rows + count).max(2 * self.rows);
            let more = (wanted as u64).next_multiple_of(ROWS as u64) as i64;
            let memory = self.memory.f_new_empty([more, width], (Kind::Float, self.memory.device()))?;
            memory.f_narrow(0, 0, self.rows)?.f_copy_(&self.view())?;
            self.memory = memory;
        }
        self.memory.f_narrow(0, self.rows, count)?.f_copy_(rows)?;
        self.rows += count;
        Ok(())
    }

    fn keep(&mut self, rows: &[usize]) -> Result<()> {
        let count = rows.len() as i64;
        self.memory.f_narrow(0, 0, count)?.f_copy_(&self.select(rows)?)?;
        self.rows = count;
        Ok(())
    }
}

fn size(matrix: &Tensor) -> [i64; 2] {
    let size = matrix.size();
    [size[0], size[1]]
}

impl Clone for Placed {
    fn clone(&self) -> Placed {
        Placed { rows: self.rows, memory: self.view().copy() }
    }
}

/// As numbers, wherever they lie.
impl Serialize for Observations {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.to_host().map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Observations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Observations, D::Error> {
        Ok(Observations { placed: None, rest: Vec::deserialize(deserializer)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(first: usize, count: usize) -> Vec<f32> {
        (2 * first..2 * (first + count)).map(|number| number as f32).collect()
    }

    fn tensor(first: usize, count: usize) -> Tensor {
        Tensor::from_slice(&rows(first, count)).view([-1, 2])
    }

    /// Five rows: all on the host, or the first so many where a device has them.
    fn five(records: [usize; 2]) -> Observations {
        let mut all = Observations::default();
        let [before, placed] = records;
        all.push(&rows(0, before));
        if placed > 0 {
            all.place(&tensor(before, placed)).unwrap();
        }
        all.push(&rows(before + placed, 5 - before - placed));
        all
    }

    fn all(observations: &Observations) -> Vec<f32> {
        observations.to_host().unwrap().into_owned()
    }

    #[test]
    fn rows_are_the_same_wherever_they_lie() {
        for records in [[5, 0], [0, 5], [2, 2], [0, 3], [1, 4]] {
            let mut some = five(records);
            assert_eq!(all(&some), rows(0, 5), "{records:?}");
            let mut taken = Observations::default();
            taken.push(&rows(9, 1));
            taken.extend(&mut some, &[4, 0, 2], 2).unwrap();
            let mut more = five(records);
            more.replace(&[1, 4], &rows(20, 2), 2).unwrap();
            more.keep(&[1, 3, 4], 2).unwrap();
            assert_eq!(all(&more), [rows(20, 1), rows(3, 1), rows(21, 1)].concat(), "{records:?}");
            taken.append(more).unwrap();
            let expected = [9, 4, 0, 2, 20, 3, 21].map(|row| rows(row, 1)).concat();
            assert_eq!(all(&taken), expected, "{records:?}");
            assert_eq!(taken.placed().is_some(), records[1] > 0);
        }
    }

    #[test]
    fn some_are_kept_on_both_sides_and_the_memory_stays() {
        let mut some = five([0, 3]);
        let place = some.placed().unwrap().data_ptr();
        some.keep(&[1, 2, 4], 2).unwrap();
        assert_eq!((all(&some), some.host()), ([rows(1, 2), rows(4, 1)].concat(), &rows(4, 1)[..]));
        some.keep(&[], 2).unwrap();
        some.place(&tensor(7, 1000)).unwrap();
        assert_eq!((all(&some), some.placed().unwrap().data_ptr()), (rows(7, 1000), place));
        let before = some.clone();
        some.place(&tensor(0, 3000)).unwrap();
        assert_eq!((all(&some), all(&before)), ([rows(7, 1000), rows(0, 3000)].concat(), rows(7, 1000)));
    }

    #[test]
    fn a_file_has_the_numbers_alone() {
        let text = |records| serde_json::to_string(&five(records)).unwrap();
        assert_eq!(
            (text([0, 3]), text([5, 0])),
            (text([2, 2]), "[0.0,1.0,2.0,3.0,4.0,5.0,6.0,7.0,8.0,9.0]".to_string())
        );
        let read: Observations = serde_json::from_str(&text([0, 3])).unwrap();
        assert_eq!(read, five([5, 0]));
    }
}
