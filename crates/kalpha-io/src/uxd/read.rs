//! From ranges to signals.

use crate::{
    Input, IoError, diffraction,
    signal_list::{Series, Signal, SignalList, Whole, axis_of_points},
    xml,
};
use kalpha_core::{Axis, Metadata, Unit};
use serde_json::{Map, Value, json};

/// Header keys that stand once for the whole file.
type Keys = Map<String, Value>;

/// How the numbers of a range stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Data {
    /// Each line starts with an angle.
    angles: bool,
    /// Counts, not counts per second.
    counts: bool,
}

impl Data {
    fn of(line: &str) -> Option<Self> {
        let word = line.strip_prefix('_')?.trim_end().to_ascii_uppercase();
        let rest = word.trim_start_matches("2THETA").trim_start_matches("THETA");
        let angles = rest.len() < word.len();
        match rest {
            "COUNTS" | "COUNTSTIME" => Some(Self { angles, counts: true }),
            "CPS" => Some(Self { angles, counts: false }),
            _ => None,
        }
    }
}

#[derive(Default)]
struct Range {
    keys: Keys,
    data: Option<Data>,
    /// Angles, and half the last digit each is written with.
    points: Vec<(f64, f64)>,
    values: Vec<f64>,
}

fn number(keys: &Keys, key: &str) -> Option<f64> {
    keys.get(key)?.as_str()?.parse().ok().filter(|x: &f64| x.is_finite())
}

fn text(keys: &Keys, key: &str) -> Option<String> {
    keys.get(key)?.as_str().map(str::to_owned).filter(|t| !t.is_empty())
}

/// A number and half a unit of its last digit.
fn with_precision(word: &str) -> Option<(f64, f64)> {
    let value = word.parse().ok()?;
    let decimals = word.split_once('.').map_or(0, |(_, after)| after.len().min(15));
    Some((value, 0.5 * 10f64.powi(-(decimals as i32))))
}

impl Range {
    /// Start and step of the header, unless the angles written say otherwise: these are rounded,
    /// often more than the step allows.
    fn axis(&self) -> Axis {
        let drive = text(&self.keys, "DRIVE").unwrap_or_default().to_ascii_uppercase();
        let (name, unit) = match drive.as_str() {
            "" | "COUPLED" | "2THETA" | "THETA2THETA" => ("2theta".to_owned(), Unit::Degree2Theta),
            "THETA" | "OMEGA" => ("Omega".to_owned(), Unit::Other("degree".to_owned())),
            other => (other.to_owned(), Unit::Other("degree".to_owned())),
        };
        let start = number(&self.keys, "START").or_else(|| number(&self.keys, "2THETA"));
        let n = self.values.len();
        if let (Some(start), Some(step)) = (start, number(&self.keys, "STEPSIZE"))
            && step != 0.0
        {
            let line = |i: usize| start + step * i as f64;
            let agrees = |(i, (x, half)): (usize, &(f64, f64))| (x - line(i)).abs() <= 1.01 * half;
            if self.points.iter().enumerate().all(agrees) {
                return diffraction::stepped(&name, unit, start, step, n);
            }
        }
        if self.points.is_empty() {
            return Axis::index("point", n);
        }
        axis_of_points(&name, unit, self.points.iter().map(|(x, _)| *x).collect())
    }

    fn push(&mut self, input: &Input, line: &str, offset: u64) -> Result<(), IoError> {
        let wrong = || input.corrupt(offset, "range", "numbers", format!("{line:.40}"));
        let mut words = line.split_ascii_whitespace();
        if self.data.is_some_and(|d| d.angles) {
            let point = words.next().and_then(with_precision).ok_or_else(wrong)?;
            let value = words.next().and_then(|w| w.parse().ok()).ok_or_else(wrong)?;
            self.points.push(point);
            self.values.push(value);
            return Ok(());
        }
        for word in words {
            self.values.push(word.parse().map_err(|_| wrong())?);
        }
        Ok(())
    }
}

pub(super) fn list(input: &Input) -> Result<SignalList, IoError> {
    let decoded = xml::decode(input.bytes());
    let (mut file, mut range) = (Keys::new(), Range::default());
    let mut ranges: Vec<Range> = Vec::new();
    let mut in_range = false;
    let mut offset = 0u64;
    for whole in decoded.split_inclusive('\n') {
        let (line, start) = (whole.trim(), offset);
        offset += whole.len() as u64;
        if line.is_empty() || line.starts_with(';') {
            in_range |= line.contains("Data for Range");
        } else if let Some(data) = Data::of(line) {
            in_range = true;
            range.data = Some(data);
        } else if let Some(key) = line.strip_prefix('_') {
            // Keys behind numbers belong to the next range.
            if range.data.is_some() {
                ranges.push(std::mem::take(&mut range));
            }
            let (key, value) = key.split_once('=').unwrap_or((key, ""));
            in_range |= matches!(key, "DRIVE" | "STEPTIME" | "STEPSIZE" | "START");
            let keys = if in_range { &mut range.keys } else { &mut file };
            keys.insert(key.trim().to_owned(), value.trim().trim_matches('\'').into());
        } else if range.data.is_some() {
            range.push(input, line, start)?;
        } else {
            let wanted = "_KEY=value, or _COUNTS before numbers";
            return Err(input.corrupt(start, "header", wanted, format!("{line:.40}")));
        }
    }
    ranges.push(range);
    ranges.retain(|r| !r.values.is_empty());
    if ranges.is_empty() {
        return Err(input.corrupt(offset, "_COUNTS", "a range with values", "none"));
    }
    let wavelength = number(&file, "WL1").and_then(diffraction::wavelength);
    let metadata = Metadata { title: text(&file, "SAMPLE"), ..diffraction::metadata(wavelength) };
    let single = ranges.len() == 1;
    let (mut signals, mut described) = (Vec::new(), Vec::new());
    for (i, range) in ranges.into_iter().enumerate() {
        let name = if single { "intensity".to_owned() } else { format!("range {}", i + 1) };
        let counts = range.data.is_some_and(|d| d.counts);
        let whole = if counts { Whole::Counts } else { Whole::NoCounts };
        let axis = range.axis();
        let mut signal = Signal::spectrum(name, axis, range.values, whole);
        signal.metadata = metadata.clone();
        signals.push(signal);
        described.push(Value::Object(range.keys));
    }
    let mut series = Vec::new();
    if !single && signals.windows(2).all(|w| w[0].axis == w[1].axis) {
        series.push(Series {
            name: "ranges".to_owned(),
            axis: Axis::index("range", signals.len()),
            members: (0..signals.len()).collect(),
        });
    }
    Ok(SignalList {
        format: "uxd",
        version: text(&file, "FILEVERSION"),
        default: if series.is_empty() { 0 } else { signals.len() },
        signals,
        series,
        remark: String::new(),
        vendor: json!({ "file": file, "ranges": described }),
        diagnostics: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn read(text: &str) -> SignalList {
        list(&Input::from_bytes(Path::new("a.uxd"), text.as_bytes().to_vec())).unwrap()
    }

    /// The layout of the file BT86.UXD of xylib: angles rounded more coarsely than the step.
    #[test]
    fn the_header_gives_the_axis_where_angles_are_rounded() {
        let text = "; c\n_FILEVERSION=2\n_SAMPLE='BT86'\n_WL1=1.540600\n; (Data for Range number 1)\n\
            _DRIVE='COUPLED'\n_STEPSIZE=0.015592\n_START=9.97\n_2THETACOUNTS\n9.970\t254\n\
            9.986\t262\n10.00\t286\n10.02\t267\n";
        let list = read(text);
        assert_eq!(list.signals[0].axis.offset_scale(), Some((9.97, 0.015592)));
        assert_eq!(list.signals[0].values, [254.0, 262.0, 286.0, 267.0]);
        assert_eq!(list.signals[0].metadata.title.as_deref(), Some("BT86"));
        let moved = text.replace("_START=9.97", "_START=9.0");
        assert_eq!(read(&moved).signals[0].axis.to_vec(), [9.97, 9.986, 10.0, 10.02]);
    }

    #[test]
    fn ranges_of_counts_alone() {
        let text = "_FILEVERSION=1\n_DRIVE='THETA'\n_STEPSIZE=0.5\n_START=1\n_COUNTS\n1 2 3\n4\n\
            _DRIVE='COUPLED'\n_STEPSIZE=0.1\n_START=5\n_CPS\n1.5 2.5\n";
        let list = read(text);
        assert_eq!(list.names(), ["range 1", "range 2"]);
        assert_eq!(list.signals[0].values, [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(
            (list.signals[0].axis.name.as_str(), list.signals[0].axis.at(3)),
            ("Omega", 2.5)
        );
        assert_eq!(list.signals[1].whole, Whole::NoCounts);
    }
}
