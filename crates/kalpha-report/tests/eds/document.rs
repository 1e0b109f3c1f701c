//! The JSON document.

use crate::{film::film, rock::rock};
use kalpha_core::Quantity;
use kalpha_report::eds::{DocumentError, EdsDocument, FoundIn};

#[test]
fn json_round_trips() {
    for (document, _) in [film(), rock()] {
        let text = document.to_json().unwrap();
        assert_eq!(EdsDocument::from_json(&text).unwrap(), document);
    }
}

#[test]
fn json_has_the_names_of_the_schema() {
    let (document, _) = rock();
    let value: serde_json::Value = serde_json::from_str(&document.to_json().unwrap()).unwrap();
    assert_eq!(value["schema"], "kalpha.eds/1");
    assert_eq!(value["not_quantified"]["reason"], "bulk");
    assert!(value.get("composition").is_none());
    assert_eq!(value["elements"][0]["where"], "sum");
    assert_eq!(value["flagged"][0]["pixel"], serde_json::json!([50, 28]));
    let (document, _) = film();
    let value: serde_json::Value = serde_json::from_str(&document.to_json().unwrap()).unwrap();
    assert!(
        value["composition"]["elements"][0]["atomic_percent"]["syst"]["background"].is_number()
    );
    assert!(value["phases"][0]["composition"]["elements"].is_array());
}

#[test]
fn a_number_that_is_not_finite_is_named() {
    let (mut document, _) = film();
    document.elements[1].significance = f64::NAN;
    let error = document.to_json().unwrap_err();
    assert!(
        matches!(&error, DocumentError::NotFinite { path } if path == "elements[1].significance"),
        "{error}"
    );
    let (mut document, _) = film();
    document.intensities[0].critical_level = Some(f64::INFINITY);
    assert!(
        document.to_json().unwrap_err().to_string().starts_with("intensities[0].critical_level")
    );
    let (mut document, _) = film();
    document.elements[0].counts = Quantity::measured(1.0, f64::NAN, Default::default());
    assert!(document.to_json().unwrap_err().to_string().starts_with("elements[0].counts.stat"));
}

#[test]
fn another_schema_is_refused() {
    let (document, _) = film();
    let text = document.to_json().unwrap().replace("kalpha.eds/1", "kalpha.eds/2");
    assert!(matches!(EdsDocument::from_json(&text), Err(DocumentError::Schema { .. })));
}

#[test]
fn places_read_back() {
    for place in [
        FoundIn::Sum,
        FoundIn::MaxPixel,
        FoundIn::Phase(0),
        FoundIn::Phase(4),
        FoundIn::Other("phase 0".to_owned()),
    ] {
        assert_eq!(FoundIn::from(place.to_string()), place);
    }
}

#[test]
fn the_schema_describes_both_outcomes() {
    let schema = EdsDocument::json_schema().to_string();
    for name in ["\"composition\"", "\"not_quantified\"", "\"where\"", "\"p_family_wise\""] {
        assert!(schema.contains(name), "{name}");
    }
}
