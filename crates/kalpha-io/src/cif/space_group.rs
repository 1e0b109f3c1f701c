//! Which space group a block names, and its operations.

use super::{Block, CifError, Operation, hall};
use kalpha_core::{Code, Diagnostic};
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, sync::OnceLock};

/// Number, setting, short and full Hermann-Mauguin symbol and Hall symbol of 530 settings.
///
/// Source: International Tables for Crystallography, vol. A (1983), and S. R. Hall,
/// Acta Cryst. A37, 517 (1981); collected as spglib 2.8 orders them.
const TABLE: &str = include_str!("space_groups.tsv");

/// What the operations were taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationsFrom {
    /// The file lists them.
    List,
    /// The Hall symbol.
    Hall,
    /// The Hermann-Mauguin symbol.
    HermannMauguin,
    /// The number in the International Tables.
    Number,
    /// The file names no symmetry: only the identity.
    Nothing,
}

/// The space group as the file names it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpaceGroup {
    /// Number in the International Tables; found from the symbols where the file leaves it out.
    pub number: Option<u16>,
    /// Hermann-Mauguin symbol as the file spells it.
    pub hermann_mauguin: Option<String>,
    /// Hall symbol as the file spells it.
    pub hall: Option<String>,
    /// Where the operations come from.
    pub operations_from: OperationsFrom,
}

/// A line of the table.
#[derive(Clone, Copy)]
struct Setting {
    number: u16,
    choice: &'static str,
    short: &'static str,
    full: &'static str,
    hall: &'static str,
}

fn settings() -> impl Iterator<Item = Setting> {
    TABLE.lines().filter_map(|line| {
        let mut fields = line.split('\t');
        Some(Setting {
            number: fields.next()?.parse().ok()?,
            choice: fields.next()?,
            short: fields.next()?,
            full: fields.next()?,
            hall: fields.next()?,
        })
    })
}

/// Numbers of the groups by their operations.
fn numbers() -> &'static HashMap<Vec<Operation>, u16> {
    static NUMBERS: OnceLock<HashMap<Vec<Operation>, u16>> = OnceLock::new();
    NUMBERS.get_or_init(|| {
        settings().filter_map(|s| Some((hall::operations(s.hall)?, s.number))).collect()
    })
}

/// A symbol without blanks, underscores and case.
fn folded(symbol: &str) -> String {
    symbol.chars().filter(|c| !c.is_whitespace() && *c != '_').collect::<String>().to_lowercase()
}

/// The operations a block gives, and which group it names.
pub(super) struct Found {
    pub group: SpaceGroup,
    pub operations: Vec<Operation>,
    pub diagnostics: Vec<Diagnostic>,
}

const LISTS: [&str; 2] = ["_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz"];
const HERMANN_MAUGUIN: [&str; 5] = [
    "_space_group_name_H-M_full",
    "_space_group_name_H-M_alt",
    "_symmetry_space_group_name_H-M",
    "_space_group_name_H-M",
    "_symmetry_space_group_name_H-M_full",
];
const HALL: [&str; 2] = ["_space_group_name_Hall", "_symmetry_space_group_name_Hall"];
const NUMBER: [&str; 2] = ["_space_group_IT_number", "_symmetry_Int_Tables_number"];

fn listed(block: &Block) -> Result<Option<Vec<Operation>>, CifError> {
    let mut operations = Vec::new();
    for tag in LISTS {
        let values: Vec<_> = match (block.find_loop(tag), block.get(tag)) {
            (Some((l, column)), _) => l.iter().filter_map(|row| row.get(column).copied()).collect(),
            (None, Some(value)) => vec![value],
            (None, None) => continue,
        };
        for value in values {
            let Some(text) = value.text() else { continue };
            // Some put the number of the operation into the same value.
            let bare = text.trim_start_matches(|c: char| c.is_ascii_digit());
            let bare = if bare.starts_with(char::is_whitespace) { bare } else { text };
            let operation = Operation::parse(bare).ok_or_else(|| {
                let expected = "an operation like -x,y+1/2,z, in 24ths of the cell";
                CifError::new(value.offset(), tag, expected, text)
            })?;
            operations.push(operation);
        }
        break;
    }
    Ok((!operations.is_empty()).then_some(operations))
}

/// `P m 3 m` is what older tables call `P m -3 m`.
fn with_inversion(symbol: &str) -> Option<String> {
    let at = symbol.find('3').filter(|at| *at >= 2)?;
    let cubic = symbol.get(at - 1..at)?.chars().all(|c| "abcdmn".contains(c));
    cubic.then(|| format!("{}-{}", &symbol[..at], &symbol[at..]))
}

/// Settings that a Hermann-Mauguin symbol may mean, the most usual first.
fn by_symbol(symbol: &str) -> Vec<Setting> {
    let (symbol, choice) = match symbol.split_once(':') {
        Some((symbol, choice)) => (symbol, folded(choice)),
        None => match symbol.trim().rsplit_once(char::is_whitespace) {
            // Old ways of naming the second origin and the rhombohedral cell.
            Some((rest, "S" | "s")) => (rest, "1".to_owned()),
            Some((rest, "Z" | "z")) => (rest, "2".to_owned()),
            Some((rest, "H" | "h")) => (rest, "h".to_owned()),
            Some((rest, "R" | "r")) => (rest, "r".to_owned()),
            _ => (symbol, String::new()),
        },
    };
    let key = folded(symbol);
    let matching = |key: &str| -> Vec<Setting> {
        let full: Vec<_> = settings().filter(|s| folded(s.full) == key).collect();
        let short = settings().filter(|s| folded(s.short) == key);
        if full.is_empty() { short.collect() } else { full }
    };
    let mut found = matching(&key);
    if found.is_empty()
        && let Some(modern) = with_inversion(&key)
    {
        found = matching(&modern);
    }
    if found.is_empty() && key.len() > 1 && key.is_char_boundary(1) {
        // P 21/n is short for P 1 21/n 1.
        found = matching(&format!("{}1{}1", &key[..1], &key[1..]));
    }
    if found.is_empty() {
        // B 1 1 2/b may be spelt without the ones, c being unique.
        found = matching(&format!(
            "{}11{}",
            key.get(..1).unwrap_or_default(),
            key.get(1..).unwrap_or_default()
        ));
    }
    if !choice.is_empty() {
        found.retain(|s| folded(s.choice).starts_with(&choice));
    }
    found
}

/// The setting to take of several of one symbol, and what has to be said of it.
fn choose(found: &[Setting], rhombohedral_cell: bool) -> Option<(Setting, Option<Diagnostic>)> {
    let first = *found.first()?;
    let with = |choice: &str| found.iter().find(|s| s.choice == choice).copied();
    if let (Some(hexagonal), Some(rhombohedral)) = (with("H"), with("R")) {
        return Some((if rhombohedral_cell { rhombohedral } else { hexagonal }, None));
    }
    if let (Some(one), Some(two)) = (with("1"), with("2"))
        && one.full == two.full
    {
        let message = format!(
            "{} has two origins and the file does not say which: the second, at the centre of \
             inversion, was taken",
            two.full
        );
        return Some((two, Some(Diagnostic::warning(Code::Assumed, message))));
    }
    Some((first, None))
}

fn sorted(operations: &[Operation]) -> Vec<Operation> {
    let mut sorted = operations.to_vec();
    sorted.sort();
    sorted.dedup();
    sorted
}

pub(super) fn find(block: &Block, rhombohedral_cell: bool) -> Result<Found, CifError> {
    let text = |tags: &[&str]| {
        let value = block.first(tags)?.text()?.split_whitespace().collect::<Vec<_>>().join(" ");
        (!value.is_empty()).then_some(value)
    };
    let (hermann_mauguin, hall) = (text(&HERMANN_MAUGUIN), text(&HALL));
    let number: Option<u16> =
        text(&NUMBER).and_then(|t| t.parse().ok()).filter(|n| (1..=230).contains(n));
    let mut diagnostics = Vec::new();
    let by_hall = hall.as_deref().and_then(hall::operations);
    if hall.is_some() && by_hall.is_none() {
        let message = "the Hall symbol cannot be read";
        diagnostics.push(Diagnostic::warning(Code::VendorDisagrees, message));
    }
    let candidates = hermann_mauguin.as_deref().map(by_symbol).unwrap_or_default();
    let of_number =
        || -> Vec<Setting> { settings().filter(|s| Some(s.number) == number).collect() };
    let mut chosen: Option<(Setting, Option<Diagnostic>)> = None;
    let listed = listed(block)?;
    let (mut operations, operations_from) = match (&listed, &by_hall) {
        (Some(listed), _) => (listed.clone(), OperationsFrom::List),
        (None, Some(by_hall)) => (by_hall.clone(), OperationsFrom::Hall),
        (None, None) => {
            let from_symbol = choose(&candidates, rhombohedral_cell);
            let from = match from_symbol {
                Some(_) => OperationsFrom::HermannMauguin,
                None => OperationsFrom::Number,
            };
            chosen = from_symbol.or_else(|| choose(&of_number(), rhombohedral_cell));
            match chosen.as_ref().and_then(|(s, _)| hall::operations(s.hall)) {
                Some(operations) => (operations, from),
                None => (vec![Operation::IDENTITY], OperationsFrom::Nothing),
            }
        }
    };
    if let Some((_, said)) = &chosen {
        diagnostics.extend(said.clone());
    }
    if operations_from == OperationsFrom::Nothing {
        let message = "the file names no symmetry that is known: the cell holds the listed sites \
                       alone";
        diagnostics.push(Diagnostic::warning(Code::MissingMetadata, message));
    }
    // A list must be a group, or positions would be missing or doubled.
    if operations_from == OperationsFrom::List {
        let given = sorted(&operations);
        match hall::closure(&given) {
            Some(closed) if closed.len() == given.len() => operations = given,
            Some(closed) => {
                let message = format!(
                    "the {} listed operations are no group; {} that follow from them were added",
                    given.len(),
                    closed.len().saturating_sub(given.len())
                );
                diagnostics.push(Diagnostic::warning(Code::VendorDisagrees, message));
                operations = closed;
            }
            None => {
                let message = "the listed operations are no space group; they were taken as listed";
                diagnostics.push(Diagnostic::warning(Code::VendorDisagrees, message));
                operations = given;
            }
        }
        let agrees = |hall: &str| hall::operations(hall).is_some_and(|o| o == operations);
        let hall_disagrees = by_hall.as_ref().is_some_and(|o| *o != operations);
        let symbol_disagrees = !candidates.is_empty() && !candidates.iter().any(|s| agrees(s.hall));
        if hall_disagrees || symbol_disagrees {
            let symbol = if hall_disagrees { &hall } else { &hermann_mauguin };
            let message = format!(
                "the listed operations are not those of {}; the list was taken",
                symbol.as_deref().unwrap_or_default()
            );
            diagnostics.push(Diagnostic::warning(Code::VendorDisagrees, message));
        }
    }
    let named = chosen.map(|(s, _)| s).or_else(|| candidates.first().copied());
    let by_operations = || numbers().get(&operations).copied();
    let number = number.or_else(|| named.map(|s| s.number)).or_else(by_operations);
    let group = SpaceGroup { number, hermann_mauguin, hall, operations_from };
    Ok(Found { group, operations, diagnostics })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_in_many_spellings_name_their_hall_symbol() {
        for (symbol, hall) in [
            ("P m -3 m", "-P 4 2 3"),
            ("P m 3 m", "-P 4 2 3"),
            ("Fm-3m", "-F 4 2 3"),
            ("P 21/c", "-P 2ybc"),
            ("P 1 21/c 1", "-P 2ybc"),
            ("P21/n", "-P 2yn"),
            ("P 63/m m c", "-P 6c 2c"),
            ("P6_3/mmc", "-P 6c 2c"),
            ("F d -3 m :1", "F 4d 2 3 -1d"),
            ("F d -3 m Z", "-F 4vw 2vw 3"),
            ("R -3 m :R", "-P 3* 2"),
            ("I a -3 d", "-I 4bd 2c 3"),
            ("C 2/m", "-C 2y"),
            ("P n m a", "-P 2ac 2n"),
            ("P b n m", "-P 2c 2ab"),
        ] {
            assert_eq!(by_symbol(symbol).first().map(|s| s.hall), Some(hall), "{symbol}");
        }
        assert!(by_symbol("Q 1").is_empty());
        assert!(by_symbol("").is_empty());
    }

    #[test]
    fn every_hall_symbol_makes_a_group_of_its_own() {
        let mut seen = std::collections::HashMap::new();
        let mut count = 0;
        for setting in settings() {
            let operations = hall::operations(setting.hall);
            let operations = operations.unwrap_or_else(|| panic!("{}", setting.hall));
            assert!(hall::closure(&operations).is_some_and(|c| c == operations));
            // Four settings of number 68 bear two names.
            let before = seen.insert(operations, setting.hall);
            assert!(before.is_none_or(|before| before == setting.hall), "{}", setting.hall);
            count += 1;
        }
        assert_eq!(count, 530);
    }
}
