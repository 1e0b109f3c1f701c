//! Step `eds.line_windows`.

use crate::eds::identify::{Identification, Role};
use crate::eds::windows::{
    LineWindows, WindowIntensity, WindowOptions, line_windows, window_intensities,
};
use kalpha_core::{ArtefactType, InputMeta, Inputs, Outputs, Passes, Plan, Port, Step, StepError};
use kalpha_physics::lines::line_energy;
use kalpha_process::totals::Totals;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Windows and the intensities in them, for comparison with other programs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WindowTable {
    /// The windows, keV on the file's energy scale.
    pub windows: Vec<LineWindows>,
    /// Intensities of the sum spectrum, in the same order.
    pub intensities: Vec<WindowIntensity>,
}

impl ArtefactType for WindowTable {
    const KIND: &'static str = "windows";
}

/// Integration windows with side background on the sum spectrum.
pub struct LineWindowsStep;

/// Parameters of `eds.line_windows`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LineWindowsParams {
    /// Lines such as `Fe_Ka`; empty takes one line of each element of the specimen.
    pub lines: Vec<String>,
    /// Width of the integration window, in FWHM.
    pub integration_width: f64,
    /// Distance of the left background window from the line, in FWHM.
    pub line_width_left: f64,
    /// Distance of the right background window from the line, in FWHM.
    pub line_width_right: f64,
    /// Width of each background window, in FWHM.
    pub window_width: f64,
}

impl Default for LineWindowsParams {
    fn default() -> Self {
        let WindowOptions { integration_width, line_width, window_width } =
            WindowOptions::default();
        Self {
            lines: Vec::new(),
            integration_width,
            line_width_left: line_width.0,
            line_width_right: line_width.1,
            window_width,
        }
    }
}

impl Step for LineWindowsStep {
    type Params = LineWindowsParams;
    const ID: &'static str = "eds.line_windows";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "Line intensities by integration windows, as HyperSpy defines them";
    const INPUTS: &'static [Port] = &[
        Port::rows("spectra", "counts without the strobe channels"),
        Port::whole("totals", Totals::KIND, "their sum spectrum"),
        Port::whole("lines", Identification::KIND, "detected elements"),
    ];
    const OUTPUTS: &'static [Port] =
        &[Port::whole("windows", WindowTable::KIND, "windows and intensities of the sum")];

    fn plan(params: LineWindowsParams, inputs: &InputMeta) -> Result<Plan, StepError> {
        let energies = inputs.rows("spectra")?.signal.energies_kev()?;
        params
            .lines
            .iter()
            .try_for_each(|line| line_energy(line).map(|_| ()).map_err(StepError::method))?;
        let stated = inputs.metadata.energy_resolution_mn_ka_ev;
        let options = WindowOptions {
            integration_width: params.integration_width,
            line_width: (params.line_width_left, params.line_width_right),
            window_width: params.window_width,
        };
        let run = move |inputs: &Inputs, _: &dyn Passes| {
            let found = inputs.whole::<Identification>("lines")?;
            let lines = match params.lines.is_empty() {
                true => main_lines(found),
                false => params.lines.clone(),
            };
            // As the file states it, so that the windows are those of other programs.
            let fitted = found.calibration.as_ref().map(|c| c.resolution_mn_ka.value);
            let resolution = stated.or(fitted).unwrap_or(130.0);
            let windows = line_windows(&lines, resolution, &options).map_err(StepError::method)?;
            let sum = &inputs.whole::<Totals>("totals")?.sum;
            let intensities = window_intensities(&energies, sum, &windows);
            Ok(Outputs::new().whole("windows", WindowTable { windows, intensities }))
        };
        Ok(Plan::new(run).whole("windows", WindowTable::KIND))
    }
}

/// The most energetic detected line of each element of the specimen.
fn main_lines(found: &Identification) -> Vec<String> {
    let elements = found.elements.iter().filter(|e| e.role == Role::Specimen);
    elements
        .filter_map(|element| {
            let of_element = found.fit.estimates.iter().filter(|e| e.symbol == element.symbol);
            let hardest = of_element.max_by(|a, b| a.energy.total_cmp(&b.energy))?;
            Some(hardest.line.clone())
        })
        .collect()
}
