//! Sites of a structure.

use super::{Block, CifError, Loop, Measured, Value};
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, f64::consts::PI};

/// A site of the asymmetric unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Site {
    /// Label, as the file spells it.
    pub label: String,
    /// Chemical symbol; `D` stays `D`. Absent where neither type nor label gives one.
    pub element: Option<String>,
    /// Charge in elementary charges, where the file gives it with the type: `O2-`.
    pub charge: Option<i8>,
    /// Fractional coordinates.
    pub fract: [Measured; 3],
    /// Occupancy; 1 where the file does not say.
    pub occupancy: Measured,
    /// Isotropic (or equivalent) displacement U in square angstrom.
    pub u_iso: Option<Measured>,
    /// Anisotropic displacement U11, U22, U33, U23, U13, U12 in square angstrom.
    pub u_aniso: Option<[Measured; 6]>,
    /// Multiplicity that the file states.
    pub multiplicity: Option<u32>,
    /// Wyckoff letter that the file states.
    pub wyckoff: Option<char>,
}

/// Symbols of the elements by atomic number, and deuterium.
const SYMBOLS: &str = " H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni \
    Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd \
    Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U \
    Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og D ";

fn is_symbol(text: &str) -> bool {
    !text.is_empty() && SYMBOLS.split(' ').any(|s| s == text)
}

/// The symbol at the start of `Fe1`, `FE+3`, `Ow`; the longest that is one.
pub(super) fn element(text: &str) -> Option<String> {
    let letters: Vec<char> = text.trim().chars().take_while(char::is_ascii_alphabetic).collect();
    let first = letters.first()?.to_ascii_uppercase();
    let two = letters.get(1).map(|c| format!("{first}{}", c.to_ascii_lowercase()));
    // Water and hydroxyl oxygen are labelled Wat, OW, OH.
    two.filter(|s| is_symbol(s)).or_else(|| Some(first.to_string()).filter(|s| is_symbol(s)))
}

/// The charge of `O2-`, `Fe+3`, `Ca2+`, `F-`.
fn charge(text: &str) -> Option<i8> {
    let tail = text.trim().trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let sign = if tail.contains('-') {
        -1
    } else if tail.contains('+') {
        1
    } else {
        return None;
    };
    let digits: String = tail.chars().filter(char::is_ascii_digit).collect();
    let size = if digits.is_empty() { 1 } else { digits.parse::<i8>().ok()? };
    Some(sign * size)
}

/// Values of a row by tag.
struct Row<'l, 'a> {
    of: &'l Loop<'a>,
    values: &'l [Value<'a>],
}

impl<'a> Row<'_, 'a> {
    fn get(&self, tag: &str) -> Option<Value<'a>> {
        self.values.get(self.of.column(tag)?).copied()
    }

    fn text(&self, tag: &str) -> Option<&'a str> {
        self.get(tag)?.text()
    }

    fn number(&self, tag: &str) -> Option<Measured> {
        self.get(tag)?.number()
    }
}

fn scaled(m: Measured, factor: f64) -> Measured {
    Measured { value: m.value * factor, su: m.su.map(|su| su * factor) }
}

/// B is 8 pi^2 U.
fn u_of_b(b: Measured) -> Measured {
    scaled(b, 1.0 / (8.0 * PI * PI))
}

const FRACT: [&str; 3] = ["_atom_site_fract_x", "_atom_site_fract_y", "_atom_site_fract_z"];
const PAIRS: [&str; 6] = ["11", "22", "33", "23", "13", "12"];

/// Anisotropic displacements by label.
fn anisotropic<'a>(block: &Block<'a>) -> HashMap<&'a str, [Measured; 6]> {
    let Some((found, labels)) = block.find_loop("_atom_site_aniso_label") else {
        return HashMap::new();
    };
    let columns = PAIRS.map(|pair| {
        let u = found.column(&format!("_atom_site_aniso_U_{pair}"));
        (u, found.column(&format!("_atom_site_aniso_B_{pair}")))
    });
    let of_row = |row: &[Value<'a>]| {
        let label = row.get(labels)?.text()?;
        let number = |i: Option<usize>| row.get(i?)?.number();
        let mut out = [Measured::default(); 6];
        for (out, (u, b)) in out.iter_mut().zip(columns) {
            *out = number(u).or_else(|| number(b).map(u_of_b))?;
        }
        Some((label, out))
    };
    found.iter().filter_map(of_row).collect()
}

/// The sites of a block; `None` where it has no coordinates.
pub(super) fn sites(block: &Block) -> Result<Option<Vec<Site>>, CifError> {
    let Some((found, _)) = block.find_loop(FRACT[0]) else { return Ok(None) };
    let anisotropic = anisotropic(block);
    let mut sites = Vec::with_capacity(found.rows());
    for (i, values) in found.iter().enumerate() {
        let row = Row { of: found, values };
        let kind = row.text("_atom_site_type_symbol");
        let label = row.text("_atom_site_label").or(kind).unwrap_or_default();
        let mut fract = [Measured::default(); 3];
        // Dummies and atoms that were found but not placed have no coordinates.
        if FRACT.iter().any(|tag| row.get(tag).is_some_and(|v| v.text().is_none())) {
            continue;
        }
        for (x, tag) in fract.iter_mut().zip(FRACT) {
            *x = row.number(tag).ok_or_else(|| {
                let value = row.get(tag);
                let at = value.map_or(block.offset, |v| v.offset());
                let field = format!("{tag} of site {}", i + 1);
                CifError::new(at, field, "a number", value.map_or("none", |v| v.raw()))
            })?;
        }
        let number = |tags: [&str; 2]| tags.iter().find_map(|t| row.number(t));
        let u_iso = number(["_atom_site_U_iso_or_equiv", "_atom_site_U_equiv_geom_mean"]);
        let b_iso = number(["_atom_site_B_iso_or_equiv", "_atom_site_B_equiv_geom_mean"]);
        let multiplicity =
            number(["_atom_site_site_symmetry_multiplicity", "_atom_site_symmetry_multiplicity"]);
        sites.push(Site {
            label: label.to_owned(),
            element: kind.and_then(element).or_else(|| element(label)),
            charge: kind.and_then(charge),
            fract,
            occupancy: row.number("_atom_site_occupancy").unwrap_or(Measured::exact(1.0)),
            u_iso: u_iso.or_else(|| b_iso.map(u_of_b)),
            u_aniso: anisotropic.get(label).copied(),
            multiplicity: multiplicity.map(|m| m.value as u32).filter(|m| *m > 0),
            wyckoff: row.text("_atom_site_Wyckoff_symbol").and_then(|t| t.chars().next()),
        });
    }
    Ok(Some(sites))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_and_charges_of_labels_and_types() {
        let symbols = ["Fe1", "FE+3", "O2-", "Ow1", "La(OH)", "B", "D1", "Xx", "1"].map(element);
        let symbols: Vec<_> = symbols.iter().map(|s| s.as_deref().unwrap_or("-")).collect();
        assert_eq!(symbols, ["Fe", "Fe", "O", "O", "La", "B", "D", "-", "-"]);
        assert_eq!(
            ["Ca2+", "F1-", "F-", "Fe+3", "Fe3"].map(charge),
            [Some(2), Some(-1), Some(-1), Some(3), None]
        );
    }
}
