//! From sections to signals.

use crate::{
    Input, IoError, diffraction,
    signal_list::{Signal, SignalList, Whole, axis_of_points},
    xml,
};
use kalpha_core::{Code, Diagnostic, Metadata, Unit};
use serde_json::{Map, Value};

/// One scan as Rigaku's programs write it, in `.ras` and in `.rasx`.
#[derive(Default)]
pub(crate) struct Profile {
    pub axis: String,
    pub unit_x: String,
    pub unit_y: String,
    /// Number of points that the header states.
    pub stated: Option<usize>,
    pub x: Vec<f64>,
    pub y: Vec<f64>,
    pub factors: Vec<f64>,
    pub metadata: Metadata,
}

impl Profile {
    /// Adds a line of position, intensity and, where there is one, attenuation factor.
    pub fn push(&mut self, input: &Input, line: &str, offset: u64) -> Result<(), IoError> {
        match diffraction::numbers(input, line, offset, "scan")?[..] {
            [x, y, factor] => {
                self.x.push(x);
                self.y.push(y);
                self.factors.push(factor);
            }
            [x, y] => {
                self.x.push(x);
                self.y.push(y);
            }
            _ => {
                let wanted = "position, intensity and attenuation factor";
                return Err(input.corrupt(offset, "scan", wanted, format!("{line:.40}")));
            }
        }
        Ok(())
    }
}

/// Signals of the scans of a file.
pub(crate) fn profile_signals(
    profiles: Vec<Profile>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Signal> {
    let single = profiles.len() == 1;
    let mut signals = Vec::new();
    for (i, profile) in profiles.into_iter().enumerate() {
        let name = if single { "intensity".to_owned() } else { format!("scan {}", i + 1) };
        if let Some(stated) = profile.stated.filter(|n| *n != profile.y.len()) {
            let found = profile.y.len();
            let message = format!("{name}: the header states {stated} points, {found} are there");
            diagnostics.push(Diagnostic::warning(Code::VendorDisagrees, message));
        }
        // What the angle of the detector takes part in is plotted against 2theta.
        let axis = if profile.axis.starts_with("TwoTheta") || profile.axis.is_empty() {
            match profile.unit_x.as_str() {
                "" | "deg" => diffraction::two_theta(profile.x),
                other => axis_of_points("2theta", Unit::parse(other), profile.x),
            }
        } else {
            axis_of_points(&profile.axis, diffraction::drive_unit(&profile.unit_x), profile.x)
        };
        let counts = matches!(profile.unit_y.as_str(), "counts" | "");
        let whole = if counts { Whole::Counts } else { Whole::NoCounts };
        let factors = Some(&profile.factors[..]);
        let mut made = diffraction::behind_absorber(&name, axis, profile.y, factors, whole);
        made.iter_mut().for_each(|s| s.metadata = profile.metadata.clone());
        signals.extend(made);
    }
    signals
}

/// Key and value of a header line `*KEY "value"`.
fn keyword(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.strip_prefix('*')?.split_once(char::is_whitespace)?;
    Some((key, value.trim().trim_matches('"')))
}

fn describe(profile: &mut Profile, header: &Map<String, Value>) {
    let text = |key: &str| {
        let value = header.get(key).and_then(Value::as_str).unwrap_or_default();
        value.trim().to_owned()
    };
    let some = |key: &str| Some(text(key)).filter(|t| !t.is_empty());
    profile.axis = text("MEAS_SCAN_AXIS_X");
    profile.unit_x = text("MEAS_SCAN_UNIT_X");
    profile.unit_y = text("MEAS_SCAN_UNIT_Y");
    profile.stated = text("MEAS_DATA_COUNT").parse().ok();
    let wavelength = text("HW_XG_WAVE_LENGTH_ALPHA1").parse().ok();
    profile.metadata = Metadata {
        title: some("FILE_SAMPLE").or_else(|| some("FILE_COMMENT")),
        instrument: some("FILE_SYSTEM_NAME"),
        detector: some("HW_COUNTER_SELECT_NAME"),
        ..diffraction::metadata(wavelength.and_then(diffraction::wavelength))
    };
}

pub(super) fn list(input: &Input) -> Result<SignalList, IoError> {
    let text = xml::decode(input.bytes());
    let (mut profiles, mut headers) = (Vec::new(), Vec::new());
    let mut header = Map::new();
    let mut open: Option<Profile> = None;
    let mut offset = 0u64;
    for whole in text.split_inclusive('\n') {
        let (line, start) = (whole.trim(), offset);
        offset += whole.len() as u64;
        match line {
            "" | "*RAS_DATA_START" | "*RAS_HEADER_END" | "*RAS_DATA_END" => {}
            "*RAS_HEADER_START" => header = Map::new(),
            "*RAS_INT_START" => {
                let mut profile = Profile::default();
                describe(&mut profile, &header);
                headers.push(Value::Object(std::mem::take(&mut header)));
                open = Some(profile);
            }
            "*RAS_INT_END" => profiles.extend(open.take()),
            _ => match (&mut open, keyword(line)) {
                (Some(profile), None) => profile.push(input, line, start)?,
                (None, Some((key, value))) => {
                    header.insert(key.to_owned(), value.into());
                }
                (Some(_), Some((key, _))) => {
                    let got = format!("*{key:.40}");
                    return Err(input.corrupt(start, "scan", "numbers", got));
                }
                (None, None) => {}
            },
        }
    }
    let mut diagnostics = Vec::new();
    if let Some(cut) = open {
        let message = "the last scan has no *RAS_INT_END; values may be missing";
        diagnostics.push(Diagnostic::warning(Code::Truncated, message));
        profiles.push(cut);
    }
    profiles.retain(|p| !p.y.is_empty());
    if profiles.is_empty() {
        return Err(input.corrupt(offset, "*RAS_INT_START", "a scan with values", "none"));
    }
    let vendor = if headers.len() == 1 { headers.swap_remove(0) } else { Value::Array(headers) };
    Ok(SignalList {
        format: "ras",
        version: vendor.get("FILE_VERSION").and_then(Value::as_str).map(str::to_owned),
        signals: profile_signals(profiles, &mut diagnostics),
        series: Vec::new(),
        default: 0,
        remark: String::new(),
        vendor,
        diagnostics,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn scans_of_another_axis_and_behind_an_attenuator() {
        let text = "*RAS_DATA_START\n*RAS_HEADER_START\n*FILE_SAMPLE \"s\"\n\
            *MEAS_SCAN_AXIS_X \"Omega\"\n*MEAS_SCAN_UNIT_X \"deg\"\n*MEAS_SCAN_UNIT_Y \"counts\"\n\
            *RAS_HEADER_END\n*RAS_INT_START\n1.0 5 1.0\n1.1 6 8.5\n1.2 7 1.0\n*RAS_INT_END\n\
            *RAS_HEADER_START\n*MEAS_DATA_COUNT \"3\"\n*RAS_HEADER_END\n*RAS_INT_START\n\
            1.0 5 1.0\n1.1 6 1.0\n*RAS_INT_END\n*RAS_DATA_END\n";
        let list = list(&Input::from_bytes(Path::new("a.ras"), text.into())).unwrap();
        assert_eq!(list.names(), ["scan 1", "scan 1 counts", "scan 2"]);
        assert_eq!(list.signals[0].values, [5.0, 51.0, 7.0]);
        assert_eq!(list.signals[0].axis.name, "Omega");
        assert_eq!(list.signals[0].metadata.title.as_deref(), Some("s"));
        assert_eq!(list.signals[2].axis.unit, Unit::Degree2Theta);
        assert!(list.diagnostics.iter().any(|d| d.code == Code::VendorDisagrees));
    }
}
