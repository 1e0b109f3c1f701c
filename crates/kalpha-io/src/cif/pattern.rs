//! Powder patterns of a CIF (pdCIF).
//!
//! Tags: B. H. Toby, R. B. Von Dreele, A. C. Larson, J. Appl. Cryst. 36, 1290 (2003); the powder
//! dictionary, International Tables for Crystallography, vol. G, 4.2.

use super::{Block, Document, Loop, Structure};
use crate::{
    Input, IoError, diffraction,
    signal_list::{Signal, SignalList, Whole, axis_of_points, unique},
    xml,
};
use kalpha_core::{Axis, Unit};
use serde_json::{Map, Value};

/// Tags that can be the axis, the best first, with name and unit.
const AXES: [(&str, &str, Unit); 8] = [
    ("_pd_proc_2theta_corrected", "2theta", Unit::Degree2Theta),
    ("_pd_meas_2theta_corrected", "2theta", Unit::Degree2Theta),
    ("_pd_meas_2theta_scan", "2theta", Unit::Degree2Theta),
    ("_pd_calc_2theta", "2theta", Unit::Degree2Theta),
    ("_pd_proc_energy_incident", "Energy", Unit::Ev),
    ("_pd_meas_time_of_flight", "time of flight", Unit::None),
    ("_pd_proc_d_spacing", "d", Unit::None),
    ("_pd_proc_recip_len_Q", "Q", Unit::InverseAngstrom),
];

/// Units of axes for which there is no constant.
const OTHER_UNITS: [(&str, &str); 2] =
    [("_pd_meas_time_of_flight", "us"), ("_pd_proc_d_spacing", "A")];

/// Evenly spaced axes: minimum, maximum and increment.
const RANGES: [&str; 2] = ["_pd_proc_2theta_range_", "_pd_meas_2theta_range_"];

/// Intensities by how much one wants to see them.
const INTENSITIES: [&str; 10] = [
    "_pd_meas_counts_total",
    "_pd_meas_intensity_total",
    "_pd_meas_counts_net",
    "_pd_meas_intensity_net",
    "_pd_proc_intensity_total",
    "_pd_proc_intensity_net",
    "_pd_meas_intensity",
    "_pd_proc_intensity",
    "_pd_calc_intensity_total",
    "_pd_calc_intensity_net",
];

/// Where a tag stands among the intensities.
fn rank(tag: &str) -> usize {
    let found = INTENSITIES.iter().position(|t| t.eq_ignore_ascii_case(&tag.replace('.', "_")));
    found.unwrap_or(INTENSITIES.len())
}

/// Values and standard uncertainties of a column; `None` where one is no number.
fn column(l: &Loop, i: usize) -> Option<(Vec<f64>, Vec<f64>)> {
    let (mut values, mut su) = (Vec::with_capacity(l.rows()), Vec::new());
    for row in l.iter() {
        let value = row.get(i)?;
        match value.number() {
            Some(m) => {
                values.push(m.value);
                su.push(m.su.unwrap_or(f64::NAN));
            }
            // A point that was not measured keeps its place.
            None if value.text().is_none() => {
                values.push(f64::NAN);
                su.push(f64::NAN);
            }
            None => return None,
        }
    }
    Some((values, su))
}

fn axis(block: &Block, l: &Loop) -> Option<(Axis, Option<usize>)> {
    for (tag, name, unit) in AXES {
        if let Some(i) = l.column(tag)
            && let Some((points, _)) = column(l, i)
        {
            let other = OTHER_UNITS.iter().find(|(t, _)| *t == tag);
            let unit = other.map_or(unit, |(_, unit)| Unit::Other((*unit).to_owned()));
            return Some((axis_of_points(name, unit, points), Some(i)));
        }
    }
    for range in RANGES {
        let number = |end: &str| block.get(&format!("{range}{end}"))?.number().map(|m| m.value);
        if let (Some(min), Some(step)) = (number("min"), number("inc")) {
            let axis = diffraction::stepped("2theta", Unit::Degree2Theta, min, step, l.rows());
            return Some((axis, None));
        }
    }
    None
}

/// The items of a block as text, without what stands in loops.
fn items(block: &Block) -> Value {
    let text = |v: &super::Value| Value::String(v.raw().trim().to_owned());
    Value::Object(block.items.iter().map(|(tag, v)| ((*tag).to_owned(), text(v))).collect())
}

fn found_instead(document: &Document) -> String {
    let structures: Vec<String> = document
        .blocks
        .iter()
        .filter_map(|b| Structure::of_block(b).ok().flatten())
        .map(|s| s.formula.or(s.name).unwrap_or(s.block))
        .collect();
    match structures.len() {
        0 => format!("{} data blocks, none with a powder pattern", document.blocks.len()),
        1 => format!("one crystal structure: {}", structures.join(", ")),
        n => format!("{n} crystal structures: {}", structures.join(", ")),
    }
}

pub(super) fn list(input: &Input) -> Result<SignalList, IoError> {
    let text = xml::decode(input.bytes());
    let document = Document::parse(&text).map_err(|e| e.of(input))?;
    let wavelength = document.blocks.iter().find_map(|block| {
        let tags = ["_diffrn_radiation_wavelength", "_pd_proc_wavelength"];
        let item = block.first(&tags).and_then(|v| v.number());
        let row = || {
            let (l, i) = block.find_loop(tags[0])?;
            l.iter().find_map(|row| row.get(i)?.number())
        };
        item.or_else(row).and_then(|m| diffraction::wavelength(m.value))
    });
    let mut metadata = diffraction::metadata(wavelength);
    let title = [
        "_pd_phase_name",
        "_pd_spec_description",
        "_chemical_name_common",
        "_chemical_formula_sum",
    ];
    metadata.title = document
        .blocks
        .iter()
        .find_map(|b| b.first(&title)?.text())
        .map(|t| t.split_whitespace().collect::<Vec<_>>().join(" "));
    let (mut signals, mut blocks): (Vec<Signal>, Vec<&str>) = (Vec::new(), Vec::new());
    for block in &document.blocks {
        for l in block.loops.iter().filter(|l| l.rows() > 1) {
            let powder = |tag: &&str| tag.get(..4).is_some_and(|t| t.eq_ignore_ascii_case("_pd_"));
            if !l.tags.iter().any(&powder) {
                continue;
            }
            let Some((axis, taken)) = axis(block, l) else { continue };
            for (i, tag) in l.tags.iter().enumerate().filter(|(_, t)| powder(t)) {
                if Some(i) == taken || AXES.iter().any(|(t, ..)| t.eq_ignore_ascii_case(tag)) {
                    continue;
                }
                let Some((values, su)) = column(l, i) else { continue };
                let name = tag.trim_start_matches('_').to_owned();
                let counts = name.to_ascii_lowercase().contains("_counts");
                let whole = if counts { Whole::Counts } else { Whole::NoCounts };
                let uncertain = su.iter().any(|x| x.is_finite());
                signals.push(Signal::spectrum(name.clone(), axis.clone(), values, whole));
                blocks.push(block.name);
                if uncertain {
                    let name = format!("{name} su");
                    signals.push(Signal::spectrum(name, axis.clone(), su, Whole::NoCounts));
                    blocks.push(block.name);
                }
            }
        }
    }
    if signals.is_empty() {
        let found = found_instead(&document);
        return Err(IoError::NoSpectra { file: input.path().to_owned(), found });
    }
    let of_best = signals.iter().enumerate().min_by_key(|(_, s)| rank(&format!("_{}", s.name)));
    let default = of_best.map_or(0, |(i, _)| i);
    // Patterns of several blocks are told apart by their block.
    let several = blocks.windows(2).any(|w| w[0] != w[1]);
    let name = |(s, block): (&Signal, &&str)| match several {
        true => format!("{block}/{}", s.name),
        false => s.name.clone(),
    };
    let names = unique(signals.iter().zip(&blocks).map(name));
    for (signal, name) in signals.iter_mut().zip(names) {
        signal.name = name;
        signal.metadata = metadata.clone();
    }
    let mut vendor = Map::new();
    for block in document.blocks.iter().filter(|b| !b.items.is_empty()) {
        vendor.insert(block.name.to_owned(), items(block));
    }
    Ok(SignalList {
        format: "cif",
        version: text
            .strip_prefix("#\\#CIF_")
            .and_then(|t| t.split_whitespace().next())
            .map(str::to_owned),
        signals,
        series: Vec::new(),
        default,
        remark: String::new(),
        vendor: Value::Object(vendor),
        diagnostics: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn read(text: &str) -> Result<SignalList, IoError> {
        list(&Input::from_bytes(Path::new("a.cif"), text.as_bytes().to_vec()))
    }

    #[test]
    fn the_measured_pattern_is_read_first_and_uncertainties_are_kept() {
        let text = "data_a\n_pd_meas_2theta_range_min 5\n_pd_meas_2theta_range_max 5.04\n\
            _pd_meas_2theta_range_inc 0.02\n_diffrn_radiation_wavelength 1.5406\nloop_\n\
            _pd_calc_intensity_total\n_pd_meas_counts_total\n1.5 4\n2.5 9(3)\n3.5 ?\n";
        let list = read(text).unwrap();
        let counts = "pd_meas_counts_total";
        assert_eq!(list.names(), ["pd_calc_intensity_total", counts, "pd_meas_counts_total su"]);
        assert_eq!(list.names()[list.default], counts);
        assert_eq!(list.signals[1].axis.offset_scale(), Some((5.0, 0.02)));
        assert!(list.signals[1].values[2].is_nan());
        assert_eq!(list.signals[1].metadata.wavelength_a, Some(1.5406));
        assert_eq!(list.signals[2].values[1], 3.0);
    }

    #[test]
    fn a_structure_alone_is_no_pattern_and_is_named() {
        let text = "data_a\n_cell_length_a 4\n_cell_length_b 4\n_cell_length_c 4\n\
            _chemical_formula_sum 'Na Cl'\nloop_\n_atom_site_label\n_atom_site_fract_x\n\
            _atom_site_fract_y\n_atom_site_fract_z\nNa 0 0 0\n";
        let Err(IoError::NoSpectra { found, .. }) = read(text) else { panic!() };
        assert_eq!(found, "one crystal structure: Na Cl");
    }
}
