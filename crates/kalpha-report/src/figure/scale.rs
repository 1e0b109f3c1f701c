//! Scales and their ticks.

use crate::number::Style;

/// A tick of a scale.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    /// Where it stands.
    pub value: f64,
    /// What it says.
    pub label: String,
}

/// Values onto 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    low: f64,
    high: f64,
    log: bool,
    reversed: bool,
}

impl Scale {
    /// A linear scale; an empty or wrong range becomes one around `low`.
    pub fn linear(low: f64, high: f64) -> Self {
        let low = if low.is_finite() { low } else { 0.0 };
        let high = if high.is_finite() && high > low { high } else { low + 1.0 };
        Self { low, high, log: false, reversed: false }
    }

    /// A logarithmic scale; what is not above zero stands at its lower end.
    pub fn log(low: f64, high: f64) -> Self {
        let low = if low.is_finite() && low > 0.0 { low } else { 1.0 };
        let high = if high.is_finite() && high > low { high } else { 10.0 * low };
        Self { low, high, log: true, reversed: false }
    }

    /// The same from right to left, or from top to bottom.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self { reversed: !self.reversed, ..self }
    }

    /// The lower end.
    pub fn low(&self) -> f64 {
        self.low
    }

    /// The upper end.
    pub fn high(&self) -> f64 {
        self.high
    }

    /// Where `value` lies: 0 at the lower end, 1 at the upper one (the other way round where
    /// reversed), never outside.
    pub fn position(&self, value: f64) -> f64 {
        let position = if self.log {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        let position = position.clamp(0.0, 1.0);
        if self.reversed { 1.0 - position } else { position }
    }

    /// About `n` ticks at 1, 2 or 5 times a power of ten.
    pub fn ticks(&self, n: usize) -> Vec<Tick> {
        let n = n.max(2) as f64;
        if self.log {
            return self.log_ticks(n);
        }
        let step = nice_step((self.high - self.low) / n);
        let decimals = (-step.log10().floor()).max(0.0) as usize;
        let first = (self.low / step - 1e-9).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        (first..=last)
            .map(|i| {
                let value = i as f64 * step;
                let label = match self.high.abs().max(self.low.abs()) {
                    size if !(1e-3..1e6).contains(&size) => Style::Typeset.short(value),
                    _ => Style::Typeset.fixed(value, decimals),
                };
                Tick { value, label }
            })
            .collect()
    }

    fn log_ticks(&self, n: f64) -> Vec<Tick> {
        let (first, last) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
        let decades = (self.high / self.low).log10();
        if decades < 1.0 {
            // Less than a decade: linear ticks say more.
            let linear = Self { log: false, ..*self };
            return linear.ticks(n as usize);
        }
        let every = (decades / n).ceil().max(1.0) as i32;
        let within = |v: f64| v >= self.low * (1.0 - 1e-9) && v <= self.high * (1.0 + 1e-9);
        let factors: &[f64] = match decades {
            d if d * 3.0 <= n => &[1.0, 2.0, 5.0],
            _ => &[1.0],
        };
        (first..=last)
            .filter(|e| e.rem_euclid(every) == 0)
            .flat_map(|e| factors.iter().map(move |f| f * 10f64.powi(e)))
            .filter(|v| within(*v))
            .map(|value| Tick {
                value,
                label: match value {
                    v if (1e-3..1e6).contains(&v) => Style::Typeset.short(v),
                    v => Style::Typeset.scientific(v, 0).replace("1\u{202f}\u{d7}\u{202f}", ""),
                },
            })
            .collect()
    }
}

/// The smallest of 1, 2, 5 times a power of ten that is not below `raw`.
fn nice_step(raw: f64) -> f64 {
    let power = 10f64.powf(raw.log10().floor());
    let mantissa = raw / power;
    let factor = [1.0, 2.0, 5.0].into_iter().find(|f| mantissa <= f + 1e-9).unwrap_or(10.0);
    factor * power
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: Scale, n: usize) -> Vec<String> {
        scale.ticks(n).into_iter().map(|t| t.label).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(labels(Scale::linear(0.0, 10.0), 5), ["0", "2", "4", "6", "8", "10"]);
        assert_eq!(labels(Scale::linear(0.0, 1.0), 5), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(Scale::linear(-5.0, 5.0), 2), ["\u{2212}5", "0", "5"]);
        assert_eq!(labels(Scale::log(0.5, 2e4), 5), ["1", "10", "100", "1000", "10\u{202f}000"]);
        assert_eq!(labels(Scale::log(0.9, 120.0), 8), ["1", "2", "5", "10", "20", "50", "100"]);
    }

    #[test]
    fn ticks_exist_for_any_range() {
        for scale in [
            Scale::linear(f64::NAN, 3.0),
            Scale::linear(2.0, 2.0),
            Scale::linear(1e12, 3e12),
            Scale::linear(0.0, 1e-9),
            Scale::log(0.0, -1.0),
            Scale::log(1e-12, 1e12),
            Scale::log(3.0, 4.0),
        ] {
            let ticks = scale.ticks(6);
            assert!((2..=20).contains(&ticks.len()), "{scale:?}: {ticks:?}");
        }
    }
}
