//! The JSON of a Velox file in the field's terms.
//!
//! | key | meaning |
//! |---|---|
//! | Optics: AccelerationVoltage, BeamConvergence, OperatingMode | V, rad, 1 TEM or 2 STEM |
//! | Stage: AlphaTilt | rad |
//! | Detectors/Detector-N: DetectorName, Dispersion, OffsetEnergy | eV per channel, eV of channel 0 |
//! | .. ElevationAngle, AzimuthAngle, LiveTime, RealTime | rad, s |
//! | BinaryResult: Detector, DetectorIndex, PixelSize, Offset | m |
//! | Scan: ScanSize, ScanArea | pixels of the whole field, part of it that was scanned |
//! | Optics: FullScanFieldOfView | m |

use kalpha_core::{Metadata, Modality, Mode};
use serde_json::Value;

/// Follows keys.
pub(super) fn at<'a>(tree: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(tree, |node, key| node.get(*key))
}

/// A number, which the file writes as a string.
pub(super) fn number(tree: &Value, path: &[&str]) -> Option<f64> {
    let value = at(tree, path)?;
    let number = match value.as_str() {
        Some(text) => text.trim().parse().ok(),
        None => value.as_f64(),
    };
    number.filter(|x| x.is_finite())
}

fn positive(tree: &Value, path: &[&str]) -> Option<f64> {
    number(tree, path).filter(|x| *x > 0.0)
}

pub(super) fn text(tree: &Value, path: &[&str]) -> Option<String> {
    at(tree, path)?.as_str().map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned)
}

/// The entry of the detector that made a result: by its number, else by its name.
pub(super) fn detector(metadata: &Value) -> Option<&Value> {
    let detectors = metadata.get("Detectors")?;
    let by_number = number(metadata, &["BinaryResult", "DetectorIndex"])
        .and_then(|i| detectors.get(format!("Detector-{i}")));
    let name = text(metadata, &["BinaryResult", "Detector"])?;
    by_number.or_else(|| {
        let named = |d: &&Value| text(d, &["DetectorName"]).is_some_and(|n| n == name);
        detectors.as_object()?.values().find(named)
    })
}

/// Name of the detector that made a result.
pub(super) fn detector_name(metadata: &Value) -> Option<String> {
    text(metadata, &["BinaryResult", "Detector"])
}

/// Energy of channel 0 and channel width, keV.
pub(super) fn energy(metadata: &Value) -> Option<(f64, f64)> {
    let detector = detector(metadata)?;
    let dispersion = positive(detector, &["Dispersion"])?;
    Some((number(detector, &["OffsetEnergy"]).unwrap_or(0.0) / 1e3, dispersion / 1e3))
}

/// Height and width of what was scanned, in pixels.
pub(super) fn scanned(metadata: &Value) -> Option<(usize, usize)> {
    let side = |size: &str, low: &str, high: &str| {
        let whole = positive(metadata, &["Scan", "ScanSize", size])?;
        let edge = |key| number(metadata, &["Scan", "ScanArea", key]);
        let part = edge(high).zip(edge(low)).map_or(1.0, |(high, low)| high - low);
        let n = (whole * part).round();
        (1.0..1e9).contains(&n).then_some(n as usize)
    };
    side("height", "top", "bottom").zip(side("width", "left", "right"))
}

/// Offset and step, m, along y and x.
pub(super) fn positions(metadata: &Value) -> Option<[(f64, f64); 2]> {
    let stated = |size: &str, axis: &str| {
        let step = positive(metadata, &["BinaryResult", "PixelSize", size])?;
        let offset = number(metadata, &["BinaryResult", "Offset", axis]).unwrap_or(0.0);
        Some((offset, step))
    };
    // Where the result does not say it, the field of view does.
    let derived = |size: &str, axis: &str, low: &str| {
        let field = positive(metadata, &["Optics", "FullScanFieldOfView", axis])?;
        let pixels = positive(metadata, &["Scan", "ScanSize", size])?;
        let edge = number(metadata, &["Scan", "ScanArea", low]).unwrap_or(0.0);
        Some(((edge - 0.5) * field, field / pixels))
    };
    let analytical = metadata.get("Scan").is_some();
    let along = |size, axis, low| {
        stated(size, axis).or_else(|| analytical.then(|| derived(size, axis, low)).flatten())
    };
    Some([along("height", "y", "top")?, along("width", "x", "left")?])
}

/// The value on which all agree.
fn common(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values = values;
    let first = values.next()?;
    values.all(|v| (v - first).abs() <= 1e-6 * first.abs()).then_some(first)
}

/// What holds for results of these metadata; several where detectors were added.
pub(super) fn describe(all: &[&Value], modality: Option<Modality>) -> Metadata {
    let Some(first) = all.first() else { return Metadata::default() };
    let eds = modality == Some(Modality::Eds);
    let of_detectors = |key: &str| -> Vec<f64> {
        all.iter().filter_map(|m| number(detector(m)?, &[key])).collect()
    };
    let angle = |key| {
        let angles = of_detectors(key);
        common(angles.into_iter()).filter(|_| eds).map(f64::to_degrees)
    };
    // Detectors counted side by side: their mean time is the time.
    let time = |key| {
        let times = of_detectors(key);
        let mean = times.iter().sum::<f64>() / times.len() as f64;
        (eds && mean > 0.0).then_some(mean)
    };
    let instrument: Vec<String> = ["Manufacturer", "InstrumentClass", "InstrumentModel"]
        .iter()
        .filter_map(|key| text(first, &["Instrument", key]))
        .collect();
    let mode = match number(first, &["Optics", "OperatingMode"]) {
        Some(2.0) => Some(Mode::Stem),
        Some(1.0) => Some(Mode::Tem),
        _ => None,
    };
    let names: Vec<String> = all.iter().filter_map(|m| detector_name(m)).collect();
    Metadata {
        title: text(first, &["Sample", "SampleDescription"]),
        modality,
        acquisition_mode: mode,
        instrument: (!instrument.is_empty()).then(|| instrument.join(" ")),
        beam_energy_kev: positive(first, &["Optics", "AccelerationVoltage"]).map(|v| v / 1e3),
        convergence_angle_mrad: positive(first, &["Optics", "BeamConvergence"]).map(|r| r * 1e3),
        live_time_s: time("LiveTime"),
        real_time_s: time("RealTime"),
        elevation_angle: angle("ElevationAngle"),
        azimuth_angle: angle("AzimuthAngle"),
        tilt_stage: number(first, &["Stage", "AlphaTilt"]).map(f64::to_degrees),
        detector: (!names.is_empty()).then(|| names.join(" + ")),
        ..Metadata::default()
    }
}
