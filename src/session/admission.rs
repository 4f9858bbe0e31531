//! The rows of a selection that an update trains on, by the rules that the method states, and how many it leaves out.

use super::buffer::Row;
use crate::algorithm::{Admission, EqualGroups};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(super) struct Admitted {
    pub rows: Vec<Arc<Row>>,
    /// The metrics that count what was left out.
    pub dropped: Vec<(&'static str, usize)>,
}

/// `None` where no row is left, or fewer groups than the method waits for.
pub(super) fn admit(rows: &[Arc<Row>], rules: &Admission, version: u64) -> Option<Admitted> {
    let (mut admitted, mut dropped) = (rows.to_vec(), Vec::new());
    if let Some(most) = rules.max_staleness {
        admitted.retain(|row| row.policy_version.is_none_or(|sampled| sampled.saturating_add(most) >= version));
        dropped.push(("rollout/stale_dropped", rows.len() - admitted.len()));
    }
    if rules.equal_groups == EqualGroups::Drop {
        let equal = equal_groups(&admitted);
        admitted.retain(|row| !equal.contains(&row.group));
        dropped.push(("group/equal_dropped", equal.len()));
    }
    let groups: BTreeSet<u64> = admitted.iter().map(|row| row.group).collect();
    (!admitted.is_empty() && groups.len() >= rules.min_groups).then_some(Admitted { rows: admitted, dropped })
}

/// The groups whose rows all have the same rewards; a row without rewards differs.
fn equal_groups(rows: &[Arc<Row>]) -> BTreeSet<u64> {
    let mut first: BTreeMap<u64, &Option<Vec<f32>>> = BTreeMap::new();
    let mut differing = BTreeSet::new();
    for row in rows {
        let expected = first.entry(row.group).or_insert(&row.reward);
        if row.reward.is_none() || **expected != row.reward {
            differing.insert(row.group);
        }
    }
    first.into_keys().filter(|group| !differing.contains(group)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::buffer::tests::buffer;

    /// Two rows to a group, of these rewards and versions.
    fn rows(rewards: &[Option<f32>], versions: &[Option<u64>]) -> Vec<Arc<Row>> {
        let blank = buffer(1).rows[0].as_ref().clone();
        let row = |(index, (reward, version)): (u64, (&Option<f32>, &Option<u64>))| {
            let reward = reward.map(|reward| vec![0.5, reward]);
            Arc::new(Row { id: index, group: index / 2 * 2, reward, policy_version: *version, ..blank.clone() })
        };
        (0..).zip(rewards.iter().zip(versions)).map(row).collect()
    }

    fn admitted(rows: &[Arc<Row>], rules: Admission) -> Option<(Vec<u64>, Vec<usize>)> {
        let admitted = admit(rows, &rules, 5)?;
        let ids = admitted.rows.iter().map(|row| row.id).collect();
        Some((ids, admitted.dropped.iter().map(|(_, count)| *count).collect()))
    }

    #[test]
    fn groups_of_equal_rewards_are_left_out_and_others_waited_for() {
        let rows = rows(&[Some(1.0), Some(1.0), Some(1.0), Some(2.0), None, None], &[None; 6]);
        assert_eq!(admitted(&rows, Admission::default()), Some((vec![0, 1, 2, 3, 4, 5], vec![])));
        let drop = Admission { equal_groups: EqualGroups::Drop, ..Admission::default() };
        assert_eq!(admitted(&rows, drop), Some((vec![2, 3, 4, 5], vec![1])));
        assert_eq!(admitted(&rows, Admission { min_groups: 2, ..drop }), Some((vec![2, 3, 4, 5], vec![1])));
        assert_eq!(admitted(&rows, Admission { min_groups: 3, ..drop }), None);
        assert_eq!(admitted(&rows[..2], drop), None, "nothing is left");
    }

    #[test]
    fn stale_rows_are_left_out_and_those_that_do_not_say_stay() {
        let rows = rows(&[Some(1.0); 6], &[Some(5), Some(4), Some(3), Some(2), None, Some(u64::MAX)]);
        let rules = |most| Admission { max_staleness: Some(most), ..Admission::default() };
        assert_eq!(admitted(&rows, rules(2)), Some((vec![0, 1, 2, 4, 5], vec![1])));
        assert_eq!(admitted(&rows, rules(0)), Some((vec![0, 4, 5], vec![3])));
    }
}
