//! Numbers and texts at stated bytes of a file, or the error that names them.

use crate::{Input, IoError, xml};

/// Reads fields of a binary file in one byte order.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    input: &'a Input,
    big_endian: bool,
}

macro_rules! numbers {
    ($($name:ident: $type:ty),*) => {$(
        pub fn $name(&self, at: usize, field: &str) -> Result<$type, IoError> {
            let bytes = self.array(at, field)?;
            let order =
                if self.big_endian { <$type>::from_be_bytes } else { <$type>::from_le_bytes };
            Ok(order(bytes))
        }
    )*};
}

impl<'a> Fields<'a> {
    pub fn little_endian(input: &'a Input) -> Self {
        Self { input, big_endian: false }
    }

    /// The file.
    pub fn input(&self) -> &'a Input {
        self.input
    }

    pub fn big_endian(input: &'a Input) -> Self {
        Self { input, big_endian: true }
    }

    /// `n` bytes from `at` on.
    pub fn bytes(&self, at: usize, n: usize, field: &str) -> Result<&'a [u8], IoError> {
        let bytes: &'a [u8] = self.input.bytes();
        let end = at.checked_add(n);
        end.and_then(|end| bytes.get(at..end)).ok_or_else(|| {
            let got = format!("the end of the file, byte {}", bytes.len());
            self.input.corrupt(at as u64, field, format!("{n} bytes"), got)
        })
    }

    fn array<const N: usize>(&self, at: usize, field: &str) -> Result<[u8; N], IoError> {
        let mut out = [0; N];
        out.copy_from_slice(self.bytes(at, N, field)?);
        Ok(out)
    }

    numbers!(u16: u16, i16: i16, u32: u32, i32: i32, f32: f32, f64: f64);

    /// A length or a number of things, as an index.
    pub fn count(&self, at: usize, field: &str) -> Result<usize, IoError> {
        Ok(self.u32(at, field)? as usize)
    }

    /// Text up to the first zero, of at most `n` bytes, without blanks around it.
    pub fn text(&self, at: usize, n: usize, field: &str) -> Result<String, IoError> {
        let bytes = self.bytes(at, n, field)?;
        let end = bytes.iter().position(|b| *b == 0).unwrap_or(n);
        Ok(xml::decode(&bytes[..end]).trim().to_owned())
    }

    /// `n` values of type f32, `stride` bytes from one to the next.
    pub fn f32s(
        &self,
        at: usize,
        n: usize,
        stride: usize,
        field: &str,
    ) -> Result<Vec<f64>, IoError> {
        let length = n.saturating_mul(stride.max(4));
        let bytes = self.bytes(at, length, field)?;
        let order = if self.big_endian { f32::from_be_bytes } else { f32::from_le_bytes };
        let first = |chunk: &[u8]| chunk.first_chunk().map_or(f64::NAN, |b| f64::from(order(*b)));
        Ok(bytes.chunks_exact(stride.max(4)).map(first).collect())
    }
}
