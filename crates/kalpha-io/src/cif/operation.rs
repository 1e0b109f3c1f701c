//! Symmetry operations: `1/2+x,-y,z`.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Translations are whole multiples of this part of an axis.
pub(super) const PARTS: i32 = 24;

/// A symmetry operation: `x' = rotation x + translation`, in fractions of the cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Operation {
    /// Rotation, row by row.
    pub rotation: [[i8; 3]; 3],
    /// Translation in 24ths of the axes, 0 to 23.
    pub translation: [i8; 3],
}

impl Operation {
    /// `x,y,z`.
    pub const IDENTITY: Self =
        Self { rotation: [[1, 0, 0], [0, 1, 0], [0, 0, 1]], translation: [0; 3] };

    /// Reads `1/2+x, -y, z`, with capitals, decimals and `x-y` as well.
    ///
    /// `None` where it is no operation, or a translation is no multiple of 1/24.
    pub fn parse(text: &str) -> Option<Self> {
        let mut operation = Self { rotation: [[0; 3]; 3], translation: [0; 3] };
        let mut parts = text.trim().trim_matches(['\'', '"']).split(',');
        for i in 0..3 {
            let (row, shift) = component(parts.next()?)?;
            operation.rotation[i] = row;
            operation.translation[i] = shift;
        }
        let regular = operation.determinant().abs() == 1;
        (parts.next().is_none() && regular).then_some(operation)
    }

    pub(super) fn determinant(&self) -> i32 {
        let r = self.rotation.map(|row| row.map(i32::from));
        r[0][0] * (r[1][1] * r[2][2] - r[1][2] * r[2][1])
            - r[0][1] * (r[1][0] * r[2][2] - r[1][2] * r[2][0])
            + r[0][2] * (r[1][0] * r[2][1] - r[1][1] * r[2][0])
    }

    /// This operation after another; `None` where the rotations make no small numbers.
    pub(super) fn after(&self, first: &Self) -> Option<Self> {
        let mut out = Self::IDENTITY;
        for i in 0..3 {
            let mut shift = i32::from(self.translation[i]);
            for j in 0..3 {
                let product: i32 = (0..3)
                    .map(|k| i32::from(self.rotation[i][k]) * i32::from(first.rotation[k][j]))
                    .sum();
                out.rotation[i][j] = i8::try_from(product).ok()?;
                shift += i32::from(self.rotation[i][j]) * i32::from(first.translation[j]);
            }
            out.translation[i] = i8::try_from(shift.rem_euclid(PARTS)).ok()?;
        }
        Some(out)
    }

    /// Where the operation takes a point; not brought back into the cell.
    pub fn apply(&self, x: [f64; 3]) -> [f64; 3] {
        let shift = self.translation.map(|t| f64::from(t) / f64::from(PARTS));
        let row = |i: usize| {
            let r = self.rotation[i];
            f64::from(r[0]) * x[0] + f64::from(r[1]) * x[1] + f64::from(r[2]) * x[2] + shift[i]
        };
        [row(0), row(1), row(2)]
    }
}

/// One component: factors of x, y, z and the translation in 24ths.
fn component(text: &str) -> Option<([i8; 3], i8)> {
    let (mut row, mut shift) = ([0i8; 3], 0.0f64);
    let compact: String = text.chars().filter(|c| !c.is_whitespace() && *c != '*').collect();
    let mut rest = compact.as_str();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let sign = if rest.starts_with('-') { -1.0 } else { 1.0 };
        rest = rest.strip_prefix(['+', '-']).unwrap_or(rest);
        let end = rest.find(['+', '-']).unwrap_or(rest.len());
        let (term, tail) = rest.split_at(end);
        rest = tail;
        let variable = term.find(['x', 'y', 'z', 'X', 'Y', 'Z', 'a', 'b', 'c']);
        let number = match variable {
            Some(at) => format!("{}{}", &term[..at], term.get(at + 1..)?),
            None => term.to_owned(),
        };
        let value = if number.is_empty() && variable.is_some() {
            1.0
        } else {
            super::Measured::parse(&number)?.value
        };
        match variable.and_then(|at| term.as_bytes().get(at)) {
            Some(letter) => {
                let i = match letter.to_ascii_lowercase() {
                    b'x' | b'a' => 0,
                    b'y' | b'b' => 1,
                    _ => 2,
                };
                if value.fract() != 0.0 || value.abs() > 4.0 {
                    return None;
                }
                row[i] = row[i].checked_add((sign * value) as i8)?;
            }
            None => shift += sign * value,
        }
    }
    let parts = shift * f64::from(PARTS);
    // 0.3333 and 0.166667 are meant as thirds and sixths.
    let whole = parts.round();
    if !((parts - whole).abs() < 0.05 && whole.abs() < 1e6) {
        return None;
    }
    let wrapped = (whole as i32).rem_euclid(PARTS);
    Some((row, i8::try_from(wrapped).ok()?))
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for i in 0..3 {
            if i > 0 {
                f.write_str(",")?;
            }
            let mut first = true;
            for (factor, name) in self.rotation[i].iter().zip(["x", "y", "z"]) {
                match (*factor, first) {
                    (0, _) => continue,
                    (1, true) => f.write_str(name)?,
                    (1, false) => write!(f, "+{name}")?,
                    (-1, _) => write!(f, "-{name}")?,
                    (n, true) => write!(f, "{n}{name}")?,
                    (n, false) => write!(f, "{n:+}{name}")?,
                }
                first = false;
            }
            let t = i32::from(self.translation[i]);
            if t != 0 {
                let divisor =
                    [24, 12, 8, 6, 4, 3, 2].into_iter().find(|d| t % d == 0 && PARTS % d == 0);
                let divisor = divisor.unwrap_or(1);
                write!(f, "+{}/{}", t / divisor, PARTS / divisor)?;
            } else if first {
                f.write_str("0")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_read_and_written() {
        for (text, written) in [
            ("x,y,z", "x,y,z"),
            ("1/2+x, -Y ,z-0.25", "x+1/2,-y,z+3/4"),
            ("-x+y,-x,z+2/3", "-x+y,-x,z+2/3"),
            ("'x-y,x,0.16667+z'", "x-y,x,z+1/6"),
            ("-z,.5-y,x+5/4", "-z,-y+1/2,x+1/4"),
        ] {
            let operation = Operation::parse(text).unwrap();
            assert_eq!(operation.to_string(), written);
            assert_eq!(Operation::parse(written), Some(operation));
        }
        for wrong in ["", "x,y", "x,y,z,x", "x,x,z", "x,y,q", "x,y,z+1/5", "1e9x,y,z", "x,,z"] {
            assert_eq!(Operation::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn products_and_images() {
        let screw = Operation::parse("-x,1/2+y,1/2-z").unwrap();
        assert_eq!(screw.after(&screw), Operation::parse("x,y,z"));
        assert_eq!(screw.apply([0.1, 0.2, 0.3]), [-0.1, 0.7, 0.2]);
    }
}
