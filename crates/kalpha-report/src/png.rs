//! PNG images of maps.

use crate::colour_scale::{ColourScale, Range};

/// An image cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The values do not fill the map.
    #[error("map {name}: {rows} x {cols} pixels, {got} values")]
    Shape {
        /// Name of the map.
        name: String,
        /// Lines.
        rows: usize,
        /// Pixels of a line.
        cols: usize,
        /// Values given.
        got: usize,
    },
    /// The encoder refused.
    #[error(transparent)]
    Encoding(#[from] png::EncodingError),
}

/// Colours of a map, row after row.
#[derive(Clone, Debug, PartialEq)]
pub struct Raster {
    /// Lines.
    pub rows: usize,
    /// Pixels of a line.
    pub cols: usize,
    /// Red, green, blue per pixel.
    pub pixels: Vec<[u8; 3]>,
}

impl Raster {
    /// Colours the values of a map.
    ///
    /// # Errors
    /// When the values do not fill the map.
    pub fn of_values(
        name: &str,
        (rows, cols): (usize, usize),
        values: &[f64],
        scale: ColourScale,
        range: &Range,
    ) -> Result<Self, ImageError> {
        check(name, rows, cols, values.len())?;
        let pixels = values.iter().map(|&v| scale.of(v, range)).collect();
        Ok(Self { rows, cols, pixels })
    }

    /// Every pixel becomes `factor` x `factor`, without smoothing.
    #[must_use]
    pub fn enlarged(&self, factor: usize) -> Self {
        let factor = factor.max(1);
        let (rows, cols) = (self.rows * factor, self.cols * factor);
        let pixels = (0..rows * cols)
            .map(|i| self.pixels[(i / cols / factor) * self.cols + i % cols / factor])
            .collect();
        Self { rows, cols, pixels }
    }

    /// The same with a colour bar to the right, high on top.
    #[must_use]
    pub fn with_colour_bar(&self, scale: ColourScale) -> Self {
        let bar = (self.cols / 24).clamp(6, 24);
        let gap = bar / 2;
        let cols = self.cols + gap + bar;
        let mut pixels = Vec::with_capacity(self.rows * cols);
        for row in 0..self.rows {
            pixels.extend_from_slice(&self.pixels[row * self.cols..(row + 1) * self.cols]);
            pixels.extend(std::iter::repeat_n([255; 3], gap));
            let t = 1.0 - row as f64 / (self.rows.max(2) - 1) as f64;
            pixels.extend(std::iter::repeat_n(scale.colour(t), bar));
        }
        Self { rows: self.rows, cols, pixels }
    }

    /// The image as a PNG file.
    ///
    /// # Errors
    /// When the image is empty or the encoder refuses.
    pub fn encode(&self) -> Result<Vec<u8>, ImageError> {
        check("image", self.rows, self.cols, self.pixels.len())?;
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.cols as u32, self.rows as u32);
        encoder.set_depth(png::BitDepth::Eight);
        let mut palette: Vec<[u8; 3]> = self.pixels.clone();
        palette.sort_unstable();
        palette.dedup();
        if palette.len() <= 256 {
            let index =
                self.pixels.iter().map(|p| palette.binary_search(p).unwrap_or(0) as u8).collect();
            encoder.set_color(png::ColorType::Indexed);
            encoder.set_palette(palette.concat());
            write(encoder, index)?;
        } else {
            encoder.set_color(png::ColorType::Rgb);
            write(encoder, self.pixels.concat())?;
        }
        Ok(bytes)
    }

    /// The image as a `data:` address.
    ///
    /// # Errors
    /// As [`Raster::encode`].
    pub fn data_uri(&self) -> Result<String, ImageError> {
        Ok(format!("data:image/png;base64,{}", base64(&self.encode()?)))
    }
}

fn check(name: &str, rows: usize, cols: usize, got: usize) -> Result<(), ImageError> {
    if rows.checked_mul(cols) == Some(got) && got > 0 {
        return Ok(());
    }
    Err(ImageError::Shape { name: name.to_owned(), rows, cols, got })
}

fn write(encoder: png::Encoder<'_, &mut Vec<u8>>, data: Vec<u8>) -> Result<(), ImageError> {
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&data)?;
    Ok(writer.finish()?)
}

/// Means over `factor` x `factor` blocks; pixels without a value are skipped.
pub(crate) fn binned(
    (rows, cols): (usize, usize),
    values: &[f64],
    factor: usize,
) -> (usize, usize, Vec<f64>) {
    let (out_rows, out_cols) = (rows.div_ceil(factor), cols.div_ceil(factor));
    let mut out = vec![f64::NAN; out_rows * out_cols];
    for r in 0..out_rows {
        for c in 0..out_cols {
            let (mut sum, mut n) = (0.0, 0.0);
            for row in r * factor..((r + 1) * factor).min(rows) {
                for col in c * factor..((c + 1) * factor).min(cols) {
                    let value = values[row * cols + col];
                    if value.is_finite() {
                        sum += value;
                        n += 1.0;
                    }
                }
            }
            if n > 0.0 {
                out[r * out_cols + c] = sum / n;
            }
        }
    }
    (out_rows, out_cols, out)
}

/// RFC 4648.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().enumerate().fold(0u32, |w, (i, b)| w | u32::from(*b) << (16 - 8 * i));
        for i in 0..4 {
            let symbol = ALPHABET[(word >> (18 - 6 * i) & 63) as usize];
            out.push(if i <= chunk.len() { char::from(symbol) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8]) -> Raster {
        let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
        decoder.set_transformations(png::Transformations::EXPAND);
        let mut reader = decoder.read_info().unwrap();
        let mut data = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut data).unwrap();
        let pixels = data.chunks(3).take((info.width * info.height) as usize);
        Raster {
            rows: info.height as usize,
            cols: info.width as usize,
            pixels: pixels.map(|p| [p[0], p[1], p[2]]).collect(),
        }
    }

    #[test]
    fn images_decode_to_what_was_drawn() {
        let few = Raster { rows: 2, cols: 3, pixels: (0..6).map(|i| [i, 2 * i, 9]).collect() };
        assert_eq!(decode(&few.encode().unwrap()), few);
        let many = (0..900u32).map(|i| [(i % 256) as u8, (i / 256) as u8, 7]).collect();
        let many = Raster { rows: 30, cols: 30, pixels: many };
        assert_eq!(decode(&many.encode().unwrap()), many);
    }

    #[test]
    fn enlarging_repeats_pixels() {
        let image = Raster { rows: 1, cols: 2, pixels: vec![[1; 3], [2; 3]] };
        let large = image.enlarged(2);
        assert_eq!((large.rows, large.cols), (2, 4));
        assert_eq!(large.pixels[4..], [[1; 3], [1; 3], [2; 3], [2; 3]]);
        let bar = large.with_colour_bar(ColourScale::Sequential);
        assert_eq!(bar.pixels.len(), bar.rows * bar.cols);
        assert_eq!(bar.pixels[bar.cols - 1], ColourScale::Sequential.colour(1.0));
    }

    #[test]
    fn wrong_shapes_are_errors() {
        let range = ColourScale::Sequential.range(&[1.0]);
        let wrong = Raster::of_values("x", (2, 2), &[1.0], ColourScale::Sequential, &range);
        assert!(matches!(wrong, Err(ImageError::Shape { got: 1, .. })));
        let empty = Raster { rows: 0, cols: 0, pixels: vec![] };
        assert!(empty.encode().is_err());
    }

    #[test]
    fn base64_follows_rfc_4648() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn bins_average_what_has_a_value() {
        let (rows, cols, out) = binned((2, 3), &[1.0, 3.0, f64::NAN, 1.0, 3.0, 8.0], 2);
        assert_eq!((rows, cols, out), (1, 2, vec![2.0, 8.0]));
    }
}
