//! What fitted photoelectron peaks stand for: lines, chemical states, atomic percent.
//!
//! Peaks are given to the main line of the elements that are named (by the user or the file): a
//! peak belongs to the line in whose window it lies, from 4 eV below its first to 9 eV above its
//! last member, the nearest where windows overlap. All peaks of a line together are its area.
//! Chemical states within the tolerance are suggested with their sources; a suggestion is no proof.
//!
//! Tested on simulated regions of known composition, and on a published fit of platinum.

use crate::sensitivity_factors::{Sensitivity, SurfaceComposition, sensitivity_factors};
use crate::{QuantifyError, budget::BudgetLine, budget::budget};
use kalpha_core::{
    ArtefactType, Code, Diagnostic, InputMeta, Inputs, Outputs, Passes, Plan, Port, Step, StepError,
};
use kalpha_fit::peaks::{PeakFits, RowPeaks};
use kalpha_physics::elements::element;
use kalpha_physics::photoemission::{
    PhotoelectronLine, main_line, photoelectron_lines, splitting, states_near,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `xps.quantify`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct QuantifyParams {
    /// Elements of the surface; those the file lists where empty.
    pub elements: Vec<String>,
    /// How far from its tabulated energy a chemical state is suggested, eV, beside the spread of
    /// published values.
    pub tolerance: f64,
    /// What turns areas into atoms.
    pub sensitivity: Sensitivity,
}

impl Default for QuantifyParams {
    fn default() -> Self {
        Self { elements: Vec::new(), tolerance: 0.2, sensitivity: Sensitivity::default() }
    }
}

/// A chemical state that lies near a peak.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SuggestedState {
    /// Line and state: `Pt 4f7/2 metal`.
    pub state: String,
    /// Its energy, eV.
    pub binding_energy: f64,
    /// How far the peak lies from it, in standard deviations of tolerance and spread.
    pub distance: f64,
    /// Where it is published.
    pub source: String,
}

/// What a peak stands for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Assignment {
    /// The peak.
    pub peak: String,
    /// The line it belongs to: `Pt 4f`; `None` where no element named has one there.
    pub line: Option<String>,
    /// The peak it is the other line of, where one lies a doublet's splitting below.
    pub partner_of: Option<String>,
    /// States near it, nearest first, five at most; none for the other line of a doublet.
    pub states: Vec<SuggestedState>,
}

/// One spectrum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RowSurface {
    /// Number of the spectrum.
    pub row: usize,
    /// One entry per peak.
    pub assignments: Vec<Assignment>,
    /// Composition; `None` where `not_quantified` says why.
    pub composition: Option<SurfaceComposition>,
    /// Where the uncertainty of each element comes from.
    pub budget: Vec<Vec<BudgetLine>>,
    /// Why there is none.
    pub not_quantified: Option<String>,
}

/// All spectra.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Surface {
    /// Elements that were looked for.
    pub elements: Vec<String>,
    /// One entry per spectrum.
    pub rows: Vec<RowSurface>,
}

impl ArtefactType for Surface {
    const KIND: &'static str = "surface";
}

/// Reach of a line's window below its first and above its last member, eV.
const WINDOW: (f64, f64) = (4.0, 9.0);
/// States listed per peak.
const STATES: usize = 5;

/// Energies of a line's members, or its own.
fn span(line: &PhotoelectronLine) -> (f64, f64) {
    let members = photoelectron_lines()
        .iter()
        .filter(|l| l.symbol == line.symbol && l.is_member() && l.shell.starts_with(line.shell));
    members.fold((line.binding_energy, line.binding_energy), |(low, high), m| {
        (low.min(m.binding_energy), high.max(m.binding_energy))
    })
}

/// How far two peaks may be from the splitting of a doublet, eV and as a share of it.
const SPLITTING: (f64, f64) = (0.25, 0.05);

/// The peak that `row.peaks[k]` is the other line of: of the same line, a splitting below, and not
/// weaker.
fn partner_of<'a>(row: &'a RowPeaks, k: usize, line: &PhotoelectronLine) -> Option<&'a str> {
    let splitting = splitting(line.symbol, line.shell).filter(|s| *s >= 1.0)?;
    let own = &row.peaks[k];
    let first = row.peaks.iter().find(|p| {
        let distance = own.position.value - p.position.value;
        (distance - splitting).abs() < SPLITTING.0 + SPLITTING.1 * splitting
            && p.area_in_range.value > own.area_in_range.value
    })?;
    Some(&first.name)
}

/// The main line of one of `elements` in whose window `energy` lies.
fn line_at(energy: f64, elements: &[String]) -> Option<&'static PhotoelectronLine> {
    let lines = elements.iter().filter_map(|symbol| main_line(symbol));
    lines
        .filter_map(|line| {
            let (low, high) = span(line);
            let inside = energy >= low - WINDOW.0 && energy <= high + WINDOW.1;
            let distance = (low - energy).max(energy - high).max(0.0);
            inside.then_some((distance, line))
        })
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, line)| line)
}

/// Lines, states and composition of one spectrum.
///
/// # Errors
/// Those of [`sensitivity_factors`].
pub fn surface_of(
    row: &RowPeaks,
    elements: &[String],
    params: &QuantifyParams,
) -> Result<RowSurface, QuantifyError> {
    let mut lines: Vec<String> = Vec::new();
    let mut members: Vec<Vec<usize>> = Vec::new();
    let mut assignments = Vec::with_capacity(row.peaks.len());
    for (k, peak) in row.peaks.iter().enumerate() {
        let energy = peak.position.value;
        let line = line_at(energy, elements);
        if let Some(name) = line.map(PhotoelectronLine::name) {
            match lines.iter().position(|l| *l == name) {
                Some(i) => members[i].push(k),
                None => {
                    lines.push(name);
                    members.push(vec![k]);
                }
            }
        }
        let of = match line {
            Some(line) => vec![line.symbol.to_owned()],
            None => elements.to_vec(),
        };
        let partner = line.and_then(|line| partner_of(row, k, line)).map(str::to_owned);
        let most = if partner.is_some() { 0 } else { STATES };
        let states = states_near(energy, params.tolerance, &of)
            .into_iter()
            .take(most)
            .map(|(s, distance)| SuggestedState {
                state: format!("{} {} {}", s.symbol, s.shell, s.state),
                binding_energy: s.binding_energy,
                distance,
                source: s.source.to_owned(),
            })
            .collect();
        let line = line.map(PhotoelectronLine::name);
        let peak = peak.name.clone();
        assignments.push(Assignment { peak, line, partner_of: partner, states });
    }
    let n = row.peaks.len();
    let mut surface = RowSurface {
        row: row.row,
        assignments,
        composition: None,
        budget: Vec::new(),
        not_quantified: None,
    };
    let uncertain = |k: &usize| row.peaks[*k].area_in_range.sigma.is_none();
    surface.not_quantified = match () {
        () if n == 0 => Some("no peak was fitted".to_owned()),
        () if elements.is_empty() => {
            Some("no element is named: --elements, or xps.quantify.elements".to_owned())
        }
        () if lines.len() < 2 => {
            Some("one element alone has no ratio: measure a survey or further regions".to_owned())
        }
        () if members.iter().flatten().any(uncertain) => {
            Some("an area has no standard deviation: see the warnings of the fit".to_owned())
        }
        () => None,
    };
    if surface.not_quantified.is_some() {
        return Ok(surface);
    }
    let area = |group: &Vec<usize>| -> f64 {
        group.iter().map(|&k| row.peaks[k].area_in_range.value).sum()
    };
    let areas: Vec<f64> = members.iter().map(area).collect();
    let mut covariance = vec![0.0; lines.len() * lines.len()];
    for (a, first) in members.iter().enumerate() {
        for (b, second) in members.iter().enumerate() {
            covariance[a * lines.len() + b] = first
                .iter()
                .flat_map(|i| second.iter().map(move |j| row.area_covariance[i * n + j]))
                .sum();
        }
    }
    let composition = sensitivity_factors(&lines, &areas, &covariance, &params.sensitivity)?;
    surface.budget =
        composition.atomic_percent.iter().map(|q| budget(q).unwrap_or_default()).collect();
    surface.composition = Some(composition);
    Ok(surface)
}

/// Step `xps.quantify`.
pub struct QuantifyStep;

impl Step for QuantifyStep {
    type Params = QuantifyParams;
    const ID: &'static str = "xps.quantify";
    const REVISION: u32 = 1;
    const ABOUT: &'static str =
        "Lines and chemical states of photoelectron peaks, atomic percent with a budget";
    const INPUTS: &'static [Port] =
        &[Port::whole("peaks", PeakFits::KIND, "peaks over binding energy")];
    const OUTPUTS: &'static [Port] =
        &[Port::whole("surface", Surface::KIND, "assignments and composition of each spectrum")];

    fn plan(params: QuantifyParams, inputs: &InputMeta) -> Result<Plan, StepError> {
        if !(params.tolerance.is_finite() && params.tolerance > 0.0) {
            return Err(StepError::Parameter {
                parameter: "tolerance",
                got: params.tolerance.to_string(),
                expected: "a positive energy in eV".to_owned(),
            });
        }
        let named = match params.elements.is_empty() {
            true => &inputs.metadata.listed_elements,
            false => &params.elements,
        };
        let mut elements = Vec::with_capacity(named.len());
        for name in named {
            elements.push(element(name).map_err(StepError::method)?.symbol);
        }
        let run = move |inputs: &Inputs, _: &dyn Passes| {
            let peaks: &PeakFits = inputs.whole("peaks")?;
            let rows = peaks
                .rows
                .iter()
                .map(|row| surface_of(row, &elements, &params).map_err(StepError::method))
                .collect::<Result<Vec<_>, _>>()?;
            let mut outputs = Outputs::new();
            let quantified = rows.iter().any(|r| r.composition.is_some());
            if let (false, Some(why)) =
                (quantified, rows.iter().find_map(|r| r.not_quantified.as_ref()))
            {
                outputs = outputs.warn(Diagnostic::note(
                    Code::NotQuantified,
                    format!("no atomic percent: {why}"),
                ));
            }
            Ok(outputs.whole("surface", Surface { elements, rows }))
        };
        Ok(Plan::new(run).whole("surface", Surface::KIND))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kalpha_fit::peaks::{Fitted, PeakRow};

    fn peak(name: &str, position: f64, area: f64) -> PeakRow {
        let fitted = |value: f64, sigma: f64| Fitted { value, sigma: Some(sigma) };
        PeakRow {
            name: name.to_owned(),
            shape: "pseudo_voigt".to_owned(),
            position: fitted(position, 0.01),
            height: fitted(area, 1.0),
            fwhm: fitted(1.0, 0.01),
            area: Some(fitted(area, 0.01 * area)),
            area_in_range: fitted(area, 0.01 * area),
        }
    }

    fn row(peaks: Vec<PeakRow>) -> RowPeaks {
        let n = peaks.len();
        let mut area_covariance = vec![0.0; n * n];
        for (k, p) in peaks.iter().enumerate() {
            area_covariance[k * n + k] = (0.01 * p.area_in_range.value).powi(2);
        }
        RowPeaks {
            row: 0,
            peaks,
            area_covariance,
            correlated: Vec::new(),
            diagnostics: None,
            warnings: Vec::new(),
        }
    }

    fn named(elements: &[&str]) -> Vec<String> {
        elements.iter().map(|e| (*e).to_owned()).collect()
    }

    #[test]
    fn titanium_dioxide_with_carbon() {
        let zero = [0.0; 9];
        let lines = named(&["C 1s", "O 1s", "Ti 2p"]);
        let sensitivity = Sensitivity::default();
        let s = sensitivity_factors(&lines, &[1.0; 3], &zero, &sensitivity).unwrap().sensitivity;
        let area = |k: usize, x: f64| 1e4 * x * s[k];
        let peaks = vec![
            peak("p1", 284.8, area(0, 0.1)),
            peak("p2", 458.6, area(2, 0.3) * 2.0 / 3.0),
            peak("p3", 464.3, area(2, 0.3) / 3.0),
            peak("p4", 529.9, area(1, 0.6)),
        ];
        let elements = named(&["Ti", "O", "C"]);
        let found = surface_of(&row(peaks), &elements, &QuantifyParams::default()).unwrap();
        let of: Vec<Option<&str>> = found.assignments.iter().map(|a| a.line.as_deref()).collect();
        assert_eq!(of, [Some("C 1s"), Some("Ti 2p"), Some("Ti 2p"), Some("O 1s")]);
        assert!(found.assignments[1].states.iter().any(|s| s.state == "Ti 2p3/2 TiO2"));
        let composition = found.composition.unwrap();
        for (line, want) in [("C 1s", 10.0), ("Ti 2p", 30.0), ("O 1s", 60.0)] {
            let k = composition.lines.iter().position(|l| l == line).unwrap();
            let got = composition.atomic_percent[k].value().unwrap();
            assert!((got - want).abs() < 1e-9, "{line} {got}");
            let parts: Vec<&str> = found.budget[k].iter().map(|b| b.part.as_str()).collect();
            assert!(parts.contains(&"cross_sections") && parts.contains(&"counting"), "{parts:?}");
        }
    }

    #[test]
    fn what_cannot_be_said_is_not() {
        let one = row(vec![peak("p1", 71.1, 100.0), peak("p2", 74.4, 75.0)]);
        let params = QuantifyParams::default();
        let found = surface_of(&one, &named(&["Pt"]), &params).unwrap();
        assert!(found.composition.is_none());
        assert!(found.not_quantified.unwrap().contains("one element"));
        assert_eq!(found.assignments[0].states[0].state, "Pt 4f7/2 metal");
        assert_eq!(found.assignments[1].partner_of.as_deref(), Some("p1"));
        assert!(found.assignments[1].states.is_empty());
        let found = surface_of(&one, &[], &params).unwrap();
        assert!(found.not_quantified.unwrap().contains("--elements"));
        let found = surface_of(&row(vec![]), &named(&["Pt", "O"]), &params).unwrap();
        assert!(found.not_quantified.unwrap().contains("no peak"));
        // A peak where no element named has its main line.
        let strange = row(vec![peak("p1", 71.1, 1.0), peak("p2", 1021.8, 5.0)]);
        let found = surface_of(&strange, &named(&["Pt", "O"]), &params).unwrap();
        assert_eq!(found.assignments[1].line, None);
    }
}
