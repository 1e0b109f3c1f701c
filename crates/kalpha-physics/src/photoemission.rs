//! Photoelectron lines: where they are, how strong, and what chemical states are known.
//!
//! Cross-sections are those of Scofield for Al K-alpha (1486.6 eV) over that of C 1s, whole shells
//! and members of doublets. Binding energies of lines are rounded to 1 eV, good for finding an
//! element. Those of chemical states are to 0.1 eV on the scale of C 1s = 284.8 eV, each with the
//! half range of published values and its source: they suggest, they do not prove. Splittings of
//! doublets are those of the elements, to some hundredths of an eV (tenths for the first transition
//! series, where they depend on the state).
//!
//! Sources: Scofield (1976), J. Electron Spectrosc. Relat. Phenom. 8, 129,
//! doi:10.1016/0368-2048(76)80015-1; for the states, the source of each entry.

use crate::PhysicsError;
use crate::elements::element;
use std::sync::LazyLock;

static LINES: &str = include_str!("photoemission/scofield_al.tsv");
static DOUBLETS: &str = include_str!("photoemission/doublets.tsv");
static STATES: &str = include_str!("photoemission/chemical_shifts.tsv");

/// Photon energy of the cross-sections, eV.
pub const AL_KA: f64 = 1486.6;

/// A photoelectron line.
#[derive(Clone, Debug, PartialEq)]
pub struct PhotoelectronLine {
    /// Element symbol.
    pub symbol: &'static str,
    /// Shell: `1s`, `4f`, or member of a doublet: `4f7/2`.
    pub shell: &'static str,
    /// Binding energy, eV.
    pub binding_energy: f64,
    /// Cross-section for Al K-alpha over that of C 1s.
    pub cross_section: f64,
}

impl PhotoelectronLine {
    /// As analysts write it: `Pt 4f7/2`.
    pub fn name(&self) -> String {
        format!("{} {}", self.symbol, self.shell)
    }

    /// True for one of the two members of a doublet.
    pub fn is_member(&self) -> bool {
        self.shell.contains('/')
    }
}

/// What is known of one chemical state.
#[derive(Clone, Debug, PartialEq)]
pub struct ChemicalState {
    /// Element symbol.
    pub symbol: &'static str,
    /// Shell or member of a doublet.
    pub shell: &'static str,
    /// `PtO2`, `C-O`, `metal`.
    pub state: &'static str,
    /// Binding energy, eV, with C 1s at 284.8 eV.
    pub binding_energy: f64,
    /// Half the range of published values, eV.
    pub spread: f64,
    /// Where it is published.
    pub source: &'static str,
}

/// Cells of the rows of a table under its heading.
fn rows<const N: usize>(text: &'static str) -> impl Iterator<Item = [&'static str; N]> {
    text.lines().skip(1).filter_map(|line| {
        let mut cells = line.split('\t').map(str::trim);
        let row: [&str; N] = std::array::from_fn(|_| cells.next().unwrap_or_default());
        (!row[0].is_empty()).then_some(row)
    })
}

/// All lines, by element as in the periodic table and then by binding energy, deepest first.
pub fn photoelectron_lines() -> &'static [PhotoelectronLine] {
    static PARSED: LazyLock<Vec<PhotoelectronLine>> = LazyLock::new(|| {
        rows(LINES)
            .filter_map(|[symbol, shell, energy, cross_section]| {
                let (binding_energy, cross_section) =
                    (energy.parse().ok()?, cross_section.parse().ok()?);
                Some(PhotoelectronLine { symbol, shell, binding_energy, cross_section })
            })
            .collect()
    });
    &PARSED
}

/// All chemical states in the table.
pub fn chemical_states() -> &'static [ChemicalState] {
    static PARSED: LazyLock<Vec<ChemicalState>> = LazyLock::new(|| {
        rows(STATES)
            .filter_map(|[symbol, shell, state, energy, spread, source]| {
                let (binding_energy, spread) = (energy.parse().ok()?, spread.parse().ok()?);
                Some(ChemicalState { symbol, shell, state, binding_energy, spread, source })
            })
            .collect()
    });
    &PARSED
}

/// The line called `name`: `Pt 4f7/2`, `pt4f`, `C_1s`.
///
/// # Errors
/// [`PhysicsError::UnknownElement`], or [`PhysicsError::UnknownLine`] with those of the element.
pub fn photoelectron_line(name: &str) -> Result<&'static PhotoelectronLine, PhysicsError> {
    let plain = |text: &str| -> String {
        text.chars().filter(|c| !c.is_whitespace() && *c != '_').collect::<String>().to_lowercase()
    };
    let wanted = plain(name);
    let lines = photoelectron_lines();
    if let Some(found) = lines.iter().find(|l| plain(&l.name()) == wanted) {
        return Ok(found);
    }
    let symbol: String =
        name.trim_start().chars().take_while(|c| c.is_alphabetic()).collect::<String>();
    let symbol = element(&symbol)?.symbol;
    let available: Vec<String> =
        lines.iter().filter(|l| l.symbol == symbol).map(PhotoelectronLine::name).collect();
    let available = match available.is_empty() {
        true => "none in the table".to_owned(),
        false => available.join(", "),
    };
    Err(PhysicsError::UnknownLine { name: name.to_owned(), element: symbol, available })
}

/// The shell by which an element is measured: the outermost one with at least half the
/// cross-section of the strongest (Si 2p, not 2s; Pt 4f, not 4d).
pub fn main_line(symbol: &str) -> Option<&'static PhotoelectronLine> {
    let whole = || photoelectron_lines().iter().filter(|l| l.symbol == symbol && !l.is_member());
    let strongest = whole().map(|l| l.cross_section).fold(0.0, f64::max);
    whole()
        .filter(|l| l.cross_section >= 0.5 * strongest)
        .min_by(|a, b| a.binding_energy.total_cmp(&b.binding_energy))
}

/// Splitting of the doublet of a whole shell, eV: `("Pt", "4f")` gives 3.33.
pub fn splitting(symbol: &str, shell: &str) -> Option<f64> {
    rows(DOUBLETS)
        .find(|[element, of, _]| *element == symbol && *of == shell)
        .and_then(|[_, _, splitting]| splitting.parse().ok())
}

/// States of `symbols` (of all elements where empty) within `tolerance` eV and their own spread of
/// `energy`, nearest first in units of both.
pub fn states_near(
    energy: f64,
    tolerance: f64,
    symbols: &[String],
) -> Vec<(&'static ChemicalState, f64)> {
    let mut found: Vec<(&ChemicalState, f64)> = chemical_states()
        .iter()
        .filter(|s| symbols.is_empty() || symbols.iter().any(|wanted| wanted == s.symbol))
        .map(|s| (s, (energy - s.binding_energy).abs() / tolerance.hypot(s.spread)))
        .filter(|(_, distance)| *distance <= 1.5)
        .collect();
    found.sort_by(|a, b| a.1.total_cmp(&b.1));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_read_and_possible() {
        for (text, read) in
            [(LINES, photoelectron_lines().len()), (STATES, chemical_states().len())]
        {
            assert_eq!(text.lines().skip(1).filter(|l| !l.trim().is_empty()).count(), read);
        }
        for line in photoelectron_lines() {
            let known = element(line.symbol).unwrap();
            assert_eq!(known.symbol, line.symbol);
            assert!((1.0..AL_KA).contains(&line.binding_energy), "{}", line.name());
            assert!((0.01..120.0).contains(&line.cross_section), "{}", line.name());
        }
        for state in chemical_states() {
            let line = format!("{} {}", state.symbol, state.shell);
            assert!((0.05..=1.0).contains(&state.spread), "{line} {}", state.state);
            assert!(!state.source.is_empty(), "{line} {}", state.state);
            // The table of lines is rounded and of pure elements; satellites lie far up.
            if let Ok(known) = photoelectron_line(&line) {
                let shift = (state.binding_energy - known.binding_energy).abs();
                assert!(shift < 16.0, "{line} {} {shift}", state.state);
            }
        }
    }

    #[test]
    fn no_line_stands_twice_and_members_add_up() {
        let lines = photoelectron_lines();
        for (i, line) in lines.iter().enumerate() {
            assert!(lines[..i].iter().all(|l| l.name() != line.name()), "{}", line.name());
            let members: Vec<_> = lines
                .iter()
                .filter(|l| l.symbol == line.symbol && l.is_member())
                .filter(|l| l.shell.starts_with(line.shell))
                .collect();
            if line.is_member() || members.len() != 2 {
                continue;
            }
            let sum: f64 = members.iter().map(|m| m.cross_section).sum();
            assert!((sum / line.cross_section - 1.0).abs() < 0.005, "{} {sum}", line.name());
        }
    }

    #[test]
    fn figures_of_scofield() {
        for (name, want) in [
            ("C 1s", 1.0),
            ("N 1s", 1.80),
            ("o1s", 2.93),
            ("F_1s", 4.43),
            ("Si 2p", 0.817),
            ("Ti 2p", 7.91),
            ("Cu 2p", 25.39),
            ("Au 4f7/2", 9.58),
        ] {
            let got = photoelectron_line(name).unwrap().cross_section;
            assert!((got - want).abs() < 0.005 * want, "{name}: {got}");
        }
        for (symbol, shell) in
            [("Pt", "4f"), ("Si", "2p"), ("Al", "2p"), ("O", "1s"), ("Zn", "2p"), ("Ba", "3d")]
        {
            assert_eq!(main_line(symbol).unwrap().shell, shell, "{symbol}");
        }
        assert!(photoelectron_line("Xx 1s").is_err());
        let error = photoelectron_line("Pt 9z").unwrap_err();
        assert!(error.to_string().contains("Pt 4"), "{error}");
    }

    #[test]
    fn splittings_agree_with_the_lines() {
        for [symbol, shell, text] in rows::<3>(DOUBLETS) {
            let split = splitting(symbol, shell).unwrap();
            assert_eq!(text.parse::<f64>().unwrap(), split);
            let whole = photoelectron_line(&format!("{symbol} {shell}")).unwrap();
            let members: Vec<f64> = photoelectron_lines()
                .iter()
                .filter(|l| l.symbol == symbol && l.is_member() && l.shell.starts_with(shell))
                .map(|l| l.binding_energy)
                .collect();
            // Energies of lines are rounded, and some have but one for both members.
            if let [a, b] = members[..]
                && a != b
            {
                assert!(((a - b).abs() - split).abs() < 1.6, "{} {a} {b} {split}", whole.name());
            }
        }
        assert_eq!(splitting("C", "1s"), None);
    }

    #[test]
    fn states_are_found_by_energy() {
        let platinum = ["Pt".to_owned()];
        let (state, distance) = states_near(71.1, 0.2, &platinum)[0];
        assert_eq!((state.symbol, state.shell, state.state), ("Pt", "4f7/2", "metal"));
        assert!(distance < 1.0);
        let carbon = states_near(288.9, 0.2, &["C".to_owned()]);
        assert!(carbon.iter().any(|(s, _)| s.state == "O-C=O"), "{carbon:?}");
        assert!(states_near(2000.0, 0.2, &[]).is_empty());
    }
}
