//! Axes of arrays that name none: another array of the file that can be only that.

use kalpha_core::{Axis, Unit};

/// Names of the axis along a spectrum.
const SPECTRAL: [&str; 7] =
    ["energy", "wavenumber", "wavelength", "raman_shift", "two_theta", "channel", "shift"];

/// The unit that a name ends in: `energy_eV`.
fn unit(name: &str) -> Unit {
    match name.rsplit_once('_').map(|(_, unit)| Unit::parse(unit)) {
        Some(Unit::Other(_)) | None => Unit::None,
        Some(unit) => unit,
    }
}

/// An axis of `n` points, where exactly one of the named arrays can be it: it has as many
/// values, and they rise or fall. One array is held at a time.
pub(crate) fn axis_among<'a>(
    arrays: impl Iterator<Item = (&'a str, Vec<f64>)>,
    n: usize,
) -> Option<Axis> {
    let mut fitting = arrays.filter(|(_, values)| {
        let rising = values.windows(2).all(|w| w[0] < w[1]);
        let falling = values.windows(2).all(|w| w[0] > w[1]);
        values.len() == n && n > 1 && (rising || falling)
    });
    let (name, values) = fitting.next()?;
    let alone = fitting.next().is_none();
    alone.then(|| Axis::values(name, unit(name), values))
}

/// True where the name of an axis is one along a spectrum.
pub(crate) fn is_spectral(axis: &Axis) -> bool {
    let name = axis.name.to_lowercase();
    SPECTRAL.iter().any(|word| name.contains(word))
}
