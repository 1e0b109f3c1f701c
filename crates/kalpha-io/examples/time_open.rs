//! Median time of opening files: `cargo run --release -p kalpha-io --example time_open FILE..`
//!
//! One line per file: path, format, rows, channels, sum, median and least seconds of 21 reads.

use kalpha_core::{CellBuffer, CellGrid};
use kalpha_io::{IoError, OpenOptions, open};
use std::time::Instant;

fn main() -> Result<(), IoError> {
    for path in std::env::args().skip(1) {
        let mut seconds = Vec::new();
        for _ in 0..21 {
            let start = Instant::now();
            let dataset = open(&path, &OpenOptions::default())?;
            seconds.push(start.elapsed().as_secs_f64());
            drop(dataset);
        }
        seconds.sort_by(f64::total_cmp);
        let dataset = open(&path, &OpenOptions::default())?;
        let meta = dataset.meta();
        let (mut sum, mut buffer) = (0.0, CellBuffer::default());
        let grid = CellGrid::new(meta.rows, meta.channels);
        for i in 0..grid.cells() {
            if let Ok(cell) = dataset.rows.cell(grid.rows(i), &mut buffer) {
                cell.for_each_nonzero(|_, _, x| sum += x);
            }
        }
        println!(
            "{path}\t{}\t{}\t{}\t{sum}\t{:.6}\t{:.6}",
            dataset.source.format, meta.rows, meta.channels, seconds[10], seconds[0]
        );
    }
    Ok(())
}
