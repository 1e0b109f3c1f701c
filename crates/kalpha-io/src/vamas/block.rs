//! One block: its forty items and its ordinates.

use super::{lines::Lines, read::Header};
use crate::{Input, IoError};
use serde_json::{Map, Value};
use std::sync::Arc;

/// A value that stands for "not known".
const UNKNOWN: f64 = 1e37;

/// Techniques whose block names a sputtering ion.
const SPUTTERING: [&str; 7] =
    ["FABMS", "FABMS energy spec", "ISS", "SIMS", "SIMS energy spec", "SNMS", "SNMS energy spec"];

/// Techniques whose block describes a sputtering source in a depth profile.
const PROFILED: [&str; 7] = ["AES diff", "AES dir", "EDX", "ELS", "UPS", "XPS", "XRF"];

/// How many lines an item has.
#[derive(Clone, Copy)]
enum Lengths {
    /// Always so many.
    Fixed(usize),
    /// A number, then so many groups of so many lines.
    Counted(usize),
}

use Lengths::{Counted, Fixed};

/// Number, name and length of the items before the abscissa, in order.
const ITEMS: [(usize, &str, Lengths); 40] = [
    (1, "year", Fixed(1)),
    (2, "month", Fixed(1)),
    (3, "day of month", Fixed(1)),
    (4, "hours", Fixed(1)),
    (5, "minutes", Fixed(1)),
    (6, "seconds", Fixed(1)),
    (7, "hours in advance of GMT", Fixed(1)),
    (8, "comment", Counted(1)),
    (9, "technique", Fixed(1)),
    (10, "x and y coordinate", Fixed(2)),
    (11, "experimental variables", Fixed(1)),
    (12, "analysis source label", Fixed(1)),
    (13, "sputtering ion", Fixed(3)),
    (14, "analysis source characteristic energy", Fixed(1)),
    (15, "analysis source strength", Fixed(1)),
    (16, "analysis source beam width", Fixed(2)),
    (17, "field of view", Fixed(2)),
    (18, "linescan", Fixed(6)),
    (19, "analysis source polar angle", Fixed(1)),
    (20, "analysis source azimuth", Fixed(1)),
    (21, "analyser mode", Fixed(1)),
    (22, "analyser pass energy", Fixed(1)),
    (23, "differential width", Fixed(1)),
    (24, "magnification of analyser transfer lens", Fixed(1)),
    (25, "analyser work function", Fixed(1)),
    (26, "target bias", Fixed(1)),
    (27, "analysis width", Fixed(2)),
    (28, "analyser axis take off angles", Fixed(2)),
    (29, "species label", Fixed(1)),
    (30, "transition label and charge", Fixed(2)),
    (31, "abscissa", Fixed(4)),
    (32, "corresponding variables", Counted(2)),
    (33, "signal mode", Fixed(1)),
    (34, "signal collection time", Fixed(1)),
    (35, "number of scans", Fixed(1)),
    (36, "signal time correction", Fixed(1)),
    (37, "sputtering source", Fixed(7)),
    (38, "sample normal angles", Fixed(2)),
    (39, "sample rotation angle", Fixed(1)),
    (40, "additional numerical parameters", Counted(3)),
];

/// A block as the file has it.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub id: String,
    pub sample: String,
    /// Lines of each item, by number; shared with the first block where they are its own.
    items: Vec<Arc<[String]>>,
    /// Items that stand in this block.
    own: Vec<bool>,
    pub offset: u64,
    /// Points of each corresponding variable.
    pub ordinates: Vec<Vec<f64>>,
}

/// A line without blanks and without the NUL that PHI leaves at its end.
pub(super) fn bare(line: &str) -> &str {
    line.trim_matches(|c: char| c.is_whitespace() || c == '\0')
}

/// True where a block of this kind has the item at all.
fn has(number: usize, mode: &str, technique: &str, scan: &str) -> bool {
    let profile = matches!(mode, "MAPDP" | "MAPSVDP" | "SDP" | "SDPSV");
    match number {
        10 => matches!(mode, "MAP" | "MAPDP"),
        13 => profile || SPUTTERING.contains(&technique),
        17 => matches!(mode, "MAP" | "MAPDP" | "MAPSV" | "MAPSVDP" | "SEM"),
        18 => matches!(mode, "MAPSV" | "MAPSVDP" | "SEM"),
        23 => technique == "AES diff",
        31 => scan == "REGULAR",
        37 => profile && PROFILED.contains(&technique),
        _ => true,
    }
}

impl Block {
    /// Reads block `number`, counted from 1.
    pub fn read(
        input: &Input,
        lines: &mut Lines,
        header: &Header,
        first: Option<&Block>,
        number: usize,
    ) -> Result<Self, IoError> {
        let offset = lines.offset();
        let name = |what: &str| format!("block {number}, {what}");
        let id = bare(lines.text(&name("identifier"))?).to_owned();
        let sample = bare(lines.text(&name("sample"))?).to_owned();
        let items = vec![Arc::from([]); 41];
        let mut block =
            Self { id, sample, items, own: vec![false; 41], offset, ordinates: Vec::new() };
        for (item, what, lengths) in ITEMS {
            let technique = block.text(9, 0).to_owned();
            if !has(item, &header.mode, &technique, &header.scan) {
                continue;
            }
            if let Some(first) = first.filter(|_| !header.included[item]) {
                block.items[item] = first.items[item].clone();
                continue;
            }
            let n = match lengths {
                Fixed(_) if item == 11 => header.variables.len(),
                Fixed(n) => n,
                Counted(each) => lines.count(&name(what))?.saturating_mul(each),
            };
            block.items[item] = lines.texts(n, &name(what))?.into();
            block.own[item] = true;
        }
        lines.texts(header.future, &name("future entries"))?;
        block.read_ordinates(input, lines, number)?;
        Ok(block)
    }

    fn read_ordinates(
        &mut self,
        input: &Input,
        lines: &mut Lines,
        number: usize,
    ) -> Result<(), IoError> {
        let name = |what: &str| format!("block {number}, {what}");
        let variables = self.variables().len();
        let at = lines.offset();
        let n = lines.count(&name("number of ordinate values"))?;
        if variables == 0 || n % variables != 0 {
            let expected = format!("a multiple of the {variables} corresponding variables");
            return Err(input.corrupt(at, name("number of ordinate values"), expected, n));
        }
        for _ in 0..2 * variables {
            lines.number(&name("least or greatest ordinate"))?;
        }
        self.ordinates = vec![Vec::with_capacity(n / variables); variables];
        for _ in 0..n / variables {
            for points in &mut self.ordinates {
                points.push(lines.number(&name("ordinate"))?);
            }
        }
        Ok(())
    }

    /// One line of an item, trimmed; empty where there is none.
    pub fn text(&self, item: usize, line: usize) -> &str {
        self.items.get(item).and_then(|lines| lines.get(line)).map_or("", |t| bare(t))
    }

    /// One line of an item as a number, where it is known.
    pub fn number(&self, item: usize, line: usize) -> Option<f64> {
        let number: f64 = self.text(item, line).parse().ok()?;
        (number.is_finite() && number < UNKNOWN).then_some(number)
    }

    /// Label and unit of the corresponding variables.
    pub fn variables(&self) -> Vec<(&str, &str)> {
        let lines: &[String] = self.items.get(32).map_or(&[], |lines| lines);
        lines.as_chunks::<2>().0.iter().map(|[l, u]| (bare(l), bare(u))).collect()
    }

    /// The items that stand in this block, by name.
    pub fn vendor(&self) -> Value {
        let mut out = Map::new();
        out.insert("block identifier".to_owned(), self.id.clone().into());
        out.insert("sample identifier".to_owned(), self.sample.clone().into());
        for (item, what, _) in ITEMS {
            let value = match &*self.items[item] {
                _ if !self.own[item] => continue,
                [] => continue,
                [one] => one.clone().into(),
                several => several.to_vec().into(),
            };
            out.insert(what.to_owned(), value);
        }
        Value::Object(out)
    }
}
