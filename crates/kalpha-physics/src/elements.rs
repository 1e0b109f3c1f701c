//! Symbols, atomic numbers, atomic weights and densities.
//!
//! Source: Elam, Ravel and Sieber (2002), Radiat. Phys. Chem. 63, 121,
//! doi:10.1016/S0969-806X(01)00227-4, as distributed with XrayDB.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use xraydb::XrayDb;

use crate::PhysicsError;

/// The largest atomic number with complete data.
pub const MAX_ATOMIC_NUMBER: u16 = 92;

/// One chemical element.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Element {
    /// Atomic number.
    pub z: u16,
    /// Symbol, `Fe`.
    pub symbol: String,
    /// Name in lower case, `iron`.
    pub name: String,
    /// Atomic weight in g/mol.
    pub atomic_weight: f64,
    /// Density in g/cm³ at room temperature.
    pub density: f64,
}

pub(crate) fn database() -> Result<&'static XrayDb, PhysicsError> {
    static DATABASE: LazyLock<Option<XrayDb>> = LazyLock::new(|| XrayDb::try_new().ok());
    DATABASE.as_ref().ok_or(PhysicsError::MissingData {
        element: "every element".into(),
        what: "the embedded table is damaged",
    })
}

/// Symbols from hydrogen (index 0) to uranium.
pub fn symbols() -> &'static [&'static str] {
    static SYMBOLS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
        let Ok(db) = database() else {
            return Vec::new();
        };
        (1..=MAX_ATOMIC_NUMBER).filter_map(|z| db.symbol(&z.to_string()).ok()).collect()
    });
    &SYMBOLS
}

/// Look an element up by symbol (`Fe`, any case) or name (`iron`).
///
/// # Errors
/// [`PhysicsError::UnknownElement`] with the nearest symbol.
pub fn element(name: &str) -> Result<Element, PhysicsError> {
    let db = database()?;
    let key = name.trim();
    let unknown =
        || PhysicsError::UnknownElement { name: name.to_string(), suggestion: nearest(key) };
    if key.is_empty() || key.bytes().all(|b| b.is_ascii_digit()) {
        return Err(unknown());
    }
    let z = db.atomic_number(key).map_err(|_| unknown())?;
    if z > MAX_ATOMIC_NUMBER {
        return Err(unknown());
    }
    by_atomic_number(z)
}

/// The element of atomic number `z`, 1 to 92.
///
/// # Errors
/// [`PhysicsError::OutOfRange`] for another number.
pub fn by_atomic_number(z: u16) -> Result<Element, PhysicsError> {
    let db = database()?;
    if z == 0 || z > MAX_ATOMIC_NUMBER {
        return Err(PhysicsError::OutOfRange {
            quantity: "atomic number",
            value: f64::from(z),
            range: "1 to 92",
        });
    }
    let key = z.to_string();
    let missing = |what| PhysicsError::MissingData { element: key.clone(), what };
    Ok(Element {
        z,
        symbol: db.symbol(&key).map_err(|_| missing("symbol"))?.to_string(),
        name: db.atomic_name(&key).map_err(|_| missing("name"))?.to_string(),
        atomic_weight: db.molar_mass(&key).map_err(|_| missing("atomic weight"))?,
        density: db.density(&key).map_err(|_| missing("density"))?,
    })
}

/// The symbol whose symbol or name has the smallest edit distance to `name`.
fn nearest(name: &str) -> String {
    let lower = name.to_lowercase();
    let mut best = (usize::MAX, String::from("Fe"));
    for (i, symbol) in symbols().iter().enumerate() {
        let long = by_atomic_number(i as u16 + 1).map_or(String::new(), |e| e.name);
        let d = edit_distance(&lower, &symbol.to_lowercase()).min(edit_distance(&lower, &long));
        if d < best.0 {
            best = (d, (*symbol).to_string());
        }
    }
    best.1
}

fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substitute = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_by_symbol_and_name() {
        let fe = element("fe").unwrap();
        assert_eq!((fe.z, fe.symbol.as_str()), (26, "Fe"));
        assert!((fe.atomic_weight - 55.845).abs() < 0.01);
        assert_eq!(element("platinum").unwrap().symbol, "Pt");
        assert_eq!(symbols().len(), 92);
    }

    #[test]
    fn unknown_name_gets_the_nearest_suggestion() {
        for (given, expected) in [("Irn", "Fe"), ("Platnum", "Pt"), ("silcon", "Si")] {
            match element(given) {
                Err(PhysicsError::UnknownElement { suggestion, .. }) => {
                    assert_eq!(suggestion, expected)
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(element("26").is_err());
        assert!(element("").is_err());
        assert!(by_atomic_number(0).is_err());
    }
}
