//! From banks to signals.

use crate::{
    Input, IoError, diffraction,
    signal_list::{Signal, SignalList, Whole, axis_of_points},
    xml,
};
use kalpha_core::{Axis, Code, Diagnostic, Unit};
use serde_json::{Value, json};

/// How the values of a bank are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    Std,
    Esd,
    Fxy,
    Fxye,
}

impl Layout {
    /// Each point has a line with its position.
    fn has_positions(self) -> bool {
        matches!(self, Self::Fxy | Self::Fxye)
    }
}

/// A `BANK` line.
struct Bank {
    number: String,
    points: usize,
    bins: String,
    first: f64,
    step: f64,
    layout: Layout,
}

/// True for a line that starts a bank.
pub(super) fn is_bank(line: &str) -> bool {
    let mut words = line.split_ascii_whitespace();
    words.next() == Some("BANK")
        && words.by_ref().take(3).filter(|w| w.parse::<f64>().is_ok()).count() == 3
        && words.next().is_some_and(|w| w.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
}

fn bank(input: &Input, line: &str, offset: u64) -> Result<Bank, IoError> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let word = |i: usize| words.get(i).copied().unwrap_or_default();
    let number = |i: usize| word(i).parse::<f64>().ok().filter(|x| x.is_finite());
    let points = number(2).filter(|n| *n >= 1.0 && *n < 1e9).ok_or_else(|| {
        input.corrupt(offset, "BANK", "a number of points", format!("{:.40}", word(2)))
    })?;
    // Trailing words may be missing; what is left are the numbers.
    let last = words.last().copied().unwrap_or_default();
    let layout = match last {
        "ESD" => Layout::Esd,
        "FXY" => Layout::Fxy,
        "FXYE" => Layout::Fxye,
        "STD" => Layout::Std,
        number if number.parse::<f64>().is_ok() => Layout::Std,
        other => {
            return Err(IoError::Unsupported {
                file: input.path().to_owned(),
                field: format!("BANK {} data type", word(1)),
                got: format!("{other:.40}"),
                supported: "STD, ESD, FXY, FXYE".to_owned(),
                hint: "export the pattern as FXYE",
            });
        }
    };
    Ok(Bank {
        number: word(1).to_owned(),
        points: points as usize,
        bins: word(4).to_owned(),
        first: number(5).unwrap_or(0.0),
        step: number(6).unwrap_or(0.0),
        layout,
    })
}

/// One value of fixed width; blanks between digits are none.
fn field(input: &Input, line: &str, at: usize, width: usize, start: u64) -> Result<f64, IoError> {
    let text = line.get(at..(at + width).min(line.len())).unwrap_or_default().trim();
    text.parse().map_err(|_| {
        input.corrupt(start + at as u64, "bank value", "a number", format!("{text:.20}"))
    })
}

/// Columns of a bank: positions (where given), intensities, deviations (where given).
#[derive(Default)]
struct Values {
    x: Vec<f64>,
    y: Vec<f64>,
    esd: Vec<f64>,
}

impl Values {
    fn push(
        &mut self,
        input: &Input,
        line: &str,
        start: u64,
        layout: Layout,
    ) -> Result<(), IoError> {
        if !line.is_ascii() {
            return Err(input.corrupt(start, "bank", "numbers", "characters of another kind"));
        }
        match layout {
            Layout::Std => {
                // An integer of two places counts the detectors summed; 0 and blank mean one.
                for at in (0..line.trim_end().len()).step_by(8) {
                    let detectors = line.get(at..at + 2).unwrap_or_default().trim();
                    let y = field(input, line, at + 2, 6, start)?;
                    let n = detectors.parse::<f64>().unwrap_or(1.0).max(1.0);
                    self.y.push(y);
                    self.esd.push((y.max(0.0) / n).sqrt());
                }
            }
            Layout::Esd => {
                for at in (0..line.trim_end().len()).step_by(16) {
                    self.y.push(field(input, line, at, 8, start)?);
                    self.esd.push(field(input, line, at + 8, 8, start)?);
                }
            }
            Layout::Fxy | Layout::Fxye => {
                let numbers = diffraction::numbers(input, line, start, "bank value")?;
                match (numbers[..].first_chunk::<3>(), numbers.get(..2)) {
                    (Some([x, y, e]), _) if layout == Layout::Fxye => {
                        self.x.push(*x);
                        self.y.push(*y);
                        self.esd.push(*e);
                    }
                    (_, Some([x, y])) if layout == Layout::Fxy => {
                        self.x.push(*x);
                        self.y.push(*y);
                    }
                    _ => {
                        let wanted = if layout == Layout::Fxye { "3" } else { "2" };
                        let got = format!("{} numbers", numbers.len());
                        let wanted = format!("{wanted} numbers a line");
                        return Err(input.corrupt(start, "bank", wanted, got));
                    }
                }
            }
        }
        Ok(())
    }
}

/// The axis of a bank: centidegree become degree, times stay microseconds.
fn axis(input: &Input, bank: &Bank, x: Vec<f64>, n: usize) -> Result<Axis, IoError> {
    let angles = bank.bins.starts_with("CON");
    match (angles, x.is_empty()) {
        (true, false) => Ok(diffraction::two_theta(x.into_iter().map(|x| x / 100.0).collect())),
        (true, true) => {
            let (first, step) = (bank.first / 100.0, bank.step / 100.0);
            Ok(diffraction::stepped("2theta", Unit::Degree2Theta, first, step, n))
        }
        (false, false) => Ok(axis_of_points("time of flight", Unit::Other("us".to_owned()), x)),
        (false, true) => Err(IoError::Unsupported {
            file: input.path().to_owned(),
            field: format!("BANK {} bin type", bank.number),
            got: bank.bins.clone(),
            supported: "CONS, or any with positions (FXY, FXYE)".to_owned(),
            hint: "export the pattern as FXYE",
        }),
    }
}

pub(super) fn list(input: &Input) -> Result<SignalList, IoError> {
    let text = xml::decode(input.bytes());
    let (mut header, mut banks): (Vec<String>, Vec<(Bank, Values)>) = (Vec::new(), Vec::new());
    let mut open: Option<Bank> = None;
    let mut values = Values::default();
    let mut offset = 0u64;
    for whole in text.split_inclusive('\n') {
        let (line, start) = (whole.trim_end(), offset);
        offset += whole.len() as u64;
        if is_bank(line) {
            if let Some(bank) = open.take() {
                banks.push((bank, std::mem::take(&mut values)));
            }
            header.push(line.to_owned());
            open = Some(bank(input, line, start)?);
        } else if line.trim().is_empty() {
        } else if line.starts_with('#') || open.is_none() {
            header.push(line.to_owned());
        } else if let Some(bank) = &open
            && (values.y.len() < bank.points || bank.layout.has_positions())
        {
            values.push(input, line, start, bank.layout)?;
        }
    }
    banks.extend(open.map(|bank| (bank, values)));
    if banks.is_empty() {
        return Err(input.corrupt(offset, "BANK", "a line that starts a bank", "none"));
    }
    let stated = header.iter().find_map(|l| diffraction::stated_wavelength(l));
    let mut metadata = diffraction::metadata(stated);
    let title = header.first().filter(|l| !l.starts_with('#') && !is_bank(l));
    metadata.title = title.map(|l| l.trim().to_owned());
    let single = banks.len() == 1;
    let (mut signals, mut diagnostics) = (Vec::new(), Vec::new());
    for (bank, mut values) in banks {
        let (found, stated) = (values.y.len(), bank.points);
        if found == 0 {
            return Err(input.corrupt(offset, "bank", format!("{stated} values"), "none"));
        }
        if found < stated {
            let message = format!("BANK {} states {stated} points, {found} are there", bank.number);
            diagnostics.push(Diagnostic::warning(Code::Truncated, message));
        }
        if bank.layout.has_positions() {
            if found > stated {
                let message = format!(
                    "BANK {} states {stated} points, {found} are there; all were kept",
                    bank.number
                );
                diagnostics.push(Diagnostic::warning(Code::VendorDisagrees, message));
            }
        } else {
            // The last line of a bank may be filled with zeros.
            values.y.truncate(stated);
            values.esd.truncate(stated);
        }
        let axis = axis(input, &bank, values.x, values.y.len())?;
        let name = if single { "intensity".to_owned() } else { format!("bank {}", bank.number) };
        let esd = if single { "esd".to_owned() } else { format!("{name} esd") };
        let counts = bank.layout == Layout::Std;
        let whole = if counts { Whole::Counts } else { Whole::NoCounts };
        signals.push(Signal::spectrum(name, axis.clone(), values.y, whole));
        if !values.esd.is_empty() {
            signals.push(Signal::spectrum(esd, axis, values.esd, Whole::NoCounts));
        }
    }
    signals.iter_mut().for_each(|s| s.metadata = metadata.clone());
    let vendor: Value = json!({ "header": header });
    Ok(SignalList {
        format: "gsas",
        version: None,
        signals,
        series: Vec::new(),
        default: 0,
        remark: String::new(),
        vendor,
        diagnostics,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn read(text: &str) -> SignalList {
        list(&Input::from_bytes(Path::new("a.gsas"), text.as_bytes().to_vec())).unwrap()
    }

    #[test]
    fn standard_banks_count_detectors() {
        let list = read("title\nBANK 1 3 1 CONS 500.0 2.0 0 0 STD\n     100 4   200     9.5\n");
        assert_eq!(list.names(), ["intensity", "esd"]);
        assert_eq!(list.signals[0].values, [100.0, 200.0, 9.5]);
        assert_eq!(list.signals[1].values[..2], [10.0, 50f64.sqrt()]);
        assert_eq!(list.signals[0].axis.offset_scale(), Some((5.0, 0.02)));
        assert_eq!(list.signals[0].metadata.title.as_deref(), Some("title"));
    }

    #[test]
    fn deviations_and_several_banks() {
        let text = "t\nBANK 1 2 1 CONST 500 2 0 0 ESD\n   100.0    10.0   121.0    11.0\n\
                    BANK 2 2 2 SLOG 1000 2 0 0 FXYE\n1000 5 1\n1002 6 2\n";
        let list = read(text);
        assert_eq!(list.names(), ["bank 1", "bank 1 esd", "bank 2", "bank 2 esd"]);
        assert_eq!(list.signals[1].values, [10.0, 11.0]);
        assert_eq!(list.signals[2].axis.unit, Unit::Other("us".to_owned()));
        assert_eq!(list.signals[2].axis.to_vec(), [1000.0, 1002.0]);
    }

    #[test]
    fn data_types_that_are_not_known_say_so() {
        let text = b"t\nBANK 1 2 1 TIME_MAP 1 2 0 0 ALT\n1 2 3\n".to_vec();
        let input = Input::from_bytes(Path::new("a.gsas"), text);
        assert!(matches!(list(&input), Err(IoError::Unsupported { .. })));
    }
}
