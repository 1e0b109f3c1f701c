//! Arrays of the reference data.

use kalpha_core::{CellBuffer, CellGrid};
use kalpha_io::{Input, OpenOptions, read};
use std::path::Path;

/// All values of the array `name` in an `.npz`, row-major.
pub fn npz(path: &Path, name: &str) -> Vec<f64> {
    let options = OpenOptions { signal: Some(name.to_owned()), ..OpenOptions::default() };
    // Under another name: the JSON file beside it holds reference values, not axes.
    let input = Input::from_bytes(Path::new("values.npz"), std::fs::read(path).unwrap());
    let rows = read(&input, &options).unwrap().rows;
    let grid = CellGrid::new(rows.meta().rows, rows.meta().channels);
    let (mut buffer, mut values, mut all) = (CellBuffer::default(), Vec::new(), Vec::new());
    for i in 0..grid.cells() {
        rows.cell(grid.rows(i), &mut buffer).unwrap().to_f64(&mut values);
        all.extend_from_slice(&values);
    }
    all
}

/// Largest difference.
pub fn max_difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, |worst, d| if d.is_nan() { f64::INFINITY } else { worst.max(d) })
}
