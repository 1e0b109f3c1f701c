//! Purest variables (SIMPLISMA): channels that one component dominates.
//!
//! Purity `p_j = sigma_j / (mean_j + alpha)`, alpha a share of the largest mean that keeps channels of
//! noise from winning. The first is the channel of largest weighted purity; each next one is weighted
//! by the determinant of the correlation around the origin among it and those chosen, so that what is
//! like them counts nothing.
//!
//! Source: Windig and Guilment (1991), Anal. Chem. 63, 1425, doi:10.1021/ac00014a016. Complexity
//! O(rows channels² + channels components⁴). Tested against the channels a published implementation
//! chooses on a chromatogram with diode-array detection.

use kalpha_num::least_squares::Cholesky;

/// Purest channels, the purest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Purest {
    /// Channels chosen.
    pub channels: Vec<usize>,
    /// Weighted purity of each when it was chosen, relative to the first's.
    pub purity: Vec<f64>,
}

/// Why there are no purest channels.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PurestError {
    /// Shapes or numbers do not fit.
    #[error("{what} (hint: {hint})")]
    Data {
        /// What is wrong.
        what: String,
        /// What to do.
        hint: &'static str,
    },
    /// Most values are zero: single counts look purest.
    #[error(
        "{zero:.0} % of the values are zero: the purest channels of sparse counts are empty ones that \
         caught a count (hint: sum rows or channels first, or factorise the counts with nmf)"
    )]
    Sparse {
        /// Zeros in percent.
        zero: f64,
    },
    /// No channel is left that differs from those chosen.
    #[error("only {found} components are there, {wanted} were asked for (hint: ask for fewer)")]
    Exhausted {
        /// Components found.
        found: usize,
        /// Components asked for.
        wanted: usize,
    },
}

/// Share of zeros above which data are sparse.
const SPARSE: f64 = 0.5;
/// Purity relative to the first's below which nothing is left.
const NOTHING: f64 = 1e-10;

/// The `components` purest channels of `data` (rows x channels); `alpha` is a share of the largest
/// mean, 0.05 as a rule.
///
/// # Errors
/// For data that are not finite, sparse, or hold fewer components.
pub fn purest(
    data: &[f64],
    channels: usize,
    components: usize,
    alpha: f64,
) -> Result<Purest, PurestError> {
    let data_error = |what: String, hint| Err(PurestError::Data { what, hint });
    if channels == 0 || data.is_empty() || !data.len().is_multiple_of(channels) {
        return data_error(
            format!("{} values in {channels} channels", data.len()),
            "complete rows",
        );
    }
    let rows = data.len() / channels;
    if components == 0 || components > rows.min(channels) {
        let what = format!("{components} components of {rows} spectra, {channels} channels");
        return data_error(what, "at most as many as there are spectra and channels");
    }
    if !(alpha.is_finite() && alpha > 0.0) {
        return data_error(format!("alpha = {alpha}"), "a positive share, such as 0.05");
    }
    if data.iter().any(|v| !v.is_finite()) {
        return data_error("NaN or infinity among the values".into(), "leave those rows out");
    }
    let zeros = data.iter().filter(|v| **v == 0.0).count() as f64 / data.len() as f64;
    if zeros > SPARSE {
        return Err(PurestError::Sparse { zero: 100.0 * zeros });
    }
    let n = rows as f64;
    let (mut mean, mut square) = (vec![0.0; channels], vec![0.0; channels]);
    for row in data.chunks_exact(channels) {
        mean.iter_mut().zip(row).for_each(|(m, v)| *m += v / n);
    }
    for row in data.chunks_exact(channels) {
        for ((s, v), m) in square.iter_mut().zip(row).zip(&mean) {
            *s += (v - m) * (v - m) / n;
        }
    }
    let sigma: Vec<f64> = square.iter().map(|s| s.sqrt()).collect();
    let largest = mean.iter().copied().fold(0.0, f64::max);
    if largest <= 0.0 {
        return data_error("no channel has a positive mean".into(), "intensities, not derivatives");
    }
    let alpha = alpha * largest;
    let purity: Vec<f64> = sigma.iter().zip(&mean).map(|(s, m)| s / (m.max(0.0) + alpha)).collect();
    let length: Vec<f64> = mean.iter().zip(&sigma).map(|(m, s)| m.hypot(s + alpha)).collect();
    // Correlation around the origin of two channels of scaled data.
    let correlation = |i: usize, j: usize| -> f64 {
        let of = |row: &[f64]| row[i] / length[i] * (row[j] / length[j]);
        data.chunks_exact(channels).map(of).sum::<f64>() / n
    };
    let own: Vec<f64> = (0..channels).map(|j| correlation(j, j)).collect();
    let mut chosen: Vec<usize> = Vec::with_capacity(components);
    let mut with: Vec<Vec<f64>> = Vec::new();
    let (mut first, mut found) = (0.0, Vec::new());
    for _ in 0..components {
        let q = chosen.len() + 1;
        let weight = |j: usize| -> f64 {
            let element = |a: usize, b: usize| match (a, b) {
                (0, 0) => own[j],
                (0, b) => with[b - 1][j],
                (a, 0) => with[a - 1][j],
                (a, b) => with[b - 1][chosen[a - 1]],
            };
            let matrix: Vec<f64> = (0..q * q).map(|k| element(k / q, k % q)).collect();
            determinant(matrix, q)
        };
        let best = (0..channels)
            .map(|j| (purity[j] * weight(j), j))
            .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        let Some((value, j)) = best else { break };
        if chosen.is_empty() {
            first = value;
        }
        if value.is_nan() || value <= NOTHING * first || value <= 0.0 {
            return Err(PurestError::Exhausted { found: chosen.len(), wanted: components });
        }
        chosen.push(j);
        found.push(value / first);
        with.push((0..channels).map(|i| correlation(i, j)).collect());
    }
    Ok(Purest { channels: chosen, purity: found })
}

/// Determinant of a positive semidefinite matrix; zero where it is singular within rounding.
fn determinant(mut matrix: Vec<f64>, n: usize) -> f64 {
    if Cholesky::new(&matrix, n).is_err() {
        return 0.0;
    }
    let mut product = 1.0;
    for k in 0..n {
        let pivot = matrix[k * n + k];
        product *= pivot;
        for i in k + 1..n {
            let factor = matrix[i * n + k] / pivot;
            for j in k..n {
                matrix[i * n + j] -= factor * matrix[k * n + j];
            }
        }
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two bands with a pure channel each.
    #[test]
    fn pure_channels_are_found() {
        let (channels, rows) = (40, 30);
        let band = |c: usize, at: f64| (-0.5 * ((c as f64 - at) / 3.0).powi(2)).exp();
        let data: Vec<f64> = (0..rows * channels)
            .map(|k| {
                let (r, c) = ((k / channels) as f64, k % channels);
                0.01 + (1.0 + (0.3 * r).sin()) * band(c, 12.0) + (2.0 - 0.06 * r) * band(c, 18.0)
            })
            .collect();
        let found = purest(&data, channels, 2, 0.05).unwrap();
        let mut at = found.channels.clone();
        at.sort_unstable();
        assert!(at[0] <= 12 && at[1] >= 18, "{found:?}");
        assert!(found.purity[1] < 1.0);
    }

    #[test]
    fn sparse_and_broken_data_are_refused() {
        let mut counts = vec![0.0; 400];
        counts[7] = 1.0;
        assert!(matches!(purest(&counts, 20, 2, 0.05), Err(PurestError::Sparse { .. })));
        assert!(purest(&[1.0, f64::NAN, 1.0, 2.0], 2, 1, 0.05).is_err());
        assert!(purest(&[1.0; 20], 5, 9, 0.05).is_err());
        // Rows that are multiples of one another: one component.
        let one: Vec<f64> =
            (0..50).map(|k| f64::from(k / 10 + 1) * f64::from(k % 10 + 1)).collect();
        assert!(matches!(purest(&one, 10, 2, 0.05), Err(PurestError::Exhausted { found: 1, .. })));
    }
}
