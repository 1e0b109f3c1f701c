//! Step `eds.line_windows`.

use kalpha_core::{ArtefactType, InputMeta, Inputs, Outputs, Passes, Plan, Port, Step, StepError};
use kalpha_process::totals::Totals;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{LineWindows, WindowIntensity, WindowOptions, line_windows, window_intensities};
use crate::eds::identify::{Identification, Role};

/// Result of `eds.line_windows`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WindowTable {
    /// The windows.
    pub windows: Vec<LineWindows>,
    /// Intensities in the sum spectrum.
    pub intensities: Vec<WindowIntensity>,
}

impl ArtefactType for WindowTable {
    const KIND: &'static str = "window_intensities";
}

/// Step `eds.line_windows`.
pub struct LineWindowsStep;

/// Parameters of `eds.line_windows`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LineWindowsParams {
    /// Lines such as `Fe_Ka`; the main lines of the identified elements when empty.
    pub lines: Vec<String>,
    /// Width of the integration window, in FWHM.
    pub integration_width: f64,
    /// Distance of the left background window, in FWHM.
    pub left: f64,
    /// Distance of the right background window, in FWHM.
    pub right: f64,
    /// Width of a background window, in FWHM.
    pub window_width: f64,
    /// Resolution at Mn K-alpha in eV; 0 takes the file's, or 130.
    pub resolution: f64,
}

impl Default for LineWindowsParams {
    fn default() -> Self {
        let o = WindowOptions::default();
        Self {
            lines: Vec::new(),
            integration_width: o.integration_width,
            left: o.line_width.0,
            right: o.line_width.1,
            window_width: o.window_width,
            resolution: 0.0,
        }
    }
}

impl Step for LineWindowsStep {
    type Params = LineWindowsParams;
    const ID: &'static str = "eds.line_windows";
    const REVISION: u32 = 1;
    const ABOUT: &'static str =
        "Line intensities by integration windows with side background, as eXSpy";
    const INPUTS: &'static [Port] = &[
        Port::rows("spectra", "counts without the strobe peak"),
        Port::whole("totals", Totals::KIND, "their sum spectrum"),
        Port::whole("identification", Identification::KIND, "elements, for the lines").optional(),
    ];
    const OUTPUTS: &'static [Port] = &[Port::whole(
        "window_intensities",
        WindowTable::KIND,
        "windows and intensities of the sum spectrum",
    )];

    fn plan(params: LineWindowsParams, inputs: &InputMeta) -> Result<Plan, StepError> {
        inputs.rows("spectra")?.signal.energies_kev()?;
        let widths = [params.integration_width, params.window_width];
        if widths.iter().any(|w| !(*w > 0.0 && w.is_finite())) {
            return Err(StepError::Parameter {
                parameter: "integration_width, window_width",
                got: format!("{widths:?}"),
                expected: "positive numbers of FWHM".into(),
            });
        }
        let resolution = match params.resolution {
            r if r > 0.0 => r,
            _ => inputs.metadata.energy_resolution_mn_ka_ev.unwrap_or(130.0),
        };
        let options = WindowOptions {
            integration_width: params.integration_width,
            line_width: (params.left, params.right),
            window_width: params.window_width,
        };
        // Wrong names are found before anything runs.
        line_windows(&params.lines, resolution, &options).map_err(StepError::method)?;
        Ok(Plan::new(move |inputs: &Inputs, _: &dyn Passes| {
            let energies = inputs.rows("spectra")?.meta().signal.energies_kev()?;
            let totals = inputs.whole::<Totals>("totals")?;
            let mut lines = params.lines;
            if let (true, Some(id)) =
                (lines.is_empty(), inputs.optional::<Identification>("identification")?)
            {
                let specimen = id.elements.iter().filter(|e| e.role == Role::Specimen);
                lines = specimen.map(|e| format!("{}a", e.family)).collect();
            }
            let windows = line_windows(&lines, resolution, &options).map_err(StepError::method)?;
            let intensities = window_intensities(&energies, &totals.sum, &windows);
            Ok(Outputs::new().whole("window_intensities", WindowTable { windows, intensities }))
        })
        .whole("window_intensities", WindowTable::KIND))
    }
}
