//! Decode attention against libtorch's scaled_dot_product_attention, row by row.

use super::*;
use keel::torch::{decode_attention, ThreadScope};

struct Case {
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    rows: Vec<i64>,
    lengths: Vec<i64>,
    scale: f64,
}

fn case(heads: i64, key_heads: i64, width: i64) -> Case {
    Case {
        query: normal(1, &[5, heads, width], 1.0),
        keys: normal(2, &[7, key_heads, 61, width], 1.0),
        values: normal(3, &[7, key_heads, 61, width], 1.0),
        rows: vec![6, 0, 3, 3, 1],
        lengths: vec![61, 1, 17, 32, 40],
        scale: 1.0 / (width as f64).sqrt(),
    }
}

impl Case {
    fn run(&self) -> Tensor {
        let (rows, lengths) = (Tensor::from_slice(&self.rows), Tensor::from_slice(&self.lengths));
        decode_attention(&self.query, &self.keys, &self.values, &rows, &lengths, self.scale).unwrap()
    }

    /// Each row on its own, over exactly its keys, in float64.
    fn expected(&self) -> Tensor {
        let rows = self.rows.iter().zip(&self.lengths).enumerate().map(|(index, (&row, &length))| {
            let part = |cache: &Tensor| cache.get(row).narrow(1, 0, length).to_kind(Kind::Double).unsqueeze(0);
            let query = self.query.get(index as i64).to_kind(Kind::Double).unsqueeze(0).unsqueeze(2);
            let (keys, values, no_mask) = (part(&self.keys), part(&self.values), None::<&Tensor>);
            let grouped = self.query.size()[1] != self.keys.size()[1];
            Tensor::scaled_dot_product_attention(&query, &keys, &values, no_mask, 0.0, false, self.scale, grouped)
                .squeeze_dim(2)
        });
        Tensor::cat(&rows.collect::<Vec<_>>(), 0)
    }
}

#[test]
fn it_is_scaled_dot_product_attention() {
    for (heads, key_heads, width) in [(4, 4, 64), (8, 2, 64), (6, 1, 80), (2, 2, 128), (3, 3, 20), (4, 2, 7), (1, 1, 1)]
    {
        let case = case(heads, key_heads, width);
        let error = distance(&case.run(), &case.expected());
        assert!(error < 2e-6, "{heads} {key_heads} {width}: {error}");
    }
}

#[test]
fn strided_queries_and_caches_are_read_where_they_lie() {
    let mut case = case(4, 2, 32);
    let expected = case.run();
    let packed = Tensor::cat(&[&case.query, &case.query.zeros_like()], 1);
    case.query = packed.narrow(1, 0, 4);
    case.keys = case.keys.transpose(1, 2).contiguous().transpose(1, 2);
    case.values = Tensor::cat(&[&case.values.zeros_like(), &case.values], 2).narrow(2, 61, 61);
    assert!(!case.query.is_contiguous() && !case.keys.is_contiguous() && !case.values.is_contiguous());
    assert_eq!(bits(&case.run()), bits(&expected));
}

#[test]
fn the_bits_of_a_row_depend_on_no_other_row_and_on_no_thread() {
    let mut case = case(8, 2, 64);
    case.query = normal(4, &[64, 8, 64], 1.0);
    case.rows = (0..64).map(|row| row % 7).collect();
    case.lengths = (0..64).map(|row| 1 + row * 37 % 61).collect();
    let whole = {
        let _scope = ThreadScope::new(2);
        case.run()
    };
    let _scope = ThreadScope::new(1);
    assert_eq!(bits(&case.run()), bits(&whole));
    for row in [0, 13, 63] {
        let alone = Case {
            query: case.query.narrow(0, row, 1),
            keys: case.keys.shallow_clone(),
            values: case.values.shallow_clone(),
            rows: vec![case.rows[row as usize]],
            lengths: vec![case.lengths[row as usize]],
            scale: case.scale,
        };
        assert_eq!(bits(&alone.run()), bits(&whole.narrow(0, row, 1)), "{row}");
    }
}

#[test]
fn keys_beyond_the_length_do_not_count_even_if_they_are_not_numbers() {
    let case = case(2, 2, 16);
    let expected = case.run();
    for (row, length) in [(0, 1), (1, 40)] {
        let _ = case.keys.get(row).narrow(1, length, 61 - length).fill_(f64::NAN);
        let _ = case.values.get(row).narrow(1, length, 61 - length).fill_(f64::NAN);
    }
    assert_eq!(bits(&case.run()), bits(&expected));
}

#[test]
fn other_types_run_as_operators() {
    for (kind, tolerance) in [(Kind::Double, 1e-12), (Kind::BFloat16, 0.02)] {
        let mut case = case(4, 2, 32);
        for tensor in [&mut case.query, &mut case.keys, &mut case.values] {
            *tensor = tensor.to_kind(kind);
        }
        let result = case.run();
        assert_eq!((result.kind(), result.size()), (kind, vec![5, 4, 32]));
        assert!(distance(&result, &case.expected()) < tolerance, "{kind:?}");
    }
}

#[test]
fn no_rows_and_no_gradient() {
    let mut case = case(2, 2, 16);
    case.query = case.query.set_requires_grad(true);
    assert!(!case.run().requires_grad());
    (case.rows, case.lengths, case.query) = (vec![], vec![], case.query.narrow(0, 0, 0));
    assert_eq!(case.run().size(), [0, 2, 16]);
}

#[test]
fn what_lies_outside_the_cache_is_refused() {
    let case = case(4, 2, 16);
    let attend = |query: &Tensor, rows: &[i64], lengths: &[i64]| {
        let (rows, lengths) = (Tensor::from_slice(rows), Tensor::from_slice(lengths));
        decode_attention(query, &case.keys, &case.values, &rows, &lengths, 1.0).unwrap_err().message
    };
    let (rows, lengths) = (&case.rows, &case.lengths);
    assert_eq!(attend(&case.query, &[6, 0, 7, 3, 1], lengths), "decode_attention: cache row 7 of 7");
    assert_eq!(attend(&case.query, &[6, 0, -1, 3, 1], lengths), "decode_attention: cache row -1 of 7");
    assert_eq!(attend(&case.query, rows, &[61, 0, 1, 1, 1]), "decode_attention: length 0 of 61");
    assert_eq!(attend(&case.query, rows, &[62, 1, 1, 1, 1]), "decode_attention: length 62 of 61");
    assert!(attend(&case.query, &rows[1..], lengths).contains("rows and lengths as int64 [5]"));
    assert!(attend(&case.query.narrow(1, 0, 3), rows, lengths).contains("3 heads are no multiple of 2 key heads"));
    assert!(attend(&case.query.narrow(2, 0, 8), rows, lengths).contains("expected query [R, H, D]"));
    assert!(attend(&case.query.to_kind(Kind::Double), rows, lengths).contains("differ in type"));
}
