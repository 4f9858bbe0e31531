//! What must not change a result: the order of rows, tokens that do not count, the kind of number.

use keel::math::{dpo_loss, preference_accuracy, value_loss};
use tch::{Kind, Tensor};

use crate::catalogue::{catalogue, Batch, COUNTED, ROWS};
use crate::{assert_close, assert_near, scalar};

const TOLERANCE: f64 = 1e-12;

#[test]
fn permuting_rows_permutes_results() {
    let batch = Batch::new(Kind::Double);
    let order = Tensor::from_slice(&[2i64, 0, 3, 1]);
    let permute = |x: &Tensor| x.index_select(0, &order);
    let permuted = batch.map(permute, permute);
    for entry in catalogue() {
        let before = (entry.function)(&batch);
        let expected = if before.dim() == 0 { before } else { permute(&before) };
        assert_close(&(entry.function)(&permuted), &expected, TOLERANCE, entry.name);
    }
}

#[test]
fn permuting_pairs_permutes_losses() {
    let log_ratio = Tensor::from_slice(&[3.0, -1.0, 0.2, -7.0]);
    let permute = |x: &Tensor| x.index_select(0, &Tensor::from_slice(&[2i64, 0, 3, 1]));
    let (before, after) = (dpo_loss(&log_ratio, 0.3), dpo_loss(&permute(&log_ratio), 0.3));
    assert_close(&after, &permute(&before), TOLERANCE, "dpo_loss");
    let after = scalar(&preference_accuracy(&permute(&log_ratio)));
    assert_near(after, scalar(&preference_accuracy(&log_ratio)), TOLERANCE, "preference_accuracy");
}

#[test]
fn deleting_masked_tokens_changes_nothing() {
    let batch = Batch::new(Kind::Double);
    let delete = |x: &Tensor| x.masked_select(&batch.mask).view([ROWS, COUNTED]);
    let deleted = batch.map(delete, Tensor::shallow_clone);
    for entry in catalogue() {
        let before = (entry.function)(&batch);
        let expected = if before.dim() == 2 { delete(&before) } else { before };
        assert_close(&(entry.function)(&deleted), &expected, TOLERANCE, entry.name);
    }
    let before = value_loss(&batch.x, &batch.y, &batch.z, 0.2);
    let after = value_loss(&deleted.x, &deleted.y, &deleted.z, 0.2);
    assert_close(&after, &delete(&before), TOLERANCE, "value_loss");
}

#[test]
fn what_stands_in_a_masked_slot_changes_nothing() {
    for poison in [f64::NAN, f64::INFINITY, 1e30] {
        let clean = Batch::new(Kind::Double);
        let spoil = |x: &Tensor| x.masked_fill(&clean.mask.logical_not(), poison);
        let spoiled =
            Batch { mask: clean.mask.shallow_clone(), ..clean.map(|x| spoil(&x.to_kind(Kind::Double)), Tensor::copy) };
        for entry in catalogue() {
            let (before, after) = ((entry.function)(&clean), (entry.function)(&spoiled));
            assert_close(&after, &before, TOLERANCE, &format!("{} with {poison}", entry.name));
            if after.dim() == 2 {
                let slots = after.masked_select(&clean.mask.logical_not());
                let expected = slots.full_like(entry.masked_slot);
                assert_close(&slots, &expected, 0.0, &format!("{}, masked slots", entry.name));
            }
        }
    }
}

#[test]
fn single_precision_gives_the_same_in_its_own_kind() {
    let (double, single) = (Batch::new(Kind::Double), Batch::new(Kind::Float));
    for entry in catalogue() {
        let (expected, found) = ((entry.function)(&double), (entry.function)(&single));
        assert_eq!(expected.kind(), Kind::Double, "{}", entry.name);
        assert_eq!(found.kind(), Kind::Float, "{}", entry.name);
        assert_close(&found, &expected, 1e-5, entry.name);
    }
    assert_eq!(value_loss(&single.x, &single.y, &single.z, 0.2).kind(), Kind::Float);
    assert_eq!(dpo_loss(&single.scores, 0.1).kind(), Kind::Float);
    assert_eq!(preference_accuracy(&single.scores).kind(), Kind::Float);
}
