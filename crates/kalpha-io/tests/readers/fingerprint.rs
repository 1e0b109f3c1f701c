//! A short mark of a whole array: shape, sum, number of non-zeros, and a checksum in which
//! every value is weighted by its position.

use kalpha_core::{CellBuffer, CellGrid, Dataset};

#[derive(Debug, PartialEq)]
pub struct Fingerprint {
    pub shape: Vec<usize>,
    pub sum: f64,
    pub nonzero: usize,
    pub checksum: u64,
}

/// Values are counts; the checksum is a sum modulo 2^64 of value x mix(flat index + 1).
pub fn fingerprint(dataset: &Dataset) -> Fingerprint {
    let meta = dataset.meta();
    let mut shape = meta.grid();
    assert_eq!(shape.iter().product::<usize>(), meta.rows);
    shape.push(meta.channels);
    let mut mark = Fingerprint { shape, sum: 0.0, nonzero: 0, checksum: 0 };
    let grid = CellGrid::new(meta.rows, meta.channels);
    let mut buffer = CellBuffer::default();
    for i in 0..grid.cells() {
        let cell = dataset.rows.cell(grid.rows(i), &mut buffer).unwrap();
        cell.for_each_nonzero(|r, c, x| {
            let position = (cell.first_row + r) * meta.channels + c;
            let mixed = (position as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let mixed = mixed ^ (mixed >> 29);
            mark.sum += x;
            mark.nonzero += 1;
            mark.checksum = mark.checksum.wrapping_add(mixed.wrapping_mul(x as u64));
        });
    }
    mark
}
