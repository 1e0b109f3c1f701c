//! Values to colours.
//!
//! Sequential values use viridis (van der Walt and Smith 2015, CC0): perceptually uniform,
//! readable in grey and with colour-vision deficiency. Signed values use blue and red about a
//! neutral grey at zero.

/// Stops of viridis, evenly spaced.
const VIRIDIS: [[u8; 3]; 17] = [
    [0x44, 0x01, 0x54],
    [0x48, 0x18, 0x6a],
    [0x47, 0x2d, 0x7b],
    [0x42, 0x40, 0x86],
    [0x3b, 0x52, 0x8b],
    [0x33, 0x63, 0x8d],
    [0x2c, 0x72, 0x8e],
    [0x26, 0x82, 0x8e],
    [0x21, 0x91, 0x8c],
    [0x1f, 0xa0, 0x88],
    [0x28, 0xae, 0x80],
    [0x3f, 0xbc, 0x73],
    [0x5e, 0xc9, 0x62],
    [0x84, 0xd4, 0x4b],
    [0xad, 0xdc, 0x30],
    [0xd8, 0xe2, 0x19],
    [0xfd, 0xe7, 0x25],
];

/// Stops of the signed scale, evenly spaced; the middle one is zero.
const SIGNED: [[u8; 3]; 7] = [
    [0x10, 0x42, 0x81],
    [0x2a, 0x78, 0xd6],
    [0x9e, 0xc5, 0xf4],
    [0xe4, 0xe3, 0xdf],
    [0xf4, 0xac, 0xa9],
    [0xd0, 0x3b, 0x3b],
    [0x7d, 0x1d, 0x1d],
];

/// Colour of a pixel without a value.
pub(crate) const NO_VALUE: [u8; 3] = [0x8a, 0x89, 0x84];

/// How values become colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ColourScale {
    /// Dark is low, bright is high.
    #[default]
    Sequential,
    /// Zero is neutral: for signed values.
    Diverging,
}

/// The values at the two ends of the scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// Value of the first colour.
    pub low: f64,
    /// Value of the last colour.
    pub high: f64,
    /// Some values lie below and take the first colour.
    pub clipped_low: bool,
    /// Some values lie above and take the last colour.
    pub clipped_high: bool,
}

impl ColourScale {
    fn stops(self) -> &'static [[u8; 3]] {
        match self {
            Self::Sequential => &VIRIDIS,
            Self::Diverging => &SIGNED,
        }
    }

    /// Colour at `t` in 0 to 1.
    pub fn colour(self, t: f64) -> [u8; 3] {
        let stops = self.stops();
        let at = t.clamp(0.0, 1.0) * (stops.len() - 1) as f64;
        let i = (at as usize).min(stops.len() - 2);
        let part = at - i as f64;
        std::array::from_fn(|c| {
            let (a, b) = (f64::from(stops[i][c]), f64::from(stops[i + 1][c]));
            (a + part * (b - a)).round() as u8
        })
    }

    /// Range of the finite values from the 0.2 to the 99.8 percentile, so that one hot pixel
    /// does not darken the map; about zero for signed values.
    pub fn range(self, values: &[f64]) -> Range {
        let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let (Some(&first), Some(&last)) = (sorted.first(), sorted.last()) else {
            return Range { low: 0.0, high: 1.0, clipped_low: false, clipped_high: false };
        };
        let at = |q: f64| sorted[(q * (sorted.len() - 1) as f64).round() as usize];
        let (mut low, mut high) = (at(0.002), at(0.998));
        if self == Self::Diverging {
            high = high.abs().max(low.abs());
            low = -high;
        }
        if high <= low {
            (low, high) = (first, if last > first { last } else { first + 1.0 });
        }
        Range { low, high, clipped_low: first < low, clipped_high: last > high }
    }

    /// Colour of `value`; grey for NaN.
    pub fn of(self, value: f64, range: &Range) -> [u8; 3] {
        if !value.is_finite() {
            return NO_VALUE;
        }
        self.colour((value - range.low) / (range.high - range.low))
    }

    /// The scale as a CSS gradient, left to right.
    pub fn css_gradient(self) -> String {
        let stops: Vec<String> = self.stops().iter().map(|c| hex(*c)).collect();
        format!("linear-gradient(90deg,{})", stops.join(","))
    }
}

/// `#rrggbb`.
pub(crate) fn hex([r, g, b]: [u8; 3]) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// Reads `#rrggbb`; anything else is `None`, so no text of a file reaches a style.
pub(crate) fn parse_hex(text: &str) -> Option<[u8; 3]> {
    let digits = text.strip_prefix('#').filter(|d| d.len() == 6 && d.is_ascii())?;
    let byte = |i: usize| u8::from_str_radix(digits.get(i..i + 2)?, 16).ok();
    Some([byte(0)?, byte(2)?, byte(4)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn luminance(c: [u8; 3]) -> f64 {
        0.2126 * f64::from(c[0]) + 0.7152 * f64::from(c[1]) + 0.0722 * f64::from(c[2])
    }

    #[test]
    fn sequential_grows_brighter() {
        let steps: Vec<f64> = (0..=100)
            .map(|i| luminance(ColourScale::Sequential.colour(f64::from(i) / 100.0)))
            .collect();
        assert!(steps.windows(2).all(|w| w[1] >= w[0]));
        assert_eq!(ColourScale::Sequential.colour(-3.0), VIRIDIS[0]);
        assert_eq!(ColourScale::Sequential.colour(7.0), VIRIDIS[16]);
    }

    #[test]
    fn ranges_survive_hostile_maps() {
        for scale in [ColourScale::Sequential, ColourScale::Diverging] {
            for values in [vec![], vec![f64::NAN], vec![0.0; 9], vec![-2.0], vec![3.0, 3.0]] {
                let range = scale.range(&values);
                assert!(range.high > range.low, "{values:?}");
            }
        }
        let signed = ColourScale::Diverging.range(&[-4.0, 1.0]);
        assert_eq!((signed.low, signed.high), (-4.0, 4.0));
        assert_eq!(ColourScale::Diverging.of(0.0, &signed), SIGNED[3]);
    }

    #[test]
    fn one_hot_pixel_is_clipped_and_said() {
        let mut values: Vec<f64> = (0..10_000).map(|i| f64::from(i % 10)).collect();
        values[17] = 1e6;
        let range = ColourScale::Sequential.range(&values);
        assert_eq!(range.high, 9.0);
        assert!(range.clipped_high && !range.clipped_low);
    }

    #[test]
    fn colours_of_files_are_checked() {
        assert_eq!(parse_hex("#0a10ff"), Some([10, 16, 255]));
        for wrong in ["red", "#12345", "#1234567", "#12345g", "#é2345", "red;x:url(//a)"] {
            assert_eq!(parse_hex(wrong), None, "{wrong}");
        }
    }
}
