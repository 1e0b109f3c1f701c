//! Malinowski's error functions and target transformation.
//!
//! With eigenvalues `λ_j` of `DᵀD` (D: r points x c spectra, r >= c, not centred) and n components:
//! - `RE = sqrt(sum_{j>n} λ_j / (r (c - n)))`, the real error; `IE = RE sqrt(n / c)`, what of it stays
//!   in the reproduced data; `IND = RE / (c - n)²`, least at the number of components;
//! - `REV_j = λ_j / ((r - j + 1)(c - j + 1))`, and `F(1, c - n) = REV_n / (sum_{j>n} λ_j / sum_{j>n}
//!   (r - j + 1)(c - j + 1))`, which tells whether component n is above the noise of those after it.
//!
//! A target x is tested against the space of the n components: `x̂ = U Uᵀ x`, `t = S⁻¹ Uᵀ x`:
//! `AET² = |x - x̂|² / (r - n)`, `REP = RE |t|`, `RET² = AET² - REP²` (not below zero), `SPOIL = RET /
//! REP`: below 3 the target is good, below 6 fair, above that it spoils the data.
//!
//! Sources: Malinowski (1977), Anal. Chem. 49, 606 and 612, doi:10.1021/ac50012a026; Malinowski (1978),
//! Anal. Chim. Acta 103, 339, doi:10.1016/S0003-2670(01)83099-3; Malinowski (1989), J. Chemom. 3, 49,
//! doi:10.1002/cem.1180030106. Complexity that of a singular value decomposition. Tested against values
//! for eight gold L3 spectra and six references.

pub mod step;

use kalpha_num::{
    statistics::regularized_beta,
    svd::{Svd, thin_svd},
};
use serde::{Deserialize, Serialize};

/// Error functions for each number of components from 1 to c - 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorFunctions {
    /// Eigenvalues, all c of them.
    pub eigenvalues: Vec<f64>,
    /// `REV`, all c.
    pub reduced_eigenvalues: Vec<f64>,
    /// Real error.
    pub re: Vec<f64>,
    /// Imbedded error.
    pub ie: Vec<f64>,
    /// Indicator function.
    pub ind: Vec<f64>,
    /// Probability of so large an F without component n.
    pub p: Vec<f64>,
    /// Number of components where IND is least.
    pub least_ind: usize,
}

/// How a target fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// SPOIL below 3.
    Good,
    /// SPOIL from 3 to 6.
    Fair,
    /// SPOIL above 6.
    Rejected,
}

/// A target tested.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// Apparent error of the target.
    pub aet: f64,
    /// Real error of the predicted target: what the noise of the data explains.
    pub rep: f64,
    /// Real error of the target.
    pub ret: f64,
    /// `RET / REP`.
    pub spoil: f64,
    /// `|x - x̂|² / |x|²`.
    pub r_factor: f64,
    /// What SPOIL says.
    pub verdict: Verdict,
    /// The target as the data predict it.
    pub predicted: Vec<f64>,
}

/// Data or targets cannot be analysed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// Shapes do not fit.
    #[error("{spectra} spectra of {points} points (hint: at least 3 spectra and 3 points)")]
    Shape {
        /// Spectra.
        spectra: usize,
        /// Points.
        points: usize,
    },
    /// NaN, infinity, or a target of zeros.
    #[error("NaN or infinity among the values, or nothing but zeros (hint: leave those rows out)")]
    Values,
    /// A number of components that the data do not hold.
    #[error("{components} components are asked of data that hold {rank} (hint: fewer)")]
    Components {
        /// Components.
        components: usize,
        /// Rank.
        rank: usize,
    },
}

/// Decomposed data.
#[derive(Clone, Debug)]
pub struct Factors {
    svd: Svd,
    spectra: usize,
    points: usize,
    /// Error functions.
    pub errors: ErrorFunctions,
}

impl Factors {
    /// Decomposes `data` (spectra x points), not centred. `independent` is the number of points that
    /// were measured, where the others are interpolated; it stands for the points in the F-test.
    ///
    /// # Errors
    /// For fewer than three spectra or points, or values that are not finite.
    pub fn new(data: &[f64], points: usize, independent: usize) -> Result<Self, TargetError> {
        let spectra = data.len().checked_div(points).unwrap_or(0);
        if spectra < 3 || points < 3 || spectra * points != data.len() || independent < 3 {
            return Err(TargetError::Shape { spectra, points: points.min(independent) });
        }
        if data.iter().any(|v| !v.is_finite()) || data.iter().all(|v| *v == 0.0) {
            return Err(TargetError::Values);
        }
        let svd = thin_svd(data, spectra, points);
        let (r, c) = (points.max(spectra) as f64, points.min(spectra));
        let square = |j: usize| svd.values.get(j).map_or(0.0, |v| v * v);
        let eigenvalues: Vec<f64> = (0..c).map(square).collect();
        let rest = |n: usize| eigenvalues[n..].iter().sum::<f64>();
        let left = |n: usize| (c - n) as f64;
        let re: Vec<f64> = (1..c).map(|n| (rest(n) / (r * left(n))).sqrt()).collect();
        let ie = re.iter().zip(1..).map(|(re, n)| re * (n as f64 / c as f64).sqrt()).collect();
        let ind: Vec<f64> = re.iter().zip(1..).map(|(re, n)| re / left(n).powi(2)).collect();
        // From zero: component j + 1.
        let freedom = |r: f64, j: usize| (r - j as f64).max(1.0) * left(j);
        let reduced_eigenvalues: Vec<f64> =
            eigenvalues.iter().enumerate().map(|(j, v)| v / freedom(r, j)).collect();
        let measured = if points >= spectra { independent.min(points) as f64 } else { r };
        let p = (1..c)
            .map(|n| {
                let pooled: f64 = (n..c).map(|j| freedom(measured, j)).sum();
                let f = eigenvalues[n - 1] / freedom(measured, n - 1) / (rest(n) / pooled);
                // Without noise every component stands above it.
                if rest(n) == 0.0 { 0.0 } else { f_sf(f, 1.0, left(n)) }
            })
            .collect();
        let least_ind = (0..ind.len()).min_by(|a, b| ind[*a].total_cmp(&ind[*b])).unwrap_or(0) + 1;
        let errors = ErrorFunctions { eigenvalues, reduced_eigenvalues, re, ie, ind, p, least_ind };
        Ok(Self { svd, spectra, points, errors })
    }

    /// Tests a target against the space of the first `components`.
    ///
    /// # Errors
    /// When the data do not hold so many, or the target does not fit them.
    pub fn test(&self, target: &[f64], components: usize) -> Result<Target, TargetError> {
        let n = components;
        let rank = self.svd.rank();
        if n == 0 || n > rank || n >= self.spectra.min(self.points) {
            return Err(TargetError::Components { components, rank });
        }
        if target.len() != self.points {
            return Err(TargetError::Shape { spectra: self.spectra, points: target.len() });
        }
        let size: f64 = target.iter().map(|v| v * v).sum();
        if !size.is_finite() || size == 0.0 {
            return Err(TargetError::Values);
        }
        let (mut predicted, mut length) = (vec![0.0; self.points], 0.0);
        for j in 0..n {
            let direction = self.svd.right(j);
            let share: f64 = direction.iter().zip(target).map(|(u, x)| u * x).sum();
            length += (share / self.svd.values[j]).powi(2);
            predicted.iter_mut().zip(direction).for_each(|(p, u)| *p += share * u);
        }
        let misfit: f64 = target.iter().zip(&predicted).map(|(x, p)| (x - p) * (x - p)).sum();
        let aet = (misfit / (self.points - n) as f64).sqrt();
        let rep = self.errors.re[n - 1] * length.sqrt();
        let ret = (aet * aet - rep * rep).max(0.0).sqrt();
        let spoil = if ret > 0.0 { ret / rep } else { 0.0 };
        let verdict = match spoil {
            s if s < 3.0 => Verdict::Good,
            s if s <= 6.0 => Verdict::Fair,
            _ => Verdict::Rejected,
        };
        Ok(Target { aet, rep, ret, spoil, r_factor: misfit / size, verdict, predicted })
    }
}

/// Probability that F with `a` and `b` degrees of freedom is above `f`.
fn f_sf(f: f64, a: f64, b: f64) -> f64 {
    regularized_beta(b / (b + a * f), 0.5 * b, 0.5 * a)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kalpha_num::{rng::Stream, spline::CubicSpline};
    use serde_json::Value;

    fn numbers(value: &Value) -> Vec<f64> {
        value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
    }

    fn near(a: f64, b: f64) -> bool {
        (a / b - 1.0).abs() < 1e-6
    }

    /// Eight gold spectra, six references: error functions and targets to 1e-6.
    #[test]
    fn gold_project() {
        let Some(path) = kalpha_reference::path("reference/xas/larch_lcf_pca_au.json") else {
            return;
        };
        let reference: Value =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let names = ["0_12", "2_42", "4_73", "7_03", "9_33", "20", "33", "720"];
        let spectrum = |name: &str| &reference["spectra"][name];
        let energy = numbers(&spectrum("d_0_12")["energy"]);
        // From the point nearest to 11870 eV to the one nearest to 12030 eV.
        let nearest = |at: f64| {
            let less =
                |a: &usize, b: &usize| (energy[*a] - at).abs().total_cmp(&(energy[*b] - at).abs());
            (0..energy.len()).min_by(less).unwrap()
        };
        let grid = &energy[nearest(11870.0)..=nearest(12030.0)];
        let on_grid = |name: &str| -> Vec<f64> {
            let of = spectrum(name);
            let spline = CubicSpline::new(&numbers(&of["energy"]), &numbers(&of["norm"])).unwrap();
            grid.iter().map(|e| spline.at(*e)[0]).collect()
        };
        let data: Vec<f64> = names.iter().flat_map(|name| on_grid(&format!("d_{name}"))).collect();
        let factors = Factors::new(&data, grid.len(), grid.len()).unwrap();
        let expected = &reference["malinowski"];
        let errors = &factors.errors;
        for (found, name, tolerance) in [
            (&errors.eigenvalues, "eigenvalues", 1e-8),
            (&errors.reduced_eigenvalues, "reduced_ev", 1e-8),
            (&errors.re, "RE", 1e-6),
            (&errors.ie, "IE", 1e-6),
            (&errors.ind, "IND", 1e-6),
        ] {
            let expected = numbers(&expected[name]);
            assert_eq!(found.len(), expected.len(), "{name}");
            for (a, b) in found.iter().zip(expected) {
                assert!((a / b - 1.0).abs() < tolerance, "{name}: {a} {b}");
            }
        }
        assert_eq!(errors.least_ind, 3);
        for (n, targets) in expected["target"].as_object().unwrap() {
            for (name, expected) in targets.as_object().unwrap() {
                let found = factors.test(&on_grid(name), n.parse().unwrap()).unwrap();
                for (value, key) in [
                    (found.aet, "AET"),
                    (found.rep, "REP"),
                    (found.ret, "RET"),
                    (found.spoil, "SPOIL"),
                    (found.r_factor, "R"),
                ] {
                    let expected = expected[key].as_f64().unwrap();
                    assert!(near(value, expected), "{n} {name} {key}: {value} {expected}");
                }
                for (a, b) in found.predicted.iter().zip(numbers(&expected["predicted"])) {
                    assert!((a - b).abs() < 1e-8, "{n} {name}");
                }
            }
        }
    }

    /// Three components in noise: IND and the F-test find them, true targets pass, others do not.
    #[test]
    fn targets_of_simulated_mixtures() {
        let (points, spectra) = (90, 14);
        let band = |at: f64| -> Vec<f64> {
            (0..points).map(|c| 0.2 + (-0.01 * (f64::from(c) - at).powi(2)).exp()).collect()
        };
        let pure = [band(20.0), band(45.0), band(70.0)];
        let stream = Stream::new(4, "target", 0);
        let data: Vec<f64> = (0..spectra * points as usize)
            .map(|k| {
                let (s, c) = (k / points as usize, k % points as usize);
                let share = |i: usize| 1.0 + ((1.3 + i as f64) * s as f64).sin();
                let clean: f64 = (0..3).map(|i| share(i) * pure[i][c]).sum();
                clean + 0.01 * stream.at(s, c).normal()
            })
            .collect();
        let factors = Factors::new(&data, points as usize, points as usize).unwrap();
        assert_eq!(factors.errors.least_ind, 3);
        assert!((factors.errors.re[2] / 0.01 - 1.0).abs() < 0.1);
        assert!(factors.errors.p[2] < 0.01 && factors.errors.p[3] > 0.05, "{:?}", factors.errors.p);
        for target in &pure {
            assert_eq!(factors.test(target, 3).unwrap().verdict, Verdict::Good);
        }
        assert_eq!(factors.test(&band(32.0), 3).unwrap().verdict, Verdict::Rejected);
    }

    #[test]
    fn bad_input_is_refused() {
        let data: Vec<f64> = (0..40).map(|k| f64::from(k * k % 17)).collect();
        assert!(Factors::new(&data, 10, 10).is_ok());
        assert!(Factors::new(&data[..20], 10, 10).is_err());
        assert!(Factors::new(&data[..39], 10, 10).is_err());
        assert_eq!(Factors::new(&[0.0; 40], 10, 10).unwrap_err(), TargetError::Values);
        let factors = Factors::new(&data, 10, 10).unwrap();
        assert!(factors.test(&[1.0; 10], 4).is_err());
        assert!(factors.test(&[1.0; 10], 0).is_err());
        assert!(factors.test(&[0.0; 10], 2).is_err());
        assert!(factors.test(&[1.0; 9], 2).is_err());
    }
}
