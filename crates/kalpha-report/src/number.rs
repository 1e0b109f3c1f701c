//! Numbers as people read them.

/// What separates thousands and what a minus looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// ASCII, for terminals.
    Plain,
    /// Narrow no-break spaces, true minus and superscripts, for print and screen.
    Typeset,
}

impl Style {
    fn minus(self) -> char {
        if self == Self::Plain { '-' } else { '\u{2212}' }
    }

    fn group(self) -> char {
        if self == Self::Plain { ',' } else { '\u{202f}' }
    }

    /// `value` with so many decimals, thousands grouped.
    pub fn fixed(self, value: f64, decimals: usize) -> String {
        if !value.is_finite() {
            return "n/a".to_owned();
        }
        let text = format!("{:.decimals$}", value.abs());
        let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
        let negative = value < 0.0 && text.bytes().any(|b| (b'1'..=b'9').contains(&b));
        let mut out = String::new();
        if negative {
            out.push(self.minus());
        }
        for (i, digit) in whole.chars().enumerate() {
            if i > 0 && (whole.len() - i) % 3 == 0 && whole.len() > 4 {
                out.push(self.group());
            }
            out.push(digit);
        }
        out + rest
    }

    /// A whole number.
    pub fn count(self, value: u64) -> String {
        self.fixed(value as f64, 0)
    }

    /// `value` with three or so significant digits, for ticks and single figures.
    pub fn short(self, value: f64) -> String {
        let size = value.abs();
        if value == 0.0 {
            return "0".to_owned();
        }
        if !size.is_finite() {
            return "n/a".to_owned();
        }
        if !(1e-3..1e7).contains(&size) {
            return self.scientific(value, 1);
        }
        let decimals = (2 - size.log10().floor() as i32).clamp(0, 5) as usize;
        let text = self.fixed(value, decimals);
        match text.contains('.') {
            true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
            false => text,
        }
    }

    /// `m x 10^e`.
    pub fn scientific(self, value: f64, decimals: usize) -> String {
        let text = format!("{value:.decimals$e}");
        if self == Self::Plain {
            return text;
        }
        let Some((mantissa, exponent)) = text.split_once('e') else { return text };
        let raised: String = exponent.chars().map(superscript).collect();
        let mantissa = mantissa.replace('-', "\u{2212}");
        format!("{mantissa}\u{202f}\u{d7}\u{202f}10{raised}")
    }

    /// A probability.
    pub fn probability(self, p: f64) -> String {
        match p {
            p if p <= 0.0 => format!("<{}", self.scientific(f64::MIN_POSITIVE, 0)),
            p if p < 1e-3 => self.scientific(p, 1),
            p => format!("{p:.3}"),
        }
    }

    /// Value and uncertainty rounded together, to two digits of the uncertainty.
    pub fn pair(self, value: f64, sigma: f64) -> (String, String) {
        let decimals = decimals(sigma);
        let round = |x: f64| match decimals {
            d if d >= 0 => self.fixed(x, d as usize),
            d => {
                let unit = 10f64.powi(-d);
                self.fixed((x / unit).round() * unit, 0)
            }
        };
        (round(value), round(sigma))
    }

    /// `value +- sigma`.
    pub fn plus_minus(self, value: f64, sigma: f64) -> String {
        if !(sigma.is_finite() && sigma > 0.0) {
            return self.short(value);
        }
        let (value, sigma) = self.pair(value, sigma);
        match self {
            Self::Plain => format!("{value} +- {sigma}"),
            Self::Typeset => format!("{value}\u{a0}\u{b1}\u{a0}{sigma}"),
        }
    }
}

/// Decimals that show two digits of `sigma`; negative above 100.
pub(crate) fn decimals(sigma: f64) -> i32 {
    if !(sigma.is_finite() && sigma > 0.0) {
        return 1;
    }
    // 0.0996 rounds to 0.10: the exponent is that of the rounded figure.
    let rounded: f64 = format!("{sigma:.1e}").parse().unwrap_or(sigma);
    (1 - rounded.log10().floor() as i32).clamp(-9, 6)
}

fn superscript(c: char) -> char {
    match c {
        '-' => '\u{207b}',
        '1' => '\u{b9}',
        '2' => '\u{b2}',
        '3' => '\u{b3}',
        '0' | '4'..='9' => char::from_u32(0x2070 + c as u32 - '0' as u32).unwrap_or(c),
        other => other,
    }
}

/// `Fe_Ka` as the field writes it: `Fe Kα`.
pub fn line_name(name: &str) -> String {
    let Some((element, line)) = name.split_once('_') else { return name.to_owned() };
    let line: String = line
        .chars()
        .map(|c| match c {
            'a' => '\u{3b1}',
            'b' => '\u{3b2}',
            'g' => '\u{3b3}',
            other => other,
        })
        .collect();
    format!("{element}\u{a0}{line}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_and_uncertainty_share_their_last_digit() {
        let plain = Style::Plain;
        assert_eq!(plain.plus_minus(46.312, 4.87), "46.3 +- 4.9");
        assert_eq!(plain.plus_minus(15_090.4, 123.0), "15,090 +- 120");
        assert_eq!(plain.plus_minus(-0.012, 0.0996), "-0.01 +- 0.10");
        assert_eq!(plain.plus_minus(20.028134, 0.00071), "20.02813 +- 0.00071");
        assert_eq!(plain.plus_minus(-0.2, 55.0), "0 +- 55");
        assert_eq!(plain.plus_minus(3.0, 0.0), "3");
    }

    #[test]
    fn probabilities_and_counts() {
        assert_eq!(Style::Plain.probability(8.8e-9), "8.8e-9");
        assert_eq!(Style::Typeset.probability(8.8e-12), "8.8\u{202f}\u{d7}\u{202f}10⁻¹²");
        assert_eq!(Style::Plain.probability(0.0123), "0.012");
        assert_eq!(Style::Plain.probability(0.0), "<2e-308");
        assert_eq!(Style::Plain.count(1_119_400), "1,119,400");
        assert_eq!(Style::Plain.count(2048), "2048");
        assert_eq!(Style::Plain.short(f64::NAN), "n/a");
        assert_eq!(Style::Plain.short(0.25), "0.25");
        assert_eq!(Style::Plain.short(-1234.0), "-1234");
    }

    #[test]
    fn lines_are_named_as_the_field_does() {
        assert_eq!(line_name("Fe_Ka"), "Fe\u{a0}K\u{3b1}");
        assert_eq!(line_name("O+Si"), "O+Si");
    }
}
