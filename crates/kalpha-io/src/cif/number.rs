//! Numbers with a standard uncertainty in their last digits: `4.1576(17)`.

use serde::{Deserialize, Serialize};

/// A number and its standard uncertainty, where one is stated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The value.
    pub value: f64,
    /// The standard uncertainty.
    pub su: Option<f64>,
}

impl Measured {
    /// A number that is exact as far as the file says.
    pub fn exact(value: f64) -> Self {
        Self { value, su: None }
    }

    /// Reads `4.1576(17)`, `-1.2e3(4)`, `.5`; also `1/3`, which some programs write.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some((above, below)) = text.split_once('/') {
            let (above, below): (f64, f64) = (above.parse().ok()?, below.parse().ok()?);
            return finite(above / below).map(Self::exact);
        }
        let Some((number, rest)) = text.split_once('(') else {
            let starts_as_number =
                text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
            return starts_as_number
                .then(|| text.parse().ok())
                .flatten()
                .and_then(finite)
                .map(Self::exact);
        };
        let digits = rest.split(')').next()?;
        let value = number.parse().ok().and_then(finite)?;
        let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
        let places = mantissa.split_once('.').map_or(0, |(_, after)| after.len());
        let power = exponent.parse::<i32>().ok()?.checked_sub(i32::try_from(places).ok()?)?;
        // Some write the uncertainty with its point: 1.25(0.03).
        let su = match digits.contains('.') {
            true => digits.parse::<f64>().ok()?,
            false => format!("{digits}e{power}").parse::<f64>().ok()?,
        };
        Some(Self { value, su: finite(su).filter(|su| *su > 0.0) })
    }
}

fn finite(x: f64) -> Option<f64> {
    x.is_finite().then_some(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uncertainties_stand_in_the_last_digits() {
        let read = |text| Measured::parse(text).map(|m| (m.value, m.su));
        assert_eq!(read("4.157597(17)"), Some((4.157597, Some(1.7e-5))));
        assert_eq!(read("10.257(1)"), Some((10.257, Some(1e-3))));
        assert_eq!(read("100(3)"), Some((100.0, Some(3.0))));
        assert_eq!(read("-1.20e2(4)"), Some((-120.0, Some(4.0))));
        assert_eq!(read(".5"), Some((0.5, None)));
        assert_eq!(read("1/4"), Some((0.25, None)));
        assert_eq!(read("1.25(0.03)"), Some((1.25, Some(0.03))));
        for wrong in ["", "x", "1.2(x)", "inf", "nan", "1/0", "(3)", "1 2"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
