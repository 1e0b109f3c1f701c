//! Step `eds.cliff_lorimer`.

use super::{Composition, LineIntensities, Outcome, cliff_lorimer};
use crate::absorption::{Density, ThinFilm};
use crate::error::{NotQuantified, RefusalReason};
use crate::interaction::small_pixels;
use crate::k_factors::{KFactor, KFactors, KOrigin, computed};
use crate::specimen::require_thin;
use kalpha_core::{
    ArtefactType, Cause, Code, Diagnostic, InputMeta, Inputs, Metadata, Outputs, Passes, Plan,
    Port, Step, StepError,
};
use kalpha_fit::eds::families::{FamilyEstimate, Lines, PhaseFits, SumFit};
use kalpha_fit::eds::identify::{Detected, Identification, ROLE_RULE, Role};
use kalpha_fit::eds::windows::WindowTable;
use kalpha_physics::attenuation::mass_attenuation;
use kalpha_physics::elements::element;
use kalpha_physics::specimen::decide;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Compositions of the whole map and of its phases, or why there are none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantified {
    /// The whole map.
    pub whole: Outcome,
    /// One per phase, by label.
    pub phases: Vec<Outcome>,
    /// The k-factors used.
    pub k_factors: Vec<KFactor>,
    /// Elements detected and left out of the normalisation, with the rule.
    pub left_out: Vec<(String, String)>,
    /// Thickness that absorption was corrected for, nm.
    pub thickness_nm: Option<f64>,
}

impl ArtefactType for Quantified {
    const KIND: &'static str = "quantified";
}

/// Which intensities are quantified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Intensities {
    /// Alpha lines of the family fit.
    #[default]
    Families,
    /// Integration windows; phases are not quantified then.
    Windows,
}

/// How the density of the film is found, where `density_g_cm3` does not give it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DensityRule {
    /// Elements side by side at their own density.
    #[default]
    Harmonic,
    /// Averaged by mass, as eXSpy does.
    Exspy,
}

/// Parameters of `eds.cliff_lorimer`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CliffLorimerParams {
    /// Elements to quantify; empty takes all of the specimen.
    pub elements: Vec<String>,
    /// k-factors on weight basis by line, `VALUE` or `VALUE+-SIGMA`; the line also chooses which
    /// family of the element is used. Without any, all are computed; given and computed ones
    /// are never mixed.
    pub k_factors: BTreeMap<String, String>,
    /// Which intensities are quantified.
    pub intensities: Intensities,
    /// Correct for absorption in the film; needs its thickness (`--set thickness_nm=100`).
    pub absorption: bool,
    /// One-sigma uncertainty of the thickness, as a share of it.
    pub thickness_relative_sigma: f64,
    /// How the density is found where the metadata do not give it.
    pub density: DensityRule,
}

/// Step `eds.cliff_lorimer`.
pub struct CliffLorimerStep;

/// What is fixed before the run.
struct Setup {
    params: CliffLorimerParams,
    given: KFactors,
    metadata: Metadata,
    beam_energy: f64,
}

impl Step for CliffLorimerStep {
    type Params = CliffLorimerParams;
    const ID: &'static str = "eds.cliff_lorimer";
    const REVISION: u32 = 2;
    const ABOUT: &'static str = "Thin-film compositions from line intensities, with error budgets";
    const INPUTS: &'static [Port] = &[
        Port::rows("spectra", "counts, for the size of a pixel").optional(),
        Port::whole("identification", Identification::KIND, "elements and their roles"),
        Port::whole("lines", Lines::KIND, "intensities of the whole map"),
        Port::whole("window_intensities", WindowTable::KIND, "window intensities").optional(),
        Port::whole("phase_fits", PhaseFits::KIND, "intensities of the phases").optional(),
    ];
    const OUTPUTS: &'static [Port] =
        &[Port::whole("composition", Quantified::KIND, "compositions, or why there are none")];

    fn plan(params: CliffLorimerParams, inputs: &InputMeta) -> Result<Plan, StepError> {
        for symbol in &params.elements {
            element(symbol).map_err(StepError::method)?;
        }
        let text: Vec<String> =
            params.k_factors.iter().map(|(line, value)| format!("{line}={value}")).collect();
        let given: KFactors = text.join(",").parse().map_err(StepError::method)?;
        for k in &given.0 {
            kalpha_physics::lines::line_energy(&k.line).map_err(StepError::method)?;
        }
        let beam_energy = inputs.metadata.need_beam_energy_kev(Self::ID)?;
        let setup = Setup { params, given, metadata: inputs.metadata.clone(), beam_energy };
        setup.film_is_known()?;
        Ok(Plan::new(move |inputs: &Inputs, _: &dyn Passes| setup.run(inputs))
            .whole("composition", Quantified::KIND))
    }
}

impl Setup {
    fn film_is_known(&self) -> Result<(), StepError> {
        let missing = self.params.absorption && self.metadata.thickness_nm.is_none();
        if missing {
            return Err(kalpha_core::MetadataError::Missing {
                key: "thickness_nm",
                needed_by: "the absorption correction".into(),
                flag: "--set thickness_nm=100",
            }
            .into());
        }
        Ok(())
    }

    fn run(&self, inputs: &Inputs) -> Result<Outputs, StepError> {
        let id = inputs.whole::<Identification>("identification")?;
        let fit_of_map = &inputs.whole::<Lines>("lines")?.sum;
        let phase_fits = inputs.optional::<PhaseFits>("phase_fits")?;
        let phase_count = phase_fits.map_or(0, |p| p.fits.len());
        let left_out = self.left_out(id);
        if let Err(refusal) = require_thin(&decide(&self.metadata)) {
            let said = Diagnostic::note(Code::NotQuantified, refusal.detail.clone())
                .hint(refusal.hint.clone());
            let none = Outcome::NotQuantified(refusal);
            let quantified = Quantified {
                phases: vec![none.clone(); phase_count],
                whole: none,
                k_factors: Vec::new(),
                left_out,
                thickness_nm: None,
            };
            let mut outputs = Outputs::new().whole("composition", quantified).warn(said);
            if let Ok(rows) = inputs.rows("spectra") {
                outputs.diagnostics.extend(small_pixels(rows.meta(), &self.metadata, id));
            }
            return Ok(outputs);
        }
        let lines = self.lines(id, fit_of_map);
        let windows = inputs.optional::<WindowTable>("window_intensities")?;
        let k = lines
            .iter()
            .map(|line| match self.given.get(line) {
                Ok(k) => Ok(k.clone()),
                // Given and computed ones are not on one scale: never mixed.
                Err(missing) if !self.given.is_empty() => Err(missing),
                Err(_) => computed(line, self.beam_energy, &id.options.detector),
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(StepError::method)?;
        let film = self.film(&lines)?;
        let whole = match (self.params.intensities, windows) {
            (Intensities::Families, _) => intensities(fit_of_map, &lines),
            (Intensities::Windows, Some(table)) => window_intensities(table, &lines),
            (Intensities::Windows, None) => {
                return Err(StepError::MissingInput { port: "window_intensities".into() });
            }
        };
        let quantify = |intensities: &LineIntensities| -> Result<Outcome, StepError> {
            let masses = masses(&intensities.lines)?;
            cliff_lorimer(intensities, &k, &masses, film.as_ref()).map_err(StepError::method)
        };
        let whole = quantify(&whole)?;
        let mut phases = Vec::with_capacity(phase_count);
        for fit in phase_fits.map_or(&[][..], |p| &p.fits) {
            phases.push(match (fit, self.params.intensities) {
                (Some(phase), Intensities::Families) => {
                    let (here, mean) =
                        (specimen_share(phase, &lines), specimen_share(fit_of_map, &lines));
                    match here < SUPPORT_SHARE * mean {
                        true => support(here, mean),
                        false => quantify(&intensities(phase, &lines))?,
                    }
                }
                (None, _) => refused(RefusalReason::NoSignal, "The phase holds too few counts."),
                (_, Intensities::Windows) => {
                    refused(RefusalReason::NoSignal, "Window intensities are of the whole map.")
                }
            });
        }
        let mut outputs = Outputs::new();
        let computed: Vec<&str> =
            k.iter().filter(|k| k.origin == KOrigin::Computed).map(|k| k.line.as_str()).collect();
        if !computed.is_empty() && whole.composition().is_some() {
            outputs = outputs.warn(
                Diagnostic::warning(
                    Code::Assumed,
                    format!(
                        "the k-factors of {} are computed from cross-sections, with assumed errors of 10 % (K), 15 % (L) and 20 % (M lines), and for K lines what tabulated yields differ by (5 % from Sc on, up to 50 % for C)",
                        computed.join(", ")
                    ),
                )
                .hint("give measured ones with --k-factors"),
            );
        }
        if film.is_none() && whole.composition().is_some() {
            outputs = outputs.warn(
                Diagnostic::note(Code::Assumed, "absorption in the film is not corrected")
                    .hint("--set thickness_nm=.. --param eds.cliff_lorimer.absorption=true"),
            );
        }
        if self.params.elements.is_empty() && !left_out.is_empty() {
            outputs = outputs.warn(Diagnostic::note(Code::Assumed, ROLE_RULE));
        }
        // A support that is seen holds its elements whoever names them.
        let shared: Vec<String> = lines
            .iter()
            .map(|line| super::element_of(line))
            .filter(|symbol| {
                let usual = Role::usual(symbol);
                let seen = |e: &&Detected| e.role == usual && e.symbol != *symbol;
                usual == Role::Support && id.elements.iter().find(seen).is_some()
            })
            .collect();
        if !shared.is_empty() && whole.composition().is_some() {
            outputs = outputs.warn(
                Diagnostic::warning(
                    Code::Overlap,
                    format!(
                        "{} counts as specimen because it is named; what the support holds of it is in the number and not in the budget",
                        shared.join(", ")
                    ),
                )
                .hint("compare phases with and without support, or leave it out with --elements"),
            );
        }
        let thickness_nm = film.map(|film| film.thickness_nm);
        let quantified = Quantified { whole, phases, k_factors: k, left_out, thickness_nm };
        Ok(outputs.whole("composition", quantified))
    }

    /// Elements that are detected and do not count in the normalisation.
    fn left_out(&self, id: &Identification) -> Vec<(String, String)> {
        let chosen = &self.params.elements;
        id.elements
            .iter()
            .filter_map(|e| match (chosen.is_empty(), chosen.contains(&e.symbol)) {
                (false, true) => None,
                (false, false) => Some((e.symbol.clone(), "not among --elements".to_owned())),
                (true, _) if e.role == Role::Specimen => None,
                (true, _) => Some((e.symbol.clone(), e.role.describe().to_owned())),
            })
            .collect()
    }

    /// One line per element: the one that was given a k-factor, else the most energetic.
    fn lines(&self, id: &Identification, fit: &SumFit) -> Vec<String> {
        let left_out = self.left_out(id);
        let elements = id.elements.iter().filter(|e| left_out.iter().all(|(s, _)| *s != e.symbol));
        elements
            .filter_map(|e| {
                let of_element = || fit.estimates.iter().filter(|f| f.symbol == e.symbol);
                let given = of_element().find(|f| self.given.get(&f.line).is_ok());
                let hardest = || of_element().max_by(|a, b| a.energy.total_cmp(&b.energy));
                given.or_else(hardest).map(|f| f.line.clone())
            })
            .collect()
    }

    fn film(&self, lines: &[String]) -> Result<Option<ThinFilm>, StepError> {
        let (true, Some(thickness)) = (self.params.absorption, self.metadata.thickness_nm) else {
            return Ok(None);
        };
        let symbols: Vec<String> = lines.iter().map(|l| super::element_of(l)).collect();
        let mut density = Vec::with_capacity(symbols.len());
        let mut attenuation = Vec::with_capacity(symbols.len() * symbols.len());
        for line in lines {
            let energy = kalpha_physics::lines::line_energy(line).map_err(StepError::method)?;
            for absorber in &symbols {
                attenuation.push(mass_attenuation(absorber, energy).map_err(StepError::method)?);
            }
        }
        for symbol in &symbols {
            density.push(element(symbol).map_err(StepError::method)?.density);
        }
        let angle = kalpha_fit::eds::identify::take_off_angle(&self.metadata).ok_or(
            kalpha_core::MetadataError::Missing {
                key: "take_off_angle",
                needed_by: "the absorption correction".into(),
                flag: "--set take_off_angle=18",
            },
        )?;
        Ok(Some(ThinFilm {
            thickness_sigma_nm: self.params.thickness_relative_sigma * thickness,
            density: match (self.metadata.density_g_cm3, self.params.density) {
                (Some(value), _) => Density::Value(value),
                (None, DensityRule::Harmonic) => Density::Harmonic,
                (None, DensityRule::Exspy) => Density::Exspy,
            },
            ..ThinFilm::new(thickness, angle, symbols, density, attenuation)
        }))
    }
}

/// A phase whose specimen lines hold less than this part of their share in the whole map is
/// support or background.
const SUPPORT_SHARE: f64 = 1.0 / 3.0;

/// Share of the quantified elements in all line counts.
fn specimen_share(fit: &SumFit, lines: &[String]) -> f64 {
    let of = |e: &FamilyEstimate| lines.iter().any(|l| super::element_of(l) == e.symbol);
    let total: f64 = fit.estimates.iter().map(|e| e.counts.max(0.0)).sum();
    let specimen: f64 = fit.estimates.iter().filter(|e| of(e)).map(|e| e.counts.max(0.0)).sum();
    specimen / total.max(f64::MIN_POSITIVE)
}

fn support(here: f64, mean: f64) -> Outcome {
    refused(
        RefusalReason::Support,
        &format!(
            "Lines of the specimen hold {:.1} % of the line counts here and {:.1} % in the whole map: this is support or background, and what is left of them is stray.",
            100.0 * here,
            100.0 * mean
        ),
    )
}

fn refused(reason: RefusalReason, detail: &str) -> Outcome {
    Outcome::NotQuantified(NotQuantified { reason, detail: detail.into(), hint: String::new() })
}

fn masses(lines: &[String]) -> Result<Vec<f64>, StepError> {
    lines
        .iter()
        .map(|line| {
            element(&super::element_of(line)).map(|e| e.atomic_weight).map_err(StepError::method)
        })
        .collect()
}

/// Alpha-line counts of some lines, with covariance and the shifts of the fit.
pub(super) fn intensities(fit: &SumFit, lines: &[String]) -> LineIntensities {
    let none = |line: &String| LineIntensities { lines: vec![line.clone()], ..Default::default() };
    let Some(default) = fit.default_fit() else {
        return lines.first().map(none).unwrap_or_default();
    };
    let all = default.families.len();
    let found: Vec<Option<(&FamilyEstimate, usize)>> = lines
        .iter()
        .map(|line| {
            let estimate = fit.estimates.iter().find(|e| e.line == *line)?;
            let column = default.families.iter().position(|f| *f == estimate.family)?;
            Some((estimate, column))
        })
        .collect();
    // Alpha counts are a fixed share of the family's.
    let share = |e: &FamilyEstimate| {
        if e.counts == 0.0 { 1.0 } else { e.alpha_counts / e.counts }
    };
    let n = lines.len();
    let mut covariance = vec![0.0; n * n];
    for (i, a) in found.iter().enumerate() {
        for (j, b) in found.iter().enumerate() {
            if let (Some((a, p)), Some((b, q))) = (a, b) {
                covariance[i * n + j] = share(a) * share(b) * default.covariance[p * all + q];
            }
        }
    }
    let each = |value: &dyn Fn(&FamilyEstimate) -> f64| -> Vec<f64> {
        found.iter().map(|f| f.map_or(0.0, |(e, _)| share(e) * value(e))).collect()
    };
    let mut shifts = vec![(Cause::BackgroundModel, each(&|e| e.background))];
    // The peak model moves each family on its own, so each is a cause of its own.
    let peak = each(&|e| e.calibration);
    for (i, line) in lines.iter().enumerate() {
        let mut only = vec![0.0; n];
        only[i] = peak[i];
        shifts.push((Cause::Other(format!("peak model {line}")), only));
    }
    LineIntensities { lines: lines.to_vec(), counts: each(&|e| e.counts), covariance, shifts }
}

fn window_intensities(table: &WindowTable, lines: &[String]) -> LineIntensities {
    let of = |line: &String| table.intensities.iter().find(|w| w.line == *line);
    let n = lines.len();
    let mut covariance = vec![0.0; n * n];
    for (i, line) in lines.iter().enumerate() {
        covariance[i * n + i] = of(line).map_or(0.0, |w| w.sigma * w.sigma);
    }
    LineIntensities {
        lines: lines.to_vec(),
        counts: lines.iter().map(|l| of(l).map_or(0.0, |w| w.net)).collect(),
        covariance,
        shifts: Vec::new(),
    }
}

impl Quantified {
    /// The composition of the whole map.
    pub fn composition(&self) -> Option<&Composition> {
        self.whole.composition()
    }
}
