//! What a session asks its host, and what the host says: the rewards of rollouts.

use super::buffer::{Buffer, Row};
use crate::error::{Error, Result, Status};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

impl Buffer {
    /// Sets the rewards of each row, as many for each; all ids must be known and distinct, or nothing changes.
    pub fn reward(&mut self, ids: &[u64], rewards: &[f32]) -> Result<()> {
        let width = rewards.len() / ids.len().max(1);
        let waiting = self.rows.iter().enumerate().filter(|(_, row)| !row.mixed);
        let places: HashMap<u64, usize> = waiting.map(|(place, row)| (row.id, place)).collect();
        let mut seen = HashSet::new();
        for (id, rewards) in ids.iter().zip(rewards.chunks(width.max(1))) {
            if !places.contains_key(id) {
                return Err(Error::data(format!(
                    "ids: expected rows that wait for an update, got {id}, which is none"
                )));
            }
            if !seen.insert(*id) {
                return Err(Error::data(format!("ids: expected distinct rows, got {id} twice")));
            }
            if let Some(reward) = rewards.iter().find(|reward| !reward.is_finite()) {
                return Err(Error::new(
                    Status::NonFinite,
                    format!("rewards: expected finite numbers, got {reward} for row {id}"),
                ));
            }
        }
        for (id, rewards) in ids.iter().zip(rewards.chunks(width.max(1))) {
            Arc::make_mut(&mut self.rows[places[id]]).reward = Some(rewards.to_vec());
        }
        Ok(())
    }

    /// Rows that wait for their rewards, were not asked about before, and are in no update that asks by itself.
    pub fn unasked(&self) -> Vec<Arc<Row>> {
        let unasked = |row: &&Arc<Row>| row.reward.is_none() && !row.mixed && !self.asked.contains(&row.id);
        self.rows.iter().filter(unasked).filter(|row| !self.taken.contains(&row.id)).cloned().collect()
    }

    /// From now on the host was asked about these rows.
    pub fn ask(&mut self, rows: &[Arc<Row>]) {
        self.asked.extend(rows.iter().map(|row| row.id));
    }

    /// Sets the rewards of rows that were asked about; all of them or none.
    pub fn answer(&mut self, ids: &[u64], rewards: &[f32]) -> Result<()> {
        if let Some(id) = ids.iter().find(|id| !self.asked.contains(id)) {
            return Err(Error::data(format!(
                "ids: expected rows of queries without an answer, got {id}, which is none"
            )));
        }
        self.reward(ids, rewards)?;
        for id in ids {
            self.asked.remove(id);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::session::buffer::tests::buffer;

    #[test]
    fn a_wrong_reward_changes_nothing() {
        let mut buffer = buffer(2);
        for (ids, rewards) in [(vec![0, 9], [1.0, 1.0]), (vec![0, 0], [1.0, 1.0]), (vec![0, 1], [1.0, f32::NAN])] {
            buffer.reward(&ids, &rewards).unwrap_err();
            assert!(buffer.rows.iter().all(|row| row.reward.is_none()));
        }
        buffer.reward(&[1], &[2.5]).unwrap();
        assert_eq!(buffer.rows[1].reward, Some(vec![2.5]));
    }
}
