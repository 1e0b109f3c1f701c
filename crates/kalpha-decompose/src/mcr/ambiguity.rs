//! How far a resolved pair of components is decided by the data (Lawton and Sylvestre).
//!
//! With two components all rows lie in a plane. A spectrum that is not negative lies between two outer
//! lines of it, and between it and the other one all rows lie: `s = v1 + t v2` with t from the outer
//! bound to the row nearest to it, on either side (v the singular vectors of the data). The bands of
//! spectra and concentrations follow, and the extremes of the signal contribution
//! `f_k = |c_k| |s_k| / |C S|`, which are reached at ends of the bands.
//!
//! Sources: Lawton and Sylvestre (1971), Technometrics 13, 617, doi:10.1080/00401706.1971.10488823;
//! Gemperline (1999), Anal. Chem. 71, 5398, doi:10.1021/ac990648y, for the contribution. Exact for data
//! without noise; with noise the bounds are those of the rank-two part, and values that noise makes
//! negative narrow them. Complexity that of a singular value decomposition. Tested against published
//! analytic bands.

use super::side::dot;
use kalpha_num::svd::thin_svd;

/// The solutions of two components that fit alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Bands {
    /// First singular vectors of the data, 2 x channels: spectra are `v1 + t v2`.
    pub vectors: Vec<f64>,
    /// Range of t for either component.
    pub ranges: [[f64; 2]; 2],
    /// Least and greatest signal contribution of either component.
    pub contributions: [[f64; 2]; 2],
    rows: Vec<f64>,
    channels: usize,
}

/// Two components have no bands.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BandsError {
    /// Fewer than two components, or shapes that do not fit.
    #[error("the data hold fewer than two components (hint: {rows} rows, {channels} channels)")]
    Rank {
        /// Rows.
        rows: usize,
        /// Channels.
        channels: usize,
    },
    /// No pair of spectra without negative values has all rows between them.
    #[error(
        "no two spectra without negative values hold all rows between them: bounds {outer:?}, rows \
         {inner:?} (hint: noise or a third component; smooth, or resolve more components)"
    )]
    Empty {
        /// Outer bounds of t.
        outer: [f64; 2],
        /// Range of t of the rows.
        inner: [f64; 2],
    },
}

/// Bands of two components in `data` (rows x channels). Rows and channels below `noise` times the
/// largest of their first scores do not bound.
///
/// # Errors
/// When the data hold fewer than two components, or none fit.
pub fn bands(data: &[f64], channels: usize, noise: f64) -> Result<Bands, BandsError> {
    let count = data.len().checked_div(channels).unwrap_or(0);
    let rank = BandsError::Rank { rows: count, channels };
    if count < 2 || channels < 2 || data.iter().any(|v| !v.is_finite()) {
        return Err(rank);
    }
    let svd = thin_svd(data, count, channels);
    if svd.rank() < 2 || svd.values[1] <= 1e-10 * svd.values[0] {
        return Err(rank);
    }
    // The first vectors of non-negative data have one sign.
    let sign = if svd.right(0).iter().sum::<f64>() < 0.0 { -1.0 } else { 1.0 };
    let first: Vec<f64> = svd.right(0).iter().map(|v| sign * v).collect();
    let second = svd.right(1);
    let scores: Vec<[f64; 2]> = (0..count)
        .map(|i| [sign * svd.left(0)[i] * svd.values[0], svd.left(1)[i] * svd.values[1]])
        .collect();
    let mut outer = [f64::NEG_INFINITY, f64::INFINITY];
    let tallest = first.iter().copied().fold(0.0, f64::max);
    for (a, b) in first.iter().zip(second).filter(|(a, _)| **a > noise * tallest) {
        if *b > 0.0 {
            outer[0] = outer[0].max(-a / b);
        } else if *b < 0.0 {
            outer[1] = outer[1].min(-a / b);
        }
    }
    let largest = scores.iter().map(|s| s[0]).fold(0.0, f64::max);
    let mut inner = [f64::INFINITY, f64::NEG_INFINITY];
    for [a, b] in scores.iter().filter(|s| s[0] > noise * largest) {
        inner = [inner[0].min(b / a), inner[1].max(b / a)];
    }
    if !(outer[0] <= inner[0] && inner[0] < inner[1] && inner[1] <= outer[1]) {
        return Err(BandsError::Empty { outer, inner });
    }
    let ranges = [[outer[0], inner[0]], [inner[1], outer[1]]];
    let vectors = [&first[..], second].concat();
    let rows: Vec<f64> = scores.into_iter().flatten().collect();
    let contributions = [[0.0; 2]; 2];
    let mut bands = Bands { vectors, ranges, contributions, rows, channels };
    let mut extremes = [[f64::INFINITY, f64::NEG_INFINITY]; 2];
    for a in ranges[0] {
        for b in ranges[1] {
            let found = bands.contribution(a, b);
            for (extreme, f) in extremes.iter_mut().zip(found) {
                *extreme = [extreme[0].min(f), extreme[1].max(f)];
            }
        }
    }
    bands.contributions = extremes;
    Ok(bands)
}

impl Bands {
    /// The spectrum at t.
    pub fn spectrum(&self, t: f64) -> Vec<f64> {
        let (first, second) = self.vectors.split_at(self.channels);
        first.iter().zip(second).map(|(a, b)| a + t * b).collect()
    }

    /// Concentrations of both components where their spectra stand at `a` and `b`, rows x 2.
    pub fn concentrations(&self, a: f64, b: f64) -> Vec<f64> {
        let each = |row: &[f64]| {
            // row = c1 (1, a) + c2 (1, b).
            let second = (row[1] - a * row[0]) / (b - a);
            [row[0] - second, second]
        };
        self.rows.chunks_exact(2).flat_map(each).collect()
    }

    /// Signal contributions of both components there.
    pub fn contribution(&self, a: f64, b: f64) -> [f64; 2] {
        let concentrations = self.concentrations(a, b);
        let whole = dot(&self.rows, &self.rows).sqrt();
        let of = |k: usize, t: f64| {
            let squares: f64 = concentrations.iter().skip(k).step_by(2).map(|c| c * c).sum();
            (squares * (1.0 + t * t)).sqrt() / whole
        };
        [of(0, a), of(1, b)]
    }
}
