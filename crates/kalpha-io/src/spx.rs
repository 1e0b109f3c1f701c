//! Bruker `.spx`: one EDS or XRF spectrum as XML.
//!
//! Objects are `ClassInstance` elements told apart by `Type`; those of a `.bcf` mean the same
//! (`bcf/header.rs`). Beside them:
//!
//! | object | field | meaning |
//! |---|---|---|
//! | TRTSpectrum | Channels | counts, comma-separated |
//! | TRTSpectrumHardwareHeader | RealTime, LifeTime | ms |
//! | TRTXrfHeader | Voltage, Current | tube voltage in kV, current in uA |
//! | TRTESMAHeader | PrimaryEnergy, ElevationAngle, AzimutAngle | keV, degree |
//!
//! Tested against RosettaSciIO 0.15 (tests/golden).

use crate::{
    Confidence, FormatId, Input, IoError, OpenOptions, Reader,
    bcf::header::{child, instance, number, positive, resolution},
    gather::{Block, Gather},
    xml,
};
use kalpha_core::{Axis, Code, Dataset, Diagnostic, Metadata, Modality, Unit};
use roxmltree::{Document, ParsingOptions};
use serde_json::Value;

/// The reader of `.spx`.
pub(crate) struct Spx;

impl Reader for Spx {
    fn format(&self) -> FormatId {
        FormatId::new("spx")
    }

    fn about(&self) -> &'static str {
        "Bruker spectrum (EDS, XRF; XML)"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["spx"]
    }

    fn recognise(&self, input: &Input) -> Confidence {
        let head = xml::decode(input.head(1024));
        if head.contains("<TRTSpectrum>") {
            Confidence::Certain
        } else if input.extension() == "spx" {
            Confidence::Name
        } else {
            Confidence::No
        }
    }

    fn signals(&self, _: &Input) -> Result<Vec<String>, IoError> {
        Ok(vec!["spectrum".to_owned()])
    }

    fn read(&self, input: &Input, options: &OpenOptions) -> Result<Dataset, IoError> {
        input.only_signal("spectrum", options)?;
        read(input)
    }
}

fn read(input: &Input) -> Result<Dataset, IoError> {
    let text = xml::decode(input.bytes());
    let options = ParsingOptions { allow_dtd: false, ..ParsingOptions::default() };
    let document = Document::parse_with_options(&text, options)
        .map_err(|e| input.corrupt(0, "document", "well-formed XML", e))?;
    let root = document.root_element();
    let channels = root.descendants().find(|n| n.has_tag_name("Channels"));
    let Some(channels) = channels else {
        let found = "no Channels element".to_owned();
        return Err(IoError::NoSpectra { file: input.path().to_owned(), found });
    };
    let at = channels.range().start as u64;
    let mut counts: Vec<u64> = Vec::new();
    for field in channels.text().unwrap_or_default().split(',').map(str::trim) {
        let count = field.parse();
        counts.push(count.map_err(|_| input.corrupt(at, "Channels", "whole numbers", field))?);
    }
    let spectrum = instance(root, "TRTSpectrumHeader");
    let mut diagnostics = Vec::new();
    if let Some(stated) = positive(spectrum, "ChannelCount")
        && stated != counts.len() as f64
    {
        let message = format!("{stated} channels are stated, {} follow", counts.len());
        diagnostics.push(Diagnostic::warning(Code::VendorDisagrees, message));
    }
    let signal = match number(spectrum, "CalibAbs").zip(positive(spectrum, "CalibLin")) {
        Some((offset, scale)) => input.axis("Energy", Unit::KeV, offset, scale, counts.len()).0,
        None => {
            let message = "the file gives no energy calibration: channels are numbered";
            diagnostics.push(
                Diagnostic::warning(Code::MissingMetadata, message)
                    .hint("--energy-axis OFFSET,SCALE,UNIT gives it"),
            );
            Axis::index("Energy", counts.len())
        }
    };
    let mut gather = Gather::new(1, counts.len());
    gather.push(Block::U64(&counts));
    let gathered = gather.finish(Vec::new(), signal).map_err(|e| input.rows_error(e))?;
    diagnostics.extend(gathered.diagnostics);

    let hardware = instance(root, "TRTSpectrumHardwareHeader");
    let (esma, xrf) = (instance(root, "TRTESMAHeader"), instance(root, "TRTXrfHeader"));
    let seconds = |name| positive(hardware, name).map(|ms| ms / 1e3);
    let is_xrf = positive(xrf, "Voltage").is_some();
    let metadata = Metadata {
        title: instance(root, "TRTSpectrum")
            .and_then(|n| n.attribute("Name"))
            .map(|t| t.trim().to_owned())
            .filter(|t| !t.is_empty()),
        modality: Some(if is_xrf { Modality::Xrf } else { Modality::Eds }),
        beam_energy_kev: if is_xrf { None } else { positive(esma, "PrimaryEnergy") },
        live_time_s: seconds("LifeTime"),
        real_time_s: seconds("RealTime"),
        elevation_angle: number(esma, "ElevationAngle"),
        azimuth_angle: number(esma, "AzimutAngle"),
        energy_resolution_mn_ka_ev: resolution(spectrum),
        detector: child(instance(root, "TRTDetectorHeader"), "Type").map(str::to_owned),
        ..Metadata::default()
    };
    let vendor = xml::to_json(root)
        .map_err(|_| input.corrupt(0, "document", "XML of sensible depth", "deep nesting"))?;
    Ok(Dataset {
        rows: gathered.rows,
        metadata,
        vendor: Value::Object([(root.tag_name().name().to_owned(), vendor)].into_iter().collect()),
        mask: None,
        source: input.source("spx", None),
        diagnostics,
    })
}
