//! EDS spectrum images with known truth.
//!
//! [`thin`] is a thin specimen in a STEM: core-shell particles and a second alloy on a carbon
//! film over a copper grid. Its line intensities follow Cliff-Lorimer exactly with the k-factors
//! in the truth. [`bulk`] is a rock in an SEM, with absorption, pile-up and a strobe peak; there
//! is no composition to be had from its intensities without a matrix correction.
//!
//! The continuum is not one of the fit's background models: it decays as a power of the energy
//! and carries a second term of its own, so that a fit is tested against a background it does
//! not contain.

pub mod bulk;
pub mod thin;

use kalpha_core::{CsrCounts, Metadata};
use serde::{Deserialize, Serialize};

use crate::{
    PhysicsError,
    bremsstrahlung::self_absorption,
    detector::Detector,
    elements::element,
    ionization::alpha_production,
    lines::{LineFamily, Shell, line_family},
    pileup::Content,
    profile::{PeakShape, observed_lines},
};

/// A simulated spectrum image.
#[derive(Debug, Clone)]
pub struct EdsSimulation {
    /// Raw counts, `height * width` rows in row-major order x channels.
    pub counts: CsrCounts,
    /// Lines of pixels.
    pub height: usize,
    /// Pixels per line.
    pub width: usize,
    /// Edge of a pixel, nm.
    pub pixel_size_nm: f64,
    /// Energy of channel 0 as the file would state it, keV.
    pub energy_offset: f64,
    /// Width of a channel as the file would state it, keV.
    pub energy_scale: f64,
    /// What the file would say of the measurement.
    pub metadata: Metadata,
    /// What is true.
    pub truth: EdsTruth,
}

/// The truth behind a simulated spectrum image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EdsTruth {
    /// Seed of the draw.
    pub seed: u64,
    /// Elements of the specimen, support and grid left out.
    pub elements: Vec<String>,
    /// Composition of the whole specimen in atomic percent; empty where counts cannot give it.
    pub atomic_percent: Vec<f64>,
    /// Composition of the whole specimen in weight percent; empty where counts cannot give it.
    pub weight_percent: Vec<f64>,
    /// Elements that are seen but do not belong to the specimen.
    pub stray_elements: Vec<String>,
    /// The phases.
    pub phases: Vec<PhaseTruth>,
    /// Index into `phases` of the phase with most counts in each pixel.
    pub labels: Vec<u8>,
    /// Expected counts of each phase in each pixel, pixels x phases.
    pub abundances: Vec<f32>,
    /// Pixels that hold something nobody expects.
    pub rare_pixels: Vec<RarePixel>,
    /// k-factors of the alpha lines on weight basis; empty for bulk.
    pub k_factors: Vec<(String, f64)>,
    /// True energy of channel 0, keV.
    pub energy_offset: f64,
    /// True width of a channel, keV.
    pub energy_scale: f64,
    /// True FWHM at Mn Ka, eV.
    pub mn_ka_ev: f64,
    /// Pile-up counts per pair of counts in a pixel.
    pub pileup_scale: f64,
    /// Expected counts of the strobe peak per pixel.
    pub strobe_counts: f64,
}

/// One phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhaseTruth {
    /// Name.
    pub name: String,
    /// Elements.
    pub elements: Vec<String>,
    /// Atomic percent.
    pub atomic_percent: Vec<f64>,
    /// Weight percent.
    pub weight_percent: Vec<f64>,
    /// Fraction of the pixels in which it has most counts.
    pub area_fraction: f64,
}

/// A planted pixel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RarePixel {
    /// Line of the image, from 0.
    pub row: usize,
    /// Pixel in the line, from 0.
    pub column: usize,
    /// The unexpected elements.
    pub elements: Vec<String>,
    /// Expected counts of the planted material.
    pub counts: f64,
}

impl EdsTruth {
    /// The k-factors as `--k-factors` takes them: `Fe_Ka=1.45,Pt_La=5.08`.
    pub fn k_factor_text(&self) -> String {
        let one = |(line, k): &(String, f64)| format!("{line}={k:.6}");
        self.k_factors.iter().map(one).collect::<Vec<_>>().join(",")
    }
}

/// A material by atomic fractions.
#[derive(Debug, Clone, Copy)]
struct Material {
    name: &'static str,
    atoms: &'static [(&'static str, f64)],
}

impl Material {
    /// Symbols and weight fractions.
    fn weight_fractions(&self) -> Result<Vec<(String, f64)>, PhysicsError> {
        let mut out = Vec::with_capacity(self.atoms.len());
        for (symbol, atoms) in self.atoms {
            out.push(((*symbol).to_owned(), atoms * element(symbol)?.atomic_weight));
        }
        let total: f64 = out.iter().map(|(_, w)| w).sum();
        out.iter_mut().for_each(|(_, w)| *w /= total);
        Ok(out)
    }

    fn truth(&self, area_fraction: f64) -> Result<PhaseTruth, PhysicsError> {
        let total: f64 = self.atoms.iter().map(|(_, a)| a).sum();
        let weight = self.weight_fractions()?;
        Ok(PhaseTruth {
            name: self.name.to_owned(),
            elements: weight.iter().map(|(symbol, _)| symbol.clone()).collect(),
            atomic_percent: self.atoms.iter().map(|(_, a)| 100.0 * a / total).collect(),
            weight_percent: weight.iter().map(|(_, w)| 100.0 * w).collect(),
            area_fraction,
        })
    }
}

/// Beam, detector and axis.
struct Setup {
    beam_energy: f64,
    /// Degrees; `Some` for bulk, where lines are absorbed on their way out.
    take_off_angle: Option<f64>,
    detector: Detector,
    shape: PeakShape,
    energies: Vec<f64>,
    /// Detector efficiency at each channel.
    efficiency: Vec<f64>,
}

impl Setup {
    fn new(
        beam_energy: f64,
        take_off_angle: Option<f64>,
        mn_ka_ev: f64,
        (offset, scale, n): (f64, f64, usize),
    ) -> Result<Self, PhysicsError> {
        let detector = Detector::polymer_window();
        let energies: Vec<f64> = (0..n).map(|i| offset + scale * i as f64).collect();
        let mut efficiency = Vec::with_capacity(n);
        for &e in &energies {
            efficiency.push(detector.efficiency(e)?);
        }
        let shape = PeakShape::gaussian(mn_ka_ev);
        Ok(Self { beam_energy, take_off_angle, detector, shape, energies, efficiency })
    }

    /// Alpha counts per weight fraction, of any common scale: the inverse of the k-factor.
    fn sensitivity(&self, family: &LineFamily) -> Result<f64, PhysicsError> {
        let mass = element(&family.symbol)?.atomic_weight;
        let photons = alpha_production(&family.symbol, family.shell, self.beam_energy)?;
        Ok(photons * self.detector.efficiency(family.energy)? / mass)
    }

    /// k-factors of some lines relative to Si Ka.
    fn k_factors(&self, lines: &[(&str, Shell)]) -> Result<Vec<(String, f64)>, PhysicsError> {
        let sensitivity = |symbol: &str, shell| match line_family(symbol, shell, self.beam_energy)?
        {
            Some(family) => Ok((family.line_name(), self.sensitivity(&family)?)),
            None => Err(PhysicsError::MissingData {
                element: symbol.to_owned(),
                what: "a line that this beam excites",
            }),
        };
        let silicon = sensitivity("Si", Shell::K)?.1;
        lines
            .iter()
            .map(|&(symbol, shell)| sensitivity(symbol, shell).map(|(name, s)| (name, silicon / s)))
            .collect()
    }

    /// Lines and continuum of a material, in counts per unit of mass; any common scale.
    ///
    /// `continuum` is the continuum counts per weight fraction and Z^2/A, on the scale on which
    /// Si Ka gives 1.
    fn content(&self, weight: &[(String, f64)], continuum: f64) -> Result<Content, PhysicsError> {
        let silicon = line_family("Si", Shell::K, self.beam_energy)?;
        let silicon = silicon.map_or(Ok(1.0), |f| self.sensitivity(&f))?;
        let mut out = Content::default();
        let mut decelerated = 0.0;
        for (symbol, w) in weight {
            let e = element(symbol)?;
            decelerated += w * f64::from(e.z).powi(2) / e.atomic_weight;
            for shell in Shell::ALL {
                let Some(family) = line_family(symbol, shell, self.beam_energy)? else {
                    continue;
                };
                let alpha = w * self.sensitivity(&family)? / silicon;
                let seen = observed_lines(&family, &self.detector)?;
                let name = match shell {
                    Shell::K => "Ka",
                    Shell::L => "La",
                    Shell::M => "Ma",
                };
                let alpha_seen: f64 = family
                    .lines
                    .iter()
                    .zip(&seen)
                    .filter(|(line, _)| line.name.starts_with(name))
                    .map(|(_, (_, weight))| weight)
                    .sum();
                if alpha_seen <= 0.0 {
                    continue;
                }
                for (energy, share) in seen {
                    let out_of_bulk = self.leaves(energy, weight)?;
                    out.lines.push((energy, alpha / alpha_seen * share * out_of_bulk));
                }
            }
        }
        let mut shape = Vec::with_capacity(self.energies.len());
        for (&e, &efficiency) in self.energies.iter().zip(&self.efficiency) {
            let inside = e >= 0.1 && e < self.beam_energy;
            shape.push(if inside {
                efficiency * self.leaves(e, weight)? * continuum_shape(e, self.beam_energy)
            } else {
                0.0
            });
        }
        let total: f64 = shape.iter().sum();
        out.continuum = shape.iter().map(|s| s * continuum * decelerated / total).collect();
        Ok(out)
    }

    fn leaves(&self, energy: f64, weight: &[(String, f64)]) -> Result<f64, PhysicsError> {
        match self.take_off_angle {
            Some(angle) if energy >= 0.1 => {
                Ok(self_absorption(&[energy], self.beam_energy, weight, angle)?[0])
            }
            _ => Ok(1.0),
        }
    }

    /// Expected counts per channel.
    fn spectrum(&self, content: &Content) -> Vec<f64> {
        let mut out = content.continuum.clone();
        out.resize(self.energies.len(), 0.0);
        for &(energy, counts) in &content.lines {
            self.shape.add(&self.energies, energy, counts, &mut out);
        }
        out
    }
}

/// Continuum per energy: a power law with a bend of its own, zero at the beam energy if that is
/// within reach of the detector.
fn continuum_shape(energy: f64, beam_energy: f64) -> f64 {
    let rest = 1.0 - energy / beam_energy;
    energy.powf(-1.15) * rest * (1.0 + 0.25 * (-energy / 3.0).exp())
}

fn total(content: &Content) -> f64 {
    content.lines.iter().map(|(_, c)| c).sum::<f64>() + content.continuum.iter().sum::<f64>()
}

fn scale(content: &mut Content, by: f64) {
    content.lines.iter_mut().for_each(|(_, c)| *c *= by);
    content.continuum.iter_mut().for_each(|c| *c *= by);
}

#[cfg(test)]
mod tests;
