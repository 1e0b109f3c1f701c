//! The CSV tables.

use crate::{film::film, rock::rock};
use kalpha_core::{Cause, Quantity};
use kalpha_report::eds::*;

/// Fields of RFC 4180 text.
fn parse(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut field) = (Vec::new(), Vec::new(), String::new());
    let (mut quoted, mut chars) = (false, text.chars().peekable());
    while let Some(c) = chars.next() {
        match (quoted, c) {
            (true, '"') if chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            (_, '"') => quoted = !quoted,
            (false, ',') => row.push(std::mem::take(&mut field)),
            (false, '\r') => {}
            (false, '\n') => {
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
            }
            (_, c) => field.push(c),
        }
    }
    assert!(!quoted && field.is_empty() && row.is_empty());
    rows
}

fn column(rows: &[Vec<String>], name: &str) -> usize {
    rows[0].iter().position(|n| n == name).unwrap_or_else(|| panic!("no {name} in {:?}", rows[0]))
}

#[test]
fn compositions_read_back_to_the_same_bits() {
    let (document, _) = film();
    let rows = parse(&composition_csv(&document));
    assert!(rows.iter().all(|row| row.len() == rows[0].len()));
    // Whole map and two phases, two elements, two units.
    assert_eq!(rows.len(), 1 + 3 * 2 * 2);
    let composition = document.quantification.composition().unwrap();
    let Quantity::Measured { value, stat, syst } = &composition.elements[1].atomic_percent else {
        panic!("a limit")
    };
    let row = rows
        .iter()
        .find(|r| r[0] == "whole map" && r[1] == "Pt" && r[3] == "at.%")
        .expect("the row of platinum");
    let number = |name: &str| row[column(&rows, name)].parse::<f64>().unwrap();
    assert_eq!(number("value").to_bits(), value.to_bits());
    assert_eq!(number("stat").to_bits(), stat.to_bits());
    assert_eq!(number("syst").to_bits(), syst.total().to_bits());
    let cause = Cause::KFactor("Pt_La".into());
    assert_eq!(number("syst:k_factor:Pt_La").to_bits(), syst.shift(&cause).to_bits());
}

#[test]
fn every_table_has_its_rows() {
    let (mut document, _) = rock();
    document.phases[0].name = "a, \"quoted\"\nphase".into();
    let intensities = parse(&intensities_csv(&document));
    let per_phase: usize = document.phases.iter().map(|p| p.intensities.len()).sum();
    assert_eq!(intensities.len(), 1 + document.intensities.len() + per_phase);
    let value = column(&intensities, "value:bremsstrahlung");
    let found: f64 = intensities[1][value].parse().unwrap();
    assert_eq!(found, document.intensities[0].by_background[2].counts);
    let phases = parse(&phases_csv(&document));
    assert_eq!(phases.len(), 1 + document.phases.len());
    assert_eq!(phases[1][0], document.phases[0].name);
    let flagged = parse(&flagged_csv(&document));
    assert_eq!(flagged.len(), 1 + document.flagged.len());
    let p: f64 = flagged[1][column(&flagged, "p_family_wise")].parse().unwrap();
    assert_eq!(p.to_bits(), document.flagged[0].p_family_wise.to_bits());
    assert_eq!(parse(&composition_csv(&document)).len(), 1, "nothing was quantified");
}

#[test]
fn limits_have_no_value() {
    let (mut document, _) = film();
    let limit = Quantity::UpperLimit { limit: 3.5, confidence: 0.95, syst: Default::default() };
    document.intensities[0].counts = limit;
    let rows = parse(&intensities_csv(&document));
    assert_eq!(rows[1][column(&rows, "value")], "");
    assert_eq!(rows[1][column(&rows, "upper_limit")], "3.5");
}
