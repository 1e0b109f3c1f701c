//! `HeaderData`: XML about the measurement.
//!
//! Objects are `ClassInstance` elements told apart by `Type`. What is used:
//!
//! | object | field | meaning |
//! |---|---|---|
//! | TRTSEMData | HV, DX, DY | high voltage in kV, pixel size in um |
//! | TRTSEMStageData | Tilt | degree |
//! | TRTDSPConfiguration | PixelAverage, LineAverage, PixelTime | dwell time in us is their product |
//! | (top) | LineCounter | how often each line was scanned |
//! | TRTSpectrumRegion | Name | an element in the vendor's list |
//! | SpectrumDataN/TRTDetectorHeader | Type | detector |
//! | SpectrumDataN/TRTESMAHeader | PrimaryEnergy, ElevationAngle, AzimutAngle | keV, degree |
//! | SpectrumDataN/TRTSpectrumHeader | ChannelCount, CalibAbs, CalibLin, SigmaAbs, SigmaLin | energy = CalibAbs + CalibLin i in keV; peak variance = SigmaAbs + SigmaLin energy in keV2 |

use super::images::images;
use crate::{
    Input, IoError,
    xml::{self, Lifted},
};
use kalpha_core::{Code, Dataset, Diagnostic, Metadata, Modality, Mode};
use roxmltree::{Document, Node, ParsingOptions};
use serde_json::Value;

/// Energy of Mn Ka1 in keV, at which detectors are rated.
const MN_KA: f64 = 5.898_75;

/// Beyond this voltage the microscope is a transmission microscope.
const HIGHEST_SEM_KV: f64 = 30.0;

/// What `HeaderData` says of one detector.
pub(super) struct Header {
    pub metadata: Metadata,
    pub vendor: Value,
    pub channels: usize,
    /// Energy of channel 0 and channel width, keV.
    pub energy: Option<(f64, f64)>,
    /// Pixel width and height, um.
    pub pixel: (Option<f64>, Option<f64>),
    /// Names of the images.
    pub images: Vec<String>,
    /// Scans per line, pixels per line enter the real time.
    lines: Vec<f64>,
    dwell_us: Option<f64>,
    pub diagnostics: Vec<Diagnostic>,
}

impl Header {
    /// Real time of the whole map, s: every line's scans times its pixels times the dwell time.
    pub fn real_time_s(&self, height: usize, width: usize) -> Option<f64> {
        let scans: f64 = match self.lines.len() {
            0 => return None,
            n => self.lines.iter().take(height.min(n)).sum(),
        };
        Some(scans * width as f64 * self.dwell_us? * 1e-6).filter(|t| t.is_finite() && *t > 0.0)
    }
}

pub(crate) fn instance<'a, 'i>(root: Node<'a, 'i>, kind: &str) -> Option<Node<'a, 'i>> {
    root.descendants()
        .find(|n| n.has_tag_name("ClassInstance") && n.attribute("Type") == Some(kind))
}

pub(crate) fn child<'a>(node: Option<Node<'a, '_>>, name: &str) -> Option<&'a str> {
    node?.children().find(|n| n.has_tag_name(name))?.text().map(str::trim)
}

pub(crate) fn number(node: Option<Node>, name: &str) -> Option<f64> {
    child(node, name)?.parse().ok().filter(|x: &f64| x.is_finite())
}

pub(crate) fn positive(node: Option<Node>, name: &str) -> Option<f64> {
    number(node, name).filter(|x| *x > 0.0)
}

/// FWHM at Mn Ka in eV, from the peak widths of a TRTSpectrumHeader.
pub(crate) fn resolution(spectrum: Option<Node>) -> Option<f64> {
    let (abs, lin) = number(spectrum, "SigmaAbs").zip(number(spectrum, "SigmaLin"))?;
    let ev = (8.0 * std::f64::consts::LN_2 * (abs + lin * MN_KA)).sqrt() * 1e3;
    Some(ev).filter(|ev| ev.is_finite() && *ev > 0.0)
}

/// Calls `f` with the XML of the header.
fn with_document<T>(
    input: &Input,
    bytes: &[u8],
    f: impl FnOnce(Node, &Lifted) -> Result<T, IoError>,
) -> Result<T, IoError> {
    // Photographs are most of it.
    let lifted = xml::lift(bytes);
    let options = ParsingOptions { allow_dtd: false, ..ParsingOptions::default() };
    let document = Document::parse_with_options(&lifted.text, options)
        .map_err(|e| input.corrupt(0, "HeaderData", "well-formed XML", e))?;
    f(document.root_element(), &lifted)
}

/// Pixel width and height of the map, um.
fn pixel(root: Node) -> (Option<f64>, Option<f64>) {
    let sem = instance(root, "TRTSEMData");
    (positive(sem, "DX"), positive(sem, "DY"))
}

/// Names of the images of the header.
pub(super) fn image_names(input: &Input, bytes: &[u8]) -> Result<Vec<String>, IoError> {
    with_document(input, bytes, |root, lifted| {
        Ok(images(root, lifted, pixel(root)).into_iter().map(|image| image.name).collect())
    })
}

/// Reads an image; where there is none of that name, gives the names there are.
pub(super) fn image(
    input: &Input,
    bytes: &[u8],
    name: &str,
) -> Result<Result<Dataset, Vec<String>>, IoError> {
    with_document(input, bytes, |root, lifted| {
        let header = describe(input, root, lifted, "0")?;
        let found = images(root, lifted, header.pixel);
        match found.iter().find(|image| image.name == name) {
            Some(image) => image.dataset(input, header.metadata, header.vendor).map(Ok),
            None => Ok(Err(found.into_iter().map(|image| image.name).collect())),
        }
    })
}

/// Reads what the header says of detector `index`.
pub(super) fn read(input: &Input, bytes: &[u8], index: &str) -> Result<Header, IoError> {
    with_document(input, bytes, |root, lifted| describe(input, root, lifted, index))
}

fn describe(input: &Input, root: Node, lifted: &Lifted, index: &str) -> Result<Header, IoError> {
    let vendor = lifted
        .to_json(root)
        .map_err(|_| input.corrupt(0, "HeaderData", "XML of sensible depth", "deep nesting"))?;
    let vendor = Value::Object([(root.tag_name().name().to_owned(), vendor)].into_iter().collect());

    let sem = instance(root, "TRTSEMData");
    let dsp = instance(root, "TRTDSPConfiguration");
    let xrf = instance(root, "TRTXRFData");
    let tag = format!("SpectrumData{index}");
    let detector = root.descendants().find(|n| n.has_tag_name(tag.as_str()));
    let within = |kind| detector.and_then(|d| instance(d, kind));
    let (esma, spectrum) = (within("TRTESMAHeader"), within("TRTSpectrumHeader"));
    let mut diagnostics = Vec::new();

    let is_xrf = positive(xrf, "Voltage").is_some();
    let beam_energy_kev =
        if is_xrf { None } else { positive(esma, "PrimaryEnergy").or_else(|| positive(sem, "HV")) };
    let acquisition_mode = beam_energy_kev.map(|kev| {
        // A map is scanned, so a transmission microscope worked as STEM.
        let mode = if kev > HIGHEST_SEM_KV { Mode::Stem } else { Mode::Sem };
        diagnostics.push(
            Diagnostic::note(
                Code::Assumed,
                format!(
                    "acquisition mode {} follows from {kev} kV; a .bcf does not state it",
                    mode.to_string().to_uppercase()
                ),
            )
            .hint("--set acquisition_mode=.. gives another"),
        );
        mode
    });
    let energy_resolution_mn_ka_ev = resolution(spectrum);

    let mut listed_elements: Vec<String> = root
        .descendants()
        .filter(|n| n.attribute("Type") == Some("TRTSpectrumRegion"))
        .filter_map(|n| n.attribute("Name").map(str::to_owned))
        .collect();
    listed_elements.sort();
    listed_elements.dedup();

    let database = instance(root, "TRTSpectrumDatabase");
    let metadata = Metadata {
        title: database.and_then(|d| d.attribute("Name")).map(|t| t.trim().to_owned()),
        modality: Some(if is_xrf { Modality::Xrf } else { Modality::Eds }),
        acquisition_mode,
        beam_energy_kev,
        elevation_angle: number(esma, "ElevationAngle"),
        azimuth_angle: number(esma, "AzimutAngle"),
        tilt_stage: number(instance(root, "TRTSEMStageData"), "Tilt"),
        energy_resolution_mn_ka_ev,
        detector: child(within("TRTDetectorHeader"), "Type").map(str::to_owned),
        listed_elements,
        ..Metadata::default()
    };
    let dwell_us = ["PixelAverage", "LineAverage", "PixelTime"]
        .into_iter()
        .map(|name| positive(dsp, name))
        .product();
    let lines = child(database, "LineCounter").unwrap_or_default();
    let channels = positive(spectrum, "ChannelCount").filter(|n| *n <= 65536.0);
    Ok(Header {
        metadata,
        vendor,
        channels: channels.map_or(1, |n| n as usize),
        energy: number(spectrum, "CalibAbs").zip(positive(spectrum, "CalibLin")),
        pixel: pixel(root),
        images: images(root, lifted, pixel(root)).into_iter().map(|image| image.name).collect(),
        lines: lines.split(',').filter_map(|n| n.trim().parse().ok()).collect(),
        dwell_us,
        diagnostics,
    })
}
