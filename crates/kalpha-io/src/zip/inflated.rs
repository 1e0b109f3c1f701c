//! Deflated bytes (RFC 1951) read from any place, without holding all of them.
//!
//! What was once unpacked leaves a copy of the decoder's state behind every 8 MiB, so that a
//! place is reached again by unpacking one such span. A copy takes 43 KiB: 0.5 % of the bytes.

use crate::{Input, IoError};
use miniz_oxide::{
    DataFormat, MZError, MZFlush, MZStatus,
    inflate::stream::{InflateState, inflate},
};
use std::{
    collections::VecDeque,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

/// Bytes between two states.
const SPAN: usize = 8 << 20;

/// Unpacked spans kept at hand, as two threads read them.
const KEPT: usize = 4;

/// A state of the decoder.
struct Point {
    /// Packed bytes it has taken.
    taken: usize,
    state: Box<InflateState>,
}

#[derive(Default)]
struct Known {
    /// One state per span, as far as the bytes were unpacked.
    points: Vec<Point>,
    /// Spans by number.
    spans: VecDeque<(usize, Arc<Vec<u8>>)>,
}

/// A deflated part of a file.
pub(crate) struct Inflated {
    input: Input,
    name: String,
    packed: Range<usize>,
    known: Mutex<Known>,
}

impl Inflated {
    /// The bytes `packed` of the file; the caller has checked that they are there.
    pub fn new(input: &Input, name: &str, packed: Range<usize>) -> Self {
        let known = Mutex::default();
        Self { input: input.clone(), name: name.to_owned(), packed, known }
    }

    fn corrupt(&self, taken: usize, got: impl ToString) -> IoError {
        let offset = (self.packed.start + taken) as u64;
        self.input.corrupt(offset, self.name.as_str(), "deflated bytes", got)
    }

    /// The first bytes, at most `n`; nothing is kept of them.
    pub fn beginning(&self, n: usize) -> Result<Vec<u8>, IoError> {
        let state = InflateState::new_boxed(DataFormat::Raw);
        self.unpack(&mut Point { taken: 0, state }, n)
    }

    /// Unpacks up to `most` bytes; fewer are the last.
    fn unpack(&self, point: &mut Point, most: usize) -> Result<Vec<u8>, IoError> {
        let packed = &self.input.bytes()[self.packed.clone()];
        let (mut out, mut filled) = (Vec::new(), 0);
        loop {
            // The bytes that come are not known before they do.
            if filled == out.len() {
                if filled == most {
                    return Ok(out);
                }
                out.resize((2 * filled).max(1 << 12).min(most), 0);
            }
            let rest = packed.get(point.taken..).unwrap_or_default();
            let step = inflate(&mut point.state, rest, &mut out[filled..], MZFlush::None);
            point.taken += step.bytes_consumed;
            filled += step.bytes_written;
            match step.status {
                Ok(MZStatus::StreamEnd) => break,
                Ok(_) if step.bytes_consumed + step.bytes_written > 0 => {}
                Ok(_) | Err(MZError::Buf) => {
                    return Err(self.corrupt(point.taken, "an early end"));
                }
                Err(error) => return Err(self.corrupt(point.taken, format!("{error:?}"))),
            }
        }
        out.truncate(filled);
        Ok(out)
    }

    fn span(&self, number: usize) -> Result<Arc<Vec<u8>>, IoError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, span)) = known.spans.iter().find(|(n, _)| *n == number) {
            return Ok(Arc::clone(span));
        }
        if known.points.is_empty() {
            let state = InflateState::new_boxed(DataFormat::Raw);
            known.points.push(Point { taken: 0, state });
        }
        let mut at = number.min(known.points.len() - 1);
        loop {
            let from = &known.points[at];
            let mut point = Point { taken: from.taken, state: from.state.clone() };
            let before = point.taken;
            let span = Arc::new(self.unpack(&mut point, SPAN)?);
            self.input.used(point.taken - before);
            if at + 1 == known.points.len() && span.len() == SPAN {
                known.points.push(point);
            }
            let last = span.len() < SPAN;
            known.spans.push_back((at, Arc::clone(&span)));
            if known.spans.len() > KEPT {
                known.spans.pop_front();
            }
            if at == number {
                return Ok(span);
            }
            if last {
                return Ok(Arc::new(Vec::new()));
            }
            at += 1;
        }
    }

    /// The bytes of a range, fewer where they end before.
    pub fn read(&self, range: Range<usize>) -> Result<Vec<u8>, IoError> {
        let mut out = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let span = self.span(at / SPAN)?;
            let from = at % SPAN;
            let to = span.len().min(from + (range.end - at));
            match span.get(from..to) {
                Some(part) if !part.is_empty() => out.extend_from_slice(part),
                _ => break,
            }
            at += to - from;
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::DeflateEncoder};
    use std::{io::Write, path::Path};

    #[test]
    fn any_range_is_what_was_packed() {
        let bytes: Vec<u8> = (0..3 * SPAN + 4321).map(|i| (i / 3 * 7 % 251) as u8).collect();
        let mut encoder = DeflateEncoder::new(b"--".to_vec(), Compression::fast());
        encoder.write_all(&bytes).unwrap();
        let packed = encoder.finish().unwrap();
        let n = packed.len();
        let input = Input::from_bytes(Path::new("x"), packed);
        let inflated = Inflated::new(&input, "member", 2..n);
        let end = bytes.len();
        for range in [
            3 * SPAN - 5..3 * SPAN + 9,
            0..10,
            SPAN - 1..2 * SPAN + 1,
            end - 3..end,
            2 * SPAN..2 * SPAN + 77,
            0..SPAN,
        ] {
            assert!(inflated.read(range.clone()).unwrap() == bytes[range.clone()], "{range:?}");
        }
        assert_eq!(inflated.read(end - 3..end + 50).unwrap().len(), 3);
        assert_eq!(inflated.beginning(70_000).unwrap(), bytes[..70_000]);
        assert_eq!(inflated.beginning(end + 9).unwrap().len(), end);
        assert!(inflated.read(end + 9 * SPAN..end + 9 * SPAN + 1).unwrap().is_empty());
        // Cut short, and nothing at all.
        for last in [n - 9, 2] {
            let cut = Inflated::new(&input, "member", 2..last);
            assert!(matches!(cut.read(end - 3..end), Err(IoError::Corrupt { .. })));
        }
    }
}
