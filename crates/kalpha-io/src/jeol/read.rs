//! From a `.pts` to a dataset.

use super::tags::{self, Header};
use crate::{
    Input, IoError,
    events::{Events, count},
};
use kalpha_core::{
    Axis, Code, CsrCounts, DType, Dataset, Diagnostic, Metadata, Modality, Mode, NoiseModel,
    RowsMeta, Unit,
};
use serde_json::Value;
use std::{ops::Range, sync::Arc};

/// Columns and lines of the finest grid, and channels.
const FINEST: usize = 4096;

/// Beyond this voltage the microscope is a transmission microscope.
const HIGHEST_SEM_KV: f64 = 30.0;

const COLUMN: u16 = 8;
const LINE: u16 = 9;
const CHANNEL: u16 = 11;

/// The events of a file over its grid.
struct Scan<'a> {
    words: &'a [[u8; 2]],
    width: usize,
    height: usize,
}

impl Events for Scan<'_> {
    fn for_each(&self, _: Range<usize>, mut f: impl FnMut(usize, u16)) -> Result<(), IoError> {
        let (mut line, mut column) = (0, 0);
        for word in self.words {
            let word = u16::from_le_bytes(*word);
            let (kind, value) = (word >> 12, word & 0xfff);
            match kind {
                COLUMN => column = usize::from(value) * self.width / FINEST,
                LINE => line = usize::from(value) * self.height / FINEST,
                CHANNEL => f(line * self.width + column, value),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Scan<'_> {
    /// How often the scan went back to a line above.
    fn frames(&self) -> usize {
        let words = self.words.iter().map(|w| u16::from_le_bytes(*w));
        let (mut last, mut frames) = (None, 0);
        for line in words.filter(|w| w >> 12 == LINE) {
            frames += usize::from(last.is_none_or(|last| line < last));
            last = Some(line);
        }
        frames
    }
}

pub(super) fn at<'a>(tree: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(tree, |node, key| node.get(*key))
}

pub(super) fn number(tree: &Value, path: &[&str]) -> Option<f64> {
    at(tree, path)?.as_f64().filter(|x| x.is_finite())
}

pub(super) fn text<'a>(tree: &'a Value, path: &[&str]) -> Option<&'a str> {
    at(tree, path)?.as_str().map(str::trim).filter(|t| !t.is_empty())
}

/// Width and height, `512x512`.
fn resolution(input: &Input, map: &Value) -> Result<(usize, usize), IoError> {
    let stated = text(map, &["Meas Cond", "Pixels"]).unwrap_or_default();
    let sides = stated.split_once('x').and_then(|(w, h)| {
        Some((w.trim().parse::<usize>().ok()?, h.trim().parse::<usize>().ok()?))
    });
    sides
        .filter(|(w, h)| (1..=FINEST).contains(w) && (1..=FINEST).contains(h))
        .ok_or_else(|| input.corrupt(0, "Meas Cond/Pixels", "512x512 or the like", stated))
}

/// Energy of channel 0 and channel width, keV.
fn energy(tags: &Value, map: &Value) -> Option<(f64, f64)> {
    let (scale, offset) = (number(map, &["Doc", "CoefA"])?, number(map, &["Doc", "CoefB"])?);
    let template = text(map, &["Meas Cond", "Tpl"])?;
    let path = ["PTTD Param", "Params", "PARAMPAGE1", "Tpl", template, "DigZ"];
    Some((offset - scale * number(tags, &path)?, scale))
}

/// Pixel size in um: the size of the screen over the magnification.
fn pixel(tags: &Value, map: &Value, width: usize) -> Option<f64> {
    let screen_mm = number(tags, &["PTTD Param", "Params", "PARAMPAGE0", "ScanSize"])?;
    let magnification = number(map, &["MeasCond", "Mag"])?;
    Some(screen_mm / magnification * 1e3 / width as f64).filter(|s| s.is_finite() && *s > 0.0)
}

pub(super) fn read(input: &Input) -> Result<Dataset, IoError> {
    let Header { tags, events, bytes } = tags::read(input)?;
    let map = at(&tags, &["PTTD Data", "AnalyzableMap MeasData"]).unwrap_or(&Value::Null);
    let (width, height) = resolution(input, map)?;
    // An empty pixel costs no byte, so the events bound the map only loosely.
    let (pixels, limit) = (width * height, (8 * bytes).max(1 << 20));
    if pixels > limit {
        return Err(input.too_large("pixels of the map", pixels as u64, limit as u64));
    }
    let (words, _) = input.bytes()[events..events + bytes].as_chunks::<2>();
    let scan = Scan { words, width, height };
    let (rows, _) = count(input, width * height, &scan)?;
    let counts = rows.with_channels(FINEST).map_err(|e| input.rows_error(e))?.finish();

    let mut diagnostics = Vec::new();
    let frames = scan.frames();
    if frames > 1 {
        let message = format!("{frames} frames were added");
        diagnostics.push(Diagnostic::note(Code::Assumed, message));
    }
    let mut missing = |what: &str| {
        let message = format!("the file gives no {what}: it is numbered");
        diagnostics.push(Diagnostic::warning(Code::MissingMetadata, message));
    };
    let navigation =
        [("y", height), ("x", width)].map(|(name, n)| match pixel(&tags, map, width) {
            Some(scale) => input.axis(name, Unit::Micrometre, 0.0, scale, n).0,
            None => {
                missing(&format!("pixel size along {name}"));
                Axis::index(name, n)
            }
        });
    let signal = match energy(&tags, map) {
        Some((offset, scale)) => input.axis("Energy", Unit::KeV, offset, scale, FINEST).0,
        None => {
            missing("energy calibration");
            Axis::index("Energy", FINEST)
        }
    };
    let positive = |path: &[&str]| number(map, path).filter(|x| *x > 0.0);
    let beam_energy_kev = positive(&["MeasCond", "AccKV"]);
    let acquisition_mode = beam_energy_kev.map(|kev| {
        let mode = if kev > HIGHEST_SEM_KV { Mode::Stem } else { Mode::Sem };
        let message = format!("acquisition mode {mode} follows from {kev} kV");
        diagnostics.push(
            Diagnostic::note(Code::Assumed, message)
                .hint("--set acquisition_mode=.. gives another"),
        );
        mode
    });
    let page = ["PTTD Param", "Params", "PARAMPAGE0"];
    let detector = |key: &str| at(&tags, &page).and_then(|p| p.get(key));
    let angle = |key| detector(key).and_then(Value::as_f64);
    let name = |key| detector(key).and_then(Value::as_str).map(str::to_owned);
    let metadata = Metadata {
        title: text(map, &["Doc", "Title"]).map(str::to_owned),
        modality: Some(Modality::Eds),
        acquisition_mode,
        instrument: name("SEM"),
        beam_energy_kev,
        live_time_s: positive(&["Doc", "LiveTime"]),
        real_time_s: positive(&["Doc", "RealTime"]),
        elevation_angle: angle("ElevAng"),
        azimuth_angle: angle("DirAng"),
        energy_resolution_mn_ka_ev: angle("MnKaRES").filter(|x| *x > 0.0),
        detector: name("DetT"),
        ..Metadata::default()
    };
    let meta = RowsMeta {
        rows: counts.rows(),
        channels: FINEST,
        dtype: DType::Csr,
        navigation: navigation.to_vec(),
        signal,
        noise: NoiseModel::COUNTS,
    };
    let rows: (RowsMeta, CsrCounts) = (meta, counts);
    Ok(Dataset {
        rows: Arc::new(rows),
        metadata,
        vendor: tags,
        mask: None,
        source: input.source("jeol", None),
        diagnostics,
    })
}
