//! Tougaard background of a photoelectron line.
//!
//! `S(E) = r + B integral of K(T) (y(E') - r) dE'`, `T` the loss between E' and E, with the
//! inelastic cross-section `K(T) = T / ((C + C' T²)² + D T²)`: two parameters with `C' = 1`,
//! `D = 0` (universal, C = 1643 eV²), three with `C' = -1` for materials with a narrow
//! plasmon. `B` is given, or follows from the background meeting the data at the end of high
//! binding energy; it enters linearly, so nothing is iterated. `r` is the mean at the other end.
//!
//! Source: Tougaard (1989), Surf. Sci. 216, 343, doi:10.1016/0039-6028(89)90380-4 (two
//! parameters); Tougaard (1997), Surf. Interface Anal. 25, 137,
//! doi:10.1002/(SICI)1096-9918(199703)25:3<137::AID-SIA230>3.0.CO;2-L (three); sign of the
//! square: Hesse and Denecke (2011), Surf. Interface Anal. 43, 1514. Complexity O(n²). Tested against
//! lmfitxps 4.2.0 and an independent closed form.

use super::energy_scale::{EnergyScale, LossOrder};
use crate::row_method::{Block, RowMethod, RowStatus, Treat};
use kalpha_core::{Metadata, NoiseModel, Passes, Rows, RowsMeta, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `baseline.tougaard`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TougaardParams {
    /// Whether energies are binding or kinetic; as the axis is named if absent.
    pub energy_scale: EnergyScale,
    /// Begin of the region, in units of the axis; the end of the data if absent.
    pub first: Option<f64>,
    /// End of the region, in units of the axis; the end of the data if absent.
    pub last: Option<f64>,
    /// Points averaged at each end of the region.
    pub ends: usize,
    /// B, eV²; chosen to meet the data at the end of high loss if absent.
    pub b: Option<f64>,
    /// C, eV².
    pub c: f64,
    /// Sign and weight of the squared loss: 1 with two parameters, -1 with three.
    pub c_prime: f64,
    /// D, eV²; 0 with two parameters.
    pub d: f64,
}

impl Default for TougaardParams {
    fn default() -> Self {
        let CrossSection { c, c_prime, d } = CrossSection::UNIVERSAL;
        let energy_scale = EnergyScale::default();
        Self { energy_scale, first: None, last: None, ends: 5, b: None, c, c_prime, d }
    }
}

impl TougaardParams {
    fn plan(&self, rows: &RowsMeta) -> Result<Tougaard, StepError> {
        let refuse = |parameter, got: String, expected: &str| {
            Err(StepError::Parameter { parameter, got, expected: expected.to_owned() })
        };
        if self.ends == 0 {
            return refuse("ends", "0".into(), "at least 1");
        }
        if !(self.c.is_finite() && self.c > 0.0) {
            return refuse("c", self.c.to_string(), "a positive number of eV²");
        }
        if !(self.d.is_finite() && self.d >= 0.0 && self.c_prime.is_finite()) {
            return refuse("d", self.d.to_string(), "zero or a positive number of eV²");
        }
        if self.c_prime < 0.0 && self.d == 0.0 {
            return refuse(
                "d",
                "0".into(),
                "above zero where c_prime is negative, or the cross-section has a pole",
            );
        }
        if self.b.is_some_and(|b| !b.is_finite() || b < 0.0) {
            return refuse("b", format!("{:?}", self.b), "zero or a positive number of eV²");
        }
        let window = EnergyScale::window(self.first, self.last);
        let order = LossOrder::new(&rows.signal, self.energy_scale, window, 2 * self.ends + 1)?;
        let cross_section = CrossSection { c: self.c, c_prime: self.c_prime, d: self.d };
        Ok(Tougaard::new(order, cross_section, self.ends, self.b))
    }
}

impl Treat for TougaardParams {
    const ID: &'static str = "baseline.tougaard";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Tougaard background of a photoelectron line";
    type Method = Tougaard;

    fn check(&self, rows: &RowsMeta, _: &Metadata) -> Result<(), StepError> {
        self.plan(rows).map(|_| ())
    }

    fn method(self, rows: &Rows, _: &Metadata, _: &dyn Passes) -> Result<Tougaard, StepError> {
        self.plan(rows.meta())
    }

    fn noise(&self, _: &NoiseModel) -> NoiseModel {
        NoiseModel::Correlated
    }
}

impl RowMethod for Tougaard {
    type Scratch = TougaardScratch;

    fn columns(&self) -> Vec<(&'static str, String)> {
        vec![("b", "eV2".into())]
    }

    fn apply(&self, block: &mut Block<'_>, scratch: &mut TougaardScratch) {
        block.each(|y, z, table| {
            let fit = self.row(y, z, scratch);
            table[0] = fit.scale;
            if z.iter().any(|v| !v.is_finite()) {
                z.fill(f64::NAN);
                return RowStatus::Refused;
            }
            match fit.outcome {
                TougaardOutcome::Fine => RowStatus::Fine,
                TougaardOutcome::Negative => RowStatus::AtBound,
                TougaardOutcome::NoLine => RowStatus::Refused,
            }
        });
    }
}

/// Cross-section for losing energy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CrossSection {
    /// C, eV².
    pub c: f64,
    /// Sign and weight of T².
    pub c_prime: f64,
    /// D, eV².
    pub d: f64,
}

impl CrossSection {
    /// Two parameters, universal for metals and their oxides.
    pub const UNIVERSAL: Self = Self { c: 1643.0, c_prime: 1.0, d: 0.0 };

    /// Three parameters, `K = T / ((C - T²)² + D T²)`.
    pub const fn three(c: f64, d: f64) -> Self {
        Self { c, c_prime: -1.0, d }
    }

    /// The cross-section at loss `t` (eV), without its factor B.
    pub fn at(&self, t: f64) -> f64 {
        let square = t * t;
        t / ((self.c + self.c_prime * square).powi(2) + self.d * square)
    }
}

/// A background planned on one axis.
#[derive(Clone, Debug)]
pub struct Tougaard {
    order: LossOrder,
    cross_section: CrossSection,
    /// Cross-section per number of steps, where the axis is uniform.
    table: Option<Vec<f64>>,
    /// Width that each point stands for, eV.
    widths: Vec<f64>,
    /// Points averaged at each end.
    ends: usize,
    /// B, eV²; `None` to meet the data.
    scale: Option<f64>,
}

/// How the background was reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TougaardFit {
    /// B, eV².
    pub scale: f64,
    /// What it is.
    pub outcome: TougaardOutcome,
}

/// What kind of background came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TougaardOutcome {
    /// As asked.
    Fine,
    /// The data fall towards higher loss, which would need a negative B: B is 0.
    Negative,
    /// No electrons that could lose energy; NaN is given.
    NoLine,
}

/// Working memory.
#[derive(Clone, Debug, Default)]
pub struct TougaardScratch {
    y: Vec<f64>,
    loss_electrons: Vec<f64>,
}

impl Tougaard {
    /// Plans on the order of an axis. `ends` points are averaged at each end.
    pub fn new(
        order: LossOrder,
        cross_section: CrossSection,
        ends: usize,
        scale: Option<f64>,
    ) -> Self {
        let loss = order.loss();
        let n = loss.len();
        let step = loss[n - 1] / (n - 1).max(1) as f64;
        // Axes read from text are uniform to the digits written there.
        let uniform =
            loss.iter().enumerate().all(|(i, t)| (t - i as f64 * step).abs() <= 1e-6 * step);
        let table = uniform.then(|| (0..n).map(|k| cross_section.at(k as f64 * step)).collect());
        let widths =
            (0..n).map(|i| 0.5 * (loss[(i + 1).min(n - 1)] - loss[i.saturating_sub(1)])).collect();
        let ends = ends.clamp(1, n);
        Self { order, cross_section, table, widths, ends, scale }
    }

    /// Fits the background of `row`, whose values must be finite, into `out`.
    pub fn row(&self, row: &[f64], out: &mut [f64], scratch: &mut TougaardScratch) -> TougaardFit {
        let TougaardScratch { y, loss_electrons } = scratch;
        self.order.gather(row, y);
        let n = y.len();
        let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
        let (r, l) = (mean(&y[..self.ends]), mean(&y[n - self.ends..]));
        // The points at the ends count half; so close to T = 0 the cross-section vanishes.
        y.iter_mut().zip(&self.widths).for_each(|(v, w)| *v = (*v - r) * w);
        loss_electrons.clear();
        loss_electrons.resize(n, 0.0);
        self.fold(y, loss_electrons);
        let unscaled = mean(&loss_electrons[n - self.ends..]);
        let (scale, outcome) = match self.scale {
            Some(scale) => (scale, TougaardOutcome::Fine),
            None if l == r => (0.0, TougaardOutcome::Fine),
            None if unscaled.is_nan() || unscaled <= 0.0 => {
                out.fill(f64::NAN);
                return TougaardFit { scale: f64::NAN, outcome: TougaardOutcome::NoLine };
            }
            None if l < r => (0.0, TougaardOutcome::Negative),
            None => ((l - r) / unscaled, TougaardOutcome::Fine),
        };
        loss_electrons.iter_mut().for_each(|v| *v = r + scale * *v);
        self.order.scatter(loss_electrons, out);
        TougaardFit { scale, outcome }
    }

    /// `out[i] = sum over j < i of K(T_ij) y[j]`.
    fn fold(&self, y: &[f64], out: &mut [f64]) {
        let n = y.len();
        match &self.table {
            Some(table) => {
                for (j, &v) in y.iter().enumerate() {
                    for (o, k) in out[j..].iter_mut().zip(&table[..n - j]) {
                        *o += k * v;
                    }
                }
            }
            None => {
                let loss = self.order.loss();
                for (j, &v) in y.iter().enumerate() {
                    for i in j..n {
                        out[i] += self.cross_section.at(loss[i] - loss[j]) * v;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::energy_scale::EnergyScale;
    use kalpha_core::{Axis, Unit};

    fn order(x: Vec<f64>) -> LossOrder {
        LossOrder::new(&Axis::values("E", Unit::Ev, x), EnergyScale::Binding, None, 3).unwrap()
    }

    fn line(x: &[f64]) -> Vec<f64> {
        x.iter().map(|x| 1000.0 * (-0.5 * ((x - 20.0) / 1.0).powi(2)).exp()).collect()
    }

    /// A line with the background that it makes itself leaves the line alone.
    #[test]
    fn takes_off_the_loss_of_a_line() {
        let x: Vec<f64> = (0..1200).map(|i| 0.1 * f64::from(i)).collect();
        let primary = line(&x);
        // Electrons measured are primaries and their losses: solved from low loss upwards.
        let section = CrossSection::UNIVERSAL;
        let mut measured = primary.clone();
        for i in 0..x.len() {
            let loss: f64 = (0..i).map(|j| section.at(x[i] - x[j]) * measured[j] * 0.1).sum();
            measured[i] = primary[i] + 2866.0 * loss;
        }
        for scale in [None, Some(2866.0)] {
            let mut out = vec![0.0; x.len()];
            let fit = Tougaard::new(order(x.clone()), section, 1, scale).row(
                &measured,
                &mut out,
                &mut TougaardScratch::default(),
            );
            assert!((fit.scale / 2866.0 - 1.0).abs() < 1e-9, "{}", fit.scale);
            for i in 0..x.len() {
                assert!((measured[i] - out[i] - primary[i]).abs() < 1e-6, "{i}");
            }
        }
    }

    #[test]
    fn an_uneven_axis_is_integrated_as_it_is() {
        let even: Vec<f64> = (0..1200).map(|i| 0.1 * f64::from(i)).collect();
        let uneven: Vec<f64> =
            even.iter().map(|x| x + 0.04 * (0.7 * x).sin()).map(|x| x.max(0.0)).collect();
        let [a, b] =
            [&even, &uneven].map(|x| {
                let y: Vec<f64> = line(x).iter().zip(x.iter()).map(|(v, x)| v + 2.0 * x).collect();
                let mut out = vec![0.0; x.len()];
                Tougaard::new(order(x.clone()), CrossSection::three(542.0, 275.0), 1, Some(325.0))
                    .row(&y, &mut out, &mut TougaardScratch::default());
                out
            });
        // Equal but for the discretisation and the places of the points.
        assert!((a[1100] - b[1100]).abs() < 0.01 * a[1100], "{} {}", a[1100], b[1100]);
    }

    #[test]
    fn nothing_to_lose() {
        let x: Vec<f64> = (0..20).map(f64::from).collect();
        let tougaard = Tougaard::new(order(x.clone()), CrossSection::UNIVERSAL, 1, None);
        let mut out = vec![0.0; 20];
        let scratch = &mut TougaardScratch::default();
        assert_eq!(tougaard.row(&[4.0; 20], &mut out, scratch).outcome, TougaardOutcome::Fine);
        assert_eq!(out, [4.0; 20]);
        let dip: Vec<f64> = x.iter().map(|x| if *x < 18.0 { -x } else { 5.0 }).collect();
        assert_eq!(tougaard.row(&dip, &mut out, scratch).outcome, TougaardOutcome::NoLine);
        assert!(out.iter().all(|v| v.is_nan()));
        let falls: Vec<f64> = x.iter().map(|x| if *x < 18.0 { 20.0 + x } else { 5.0 }).collect();
        assert_eq!(tougaard.row(&falls, &mut out, scratch).outcome, TougaardOutcome::Negative);
        assert_eq!(out, [20.0; 20]);
    }
}
