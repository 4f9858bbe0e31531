//! The rows of a selection that an update trains on, by the rules that the method states, and how many it leaves out.

use super::buffer::Row;
use crate::algorithm::{Admission, EqualGroups};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(super) struct Admitted {
    pub rows: Vec<Arc<Row>>,
    /// How many groups of equal rewards were left out, where they are.
    pub equal_groups: Option<usize>,
}

/// `None` where no row is left, or fewer groups than the method waits for.
pub(super) fn admit(rows: &[Arc<Row>], rules: &Admission) -> Option<Admitted> {
    let (mut admitted, mut dropped) = (rows.to_vec(), None);
    if rules.equal_groups == EqualGroups::Drop {
        let equal = equal_groups(&admitted);
        admitted.retain(|row| !equal.contains(&row.group));
        dropped = Some(equal.len());
    }
    let groups: BTreeSet<u64> = admitted.iter().map(|row| row.group).collect();
    (!admitted.is_empty() && groups.len() >= rules.min_groups)
        .then_some(Admitted { rows: admitted, equal_groups: dropped })
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

    /// Two rows to a group, of these rewards.
    fn rows(rewards: &[Option<f32>]) -> Vec<Arc<Row>> {
        let blank = buffer(1).rows[0].as_ref().clone();
        let row = |(index, reward): (u64, &Option<f32>)| {
            let reward = reward.map(|reward| vec![0.5, reward]);
            Arc::new(Row { id: index, group: index / 2 * 2, reward, ..blank.clone() })
        };
        (0..).zip(rewards).map(row).collect()
    }

    fn admitted(rows: &[Arc<Row>], rules: Admission) -> Option<(Vec<u64>, Option<usize>)> {
        let admitted = admit(rows, &rules)?;
        let ids = admitted.rows.iter().map(|row| row.id).collect();
        Some((ids, admitted.equal_groups))
    }

    #[test]
    fn groups_of_equal_rewards_are_left_out_and_others_waited_for() {
        let rows = rows(&[Some(1.0), Some(1.0), Some(1.0), Some(2.0), None, None]);
        assert_eq!(admitted(&rows, Admission::default()), Some((vec![0, 1, 2, 3, 4, 5], None)));
        let drop = Admission { equal_groups: EqualGroups::Drop, ..Admission::default() };
        assert_eq!(admitted(&rows, drop), Some((vec![2, 3, 4, 5], Some(1))));
        assert_eq!(admitted(&rows, Admission { min_groups: 2, ..drop }), Some((vec![2, 3, 4, 5], Some(1))));
        assert_eq!(admitted(&rows, Admission { min_groups: 3, ..drop }), None);
        assert_eq!(admitted(&rows[..2], drop), None, "nothing is left");
    }
}
