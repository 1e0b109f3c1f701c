//! Crystal structures against gemmi: cells, symmetry operations, sites, and how many atoms of each
//! site the cell holds. `structures/gemmi_structures.py` writes the values.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use kalpha_core::Code;
use kalpha_io::{
    Input,
    cif::{Operation, OperationsFrom, Structure, structures, structures_of},
};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Golden {
    peer: String,
    version: String,
    structures: Vec<Entry>,
    hall: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Entry {
    file: String,
    block: String,
    volume: f64,
    edges: f64,
    angles: f64,
    operations: String,
    labels: String,
    elements: String,
    fract: f64,
    occupancy: f64,
    in_cell: Vec<usize>,
}

fn golden() -> Golden {
    let text = include_str!("structures/gemmi_structures.json");
    let golden: Golden = serde_json::from_str(text).unwrap();
    assert_eq!((golden.peer.as_str(), golden.version.is_empty()), ("gemmi", false));
    golden
}

fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
}

fn hash_words<'a>(words: impl Iterator<Item = &'a str>) -> String {
    hash(&words.collect::<Vec<_>>().join("\n"))
}

fn hash_operations(operations: &[Operation]) -> String {
    let mut rows: Vec<Vec<i32>> = operations
        .iter()
        .map(|o| o.rotation.iter().flatten().chain(&o.translation).map(|x| i32::from(*x)).collect())
        .collect();
    rows.sort();
    let line = |row: &Vec<i32>| row.iter().map(i32::to_string).collect::<Vec<_>>().join(" ");
    hash(&rows.iter().map(line).collect::<Vec<_>>().join("\n"))
}

fn with_hall(symbol: &str) -> Structure {
    let text = format!(
        "data_x\n_space_group_name_Hall '{}'\n_cell_length_a 5\n_cell_length_b 5\n\
         _cell_length_c 5\nloop_ _atom_site_label _atom_site_fract_x _atom_site_fract_y \
         _atom_site_fract_z Fe .1 .2 .3\n",
        symbol
    );
    structures_of(&text).unwrap().remove(0)
}

#[test]
fn every_hall_symbol_gives_the_operations_gemmi_gives() {
    for (symbol, expected) in &golden().hall {
        let structure = with_hall(symbol);
        assert_eq!(structure.space_group.operations_from, OperationsFrom::Hall, "{symbol}");
        assert_eq!(&hash_operations(&structure.operations), expected, "{symbol}");
    }
}

#[test]
fn structures_are_those_gemmi_reads() {
    let golden = golden();
    let mut wrong = Vec::new();
    let mut compared = 0;
    for entry in &golden.structures {
        let Some(path) = kalpha_reference::path(&entry.file) else { continue };
        let found = structures(&Input::open(&path).unwrap()).unwrap();
        let structure = found.iter().find(|s| s.block == entry.block).unwrap();
        compared += 1;
        let mut differs = |what: &str, ours: String, theirs: String| {
            wrong.push(format!("{} {what}: {ours}, {theirs} expected", entry.file));
        };
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-9 * b.abs().max(1.0);
        let weighted =
            |m: [kalpha_io::cif::Measured; 3]| m[0].value + 2.0 * m[1].value + 3.0 * m[2].value;
        let fract = structure.sites.iter().flat_map(|s| s.fract.map(|m| m.value));
        let fract: f64 = fract.enumerate().map(|(i, x)| x * (i + 1) as f64).sum();
        for (what, ours, theirs) in [
            ("volume", structure.cell.volume(), entry.volume),
            ("edges", weighted(structure.cell.lengths), entry.edges),
            ("angles", weighted(structure.cell.angles), entry.angles),
            ("fract", fract, entry.fract),
            ("occupancy", structure.sites.iter().map(|s| s.occupancy.value).sum(), entry.occupancy),
        ] {
            if !close(ours, theirs) {
                differs(what, ours.to_string(), theirs.to_string());
            }
        }
        let labels = hash_words(structure.sites.iter().map(|s| s.label.as_str()));
        let elements =
            hash_words(structure.sites.iter().map(|s| s.element.as_deref().unwrap_or("X")));
        let operations = hash_operations(&structure.operations);
        for (what, ours, theirs) in [
            ("labels", labels, &entry.labels),
            ("elements", elements, &entry.elements),
            ("operations", operations, &entry.operations),
        ] {
            if ours != *theirs {
                differs(what, ours, theirs.clone());
            }
        }
        let mut in_cell: Vec<(&str, usize)> = Vec::new();
        for site in &structure.sites {
            let n = structure.positions(site).len();
            match in_cell.iter_mut().find(|(label, _)| *label == site.label) {
                Some((_, sum)) => *sum += n,
                None => in_cell.push((&site.label, n)),
            }
        }
        let in_cell: Vec<usize> = in_cell.into_iter().map(|(_, n)| n).collect();
        if in_cell != entry.in_cell {
            differs("in the cell", format!("{in_cell:?}"), format!("{:?}", entry.in_cell));
        }
    }
    eprintln!("gemmi {}: {compared} of {} structures", golden.version, golden.structures.len());
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// SRM 660c: `P m 3 m` without operations; the cell holds one La and six B.
#[test]
fn lanthanum_hexaboride_from_a_symbol_of_old() {
    let Some(path) = kalpha_reference::path("data/xrd/nist_srm660c/nist_srm660c_100a.cif") else {
        return;
    };
    let found = structures(&Input::open(&path).unwrap()).unwrap();
    let [structure] = &found[..] else { panic!("{} structures", found.len()) };
    assert_eq!(structure.space_group.operations_from, OperationsFrom::HermannMauguin);
    assert_eq!((structure.operations.len(), structure.space_group.number), (48, Some(221)));
    let counts: Vec<usize> = structure.sites.iter().map(|s| structure.positions(s).len()).collect();
    assert_eq!(counts, [1, 6]);
    assert!(structure.diagnostics.is_empty(), "{:?}", structure.diagnostics);
    // 203.77 u in 71.824 cubic angstrom (IUPAC masses, 2021).
    let mass = |symbol: &str| match symbol {
        "La" => Some(138.905_47),
        "B" => Some(10.81),
        _ => None,
    };
    let density = structure.density(mass).unwrap();
    assert!((density - 4.711).abs() < 1e-3, "{density}");
}

/// B is 8 pi^2 U, and displacements belong to the label, not to the place in the loop.
#[test]
fn displacements_find_their_site() {
    let text = "data_x _cell_length_a 4 _cell_length_b 4 _cell_length_c 4\n_space_group_IT_number 1\n\
        loop_ _atom_site_aniso_label _atom_site_aniso_U_11 _atom_site_aniso_U_22 \
        _atom_site_aniso_U_33 _atom_site_aniso_B_23 _atom_site_aniso_U_13 _atom_site_aniso_U_12\n\
        O1 .01(1) .02 .03 .7895683520871486 .05 .06\n\
        loop_ _atom_site_label _atom_site_type_symbol _atom_site_fract_x _atom_site_fract_y \
        _atom_site_fract_z _atom_site_occupancy\n\
        Fe1 Fe3+ 0 0 0 .5(1)  O1 O2- .1 .2 .3 1  X ? . . . .\n";
    let structure = structures_of(text).unwrap().remove(0);
    let [iron, oxygen] = &structure.sites[..] else { panic!("{:?}", structure.sites) };
    assert_eq!((iron.u_aniso, iron.charge, iron.occupancy.su), (None, Some(3), Some(0.1)));
    let u = oxygen.u_aniso.unwrap();
    let values = u.map(|m| (m.value * 1e6).round() / 1e6);
    assert_eq!(values, [0.01, 0.02, 0.03, 0.01, 0.05, 0.06]);
    assert_eq!((u[0].su, oxygen.element.as_deref()), (Some(0.01), Some("O")));
}

/// A list that is no group is completed, and a false multiplicity is told.
#[test]
fn what_contradicts_itself_is_said() {
    let text = "data_x\n_cell_length_a 4\n_cell_length_b 4\n_cell_length_c 4\n\
        _symmetry_space_group_name_H-M 'P -1'\nloop_ _symmetry_equiv_pos_as_xyz x,y,z -x,-y,z x,-y,-z\n\
        loop_ _atom_site_label _atom_site_fract_x _atom_site_fract_y _atom_site_fract_z\n\
        _atom_site_symmetry_multiplicity Na1+ 0 0 0 4 Cl1 .5(1) .499 .5 1\n";
    let structure = structures_of(text).unwrap().remove(0);
    assert_eq!(structure.operations.len(), 4);
    let said: Vec<_> = structure.diagnostics.iter().map(|d| d.message.as_str()).collect();
    assert!(structure.diagnostics.iter().all(|d| d.code == Code::VendorDisagrees));
    assert!(said.iter().any(|m| m.contains("no group")), "{said:?}");
    assert!(said.iter().any(|m| m.contains("P -1")), "{said:?}");
    assert!(said.iter().any(|m| m.contains("Na1+ 4 (1)")), "{said:?}");
    // The image of 0.499 is 0.501: one position, at their mean.
    let chlorine = structure.positions(&structure.sites[1]);
    assert_eq!(chlorine.len(), 1);
    assert!((chlorine[0][1] - 0.5).abs() < 1e-12, "{chlorine:?}");
}
