//! Ordinates in ASCII squeezed difference form.
//!
//! `A`..`I` and `a`..`i` start a value with its sign and first digit (SQZ), `J`..`R` and `j`..`r` a
//! difference from the value before (DIF), `S`..`Z` and `s` say how often the last one stands
//! (DUP); `+` and `-` start a value as well (PAC). A line that follows a difference repeats the
//! last ordinate as a check.

/// Why a line cannot be read, and at which byte of it.
#[derive(Debug, PartialEq)]
pub(super) struct Wrong {
    pub at: usize,
    pub expected: &'static str,
}

/// Repeats make no more values than this, however many a damaged file asks for.
const MOST: usize = 1 << 20;

/// What a number is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    Value,
    Difference,
    Repeat,
}

/// A number and where it starts.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Item {
    form: Form,
    number: f64,
    at: usize,
}

/// Form, sign and first digit of a pseudo-digit.
fn pseudo(letter: u8) -> Option<(Form, f64, u8)> {
    Some(match letter {
        b'@' => (Form::Value, 1.0, 0),
        b'A'..=b'I' => (Form::Value, 1.0, letter - b'A' + 1),
        b'a'..=b'i' => (Form::Value, -1.0, letter - b'a' + 1),
        b'%' => (Form::Difference, 1.0, 0),
        b'J'..=b'R' => (Form::Difference, 1.0, letter - b'J' + 1),
        b'j'..=b'r' => (Form::Difference, -1.0, letter - b'j' + 1),
        b'S'..=b'Z' => (Form::Repeat, 1.0, letter - b'S' + 1),
        b's' => (Form::Repeat, 1.0, 9),
        _ => return None,
    })
}

/// Length of an exponent at the start: `E+05`, `E-3`. Without a sign `E` is a pseudo-digit.
fn exponent(bytes: &[u8]) -> usize {
    match bytes {
        [b'E' | b'e', b'+' | b'-', digits @ ..] => {
            let n = digits.iter().take_while(|b| b.is_ascii_digit()).count();
            if (1..=3).contains(&n) { 2 + n } else { 0 }
        }
        _ => 0,
    }
}

fn items(line: &str) -> Result<Vec<Item>, Wrong> {
    let bytes = line.as_bytes();
    let mut items = Vec::new();
    let mut at = 0;
    while let Some(&b) = bytes.get(at) {
        let start = at;
        if matches!(b, b' ' | b'\t' | b',' | b';' | b'\r' | b'\n') {
            at += 1;
            continue;
        }
        if b == b'?' {
            // A point that was not measured.
            items.push(Item { form: Form::Value, number: f64::NAN, at });
            at += 1;
            continue;
        }
        let mut text = String::new();
        let (form, sign) = match pseudo(b) {
            Some((form, sign, digit)) => {
                text.push(char::from(b'0' + digit));
                at += 1;
                (form, sign)
            }
            None if matches!(b, b'+' | b'-') => {
                at += 1;
                (Form::Value, if b == b'-' { -1.0 } else { 1.0 })
            }
            None => (Form::Value, 1.0),
        };
        while let Some(&b) = bytes.get(at).filter(|b| b.is_ascii_digit() || **b == b'.') {
            text.push(char::from(b));
            at += 1;
        }
        let tail = exponent(&bytes[at..]);
        text.push_str(line.get(at..at + tail).unwrap_or_default());
        at += tail;
        let number: f64 =
            text.parse().map_err(|_| Wrong { at: start, expected: "a number or pseudo-digit" })?;
        items.push(Item { form, number: sign * number, at: start });
    }
    Ok(items)
}

/// Ordinates gathered line by line.
#[derive(Default)]
pub(super) struct Ordinates {
    /// All ordinates so far, unscaled.
    pub y: Vec<f64>,
    /// Abscissa at the start of each line, unscaled, and the number of its first ordinate.
    pub x: Vec<(f64, usize)>,
    /// Lines whose check value was not the last ordinate.
    pub failed_checks: usize,
    /// The last line ended with a difference.
    after_difference: bool,
    /// Values made by repeats.
    repeated: usize,
}

impl Ordinates {
    /// Adds a line: abscissa, then ordinates.
    pub fn push(&mut self, line: &str) -> Result<(), Wrong> {
        let items = items(line)?;
        let Some((x, ordinates)) = items.split_first() else { return Ok(()) };
        if x.form != Form::Value {
            return Err(Wrong { at: x.at, expected: "an abscissa at the start of the line" });
        }
        let mut check = self.after_difference && !ordinates.is_empty();
        self.x.push((x.number, self.y.len() - usize::from(check && !self.y.is_empty())));
        let mut last: Option<(Form, f64)> = None;
        for item in ordinates {
            match item.form {
                Form::Value if check => {
                    // The check value is the last ordinate once more.
                    let before = self.y.last().copied().unwrap_or(f64::NAN);
                    self.failed_checks += usize::from(item.number != before);
                    last = Some((Form::Value, item.number));
                }
                Form::Value => {
                    self.y.push(item.number);
                    last = Some((Form::Value, item.number));
                }
                Form::Difference => {
                    let before = self.y.last().copied().ok_or(Wrong {
                        at: item.at,
                        expected: "a value before the first difference",
                    })?;
                    self.y.push(before + item.number);
                    last = Some((Form::Difference, item.number));
                }
                Form::Repeat => {
                    let (form, number) =
                        last.ok_or(Wrong { at: item.at, expected: "something to repeat" })?;
                    let times = item.number as usize;
                    self.repeated = self.repeated.saturating_add(times);
                    if times == 0 || self.repeated > MOST {
                        return Err(Wrong { at: item.at, expected: "a number of repeats" });
                    }
                    for _ in 1..times {
                        let before = self.y.last().copied().unwrap_or(0.0);
                        let next = if form == Form::Difference { before + number } else { number };
                        self.y.push(next);
                    }
                }
            }
            check = false;
        }
        self.after_difference = last.is_some_and(|(form, _)| form == Form::Difference);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Ordinates {
        let mut ordinates = Ordinates::default();
        lines.iter().for_each(|l| ordinates.push(l).unwrap());
        ordinates
    }

    /// The example of McDonald and Wilks (1988): one line in all forms.
    #[test]
    fn every_form_of_the_same_line() {
        let expected = [1.0, 2.0, 3.0, 3.0, 2.0, 1.0, 0.0, -1.0, -2.0, -3.0];
        for line in [
            "0 1 2 3 3 2 1 0 -1 -2 -3",
            "0+1+2+3+3+2+1+0-1-2-3",
            "0ABCCBA@abc",
            "0AJJ%jjjjjj",
            "0AJT%jX",
        ] {
            assert_eq!(read(&[line]).y, expected, "{line}");
        }
    }

    #[test]
    fn check_values_are_left_out_and_compared() {
        let found = read(&["600A0K0", "602C0J1", "604D1B"]);
        assert_eq!(found.y, [10.0, 30.0, 41.0, 2.0]);
        assert_eq!(found.failed_checks, 0);
        assert_eq!(found.x, [(600.0, 0), (602.0, 1), (604.0, 2)]);
        assert_eq!(read(&["600A0K0", "602C1J1"]).failed_checks, 1);
        // A value may be repeated, too, and a line without differences has no check behind it.
        assert_eq!(read(&["1 A5V B", "5 C"]).y, [15.0, 15.0, 15.0, 15.0, 2.0, 3.0]);
    }

    #[test]
    fn exponents_and_missing_points() {
        let found = read(&["4.5E+02 1.5E-3, ? ;2.0E+05"]);
        assert_eq!(found.x[0].0, 450.0);
        assert_eq!((found.y[0], found.y[2]), (1.5e-3, 2e5));
        assert!(found.y[1].is_nan());
        // Without a sign E is five.
        assert_eq!(read(&["1A2E3"]).y, [12.0, 53.0]);
    }

    #[test]
    fn what_is_no_table_is_refused() {
        for line in ["J1 2", "1 S", "1 J", "1 2 !", "1 1.2.3", "1 A s99999999999"] {
            assert!(Ordinates::default().push(line).is_err(), "{line}");
        }
    }
}
