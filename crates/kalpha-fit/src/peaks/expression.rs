//! Expressions that tie parameters: `0.75 * p1.area`, `p1.center + splitting`.
//!
//! Numbers, names, `+ - * / ^` (and `**`), parentheses, `pi`, and the functions sqrt, exp, ln, log10,
//! sin, cos, tan, atan, abs, min, max. Values and derivatives come from one sweep forward and one
//! back over the operations (reverse differentiation): exact, in time of the order of one
//! evaluation. An expression can neither loop nor call, and its depth is limited.

use super::PeakError;

/// Parentheses and signs within each other.
const MAX_DEPTH: usize = 64;
/// Characters.
const MAX_LENGTH: usize = 1000;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operation {
    Number(f64),
    Parameter(usize),
    Add(usize, usize),
    Subtract(usize, usize),
    Multiply(usize, usize),
    Divide(usize, usize),
    Power(usize, usize),
    Min(usize, usize),
    Max(usize, usize),
    Negate(usize),
    Sqrt(usize),
    Exp(usize),
    Ln(usize),
    Log10(usize),
    Sin(usize),
    Cos(usize),
    Tan(usize),
    Atan(usize),
    Abs(usize),
}

/// A parsed expression over parameters known by index.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Expression {
    pub(super) text: String,
    tape: Vec<Operation>,
}

/// Memory of evaluations.
#[derive(Clone, Debug, Default)]
pub(super) struct Sweep {
    values: Vec<f64>,
    adjoints: Vec<f64>,
}

impl Expression {
    /// Parses `text`, the tie of `parameter`; `index` knows the names.
    pub(super) fn parse(
        parameter: &str,
        text: &str,
        index: impl Fn(&str) -> Result<usize, PeakError>,
    ) -> Result<Self, PeakError> {
        let mut parser =
            Parser { parameter, text, at: 0, depth: 0, tape: Vec::new(), index: &index };
        if text.len() > MAX_LENGTH {
            return Err(parser.wrong("too long"));
        }
        parser.sum()?;
        match parser.peek() {
            None => Ok(Self { text: text.to_owned(), tape: parser.tape }),
            Some(_) => Err(parser.wrong("something after the end of the expression")),
        }
    }

    /// Parameters it depends on, in the order they occur.
    pub(super) fn parameters(&self) -> impl Iterator<Item = usize> {
        self.tape.iter().filter_map(|o| match o {
            Operation::Parameter(k) => Some(*k),
            _ => None,
        })
    }

    /// Value at `p`.
    pub(super) fn value(&self, p: &[f64], sweep: &mut Sweep) -> f64 {
        sweep.values.clear();
        for operation in &self.tape {
            let v = &sweep.values;
            let value = match *operation {
                Operation::Number(x) => x,
                Operation::Parameter(k) => p[k],
                Operation::Add(a, b) => v[a] + v[b],
                Operation::Subtract(a, b) => v[a] - v[b],
                Operation::Multiply(a, b) => v[a] * v[b],
                Operation::Divide(a, b) => v[a] / v[b],
                Operation::Power(a, b) => v[a].powf(v[b]),
                Operation::Min(a, b) => v[a].min(v[b]),
                Operation::Max(a, b) => v[a].max(v[b]),
                Operation::Negate(a) => -v[a],
                Operation::Sqrt(a) => v[a].sqrt(),
                Operation::Exp(a) => v[a].exp(),
                Operation::Ln(a) => v[a].ln(),
                Operation::Log10(a) => v[a].log10(),
                Operation::Sin(a) => v[a].sin(),
                Operation::Cos(a) => v[a].cos(),
                Operation::Tan(a) => v[a].tan(),
                Operation::Atan(a) => v[a].atan(),
                Operation::Abs(a) => v[a].abs(),
            };
            sweep.values.push(value);
        }
        sweep.values.last().copied().unwrap_or(f64::NAN)
    }

    /// Value at `p`; `slope(k, d)` is called with derivatives to parameters, possibly several times
    /// for one: they add.
    pub(super) fn slopes(
        &self,
        p: &[f64],
        sweep: &mut Sweep,
        mut slope: impl FnMut(usize, f64),
    ) -> f64 {
        let value = self.value(p, sweep);
        let Sweep { values: v, adjoints } = sweep;
        adjoints.clear();
        adjoints.resize(v.len(), 0.0);
        if let Some(last) = adjoints.last_mut() {
            *last = 1.0;
        }
        for (i, operation) in self.tape.iter().enumerate().rev() {
            let d = adjoints[i];
            if d == 0.0 {
                continue;
            }
            let mut to = |k: usize, share: f64| adjoints[k] += d * share;
            match *operation {
                Operation::Number(_) => {}
                Operation::Parameter(k) => slope(k, d),
                Operation::Add(a, b) => {
                    to(a, 1.0);
                    to(b, 1.0);
                }
                Operation::Subtract(a, b) => {
                    to(a, 1.0);
                    to(b, -1.0);
                }
                Operation::Multiply(a, b) => {
                    to(a, v[b]);
                    to(b, v[a]);
                }
                Operation::Divide(a, b) => {
                    to(a, v[b].recip());
                    to(b, -v[a] / (v[b] * v[b]));
                }
                Operation::Power(a, b) => {
                    if v[b] != 0.0 {
                        to(a, v[b] * v[a].powf(v[b] - 1.0));
                    }
                    // A constant exponent needs no logarithm of a base that may be negative.
                    if !matches!(self.tape[b], Operation::Number(_)) {
                        to(b, v[i] * v[a].ln());
                    }
                }
                Operation::Min(a, b) => to(if v[a] <= v[b] { a } else { b }, 1.0),
                Operation::Max(a, b) => to(if v[a] >= v[b] { a } else { b }, 1.0),
                Operation::Negate(a) => to(a, -1.0),
                Operation::Sqrt(a) => to(a, 0.5 / v[i]),
                Operation::Exp(a) => to(a, v[i]),
                Operation::Ln(a) => to(a, v[a].recip()),
                Operation::Log10(a) => to(a, (v[a] * std::f64::consts::LN_10).recip()),
                Operation::Sin(a) => to(a, v[a].cos()),
                Operation::Cos(a) => to(a, -v[a].sin()),
                Operation::Tan(a) => to(a, 1.0 + v[i] * v[i]),
                Operation::Atan(a) => to(a, (1.0 + v[a] * v[a]).recip()),
                Operation::Abs(a) => to(a, v[a].signum()),
            }
        }
        value
    }

    /// True where the expression is a multiple of a parameter `varies` marks, or a sum of such:
    /// homogeneous of first degree in them for whatever the others are.
    pub(super) fn scales_with(&self, varies: impl Fn(usize) -> bool) -> bool {
        // Degree of each operation in the marked parameters; None where it has none.
        let mut degrees: Vec<Option<u32>> = Vec::with_capacity(self.tape.len());
        for operation in &self.tape {
            let d = |k: &usize| degrees[*k];
            let degree = match operation {
                Operation::Number(_) => Some(0),
                Operation::Parameter(k) => Some(u32::from(varies(*k))),
                Operation::Add(a, b) | Operation::Subtract(a, b) => {
                    d(a).filter(|x| d(b) == Some(*x))
                }
                Operation::Multiply(a, b) => d(a).zip(d(b)).map(|(a, b)| a.saturating_add(b)),
                Operation::Divide(a, b) => d(a).filter(|_| d(b) == Some(0)),
                Operation::Negate(a) => d(a),
                Operation::Power(a, b) | Operation::Min(a, b) | Operation::Max(a, b) => {
                    d(a).filter(|x| *x == 0 && d(b) == Some(0))
                }
                Operation::Sqrt(a)
                | Operation::Exp(a)
                | Operation::Ln(a)
                | Operation::Log10(a)
                | Operation::Sin(a)
                | Operation::Cos(a)
                | Operation::Tan(a)
                | Operation::Atan(a)
                | Operation::Abs(a) => d(a).filter(|x| *x == 0),
            };
            degrees.push(degree);
        }
        degrees.last() == Some(&Some(1))
    }
}

struct Parser<'a> {
    parameter: &'a str,
    text: &'a str,
    at: usize,
    depth: usize,
    tape: Vec<Operation>,
    index: &'a dyn Fn(&str) -> Result<usize, PeakError>,
}

impl Parser<'_> {
    fn wrong(&self, what: &'static str) -> PeakError {
        PeakError::Expression {
            parameter: self.parameter.to_owned(),
            expression: self.text.chars().take(MAX_LENGTH).collect(),
            what,
            at: self.text.get(..self.at).map_or(0, |t| t.chars().count()) + 1,
        }
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn peek(&mut self) -> Option<char> {
        let rest = self.rest();
        let blank = rest.len() - rest.trim_start().len();
        self.at += blank;
        self.rest().chars().next()
    }

    fn eat(&mut self, token: &str) -> bool {
        self.peek();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn push(&mut self, operation: Operation) -> usize {
        self.tape.push(operation);
        self.tape.len() - 1
    }

    fn sum(&mut self) -> Result<usize, PeakError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.wrong("too deep"));
        }
        let mut left = self.product()?;
        loop {
            left = if self.eat("+") {
                let right = self.product()?;
                self.push(Operation::Add(left, right))
            } else if self.eat("-") {
                let right = self.product()?;
                self.push(Operation::Subtract(left, right))
            } else {
                break;
            };
        }
        self.depth -= 1;
        Ok(left)
    }

    fn product(&mut self) -> Result<usize, PeakError> {
        let mut left = self.signed()?;
        loop {
            left = if self.eat("*") {
                let right = self.signed()?;
                self.push(Operation::Multiply(left, right))
            } else if self.eat("/") {
                let right = self.signed()?;
                self.push(Operation::Divide(left, right))
            } else {
                return Ok(left);
            };
        }
    }

    fn signed(&mut self) -> Result<usize, PeakError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.wrong("too deep"));
        }
        let found = if self.eat("-") {
            let inner = self.signed()?;
            self.push(Operation::Negate(inner))
        } else if self.eat("+") {
            self.signed()?
        } else {
            self.power()?
        };
        self.depth -= 1;
        Ok(found)
    }

    fn power(&mut self) -> Result<usize, PeakError> {
        let base = self.atom()?;
        if self.eat("^") || self.eat("**") {
            let exponent = self.signed()?;
            return Ok(self.push(Operation::Power(base, exponent)));
        }
        Ok(base)
    }

    fn atom(&mut self) -> Result<usize, PeakError> {
        match self.peek() {
            Some('(') => {
                self.at += 1;
                let inner = self.sum()?;
                match self.eat(")") {
                    true => Ok(inner),
                    false => Err(self.wrong("`)` is missing")),
                }
            }
            Some(c) if c.is_ascii_digit() || c == '.' => self.number(),
            Some(c) if c.is_alphabetic() || c == '_' => self.name(),
            Some(_) => Err(self.wrong("a number, a name or `(` is needed")),
            None => Err(self.wrong("the expression ends too early")),
        }
    }

    fn number(&mut self) -> Result<usize, PeakError> {
        let rest = self.rest().as_bytes();
        let mut length = 0;
        while let Some(c) = rest.get(length) {
            let exponent = length > 0 && matches!(rest[length - 1], b'e' | b'E');
            match c {
                b'0'..=b'9' | b'.' | b'e' | b'E' => length += 1,
                b'+' | b'-' if exponent => length += 1,
                _ => break,
            }
        }
        match self.rest()[..length].parse::<f64>() {
            Ok(value) if value.is_finite() => {
                self.at += length;
                Ok(self.push(Operation::Number(value)))
            }
            _ => Err(self.wrong("not a number")),
        }
    }

    fn name(&mut self) -> Result<usize, PeakError> {
        let name: String = self
            .rest()
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_' || *c == '.')
            .collect();
        let start = self.at;
        self.at += name.len();
        if !self.eat("(") {
            if name == "pi" {
                return Ok(self.push(Operation::Number(std::f64::consts::PI)));
            }
            let k = (self.index)(&name)?;
            return Ok(self.push(Operation::Parameter(k)));
        }
        let first = self.sum()?;
        let operation = match name.as_str() {
            "min" | "max" => {
                if !self.eat(",") {
                    return Err(self.wrong("`,` is missing"));
                }
                let second = self.sum()?;
                match name.as_str() {
                    "min" => Operation::Min(first, second),
                    _ => Operation::Max(first, second),
                }
            }
            "sqrt" => Operation::Sqrt(first),
            "exp" => Operation::Exp(first),
            "ln" | "log" => Operation::Ln(first),
            "log10" => Operation::Log10(first),
            "sin" => Operation::Sin(first),
            "cos" => Operation::Cos(first),
            "tan" => Operation::Tan(first),
            "atan" => Operation::Atan(first),
            "abs" => Operation::Abs(first),
            _ => {
                self.at = start;
                return Err(self.wrong("no such function"));
            }
        };
        if !self.eat(")") {
            return Err(self.wrong("`)` is missing"));
        }
        Ok(self.push(operation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Expression, PeakError> {
        Expression::parse("t", text, |name| match name {
            "a.center" => Ok(0),
            "b" => Ok(1),
            _ => Err(PeakError::Parameter { parameter: name.into(), known: "a.center, b".into() }),
        })
    }

    #[test]
    fn values_and_slopes() {
        let p = [2.0, 0.7];
        let mut sweep = Sweep::default();
        for (text, want) in [
            ("1 + 2*3", 7.0),
            ("-2^2", -4.0),
            ("2^-1", 0.5),
            ("2**3**2", 512.0),
            ("(1+2)*3 - 4/8", 8.5),
            ("a.center * b", 1.4),
            ("sqrt(a.center) + ln(b)", 2f64.sqrt() + 0.7f64.ln()),
            ("min(a.center, b) + max(b, 3) - abs(-b)", 3.0),
            ("1.5e-3*pi", 1.5e-3 * std::f64::consts::PI),
            ("exp(b)^2 / a.center", (1.4f64).exp() / 2.0),
            ("sin(b)*cos(b) + tan(b) - atan(b) + log10(b)", {
                let b = 0.7f64;
                b.sin() * b.cos() + b.tan() - b.atan() + b.log10()
            }),
            ("a.center^b", 2f64.powf(0.7)),
        ] {
            let expression = parse(text).unwrap();
            let mut slopes = [0.0; 2];
            let value = expression.slopes(&p, &mut sweep, |k, d| slopes[k] += d);
            assert!((value - want).abs() < 1e-13, "{text} {value} {want}");
            for k in 0..2 {
                let (mut up, mut down) = (p, p);
                up[k] += 1e-6;
                down[k] -= 1e-6;
                let want = (expression.value(&up, &mut sweep)
                    - expression.value(&down, &mut sweep))
                    / (up[k] - down[k]);
                assert!((slopes[k] - want).abs() < 1e-7, "{text} {k} {} {want}", slopes[k]);
            }
        }
    }

    #[test]
    fn degrees() {
        for (text, scales) in [
            ("2*b", true),
            ("b/2 + 3*b", true),
            ("-b*a.center", true),
            ("b + 1", false),
            ("b*b", false),
            ("1/b", false),
            ("sqrt(b)", false),
            ("a.center", false),
        ] {
            assert_eq!(parse(text).unwrap().scales_with(|k| k == 1), scales, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, part) in [
            ("", "ends too early"),
            ("1 +", "ends too early"),
            ("2 3", "after the end"),
            ("(1", "`)` is missing"),
            ("foo(1)", "no such function"),
            ("nope", "no parameter `nope`"),
            ("min(1)", "`,` is missing"),
            ("1.2.3", "not a number"),
            ("é(", "ends too early"),
            ("1 # 2", "after the end"),
            ("1e999", "not a number"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        assert!(parse(&"(".repeat(500)).is_err());
        assert!(parse(&"-".repeat(900)).is_err());
        assert!(parse(&"1+".repeat(900)).is_err());
    }
}
