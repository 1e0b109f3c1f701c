//! Spectra that no detector makes: every one gives a result or a structured error.

#![allow(clippy::unwrap_used)]

use kalpha_core::Serial;
use kalpha_fit::eds::FitError;
use kalpha_fit::eds::identify::{IdentifyOptions, identify};

fn axis(n: usize) -> Vec<f64> {
    (0..n).map(|i| 0.01 * i as f64).collect()
}

#[test]
fn empty_short_and_misplaced_axes_are_refused() {
    let options = IdentifyOptions::new(20.0, false);
    let zero = identify(&Serial::default(), &axis(1000), &[0.0; 1000], &[], &options);
    assert!(matches!(zero, Err(FitError::NoCounts { .. })), "{zero:?}");
    let none = identify(&Serial::default(), &[], &[], &[], &options);
    assert!(matches!(none, Err(FitError::TooFewChannels { .. })));
    let one = identify(&Serial::default(), &[1.0], &[5.0], &[], &options);
    assert!(matches!(one, Err(FitError::TooFewChannels { .. })));
    let unequal = identify(&Serial::default(), &axis(10), &[1.0], &[], &options);
    assert!(matches!(unequal, Err(FitError::Length { energies: 10, counts: 1 })));
    let reversed: Vec<f64> = axis(1000).into_iter().rev().collect();
    assert!(identify(&Serial::default(), &reversed, &[1.0; 1000], &[], &options).is_err());
}

#[test]
fn values_that_are_no_counts_never_panic() {
    let options = IdentifyOptions::new(20.0, false);
    for bad in [f64::NAN, f64::INFINITY] {
        let mut y = vec![3.0; 1000];
        y[300] = bad;
        let error = identify(&Serial::default(), &axis(1000), &y, &[], &options).unwrap_err();
        assert!(matches!(error, FitError::NotFinite { channel: 300, .. }), "{error:?}");
    }
    for bad in [-5.0, 1e12] {
        let mut y = vec![3.0; 1000];
        y[300] = bad;
        if let Ok(id) = identify(&Serial::default(), &axis(1000), &y, &[], &options) {
            assert!(id.fit.estimates.iter().all(|e| e.counts.is_finite()), "{bad}");
        }
    }
}

#[test]
fn nothing_is_found_where_nothing_is() {
    let options = IdentifyOptions::new(20.0, false);
    let y: Vec<f64> = axis(1000).iter().map(|e| (500.0 * (-e / 4.0).exp()).round()).collect();
    let id = identify(&Serial::default(), &axis(1000), &y, &y, &options).unwrap();
    let certain: Vec<_> = id.elements.iter().filter(|e| e.family.ends_with('K')).collect();
    assert!(certain.len() <= 1, "{:?}", id.elements);
    assert!(id.calibration.is_none() || id.calibration_refused.is_none());
    // A dozen counts are too few for anything but an answer without elements.
    let mut few = vec![0.0; 1000];
    for k in (100..900).step_by(70) {
        few[k] = 1.0;
    }
    let id = identify(&Serial::default(), &axis(1000), &few, &few, &options).unwrap();
    assert!(id.elements.is_empty(), "{:?}", id.elements);
}
