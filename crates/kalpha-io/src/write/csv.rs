//! Tables as CSV (RFC 4180): a header line, commas, quotes where needed, full precision.

use super::file::write_file;
use crate::IoError;
use std::{borrow::Cow, fmt, io::Write, path::Path};

/// One field of a table.
#[derive(Clone, Debug, PartialEq)]
pub enum Field<'a> {
    /// Text.
    Text(Cow<'a, str>),
    /// A number, written so that it reads back to the same bits.
    Number(f64),
    /// A whole number.
    Integer(i64),
    /// Nothing is known.
    Empty,
}

impl<'a> From<&'a str> for Field<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text.into())
    }
}

impl From<f64> for Field<'_> {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<Option<f64>> for Field<'_> {
    fn from(number: Option<f64>) -> Self {
        number.map_or(Self::Empty, Self::Number)
    }
}

impl From<usize> for Field<'_> {
    fn from(number: usize) -> Self {
        i64::try_from(number).map_or(Self::Number(number as f64), Self::Integer)
    }
}

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) if text.contains([',', '"', '\n', '\r']) => {
                write!(f, "\"{}\"", text.replace('"', "\"\""))
            }
            Self::Text(text) => f.write_str(text),
            Self::Number(x) => write!(f, "{x}"),
            Self::Integer(i) => write!(f, "{i}"),
            Self::Empty => Ok(()),
        }
    }
}

/// Writes a table.
///
/// # Errors
/// [`IoError::CannotHold`] when a row has not as many fields as the header, else as
/// [`super::write_file`].
pub fn write_csv<'a>(
    path: &Path,
    header: &[&str],
    rows: impl IntoIterator<Item = Vec<Field<'a>>>,
) -> Result<(), IoError> {
    let mut text = String::new();
    let mut line = |fields: &[Field]| {
        let fields: Vec<String> = fields.iter().map(Field::to_string).collect();
        text.push_str(&fields.join(","));
        text.push('\n');
    };
    line(&header.iter().map(|h| Field::from(*h)).collect::<Vec<_>>());
    for row in rows {
        if row.len() != header.len() {
            return Err(IoError::CannotHold {
                path: path.to_owned(),
                field: "a row",
                got: format!("{} fields", row.len()),
                supported: "as many fields as the header",
            });
        }
        line(&row);
    }
    write_file(path, |w| w.write_all(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_needed_and_numbers_keep_their_bits() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.csv");
        let rows = vec![
            vec!["a,\"b\"".into(), 0.1.into(), 3usize.into()],
            vec!["".into(), None.into(), f64::NAN.into()],
        ];
        write_csv(&path, &["name", "value", "n"], rows).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "name,value,n\n\"a,\"\"b\"\"\",0.1,3\n,,NaN\n");
        assert!(write_csv(&path, &["one"], vec![vec![]]).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
