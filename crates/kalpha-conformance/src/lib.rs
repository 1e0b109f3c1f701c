//! One set of tests for every registered step, and the datasets they run on.
//!
//! A step that is registered and stands in a default recipe is tested without another line.

use kalpha_core::{
    Artefact, Axis, CellBuffer, CellGrid, CsrBuilder, DType, Dataset, DenseRows, DenseValues,
    Metadata, Modality, Mode, NoiseModel, Rows, RowsMeta, Source, Specimen, Unit,
};
use kalpha_num::rng::Stream;
use std::sync::Arc;

/// Builds small datasets that a default EDS recipe runs on.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Lines of the map.
    pub lines: usize,
    /// Pixels per line.
    pub columns: usize,
    /// Channels of 20 eV.
    pub channels: usize,
    /// Mean counts per pixel.
    pub dose: f64,
    /// Store dense instead of sparse.
    pub dense: bool,
    /// Mask every seventh pixel.
    pub masked: bool,
    /// Order of the pixels; identity where empty.
    pub order: Vec<usize>,
}

impl Default for Sample {
    fn default() -> Self {
        Self {
            lines: 20,
            columns: 18,
            channels: 600,
            dose: 150.0,
            dense: false,
            masked: false,
            order: Vec::new(),
        }
    }
}

impl Sample {
    /// Shape and axes of the sample.
    pub fn meta(&self) -> RowsMeta {
        let axis = |name, unit, scale, n| Axis {
            name: String::from(name),
            unit,
            points: kalpha_core::Points::Linear { offset: 0.0, scale, n },
        };
        RowsMeta {
            rows: self.lines * self.columns,
            channels: self.channels,
            dtype: DType::Csr,
            navigation: vec![
                axis("y", Unit::Nanometre, 2.0, self.lines),
                axis("x", Unit::Nanometre, 2.0, self.columns),
            ],
            signal: axis("Energy", Unit::KeV, 0.02, self.channels),
            noise: NoiseModel::COUNTS,
        }
    }

    /// Two alloys (Fe-rich, Ni-rich) side by side on a falling continuum: Poisson counts.
    fn spectrum(&self, row: usize) -> Vec<u32> {
        let gauss = |e: f64, mu: f64| (-0.5 * ((e - mu) / 0.06).powi(2)).exp();
        let left = row % self.columns < self.columns / 2;
        let shape: Vec<f64> = (0..self.channels)
            .map(|c| {
                let e = 0.02 * c as f64;
                let fe = gauss(e, 6.400) + 0.13 * gauss(e, 7.058) + 0.3 * gauss(e, 0.705);
                let ni = gauss(e, 7.472) + 0.13 * gauss(e, 8.265) + 0.3 * gauss(e, 0.851);
                let (a, b) = if left { (0.9, 0.2) } else { (0.2, 0.9) };
                a * fe + b * ni + if e > 0.15 { 0.02 * (-e / 4.0).exp() } else { 0.0 }
            })
            .collect();
        let total: f64 = shape.iter().sum();
        (0..self.channels)
            .map(|c| {
                let mean = self.dose * shape[c] / total.max(f64::MIN_POSITIVE);
                Stream::new(7, "sample", 0).at(row, c).poisson(mean) as u32
            })
            .collect()
    }

    /// The dataset.
    ///
    /// # Panics
    /// When the sample's own numbers make no dataset: a mistake in the test.
    pub fn dataset(&self) -> Dataset {
        let meta = self.meta();
        let order = |i: usize| self.order.get(i).copied().unwrap_or(i);
        let spectra: Vec<Vec<u32>> = (0..meta.rows).map(|i| self.spectrum(order(i))).collect();
        let rows: Rows = if self.dense {
            let values: Vec<u16> = spectra.iter().flatten().map(|&x| x as u16).collect();
            match DenseRows::new(meta, DenseValues::U16(values.into())) {
                Ok(rows) => Arc::new(rows),
                Err(error) => panic!("{error}"),
            }
        } else {
            let mut csr = match CsrBuilder::new(self.channels) {
                Ok(csr) => csr,
                Err(error) => panic!("{error}"),
            };
            spectra.iter().for_each(|row| csr.push_dense_row(row));
            Arc::new((meta, csr.finish()))
        };
        let n = rows.meta().rows;
        let mask = self.masked.then(|| (0..n).map(|i| i % 7 == 0).collect::<Vec<_>>().into());
        Dataset { mask, ..dataset(rows) }
    }
}

/// A thin-film EDS dataset with complete metadata around any rows.
pub fn dataset(rows: Rows) -> Dataset {
    Dataset {
        rows,
        metadata: Metadata {
            modality: Some(Modality::Eds),
            acquisition_mode: Some(Mode::Stem),
            specimen: Some(Specimen::Thin),
            beam_energy_kev: Some(200.0),
            elevation_angle: Some(18.0),
            energy_resolution_mn_ka_ev: Some(135.0),
            ..Metadata::default()
        },
        vendor: Default::default(),
        mask: None,
        source: Source { path: "sample".into(), format: "sample".into(), ..Source::default() },
        diagnostics: Vec::new(),
    }
}

/// All values of some rows, dense.
///
/// # Panics
/// When the rows cannot be read.
pub fn values(rows: &Rows) -> Vec<f64> {
    let grid = CellGrid::new(rows.meta().rows, rows.meta().channels);
    let (mut buffer, mut cell_values, mut all) = (CellBuffer::default(), Vec::new(), Vec::new());
    for i in 0..grid.cells() {
        match rows.cell(grid.rows(i), &mut buffer) {
            Ok(cell) => cell.to_f64(&mut cell_values),
            Err(error) => panic!("{error}"),
        }
        all.extend_from_slice(&cell_values);
    }
    all
}

/// An artefact as text that is equal only for equal bits.
pub fn bits(artefact: &Artefact) -> String {
    match artefact {
        Artefact::Rows(rows) => {
            let bits: Vec<u64> = values(rows).iter().map(|x| x.to_bits()).collect();
            format!("{:?}", bits)
        }
        whole => whole.to_json().to_string(),
    }
}
