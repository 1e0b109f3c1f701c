//! What the columns are: labels in the last line before the data, units in the labels.

use super::table::{Style, is_comment};
use kalpha_core::Unit;

/// Below this a bare "energy" could be keV; above, only eV makes sense.
const SURELY_EV: f64 = 150.0;

/// What an axis label says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AxisLabel {
    pub name: String,
    pub unit: Unit,
    /// The unit is not in the label.
    pub assumed: bool,
}

/// A label and the unit it carries: `Energy (eV)`, `BE/eV`, `energy eV`, `energy_eV`, `Energy [eV]`.
pub(crate) fn name_and_unit(label: &str) -> (&str, Option<Unit>) {
    let label = label.trim();
    let known = |text: &str| {
        let text = text.trim();
        let text = text.strip_suffix('.').unwrap_or(text);
        match Unit::parse(text) {
            Unit::Other(_) | Unit::None => match text.to_ascii_lowercase().as_str() {
                "ev" => Some(Unit::Ev),
                "kev" => Some(Unit::KeV),
                "å-1" | "å^-1" | "a^-1" | "ang-1" | "angstrom^-1" => Some(Unit::InverseAngstrom),
                "degrees" | "degree" | "°" | "angstrom" | "å" | "counts" | "cps" | "c/s"
                | "counts/s" | "a.u." => Some(Unit::Other(text.to_owned())),
                _ => None,
            },
            unit => Some(unit),
        }
    };
    for (open, close) in [('(', ')'), ('[', ']')] {
        if let Some(rest) = label.strip_suffix(close)
            && let Some((name, unit)) = rest.rsplit_once(open)
            && let Some(unit) = known(unit)
        {
            return (name.trim(), Some(unit));
        }
    }
    for separator in ['/', ',', ' ', '_'] {
        if let Some((name, unit)) = label.rsplit_once(separator)
            && !name.trim().is_empty()
            && unit.trim() != "s"
            && let Some(unit) = known(unit)
        {
            return (name.trim(), Some(unit));
        }
    }
    (label, None)
}

/// The axis that a label names, where it names one; `points` decide a unit left out.
pub(crate) fn axis_label(label: &str, points: &[f64]) -> Option<AxisLabel> {
    let (name, unit) = name_and_unit(label);
    let lower = name.to_ascii_lowercase().replace(['_', '-'], " ");
    let largest = points.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    let or = |unit: Option<Unit>, otherwise: Unit| {
        let assumed = unit.is_none() && otherwise != Unit::None;
        (unit.unwrap_or(otherwise), assumed)
    };
    let energy = if largest > SURELY_EV { Unit::Ev } else { Unit::None };
    let (name, (unit, assumed)) = match lower.as_str() {
        "energy" | "e" | "en" | "photon energy" | "mono energy" | "energy achieved"
        | "energy requested" => ("Energy", or(unit, energy)),
        "ev" => ("Energy", (Unit::Ev, false)),
        "kev" => ("Energy", (Unit::KeV, false)),
        "energy loss" | "eloss" => ("Energy loss", or(unit, Unit::None)),
        "be" | "binding energy" | "b.e." => ("Binding energy", or(unit, Unit::Ev)),
        "ke" | "kinetic energy" | "k.e." => ("Kinetic energy", or(unit, Unit::Ev)),
        "raman shift" | "shift" => ("Raman shift", or(unit, Unit::InverseCentimetre)),
        "wavenumber" | "wavenumbers" => ("Wavenumber", or(unit, Unit::InverseCentimetre)),
        "wave" => ("Wave", or(unit, Unit::None)),
        "wavelength" | "lambda" => ("Wavelength", or(unit, Unit::None)),
        "2theta" | "two theta" | "2 theta" | "tth" | "2th" | "twotheta" => {
            ("2theta", or(unit.filter(|u| *u == Unit::Degree2Theta), Unit::Degree2Theta))
        }
        "k" => ("k", or(unit, Unit::InverseAngstrom)),
        "q" => ("q", or(unit, Unit::None)),
        "r" => ("R", or(unit, Unit::None)),
        "angle" => ("angle", or(unit, Unit::None)),
        "time" | "t" => ("time", or(unit, Unit::None)),
        "channel" | "channels" | "ch" => ("channel", or(unit, Unit::None)),
        _ => {
            return unit.filter(|u| !matches!(u, Unit::Other(_))).map(|unit| AxisLabel {
                name: name.to_owned(),
                unit,
                assumed: false,
            });
        }
    };
    Some(AxisLabel { name: name.to_owned(), unit, assumed })
}

/// True where a label says so many per second.
pub(crate) fn is_rate(label: &str) -> bool {
    let lower = label.to_ascii_lowercase();
    let lower = lower.trim_end_matches([')', ']']);
    ["/s", "/sec", "cps", "per second"].iter().any(|end| lower.ends_with(end))
}

/// True where a line only underlines.
fn is_rule(line: &str) -> bool {
    let line = line.trim_start_matches(['#', '%', '!', ';', ' ']).trim();
    line.len() > 2 && line.chars().all(|c| matches!(c, '-' | '=' | '_' | '*' | '+' | ' '))
}

/// A label without comment sign and quotes.
fn clean(word: &str) -> String {
    word.trim().trim_start_matches(['#', '%', '!']).trim().trim_matches('"').trim().to_owned()
}

/// `line` cut into `n` labels: by the separator of the data, by wide gaps, by blanks.
fn cut(line: &str, style: Style, n: usize) -> Option<(Vec<String>, bool)> {
    let bare = line.strip_prefix(['#', '%', '!', ';']).unwrap_or(line);
    let bare = if is_comment(line) { bare.trim_start_matches('#') } else { bare };
    let wide = |text: &str| -> Vec<String> {
        text.trim()
            .split("  ")
            .flat_map(|p| p.split('\t'))
            .map(clean)
            .filter(|w| !w.is_empty())
            .collect()
    };
    let separated: Vec<String> = style.split(bare).into_iter().map(clean).collect();
    let tabs: Vec<String> = bare.split('\t').map(clean).collect();
    let commas: Vec<String> = bare.split(',').map(clean).collect();
    let dense: Vec<String> = tabs.iter().filter(|w| !w.is_empty()).cloned().collect();
    let certain = [tabs, dense, commas, wide(bare)].into_iter().find(|w| n > 1 && w.len() == n);
    if let Some(labels) = certain {
        return Some((labels, true));
    }
    (separated.len() == n).then(|| {
        let blank = bare.split_whitespace().count() == n;
        (separated, !blank)
    })
}

/// Labels of `n` columns among the lines before the data, the last line first.
///
/// A remark that happens to have as many words is not taken: labels stand apart by more than a
/// blank, under a rule, or begin with the name of an axis.
pub(crate) fn labels(
    heading: &[&str],
    style: Style,
    n: usize,
    points: &[f64],
) -> Option<Vec<String>> {
    let mut lines = heading.iter().rev().filter(|l| !l.trim().is_empty());
    let mut ruled = false;
    let line = loop {
        let line = lines.next()?;
        if !is_rule(line) {
            break line;
        }
        ruled = true;
    };
    ruled |= lines.next().is_some_and(|above| is_rule(above));
    // `#%cols: 612 E XMU` counts the rows first.
    if let Some((key, rest)) = line.split_once(':')
        && key.to_ascii_lowercase().ends_with("cols")
    {
        let words: Vec<String> = rest.split_whitespace().map(clean).collect();
        return words.len().checked_sub(n).map(|from| words[from..].to_vec());
    }
    let line = line.strip_prefix("#L ").unwrap_or(line);
    let (labels, apart) = cut(line, style, n)?;
    let named = labels.first().is_some_and(|l| axis_label(l, points).is_some());
    let numbers = labels.iter().filter(|l| l.parse::<f64>().is_ok()).count();
    let plausible = named || (numbers == 0 && (ruled || apart) && !line.contains(": "));
    (plausible && labels.iter().any(|l| !l.is_empty())).then_some(labels)
}

/// What is measured along a column, by its label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Absorption, or what a program made of it.
    Mu,
    /// Intensity behind the sample.
    Transmitted,
    /// Fluorescence or electron yield.
    Yield,
    /// Incident intensity.
    Incident,
    /// Intensity behind the reference.
    Reference,
    /// Something else.
    Other,
}

/// The role that the label of an absorption column names.
pub(crate) fn role(label: &str) -> Role {
    let lower = label.to_ascii_lowercase();
    let lower = lower.split(['(', '[', ' ']).next().unwrap_or_default();
    match lower {
        "mu" | "xmu" | "mutrans" | "mufluor" | "mu(e)" | "norm" | "nor" | "normtrans"
        | "normfluor" | "munorm" | "flat" | "xmud" | "absorption" | "absorbance" => Role::Mu,
        "murefer" | "normrefer" | "irefer" | "iref" | "ir" | "i2" | "xmur" => Role::Reference,
        "itrans" | "it" | "i1" | "trans" => Role::Transmitted,
        "ifluor" | "if" | "fluor" | "fl" | "iff" | "ifl" | "iey" | "tey" => Role::Yield,
        "i0" | "io" | "imon" | "i_0" => Role::Incident,
        _ => Role::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::table::Table;

    #[test]
    fn units_stand_in_labels() {
        for (label, name, unit) in [
            ("Energy (eV)", "Energy", Some(Unit::Ev)),
            ("BE/eV", "BE", Some(Unit::Ev)),
            ("energy eV", "energy", Some(Unit::Ev)),
            ("energy_keV", "energy", Some(Unit::KeV)),
            ("Raman shift [cm-1]", "Raman shift", Some(Unit::InverseCentimetre)),
            ("LiFe(II)PO4", "LiFe(II)PO4", None),
            ("i0", "i0", None),
            ("counts/s", "counts/s", None),
        ] {
            assert_eq!(name_and_unit(label), (name, unit), "{label}");
        }
        let axis = axis_label("E", &[7000.0]).unwrap();
        assert_eq!((axis.name.as_str(), axis.unit, axis.assumed), ("Energy", Unit::Ev, true));
        assert_eq!(axis_label("energy", &[7.0]).unwrap().unit, Unit::None);
        assert_eq!(axis_label("Goethite", &[7.0]), None);
    }

    #[test]
    fn labels_are_told_from_remarks() {
        let find = |text: &str| {
            let table = Table::parse(text).unwrap().unwrap();
            let block = &table.blocks[0];
            labels(&block.heading, table.style, block.columns.len(), &block.columns[0])
        };
        let data = "1 2\n2 3\n3 4\n";
        for (head, expected) in [
            ("# energy mu\n", Some(["energy", "mu"])),
            ("#----\n# shape size\n", Some(["shape", "size"])),
            ("#%cols: 612 E XMU\n#------\n", Some(["E", "XMU"])),
            ("BE/eV\tPE: 160.0 eV\n", Some(["BE/eV", "PE: 160.0 eV"])),
            ("\tMn metal\n", Some(["", "Mn metal"])),
            ("#Wave\t\t#Intensity\n", Some(["Wave", "Intensity"])),
            ("#L Energy  Counts per s\n", Some(["Energy", "Counts per s"])),
            ("# measured yesterday\n", None),
            ("# Temp: warm\n#======\n", None),
            ("", None),
        ] {
            let found = find(&format!("{head}{data}"));
            assert_eq!(found, expected.map(|e| e.map(str::to_owned).to_vec()), "{head:?}");
        }
        let csv = find("\"E\",mu\n1,2\n2,3\n3,4\n").unwrap();
        assert_eq!(csv, ["E", "mu"]);
    }
}
