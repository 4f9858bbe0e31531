//! The matrix product behind every layer, forward and backward, blocked for registers.
//!
//! Every element of the result is its own sum, taken along the depth in an order that only the shape of B decides: how many
//! rows A has, and which row is which, changes no bit.

use super::simd::{Routine, Vector};
use std::mem::MaybeUninit;

/// What the result begins with.
#[derive(Clone, Copy)]
pub(super) enum Start<'a> {
    /// C = bias + A·B, the same bias `[columns]` in each row.
    Bias(&'a [f32]),
    /// C = A·B.
    Zero,
    /// C = C + A·B.
    Sum,
}

/// C `[rows, columns]` from A `[rows, depth]` and B `[depth, columns]`; B and C row-major without gaps.
pub(super) struct Product<'a> {
    /// A(i, p) lies at i · `a_row` + p · `a_column`.
    pub a: &'a [f32],
    pub a_row: usize,
    pub a_column: usize,
    pub b: &'a [f32],
    pub c: &'a mut [f32],
    pub start: Start<'a>,
    pub rows: usize,
    pub depth: usize,
    pub columns: usize,
}

impl Product<'_> {
    /// Writes C.
    #[inline(always)]
    pub fn compute<V: Vector>(self) {
        let Product { rows, depth, columns, .. } = self;
        if rows == 0 || columns == 0 {
            return;
        }
        assert!(depth == 0 || (rows - 1) * self.a_row + (depth - 1) * self.a_column < self.a.len());
        assert!(self.b.len() >= depth * columns && self.c.len() >= rows * columns);
        if let Start::Bias(bias) = self.start {
            assert!(bias.len() >= columns);
        }
        if rows >= WORTH_PACKING && columns > width::<V>() {
            V::enter(Packing(self));
        } else {
            V::enter(Panels(self, None));
        }
    }
}

/// A product after the assertions of [`Product::compute`], with the memory to copy panels of B to, if that is worth it.
struct Panels<'a, 'b>(Product<'a>, Option<&'b mut Packed>);

impl Routine for Panels<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        // SAFETY: made by `Product::compute` alone, after its assertions.
        unsafe { self.0.panels::<V>(self.1) }
    }
}

/// A product after the same assertions, which lays panels of B on its own stack.
struct Packing<'a>(Product<'a>);

impl Routine for Packing<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let mut packed = Packed([const { MaybeUninit::uninit() }; BLOCK * PANEL]);
        V::enter(Panels(self.0, Some(&mut packed)));
    }
}

/// Columns of the widest panel that the registers hold.
#[inline(always)]
fn width<V: Vector>() -> usize {
    V::LANES * if V::REGISTERS == 32 { 4 } else { 2 }
}

impl Product<'_> {
    /// Panel by panel of columns, block by block of the depth.
    ///
    /// # Safety
    /// Everything that the shapes name lies inside the slices.
    #[inline(always)]
    unsafe fn panels<V: Vector>(self, mut packed: Option<&mut Packed>) {
        let Product { a, a_row, a_column, b, c, start, rows, depth, columns } = self;
        for column in (0..columns).step_by(width::<V>()) {
            let width = width::<V>().min(columns - column);
            let vectors = width.div_ceil(V::LANES);
            for first in (0..depth.max(1)).step_by(BLOCK) {
                let block = BLOCK.min(depth - first);
                // SAFETY: as promised; the panel's columns and the block's depth lie inside the shapes.
                unsafe {
                    let b = b.as_ptr().add(first * columns + column);
                    let (b, b_row) = match &mut packed {
                        Some(packed) => packed.pack(b, columns, block, width),
                        None => (b, columns),
                    };
                    let begin = match start {
                        Start::Bias(bias) if first == 0 => Begin::Bias(bias.as_ptr().add(column)),
                        Start::Zero if first == 0 => Begin::Zero,
                        _ => Begin::Sum,
                    };
                    let (a, c) = (a.as_ptr().add(first * a_column), c.as_mut_ptr().add(column));
                    let view = View { a, a_row, a_column, b, b_row, c, c_row: columns, begin, rows, depth: block };
                    view.panel::<V>(vectors, width - (vectors - 1) * V::LANES);
                }
            }
        }
    }
}

/// Depth of a panel of B that is used at once, so that it stays in the nearest cache.
const BLOCK: usize = 128;
/// Columns of the widest panel.
const PANEL: usize = 64;
/// Rows from which a panel of B is worth copying together: its rows lie a power of two apart, where caches hold few.
const WORTH_PACKING: usize = 16;

#[repr(align(64))]
struct Packed([MaybeUninit<f32>; BLOCK * PANEL]);

impl Packed {
    /// Copies a panel together; returns it and the distance of its rows.
    ///
    /// # Safety
    /// `depth` ≤ `BLOCK` rows of `width` ≤ `PANEL` floats, `row` apart, are readable from `from` on.
    #[inline(always)]
    unsafe fn pack(&mut self, from: *const f32, row: usize, depth: usize, width: usize) -> (*const f32, usize) {
        let to = self.0.as_mut_ptr().cast::<f32>();
        for p in 0..depth {
            // SAFETY: as promised, and the copy has room for BLOCK rows of PANEL.
            unsafe { from.add(p * row).copy_to_nonoverlapping(to.add(p * PANEL), width) }
        }
        (to, PANEL)
    }
}

/// What a panel of the result begins with; the pointer is at the panel's first column.
#[derive(Clone, Copy)]
enum Begin {
    Bias(*const f32),
    Zero,
    Sum,
}

/// A panel of a product whose bounds were checked: every element that the shapes name is inside its slice.
struct View {
    a: *const f32,
    a_row: usize,
    a_column: usize,
    b: *const f32,
    b_row: usize,
    c: *mut f32,
    c_row: usize,
    begin: Begin,
    rows: usize,
    depth: usize,
}

impl View {
    /// All rows of a panel of a few vectors, the last of them with `last` columns.
    ///
    /// The sums fill the registers but for one vector of B each and a factor.
    ///
    /// # Safety
    /// These columns are the panel's.
    #[inline(always)]
    unsafe fn panel<V: Vector>(&self, vectors: usize, last: usize) {
        // SAFETY: as promised.
        unsafe {
            match (vectors, last == V::LANES, V::REGISTERS == 32) {
                (1, true, true) => self.tiles::<V, 6, 1, 4, false>(last),
                (1, false, true) => self.tiles::<V, 6, 1, 4, true>(last),
                (2, true, true) => self.tiles::<V, 6, 2, 2, false>(last),
                (2, false, true) => self.tiles::<V, 6, 2, 2, true>(last),
                (3, true, true) => self.tiles::<V, 4, 3, 2, false>(last),
                (3, false, true) => self.tiles::<V, 4, 3, 2, true>(last),
                (_, true, true) => self.tiles::<V, 3, 4, 2, false>(last),
                (_, false, true) => self.tiles::<V, 3, 4, 2, true>(last),
                (1, true, false) => self.tiles::<V, 3, 1, 4, false>(last),
                (1, false, false) => self.tiles::<V, 3, 1, 4, true>(last),
                (_, true, false) => self.tiles::<V, 3, 2, 2, false>(last),
                (_, false, false) => self.tiles::<V, 3, 2, 2, true>(last),
            }
        }
    }

    /// # Safety
    /// As of [`View::panel`] with N vectors, all lanes of the last unless PART.
    #[inline(always)]
    unsafe fn tiles<V: Vector, const M: usize, const N: usize, const SPLIT: usize, const PART: bool>(
        &self,
        last: usize,
    ) {
        let mut row = 0;
        // SAFETY: as promised, and the rows are inside.
        unsafe {
            while row + M <= self.rows {
                self.tile::<V, M, N, SPLIT, PART>(row, last);
                row += M;
            }
            while row < self.rows {
                self.tile::<V, 1, N, SPLIT, PART>(row, last);
                row += 1;
            }
        }
    }

    /// M rows by N vectors, each the sum of SPLIT sums that take turns along the depth.
    ///
    /// # Safety
    /// As of [`View::tiles`], and `row` + M ≤ `rows`.
    #[inline(always)]
    unsafe fn tile<V: Vector, const M: usize, const N: usize, const SPLIT: usize, const PART: bool>(
        &self,
        row: usize,
        last: usize,
    ) {
        let mut sums = [[[V::splat(0.0); N]; M]; SPLIT];
        // SAFETY: as promised: rows, columns and depth stay inside the shapes.
        unsafe {
            if let Begin::Bias(bias) = self.begin {
                sums[0] = [load::<V, N, PART>(bias, last); M];
            }
            let a = self.a.add(row * self.a_row);
            let whole = self.depth - self.depth % SPLIT;
            let mut p = 0;
            while p < whole {
                for (s, sums) in sums.iter_mut().enumerate() {
                    self.step::<V, M, N, PART>(sums, a, p + s, last);
                }
                p += SPLIT;
            }
            for (s, sums) in sums.iter_mut().enumerate().take(self.depth - whole) {
                self.step::<V, M, N, PART>(sums, a, whole + s, last);
            }
            for r in 0..M {
                self.keep::<V, N, SPLIT, PART, M>(&sums, r, (row + r) * self.c_row, last);
            }
        }
    }

    /// sums += A(·, p) ⊗ B(p, ·).
    ///
    /// # Safety
    /// `a` is the tile's first row, `p` < `depth`.
    #[inline(always)]
    unsafe fn step<V: Vector, const M: usize, const N: usize, const PART: bool>(
        &self,
        sums: &mut [[V; N]; M],
        a: *const f32,
        p: usize,
        last: usize,
    ) {
        // SAFETY: as promised.
        unsafe {
            let vectors = load::<V, N, PART>(self.b.add(p * self.b_row), last);
            for (r, sums) in sums.iter_mut().enumerate() {
                let factor = V::splat(*a.add(r * self.a_row + p * self.a_column));
                for (sum, vector) in sums.iter_mut().zip(vectors) {
                    *sum = factor.mul_add(vector, *sum);
                }
            }
        }
    }

    /// Adds the SPLIT sums of a tile's row up and writes them at `place` of C.
    ///
    /// # Safety
    /// N vectors, the last with `last` floats, are writable from `place` of C on.
    #[inline(always)]
    unsafe fn keep<V: Vector, const N: usize, const SPLIT: usize, const PART: bool, const M: usize>(
        &self,
        sums: &[[[V; N]; M]; SPLIT],
        r: usize,
        place: usize,
        last: usize,
    ) {
        let mut totals = sums[0][r];
        for sums in &sums[1..] {
            for (total, sum) in totals.iter_mut().zip(sums[r]) {
                *total = *total + sum;
            }
        }
        // SAFETY: as promised.
        unsafe {
            let to = self.c.add(place);
            if let Begin::Sum = self.begin {
                for (total, before) in totals.iter_mut().zip(load::<V, N, PART>(to, last)) {
                    *total = before + *total;
                }
            }
            for (n, total) in totals.into_iter().enumerate() {
                match PART && n == N - 1 {
                    true => total.store_first(to.add(n * V::LANES), last),
                    false => total.store(to.add(n * V::LANES)),
                }
            }
        }
    }
}

/// N vectors, of the last only `last` lanes where PART.
///
/// # Safety
/// They are readable from `from` on.
#[inline(always)]
unsafe fn load<V: Vector, const N: usize, const PART: bool>(from: *const f32, last: usize) -> [V; N] {
    let mut vectors = [V::splat(0.0); N];
    for (n, vector) in vectors.iter_mut().enumerate() {
        // SAFETY: as promised.
        *vector = unsafe {
            match PART && n == N - 1 {
                true => V::load_first(from.add(n * V::LANES), last),
                false => V::load(from.add(n * V::LANES)),
            }
        };
    }
    vectors
}
