//! Items, one a line.

use crate::{Input, IoError};

/// The lines of a file, read one by one.
pub(super) struct Lines<'a> {
    input: &'a Input,
    rest: &'a str,
    offset: u64,
}

impl<'a> Lines<'a> {
    pub fn new(input: &'a Input, text: &'a str) -> Self {
        Self { input, rest: text, offset: 0 }
    }

    /// The next line without its end.
    pub fn text(&mut self, field: &str) -> Result<&'a str, IoError> {
        if self.rest.is_empty() {
            return Err(self.input.corrupt(self.offset, field, "a line", "the end of the file"));
        }
        let end = self.rest.find('\n').map_or(self.rest.len(), |i| i + 1);
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest;
        self.offset += end as u64;
        Ok(line.trim_end_matches(['\r', '\n']))
    }

    /// The next line, of which only blanks would be skipped.
    pub fn first(&mut self, field: &str) -> Result<&'a str, IoError> {
        loop {
            let line = self.text(field)?;
            if !line.trim().is_empty() {
                return Ok(line);
            }
        }
    }

    /// The next line as a finite number.
    pub fn number(&mut self, field: &str) -> Result<f64, IoError> {
        let at = self.offset;
        let text = self.text(field)?;
        let number = text.trim().parse().ok().filter(|x: &f64| x.is_finite());
        number.ok_or_else(|| self.input.corrupt(at, field, "a number", format!("{text:.40}")))
    }

    /// The next line as a number of things, each of which takes at least one more byte.
    pub fn count(&mut self, field: &str) -> Result<usize, IoError> {
        let at = self.offset;
        let number = self.number(field)?;
        if number < 0.0 || number.fract() != 0.0 {
            return Err(self.input.corrupt(at, field, "a whole number", number));
        }
        let most = self.rest.len() as u64;
        if number > most as f64 {
            return Err(self.input.too_large(field, number as u64, most));
        }
        Ok(number as usize)
    }

    /// The next `n` lines.
    pub fn texts(&mut self, n: usize, field: &str) -> Result<Vec<String>, IoError> {
        (0..n).map(|_| self.text(field).map(str::to_owned)).collect()
    }

    pub fn offset(&self) -> u64 {
        self.offset
    }
}
