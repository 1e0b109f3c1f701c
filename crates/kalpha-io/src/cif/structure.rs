//! A crystal structure.

use super::{Block, CifError, Measured, Operation, Site, SpaceGroup, site, space_group};
use kalpha_core::{Code, Diagnostic};

/// Images of a site nearer than this, in angstrom, are one: coordinates such as 0.333 stand for
/// special positions.
const SAME: f64 = 0.05;

/// The unit cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cell {
    /// a, b and c in angstrom.
    pub lengths: [Measured; 3],
    /// alpha, beta and gamma in degree.
    pub angles: [Measured; 3],
}

impl Cell {
    /// Scalar products of the axes: `g_ij = a_i . a_j` in square angstrom.
    pub fn metric(&self) -> [[f64; 3]; 3] {
        let [a, b, c] = self.lengths.map(|m| m.value);
        let [cos_a, cos_b, cos_g] = self.angles.map(|m| cosine(m.value));
        [
            [a * a, a * b * cos_g, a * c * cos_b],
            [a * b * cos_g, b * b, b * c * cos_a],
            [a * c * cos_b, b * c * cos_a, c * c],
        ]
    }

    /// Volume in cubic angstrom.
    pub fn volume(&self) -> f64 {
        let [a, b, c] = self.lengths.map(|m| m.value);
        let [ca, cb, cg] = self.angles.map(|m| cosine(m.value));
        a * b * c * (1.0 - ca * ca - cb * cb - cg * cg + 2.0 * ca * cb * cg).max(0.0).sqrt()
    }
}

/// Exact where angles are exact.
fn cosine(degree: f64) -> f64 {
    if degree == 90.0 {
        0.0
    } else if degree == 120.0 {
        -0.5
    } else {
        degree.to_radians().cos()
    }
}

/// A crystal structure: cell, symmetry, sites.
#[derive(Clone, Debug, PartialEq)]
pub struct Structure {
    /// Name of the data block.
    pub block: String,
    /// Name of the phase or mineral.
    pub name: Option<String>,
    /// Sum formula, as the file spells it.
    pub formula: Option<String>,
    /// Formula units in the cell.
    pub formula_units: Option<f64>,
    /// The unit cell.
    pub cell: Cell,
    /// The space group.
    pub space_group: SpaceGroup,
    /// All operations of the group, those of the centring included.
    pub operations: Vec<Operation>,
    /// Sites of the asymmetric unit.
    pub sites: Vec<Site>,
    /// What was noticed: symmetry that had to be assumed, multiplicities that disagree.
    pub diagnostics: Vec<Diagnostic>,
}

const LENGTHS: [&str; 3] = ["_cell_length_a", "_cell_length_b", "_cell_length_c"];
const ANGLES: [&str; 3] = ["_cell_angle_alpha", "_cell_angle_beta", "_cell_angle_gamma"];
const NAMES: [&str; 4] = [
    "_chemical_name_mineral",
    "_chemical_name_common",
    "_chemical_name_systematic",
    "_pd_phase_name",
];
const FORMULAS: [&str; 3] =
    ["_chemical_formula_sum", "_chemical_formula_structural", "_chemical_formula_moiety"];

fn cell(block: &Block) -> Result<Option<Cell>, CifError> {
    if block.first(&LENGTHS).is_none() {
        return Ok(None);
    }
    let number = |tag: &str, default: Option<f64>| -> Result<Measured, CifError> {
        let value = block.get(tag);
        let found = value.and_then(|v| v.number()).or_else(|| {
            // Right angles are often left out.
            let absent = value.is_none_or(|v| v.text().is_none());
            default.filter(|_| absent).map(Measured::exact)
        });
        found.filter(|m| m.value > 0.0).ok_or_else(|| {
            let at = value.map_or(block.offset, |v| v.offset());
            CifError::new(at, tag, "a positive number", value.map_or("none", |v| v.raw()))
        })
    };
    let mut cell = Cell { lengths: [Measured::default(); 3], angles: [Measured::default(); 3] };
    for i in 0..3 {
        cell.lengths[i] = number(LENGTHS[i], None)?;
        cell.angles[i] = number(ANGLES[i], Some(90.0))?;
    }
    let [a, b, c] = cell.lengths.map(|m| m.value);
    let flat = 1e-6 * a * b * c;
    if cell.volume().partial_cmp(&flat) != Some(std::cmp::Ordering::Greater) {
        let got = format!("angles {:?}", cell.angles.map(|m| m.value));
        return Err(CifError::new(block.offset, "cell", "angles that span a volume", &got));
    }
    Ok(Some(cell))
}

impl Structure {
    /// The structure of a block; `None` where it has no cell or no sites.
    ///
    /// # Errors
    /// When a number of the cell or of a site, or an operation, cannot be read.
    pub fn of_block(block: &Block) -> Result<Option<Self>, CifError> {
        let Some(cell) = cell(block)? else { return Ok(None) };
        let Some(sites) = site::sites(block)?.filter(|s| !s.is_empty()) else { return Ok(None) };
        let [alpha, beta, gamma] = cell.angles.map(|m| m.value);
        let equal = |a: f64, b: f64| (a - b).abs() < 1e-3;
        let rhombohedral = equal(alpha, beta) && equal(beta, gamma) && !equal(gamma, 90.0);
        let found = space_group::find(block, rhombohedral)?;
        let text = |tags: &[&str]| {
            let text = block.first(tags)?.text()?.split_whitespace().collect::<Vec<_>>().join(" ");
            (!text.is_empty()).then_some(text)
        };
        let units = block.get("_cell_formula_units_Z").and_then(|v| v.number());
        let mut structure = Self {
            block: block.name.to_owned(),
            name: text(&NAMES),
            formula: text(&FORMULAS),
            formula_units: units.map(|m| m.value),
            cell,
            space_group: found.group,
            operations: found.operations,
            sites,
            diagnostics: found.diagnostics,
        };
        structure.check_multiplicities();
        Ok(Some(structure))
    }

    /// All positions of a site in the cell, each coordinate from 0 to 1.
    ///
    /// Images that coincide are one position, at their mean: their number is the multiplicity.
    pub fn positions(&self, site: &Site) -> Vec<[f64; 3]> {
        let metric = self.cell.metric();
        let mut found: Vec<([f64; 3], [f64; 3], f64)> = Vec::new();
        for operation in &self.operations {
            let image = operation.apply(site.fract.map(|m| m.value)).map(|x| x.rem_euclid(1.0));
            let near = found.iter_mut().find_map(|(first, sum, n)| {
                let apart: [f64; 3] = std::array::from_fn(|i| {
                    let d = image[i] - first[i];
                    d - d.round()
                });
                (squared(&metric, apart) < SAME * SAME).then_some((*first, apart, sum, n))
            });
            match near {
                Some((_, apart, sum, n)) => {
                    for i in 0..3 {
                        sum[i] += apart[i];
                    }
                    *n += 1.0;
                }
                None => found.push((image, [0.0; 3], 1.0)),
            }
        }
        found
            .into_iter()
            .map(|(first, sum, n)| std::array::from_fn(|i| (first[i] + sum[i] / n).rem_euclid(1.0)))
            .collect()
    }

    /// Density in g/cm3 for given atomic masses in u; `None` for an element without one.
    pub fn density(&self, mass: impl Fn(&str) -> Option<f64>) -> Option<f64> {
        let mut total = 0.0;
        for site in &self.sites {
            let atoms = self.positions(site).len() as f64 * site.occupancy.value;
            total += atoms * mass(site.element.as_deref()?)?;
        }
        // 1 u = 1.66053906892e-24 g (CODATA 2022); 1 A3 = 1e-24 cm3.
        Some(total * 1.660_539_068_92 / self.cell.volume())
    }

    fn check_multiplicities(&mut self) {
        let wrong: Vec<String> = self
            .sites
            .iter()
            .filter_map(|site| {
                let (stated, found) = (site.multiplicity?, self.positions(site).len());
                (stated as usize != found).then(|| format!("{} {stated} ({found})", site.label))
            })
            .collect();
        if !wrong.is_empty() {
            let message = format!(
                "stated multiplicities are not those that symmetry gives (in brackets): {}",
                wrong.join(", ")
            );
            self.diagnostics.push(Diagnostic::warning(Code::VendorDisagrees, message));
        }
    }
}

/// Squared length of a difference of fractional coordinates.
fn squared(metric: &[[f64; 3]; 3], d: [f64; 3]) -> f64 {
    (0..3).map(|i| (0..3).map(|j| d[i] * metric[i][j] * d[j]).sum::<f64>()).sum()
}
