//! Characteristic X-ray lines and line families.
//!
//! A *family* is every line that follows ionisation of one shell: K, L (L1-L3 combined) or M.
//! Its members keep fixed relative intensities, so a family has one free intensity in a fit.
//!
//! Within a subshell i the branching ratios are those of Elam (2002). The subshells combine as
//! `V_i w_i`, fluorescence yield w_i times vacancies V_i. Electron impact makes primary
//! vacancies in the proportion `N_i ln(U_i) / (E_i E_0)` with N_i electrons, edge E_i and
//! overvoltage U_i = E_0/E_i (Bethe 1930); Coster-Kronig transitions move them to higher
//! subshells. K-beta up to Zn and the whole M shell take the weights of NIST's EPQ library,
//! because Elam's extrapolated K-beta of Mg is ten times too strong and its M5 yields vanish
//! below hafnium.
//!
//! Sources: Elam, Ravel, Sieber (2002), doi:10.1016/S0969-806X(01)00227-4;
//! Chantler et al., X-Ray Transition Energies, NIST (2005).

use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::PhysicsError;
use crate::elements::{Element, database, element};

/// The ionised shell of a line family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Shell {
    /// 1s.
    K,
    /// 2s, 2p.
    L,
    /// 3s, 3p, 3d.
    M,
}

impl Shell {
    /// All shells, innermost first.
    pub const ALL: [Shell; 3] = [Shell::K, Shell::L, Shell::M];

    fn levels(self) -> &'static [(&'static str, f64)] {
        match self {
            Shell::K => &[("K", 2.0)],
            Shell::L => &[("L1", 2.0), ("L2", 2.0), ("L3", 4.0)],
            Shell::M => &[("M1", 2.0), ("M2", 2.0), ("M3", 4.0), ("M4", 4.0), ("M5", 6.0)],
        }
    }

    fn alpha(self) -> &'static str {
        match self {
            Shell::K => "Ka",
            Shell::L => "La",
            Shell::M => "Ma",
        }
    }

    /// The outermost level: the first to be ionised.
    fn outermost(self) -> &'static str {
        match self {
            Shell::K => "K",
            Shell::L => "L3",
            Shell::M => "M5",
        }
    }
}

impl fmt::Display for Shell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Shell::K => "K",
            Shell::L => "L",
            Shell::M => "M",
        })
    }
}

/// One emission line of a family.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Siegbahn name, `Ka1`.
    pub name: String,
    /// Ionised level, `L3`.
    pub level: String,
    /// Photon energy in keV.
    pub energy: f64,
    /// Fraction of the family's emitted photons.
    pub weight: f64,
}

/// All lines that follow ionisation of one shell of one element.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LineFamily {
    /// Element symbol.
    pub symbol: String,
    /// Atomic number.
    pub z: u16,
    /// Ionised shell.
    pub shell: Shell,
    /// Lowest edge of the shell (K, L3, M5) in keV.
    pub edge: f64,
    /// Energy in keV of the alpha line, the family's name line.
    pub energy: f64,
    /// Member lines; the weights sum to one.
    pub lines: Vec<Line>,
}

impl LineFamily {
    /// `Fe_K`, `Pt_L`, `Pt_M`.
    pub fn name(&self) -> String {
        format!("{}_{}", self.symbol, self.shell)
    }

    /// The name of the alpha line in the field's convention: `Fe_Ka`, `Pt_La`, `Pt_Ma`.
    pub fn line_name(&self) -> String {
        format!("{}_{}a", self.symbol, self.shell)
    }

    /// Fraction of the family's photons in the alpha doublet: converts a family's counts into
    /// counts of the alpha line.
    pub fn alpha_fraction(&self) -> f64 {
        let alpha = self.shell.alpha();
        let part = self.lines.iter().filter(|l| l.name.starts_with(alpha));
        part.map(|l| l.weight).sum()
    }
}

#[derive(Debug, Clone, Copy)]
struct Tabulated {
    energy: f64,
    weight: f64,
}

type Table = HashMap<&'static str, Vec<(&'static str, Tabulated)>>;

fn table() -> &'static Table {
    static TABLE: LazyLock<Table> = LazyLock::new(|| {
        let mut table = Table::new();
        let text = include_str!("../data/xray_lines.tsv");
        for row in text.lines().filter(|r| !r.starts_with('#')) {
            let mut cells = row.split('\t');
            let Some(symbol) = cells.next() else { continue };
            let lines = cells.filter_map(|cell| {
                let (name, numbers) = cell.split_once('=')?;
                let (energy, weight) = numbers.split_once(':')?;
                let energy = energy.parse().ok()?;
                let weight = weight.parse().ok()?;
                Some((name, Tabulated { energy, weight }))
            });
            table.insert(symbol, lines.collect());
        }
        table
    });
    &TABLE
}

fn tabulated(symbol: &str, line: &str) -> Option<Tabulated> {
    let lines = table().get(symbol)?;
    lines.iter().find(|(n, _)| *n == line).map(|(_, t)| *t)
}

/// Splits `Fe_Ka` into element and line name.
///
/// # Errors
/// [`PhysicsError::UnknownLine`] without an underscore or for a line that the element lacks;
/// [`PhysicsError::UnknownElement`].
pub fn parse_line(name: &str) -> Result<(Element, String), PhysicsError> {
    let Some((symbol, line)) = name.split_once('_') else {
        return Err(PhysicsError::UnknownLine {
            name: name.to_string(),
            element: name.to_string(),
            available: "names of the form Fe_Ka".into(),
        });
    };
    let e = element(symbol)?;
    if tabulated(&e.symbol, line).is_none() {
        let lines = table().get(e.symbol.as_str());
        let names: Vec<&str> = lines.into_iter().flatten().map(|(n, _)| *n).collect();
        return Err(PhysicsError::UnknownLine {
            name: name.to_string(),
            element: e.symbol,
            available: names.join(", "),
        });
    }
    Ok((e, line.to_string()))
}

/// Energy in keV of a named line, `Fe_Ka`, `Pt_La`, `Pt_Ma`, `Cu_Kb`.
///
/// # Errors
/// Those of [`parse_line`].
pub fn line_energy(name: &str) -> Result<f64, PhysicsError> {
    let (e, line) = parse_line(name)?;
    tabulated(&e.symbol, &line)
        .map(|t| t.energy)
        .ok_or(PhysicsError::MissingData { element: e.symbol, what: "line energy" })
}

/// The shell a line name belongs to: `Fe_Ka` or `Ka` gives K.
pub fn shell_of(line: &str) -> Option<Shell> {
    let name = line.rsplit('_').next()?;
    match name.as_bytes().first()? {
        b'K' => Some(Shell::K),
        b'L' => Some(Shell::L),
        b'M' => Some(Shell::M),
        _ => None,
    }
}

/// The family of `shell` of an element at `beam_energy` keV.
///
/// `Ok(None)` where the beam cannot ionise the shell or no line is known.
///
/// # Errors
/// [`PhysicsError::UnknownElement`]; [`PhysicsError::OutOfRange`] for a beam energy that is not
/// positive.
pub fn line_family(
    symbol: &str,
    shell: Shell,
    beam_energy: f64,
) -> Result<Option<LineFamily>, PhysicsError> {
    if !(beam_energy > 0.0 && beam_energy.is_finite()) {
        return Err(PhysicsError::OutOfRange {
            quantity: "beam energy in keV",
            value: beam_energy,
            range: "positive numbers",
        });
    }
    let e = element(symbol)?;
    let db = database()?;
    let Ok(edges) = db.xray_edges(&e.symbol) else {
        return Ok(None);
    };
    let Some(edge) = edges.get(shell.outermost()).map(|x| x.energy * 1e-3) else {
        return Ok(None);
    };
    if edge >= beam_energy {
        return Ok(None);
    }
    let mut lines = match shell {
        Shell::M => tabulated_m_lines(&e.symbol),
        _ => elam_lines(&e.symbol, shell, beam_energy)?,
    };
    if shell == Shell::K && (11..=30).contains(&e.z) {
        set_k_beta(&mut lines, tabulated(&e.symbol, "Kb").map_or(0.0, |t| t.weight));
    }
    lines.retain(|l| l.weight > 0.0 && l.energy > 0.0);
    let total: f64 = lines.iter().map(|l| l.weight).sum();
    let alpha = tabulated(&e.symbol, shell.alpha());
    let has_alpha = lines.iter().any(|l| l.name.starts_with(shell.alpha()));
    let (Some(alpha), true, true) = (alpha, has_alpha, total > 0.0) else {
        return Ok(None);
    };
    for line in &mut lines {
        line.weight /= total;
    }
    lines.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.name.cmp(&b.name)));
    Ok(Some(LineFamily { symbol: e.symbol, z: e.z, shell, edge, energy: alpha.energy, lines }))
}

/// Every family that `beam_energy` keV excites and whose alpha line lies in `[low, high]` keV,
/// by atomic number, then K, L, M.
///
/// # Errors
/// Those of [`line_family`].
pub fn excitable_families(
    beam_energy: f64,
    low: f64,
    high: f64,
) -> Result<Vec<LineFamily>, PhysicsError> {
    let mut out = Vec::new();
    for symbol in crate::elements::symbols() {
        for shell in Shell::ALL {
            if let Some(f) = line_family(symbol, shell, beam_energy)?
                && (low..=high).contains(&f.energy)
            {
                out.push(f);
            }
        }
    }
    Ok(out)
}

/// Fluorescence yield of a shell's outermost level (K, L3, M5).
///
/// Elam (2002); for light elements 12-15 % from other tables.
///
/// # Errors
/// [`PhysicsError::UnknownElement`]; [`PhysicsError::MissingData`] for a level that the element
/// lacks.
pub fn fluorescence_yield(symbol: &str, shell: Shell) -> Result<f64, PhysicsError> {
    let e = element(symbol)?;
    database()?
        .xray_edge(&e.symbol, shell.outermost())
        .map(|edge| edge.fluorescence_yield)
        .map_err(|_| PhysicsError::MissingData { element: e.symbol, what: "fluorescence yield" })
}

fn elam_lines(symbol: &str, shell: Shell, beam_energy: f64) -> Result<Vec<Line>, PhysicsError> {
    let db = database()?;
    let missing = |what| PhysicsError::MissingData { element: symbol.to_string(), what };
    let mut vacancies: Vec<(&str, f64, f64)> = Vec::new();
    for (level, electrons) in shell.levels() {
        let Ok(edge) = db.xray_edge(symbol, level) else {
            continue;
        };
        let u = beam_energy / (edge.energy * 1e-3);
        let primary = if u > 1.0 { electrons * u.ln() / edge.energy } else { 0.0 };
        let mut v = primary;
        for (inner, inner_vacancies, _) in &vacancies {
            // Direct probabilities: the chain L1 -> L2 -> L3 arises from the order of the loop.
            let f = db.ck_probability(symbol, inner, level, false).unwrap_or(0.0);
            v += f * inner_vacancies;
        }
        vacancies.push((level, v, edge.fluorescence_yield));
    }
    let mut lines = Vec::new();
    for (level, v, fluorescence_yield) in vacancies {
        let members = db.xray_lines(symbol, Some(level), None).map_err(|_| missing("lines"))?;
        for (name, line) in &members {
            // K-L1 is forbidden; its tabulated weight is below 1e-3.
            if name.as_str() == "Ka3" {
                continue;
            }
            let (source, anchor) = reference_line(name);
            let anchor = anchor.and_then(|a| members.get(a)).unwrap_or(line);
            let shift = tabulated(symbol, source).map_or(0.0, |t| t.energy - anchor.energy * 1e-3);
            lines.push(Line {
                energy: line.energy * 1e-3 + shift,
                level: level.to_string(),
                weight: v * fluorescence_yield * line.intensity,
                name: name.clone(),
            });
        }
    }
    // The table is a hash map; sums over members must not depend on its order.
    lines.sort_by(|a, b| (&a.level, &a.name).cmp(&(&b.level, &b.name)));
    Ok(lines)
}

/// The NIST line that fixes a member's energy: the line itself, or for weak members of a
/// multiplet the shift of its strongest member.
fn reference_line(name: &str) -> (&str, Option<&'static str>) {
    match name {
        "Ka1" | "Ka2" => ("Ka", Some("Ka1")),
        "Kb1" | "Kb3" | "Kb5" => ("Kb", Some("Kb1")),
        "La1" | "La2" => ("La", Some("La1")),
        "Lb2,15" | "Lb2" => ("Lb2", None),
        other => (other, None),
    }
}

fn set_k_beta(lines: &mut [Line], ratio: f64) {
    let sum = |lines: &[Line], p: &str| -> f64 {
        let members = lines.iter().filter(|l| l.name.starts_with(p));
        members.map(|l| l.weight).sum()
    };
    let (alpha, beta) = (sum(lines, "Ka"), sum(lines, "Kb"));
    if beta > 0.0 {
        for l in lines.iter_mut().filter(|l| l.name.starts_with("Kb")) {
            l.weight *= ratio * alpha / beta;
        }
    }
}

fn tabulated_m_lines(symbol: &str) -> Vec<Line> {
    let lines = table().get(symbol).into_iter().flatten();
    lines
        .filter(|(name, _)| name.starts_with('M'))
        .map(|(name, t)| Line {
            name: (*name).to_string(),
            level: match *name {
                "Ma" => "M5",
                "Mb" => "M4",
                "M2N4" => "M2",
                "Mz" => "M4,5",
                _ => "M3",
            }
            .to_string(),
            energy: t.energy,
            weight: t.weight,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_sum_to_one_and_alpha_leads() {
        for family in excitable_families(200.0, 0.1, 40.0).unwrap() {
            let sum: f64 = family.lines.iter().map(|l| l.weight).sum();
            assert!((sum - 1.0).abs() < 1e-12, "{}", family.name());
            assert!(family.lines.iter().all(|l| l.energy > 0.0 && l.weight > 0.0));
            let near = family.lines.iter().any(|l| (l.energy - family.energy).abs() < 1e-9);
            assert!(near, "{} has no line at its alpha energy", family.name());
        }
    }

    #[test]
    fn iron_k_and_platinum_l_as_published() {
        let fe = line_family("Fe", Shell::K, 20.0).unwrap().unwrap();
        let (ka, kb): (Vec<&Line>, Vec<&Line>) =
            fe.lines.iter().partition(|l| l.name.starts_with("Ka"));
        let sum = |v: &[&Line]| v.iter().map(|l| l.weight).sum::<f64>();
        assert!((sum(&kb) / sum(&ka) - 0.1272).abs() < 1e-9);
        assert!((fe.energy - 6.4039).abs() < 1e-12);

        // Lb1/La1 of Pt lies near 0.5 for electron excitation at 200 kV.
        let pt = line_family("Pt", Shell::L, 200.0).unwrap().unwrap();
        let weight = |n: &str| pt.lines.iter().find(|l| l.name == n).unwrap().weight;
        let ratio = weight("Lb1") / weight("La1");
        assert!((0.35..0.75).contains(&ratio), "{ratio}");
    }

    #[test]
    fn beam_decides_what_is_excitable() {
        assert!(line_family("Pt", Shell::L, 10.0).unwrap().is_none());
        assert!(line_family("Pt", Shell::M, 10.0).unwrap().is_some());
        assert!(line_family("H", Shell::L, 10.0).unwrap().is_none());
        assert!(line_family("Fe", Shell::K, f64::NAN).is_err());
    }

    #[test]
    fn names() {
        assert_eq!(line_energy("Pt_La").unwrap(), 9.4421);
        assert_eq!(line_energy("Mn_Ka").unwrap(), 5.8987);
        assert!(matches!(line_energy("Fe_Ma"), Err(PhysicsError::UnknownLine { .. })));
        assert!(matches!(line_energy("Fx_Ka"), Err(PhysicsError::UnknownElement { .. })));
        assert!(line_energy("Fe").is_err());
        assert_eq!(shell_of("Fe_Ka"), Some(Shell::K));
        assert_eq!(shell_of("Ma"), Some(Shell::M));
    }
}
