//! One spectrum as EMSA/MAS text (ISO 22029:2022), the exchange format of every EDS program.

use super::{Writer, file::write_file};
use crate::{FormatId, IoError};
use kalpha_core::{Axis, CellBuffer, Dataset, Event, Metadata, Modality};
use std::{fmt::Write as _, io::Write as _, path::Path};

/// The writer of `.msa`.
pub(super) struct MsaWriter;

impl Writer for MsaWriter {
    fn format(&self) -> FormatId {
        FormatId::new("msa")
    }

    fn about(&self) -> &'static str {
        "EMSA/MAS text of one spectrum"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["msa"]
    }

    fn write(&self, path: &Path, dataset: &Dataset, _: &[Event]) -> Result<(), IoError> {
        let meta = dataset.meta();
        if meta.rows != 1 {
            return Err(IoError::CannotHold {
                path: path.to_owned(),
                field: "number of spectra",
                got: meta.rows.to_string(),
                supported: "one spectrum; .npy and .zarr take a map",
            });
        }
        let mut buffer = CellBuffer::default();
        let mut spectrum = Vec::new();
        let rows = |source| IoError::Rows { file: path.to_owned(), source };
        dataset.rows.cell(0..1, &mut buffer).map_err(rows)?.to_f64(&mut spectrum);
        write_msa(path, &meta.signal, &spectrum, &dataset.metadata)
    }
}

/// Writes one spectrum on a linear axis, one value per line.
///
/// # Errors
/// [`IoError::CannotHold`] when the axis is not linear or the values do not fill it, else as
/// [`super::write_file`].
pub fn write_msa(
    path: &Path,
    axis: &Axis,
    spectrum: &[f64],
    metadata: &Metadata,
) -> Result<(), IoError> {
    let cannot = |field, got, supported| IoError::CannotHold {
        path: path.to_owned(),
        field,
        got,
        supported,
    };
    let (offset, scale) = axis.offset_scale().ok_or_else(|| {
        cannot("axis", "given point by point".to_owned(), "a linear axis (offset and scale)")
    })?;
    if axis.len() != spectrum.len() {
        let got = format!("{} for an axis of {}", spectrum.len(), axis.len());
        return Err(cannot("number of values", got, "as many as the axis"));
    }
    let signal = match metadata.modality {
        Some(Modality::Eels) => "ELS",
        Some(Modality::Xrf) => "XRF",
        Some(Modality::Xps) => "PES",
        _ => "EDS",
    };
    // A line break in a title would start a new keyword.
    let title: String = metadata.title.as_deref().unwrap_or_default().split_whitespace().fold(
        String::new(),
        |text, word| if text.is_empty() { word.to_owned() } else { text + " " + word },
    );
    let mut text = String::new();
    let mut line = |key: &str, value: &dyn std::fmt::Display| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "#{key:<12}: {value}");
    };
    line("FORMAT", &"EMSA/MAS Spectral Data File");
    line("VERSION", &"1.0");
    line("TITLE", &title);
    line("DATE", &"");
    line("TIME", &"");
    line("OWNER", &"");
    line("NPOINTS", &spectrum.len());
    line("NCOLUMNS", &1);
    line("XUNITS", &axis.unit.symbol());
    line("YUNITS", &"counts");
    line("DATATYPE", &"Y");
    line("XPERCHAN", &scale);
    line("OFFSET", &offset);
    line("SIGNALTYPE", &signal);
    for (key, value) in [
        ("BEAMKV   -kV", metadata.beam_energy_kev),
        ("PROBECUR -nA", metadata.beam_current_na),
        ("LIVETIME  -s", metadata.live_time_s),
        ("REALTIME  -s", metadata.real_time_s),
        ("ELEVANGLE-dg", metadata.elevation_angle),
        ("AZIMANGLE-dg", metadata.azimuth_angle),
        ("XTILTSTGE-dg", metadata.tilt_stage),
        ("THICKNESS-nm", metadata.thickness_nm),
    ] {
        if let Some(value) = value {
            line(key, &value);
        }
    }
    line("SPECTRUM", &"Spectral Data Starts Here");
    write_file(path, |w| {
        w.write_all(text.as_bytes())?;
        for value in spectrum {
            writeln!(w, "{value}")?;
        }
        writeln!(w, "#{:<12}:", "ENDOFDATA")
    })
}
